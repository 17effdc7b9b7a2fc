"""Numbers as people read them: three significant digits and the unit that keeps them short."""

from __future__ import annotations

import math
from itertools import pairwise

MISSING = "–"

SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
BYTES = tuple((1024.0**power, unit) for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")))
COUNTS = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"), (1e18, "E"))

FLOPS = tuple((size, f"{prefix}flop") for size, prefix in COUNTS)

Scale = tuple[tuple[float, str], ...]


def format_seconds(seconds: float) -> str:
    """Return a time with its unit.

    Parameters
    ----------
    seconds : float
        A time in seconds; NaN is missing.

    Returns
    -------
    str
        Three significant digits in ns, µs, ms or s; a dash for a missing one.

    Examples
    --------
    >>> format_seconds(1.2345e-5), format_seconds(9.996e-4), format_seconds(float("nan"))
    ('12.3 µs', '1.00 ms', '–')
    """
    return _scaled(seconds, SECONDS)


def format_bytes(n_bytes: float) -> str:
    """Return an amount of memory with its unit.

    Parameters
    ----------
    n_bytes : float
        A number of bytes; NaN is missing.

    Returns
    -------
    str
        Three significant digits (four from 1000 to 1023) in B, KiB … EiB; a dash for a missing one.

    Examples
    --------
    >>> format_bytes(640), format_bytes(1536), format_bytes(27.1 * 2**30)
    ('640 B', '1.50 KiB', '27.1 GiB')
    """
    return _scaled(n_bytes, BYTES)


def format_count(count: float) -> str:
    """Return a number of things: three significant digits and k, M, G … from a thousand on.

    Examples
    --------
    >>> format_count(640), format_count(200_704), format_count(51_380_224)
    ('640', '201k', '51.4M')
    """
    return _scaled(count, COUNTS).replace(" ", "")


def format_flops(n_flops: float) -> str:
    """Return a number of arithmetic operations with its unit.

    Parameters
    ----------
    n_flops : float
        A number of operations; NaN is missing.

    Returns
    -------
    str
        Three significant digits in flop, kflop, Mflop …; a dash for a missing one.

    Examples
    --------
    >>> format_flops(640), format_flops(2.1e6)
    ('640 flop', '2.10 Mflop')
    """
    return _scaled(n_flops, FLOPS)


def format_ratio(ratio: float) -> str:
    """Return how many times as much.

    Parameters
    ----------
    ratio : float
        A quotient; NaN is missing.

    Returns
    -------
    str
        Three significant digits and a multiplication sign; a dash for a missing one.

    Examples
    --------
    >>> format_ratio(0.85), format_ratio(12.34), format_ratio(56_789), format_ratio(0.0)
    ('0.850×', '12.3×', '56.8k×', '0×')
    """
    if math.isnan(ratio):
        return MISSING
    if ratio == 0:
        return "0×"
    if abs(ratio) >= 999.5:
        return _scaled(ratio, COUNTS).replace(" ", "") + "×"
    return _three_digits(ratio) + "×"


def format_tick(value: float, scale: Scale) -> str:
    """Return a label for an axis: as short as the value allows.

    Parameters
    ----------
    value : float
        In the scale's base unit, positive.
    scale : tuple of (float, str)
        ``SECONDS``, ``BYTES`` or ``COUNTS``.

    Returns
    -------
    str
        Up to four significant digits without trailing zeros, and the unit.

    Examples
    --------
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
    """Return the smallest unit in which the value, as rounded for print, stays below one of the next unit."""
    if value == 0:
        return next((size, unit) for size, unit in scale if size == 1.0)
    for (size, unit), (larger, _) in pairwise(scale):
        printed = abs(float(_three_digits(value / size).replace(",", "")))
        if printed < round(larger / size):
            return size, unit
    return scale[-1]


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}" if abs(rounded) >= 10_000 else f"{value:.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(rounded)))}f}"
