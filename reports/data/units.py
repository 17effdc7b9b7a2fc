"""Numbers formatted for readers: three significant digits, and the unit that keeps them short."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING = "–"

SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
BYTES = tuple((1024.0**power, unit) for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")))
COUNTS = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"), (1e18, "E"))

FLOPS = tuple((size, f"{prefix}flop") for size, prefix in COUNTS)

Scale = tuple[tuple[float, str], ...]


BELOW_RESOLUTION = f"< {RESOLUTION_BYTES // 1024} KiB"  # an amount of memory that is too small to be measured


def format_seconds(seconds: float) -> str:
    """Return a time in ns, µs, ms or s; a dash for NaN.

    >>> format_seconds(1.2345e-5), format_seconds(9.996e-4), format_seconds(float("nan"))
    ('12.3 µs', '1.00 ms', '–')
    """
    return _scaled(seconds, SECONDS)


def format_bytes(n_bytes: float) -> str:
    """Return an amount of memory in B, KiB … EiB (four digits from 1000 to 1023); a dash for NaN.

    >>> format_bytes(640), format_bytes(1536), format_bytes(27.1 * 2**30)
    ('640 B', '1.50 KiB', '27.1 GiB')
    """
    return _scaled(n_bytes, BYTES)


def format_peak(row: Mapping[Any, Any]) -> str:
    """Return a row's peak memory: below the tool's resolution only that; a dash if it was not measured.

    >>> format_peak({"status": "ok", "peak_bytes": 1536, "memory_tool": "memray"})
    '1.50 KiB'
    >>> format_peak({"status": "ok", "peak_bytes": float("nan"), "memory_tool": "memray"})
    '< 8 KiB'
    """
    was_measured = row["status"] == "ok" and isinstance(row["memory_tool"], str)
    return BELOW_RESOLUTION if was_measured and math.isnan(row["peak_bytes"]) else format_bytes(row["peak_bytes"])


def format_count(count: float) -> str:
    """Return a number of things, with k, M, G … from a thousand on; a dash for NaN.

    >>> format_count(640), format_count(200_704), format_count(51_380_224)
    ('640', '201k', '51.4M')
    """
    return _scaled(count, COUNTS).replace(" ", "")


def format_flops(n_flops: float) -> str:
    """Return a number of arithmetic operations in flop, kflop, Mflop …; a dash for NaN.

    >>> format_flops(640), format_flops(2.1e6)
    ('640 flop', '2.10 Mflop')
    """
    return _scaled(n_flops, FLOPS)


def format_size(size: float) -> str:
    """Return a size, such as a width: whole numbers with commas, without a decimal point; a dash for NaN.

    >>> format_size(48.0), format_size(32768.0), format_size(52.34), format_size(0.01)
    ('48', '32,768', '52.3', '0.01')
    """
    if math.isnan(size):
        return MISSING
    if math.isinf(size):
        return "any"
    if float(size).is_integer() or abs(size) >= 999.5:
        return f"{size:,.0f}"
    return f"{size:.3g}"


def format_ratio(ratio: float) -> str:
    """Return how many times as much, in three significant digits; a dash for NaN.

    >>> format_ratio(0.85), format_ratio(12.34), format_ratio(1_360), format_ratio(56_789), format_ratio(0.0)
    ('0.850×', '12.3×', '1360×', '56,800×', '0×')
    """
    if math.isnan(ratio):
        return MISSING
    if math.isinf(ratio) or ratio == 0:
        return "∞×" if ratio else "0×"
    if abs(ratio) >= 99_950:
        digits, exponent = f"{ratio:.2e}".split("e")
        return f"{digits}e{int(exponent)}×"
    return f"{_three_digits(_rounded(ratio))}×"


def format_interval(value: float, low: float, high: float) -> str:
    """Return a ratio with its interval, where it has one; empty for NaN.

    >>> format_interval(2.0, 1.96, 2.04), format_interval(2.0, float("nan"), float("nan"))
    ('2.00× [1.96×, 2.04×]', '2.00×')
    """
    if math.isnan(value):
        return ""
    if math.isnan(low):
        return format_ratio(value)
    return f"{format_ratio(value)} [{format_ratio(low)}, {format_ratio(high)}]"


def format_percent(share: float) -> str:
    """Return a share in percent; from ten times on how many times as much; a dash for NaN.

    >>> format_percent(0.07), format_percent(0.0123), format_percent(255.966), format_percent(float("nan"))
    ('7%', '1%', '256×', '–')
    """
    if math.isnan(share):
        return MISSING
    return format_ratio(share) if abs(share) >= 10 else f"{share:.0%}"


def format_efficiency(efficiency: float) -> str:
    """Return floor over measured time in percent; a lower bound above the measured time is no share.

    >>> format_efficiency(0.857), format_efficiency(1.004), format_efficiency(1.06), format_efficiency(float("nan"))
    ('86%', '100%', '>100%', '–')
    """
    return ">100%" if efficiency >= 1.005 else format_percent(efficiency)


def format_change(ratio: float) -> str:
    """Return a ratio as a change in percent, or as a factor from 2 on; a dash for NaN.

    >>> format_change(1.0234), format_change(0.9), format_change(3.5), format_change(25596.6), format_change(0.99999)
    ('+2.3%', '-10.0%', '3.50×', '25,597×', '+0.0%')
    """
    if math.isnan(ratio):
        return MISSING
    if math.isinf(ratio) or ratio >= 99_950:
        return format_ratio(ratio).replace("∞×", "∞")
    if ratio < 2:
        return f"{ratio - 1:+z.1%}"
    return f"{ratio:.2f}×" if ratio < 100 else f"{ratio:,.0f}×"


def format_tick(value: float, scale: Scale) -> str:
    """Return an axis label of a positive value: up to four digits without trailing zeros, and the unit.

    >>> format_tick(1e-4, SECONDS), format_tick(4096, BYTES)
    ('100 µs', '4 KiB')
    """
    size, unit = _unit(value, scale)
    return f"{value / size:.4g} {unit}".strip()


def _scaled(value: float, scale: Scale) -> str:
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size, unit = _unit(value, scale)
    whole = value == 0 or (scale[0][0] == size == 1.0 and float(value).is_integer())  # there is no half of a byte
    return f"{f'{value:.0f}' if whole else _three_digits(value / size)} {unit}"


def _unit(value: float, scale: Scale) -> tuple[float, str]:
    """Return the smallest unit in which the printed value is below one of the next unit."""
    if value == 0:
        return next((size, unit) for size, unit in scale if size == 1.0)
    for (size, unit), (larger, _) in pairwise(scale):
        if abs(value) >= larger:
            continue
        if abs(value) < 0.99 * larger:  # not rounded up to the next unit
            return size, unit
        printed = abs(float(_three_digits(value / size).replace(",", "")))
        if printed < round(larger / size):
            return size, unit
    return scale[-1]


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _three_digits(value: float) -> str:
    rounded = _rounded(value)
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}" if abs(rounded) >= 10_000 else f"{value:.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(rounded)))}f}"
