"""Sizes as text: ``2GiB``, ``512 MiB``, ``1e9``."""

from __future__ import annotations

import re
from math import inf

from jacobench.graphs.errors import BadInput

DEFAULT_BUDGET = "2GiB"  # default memory budget: the same on every machine, so that runs are comparable

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    f"{prefix}IB": 2 ** (10 * power) for power, prefix in enumerate("KMGTP", 1)
}


def parse_bytes(text: str) -> int:
    """Return a number of bytes, from a positive number with a decimal (``GB``), binary (``GiB``) or no unit.

    Raises BadInput if it is not a size.

    >>> parse_bytes("2GiB"), parse_bytes("1.5 kB")
    (2147483648, 1500)
    """
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([a-z]*)\s*", text.lower())
    unit = UNITS.get(match[2].upper()) if match else None
    try:
        amount = float(match[1]) * unit if match and unit else 0
    except ValueError:
        amount = 0
    if not 1 <= amount < inf:
        raise BadInput(f"{text!r} is not a size; expected a number with a unit, such as 512MiB or 2GiB")
    return int(amount)
