"""Print the tables of docs/scaling.md: python docs/figures/scaling.py RUN, a run of the suite scaling."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jacobench as jb
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.plots.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping


def laws(run: str) -> str:
    """Return the growth of a gradient's time and memory in a run, as a Markdown table."""
    found = jb.growth(jb.load(run), jb.load_passes(run))
    lines = [
        "| knob | strategy | of | exponent | predicted | verdict | dominates from | worst misfit |",
        "|---" * 8 + "|",
    ]
    for law in found[found["phase"] == "gradient"].to_dict("records"):
        low, high = law["exponent_low"], law["exponent_high"]
        interval = "" if low != low else f" [{low:.2f}, {high:.2f}]"  # noqa: PLR0124  (NaN)
        cells = (
            KNOBS[law["knob"]],
            law["strategy"],
            QUANTITIES[law["quantity"]].word,
            f"{law['exponent']:.2f}{interval}",
            f"{law['exponent_predicted']:.2f}",
            law["verdict"],
            f"{law['dominates_from']:.3g}",
            f"{law['residual'] - 1:.0%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def crossings(run: str) -> str:
    """Return the crossovers of a gradient's time and memory in a run, as a Markdown table."""
    found = jb.crossovers(jb.load(run), jb.load_passes(run))
    lines = [
        "| knob | of | strategies | outcome | at | ahead at the largest size | could win at its limit |",
        "|---" * 7 + "|",
    ]
    for line in found[found["phase"] == "gradient"].to_dict("records"):
        of = QUANTITIES[line["quantity"]].word
        pair = f"{line['first']}, {line['second']}"
        ahead = f"{line['cheaper']}, {line['factor']:.3g} ×" if isinstance(line["cheaper"], str) else "undecided"
        lines.append(
            f"| {KNOBS[line['knob']]} | {of} | {pair} | {line['outcome']} | {_place(line)} | {ahead} | {_doubts(line)} |"
        )
    return "\n".join(lines)


def _place(line: Mapping[str, Any]) -> str:
    """Return a crossover with its interval, and a mark if it is outside the measured range."""
    if line["size"] != line["size"]:
        return "–"
    interval = "" if line["low"] != line["low"] else f" [{line['low']:.3g}, {line['high']:.3g}]"
    return f"{line['size']:.3g}{interval}{' (extrapolated)' if line['extrapolated'] else ''}"


def _doubts(line: Mapping[str, Any]) -> str:
    """Return the slower strategies that could be faster at their own limit, each with its time over its floor."""
    known = {name: f"{factor:.3g} ×" if factor == factor else "unknown" for name, factor in line["could_win"].items()}  # noqa: PLR0124  (NaN)
    return ", ".join(f"{name} ({factor})" for name, factor in known.items()) or "–"


def uses(run: str) -> str:
    """Return after how many pullbacks a strategy is cheaper than vjp, as a Markdown table of the cells where this happens."""
    found = jb.reuse(jb.load_passes(run), table=jb.load(run))
    lines = ["| case | strategy | cheaper than `vjp` | could win at its limit |", "|---" * 4 + "|"]
    for line in found[found["outcome"] != "never"].to_dict("records"):
        low, high = line["low"], line["high"]
        after = "" if low != low else f" {line['uses']:.3g} [{low:.3g}, {high:.3g}] uses"  # noqa: PLR0124  (NaN)
        lines.append(f"| {line['case']} | {line['strategy']} | {line['outcome']}{after} | {_doubts(line)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(laws(sys.argv[1]), crossings(sys.argv[1]), uses(sys.argv[1]), sep="\n\n")
