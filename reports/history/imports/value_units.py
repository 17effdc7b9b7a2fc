"""Units of other tools' values, converted to seconds, bytes, or a value of which less is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMES: Mapping[str, float] = {
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
"""ValueUnit in lower case → seconds."""

BYTES: Mapping[str, float] = {
    **dict.fromkeys(("B", "byte", "bytes", "Byte", "Bytes"), 1.0),
    **{f"{prefix}B": 1000.0**power for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": 1024.0**power for power, prefix in enumerate("KMGT", 1)},
    "KB": 1000.0,
}

NUMBER = r"[-+]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?"
SPREAD = re.compile(rf"\s*(?:±|\+/-|\+-|stddev:)?\s*({NUMBER})\s*(%?)\s*")
INTERVAL = re.compile(rf"\s*({NUMBER})\s*(?:to|\.\.|–)\s*({NUMBER})\s*")


@dataclass(frozen=True)
class ValueUnit:
    """Conversion of a value: to ``factor · value``, or ``factor / value`` if it is a rate, in a history's column."""

    column: str
    factor: float
    is_rate: bool = False

    def convert(self, value: float) -> float | None:
        """Return the converted value, or None if it cannot have been measured."""
        if not isfinite(value) or value < 0 or (self.is_rate and value == 0):
            return None
        return self.factor / value if self.is_rate else self.factor * value


OTHER = ValueUnit("value", 1.0)


def unit_of(text: str, larger_is_better: bool | None) -> ValueUnit | None:
    """Return the conversion of a unit, such as ``ns/iter`` or ``ops/s``; None if only a larger value is better.

    ``larger_is_better`` is None if the tool does not state it; then it is true of rates only.

    A rate becomes the time of one operation. What is neither a time, an amount of memory nor a rate is a value.

    >>> unit_of("ns/iter", None), unit_of("KiB", False), unit_of("points", True)
    (ValueUnit(column='seconds_median', factor=1e-09, is_rate=False), ValueUnit(column='peak_bytes', factor=1024.0, is_rate=False), None)
    >>> unit_of("iter/sec", None).convert(4.0)
    0.25
    """
    what, _, per = (part.strip() for part in text.strip().partition("/"))
    if per.lower() in TIMES and larger_is_better is not False:
        return ValueUnit("seconds_median", TIMES[per.lower()], is_rate=True)
    if larger_is_better:
        return None
    if what.lower() in TIMES:
        return ValueUnit("seconds_median", TIMES[what.lower()])
    if what in BYTES and per.lower() not in TIMES:
        return ValueUnit("peak_bytes", BYTES[what])
    return OTHER


def interval(value: float, text: str, unit: ValueUnit) -> tuple[float, float] | None:
    """Return the interval of a time in seconds from its text, such as ``± 12.5``, ``±3%`` or ``0.2 to 0.3``.

    None if the text is none. The standard deviation that pytest-benchmark states is one of seconds, also of a rate.

    >>> interval(100.0, "± 20", unit_of("ms", None)), interval(4.0, "stddev: 0.05", unit_of("iter/sec", None))
    ((0.08, 0.12), (0.2, 0.3))
    """
    if match := INTERVAL.fullmatch(text):
        ends = [_number(match[1]), _number(match[2])]
    elif match := SPREAD.fullmatch(text):
        spread = _number(match[1]) * (value / 100 if match[2] else 1.0)
        if "stddev" in text and unit.is_rate:
            middle = unit.convert(value) or 0.0
            return max(middle - spread, 0.0), middle + spread
        ends = [max(value - spread, 0.0), value + spread]
    else:
        return None
    first, second = map(unit.convert, ends)
    return None if first is None or second is None else (min(first, second), max(first, second))


def _number(text: str) -> float:
    return float(text.replace(",", ""))
