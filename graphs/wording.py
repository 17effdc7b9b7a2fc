"""Counted nouns, lists of names and half-widths in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(count: float | str, noun: str, plural: str = "") -> str:
    """Return a number and its noun; the plural is the noun with an "s" unless it is given.

    A number is printed with commas. A text, such as a range, is singular only if it is ``"1"``.

    >>> counted(1, "strategy", "strategies"), counted(1200, "case"), counted("2 to 3", "pass", "passes")
    ('1 strategy', '1,200 cases', '2 to 3 passes')
    """
    shown = count if isinstance(count, str) else f"{count:,.0f}"
    return f"{shown} {noun if shown == '1' else plural or f'{noun}s'}"


def listed(parts: Sequence[str]) -> str:
    """Join with commas and a last "and"; empty for none.

    >>> listed(["dense"]), listed(["dense", "sparse", "vjp"])
    ('dense', 'dense, sparse and vjp')
    """
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def plus_minus(share: float) -> str:
    """Return half the width of a range as a share of its middle; from 100 % on, as a factor.

    >>> plus_minus(0.031), plus_minus(0.86), plus_minus(1.27), plus_minus(float("inf"))
    ('±3.1%', '±86%', 'a factor of 2.27', 'any factor')
    """
    if share >= 1:
        return f"a factor of {1 + share:,.3g}" if share < 1e3 else "any factor"
    return f"±{share:.1%}" if share < 0.1 else f"±{share:.0%}"
