"""Sentence of a fitted law: the note of a scaling plot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.units import format_bytes, format_percent, format_ratio, format_seconds, format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_PERCENT = 2.0  # a larger deviation is printed as a factor


def in_words(line: Mapping[str, Any]) -> str:
    """Return a line of `growth` as a sentence: the law, the predicted exponent, where it dominates, and the misfit."""
    of = KNOBS[line["knob"]]
    show = format_seconds if line["quantity"] == "seconds" else format_bytes
    fixed = f"{show(line['fixed'])} + " if line["fixed"] > 0 else ""
    interval = ""
    if not math.isnan(line["exponent_low"]):
        interval = f" [{_fixed(line['exponent_low'])}, {_fixed(line['exponent_high'])}]"
    law = f"{fixed}{show(line['scale'])} × {of}^{_fixed(line['exponent'])}{interval}"
    theory = ""
    if not math.isnan(line["exponent_predicted"]):
        theory = f", predicted exponent {_fixed(line['exponent_predicted'])}: {line['verdict']}"
    dominates = (
        f"; the growing term dominates from {of} {format_size(line['dominates_from'])}" if line["fixed"] > 0 else ""
    )
    off = line["residual"]
    deviation = format_percent(off - 1) if off < LARGEST_PERCENT else format_ratio(off)
    return f"{line['strategy']}: {law}{theory}{dominates}; largest deviation {deviation}"


def _fixed(exponent: float) -> str:
    """Return two decimals, without a minus sign before zero."""
    return f"{round(exponent, 2) + 0.0:.2f}"
