"""Print the tables of docs/scaling.md: python docs/figures/scaling.py RUN, a run of the suite scaling."""

from __future__ import annotations

import sys

import jacobench as jb
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.pictures.quantities import QUANTITIES


def laws(run: str) -> str:
    """Return how a gradient's time and memory grow in a run, as a Markdown table."""
    found = jb.growth(jb.load(run), jb.load_passes(run))
    lines = ["| knob | strategy | of | exponent | predicted | verdict | rules from | worst misfit |", "|---" * 8 + "|"]
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
            f"{law['rules_from']:.3g}",
            f"{law['residual'] - 1:.0%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def crossings(run: str) -> str:
    """Return where the strategies of a run cross in the time of a gradient, as a Markdown table."""
    found = jb.crossovers(jb.load(run), jb.load_passes(run))
    lines = ["| knob | strategies | outcome | at | ahead at the largest size |", "|---" * 5 + "|"]
    for line in found[found["phase"] == "gradient"].to_dict("records"):
        size = line["size"]
        at = "–" if size != size else f"{size:.3g} [{line['low']:.3g}, {line['high']:.3g}]"  # noqa: PLR0124  (NaN)
        pair = f"{line['first']}, {line['second']}"
        ahead = f"{line['ahead']}, {line['factor']:.3g} ×"
        lines.append(f"| {KNOBS[line['knob']]} | {pair} | {line['outcome']} | {at} | {ahead} |")
    return "\n".join(lines)


def uses(run: str) -> str:
    """Return from how many pullbacks on a strategy of a run is cheaper than vjp, where it ever is, as a Markdown table."""
    found = jb.reuse(jb.load_passes(run))
    lines = ["| case | strategy | cheaper than `vjp` |", "|---" * 3 + "|"]
    for line in found[found["outcome"] != "never"].to_dict("records"):
        low, high = line["low"], line["high"]
        after = "" if low != low else f" {line['uses']:.3g} [{low:.3g}, {high:.3g}] uses"  # noqa: PLR0124  (NaN)
        lines.append(f"| {line['case']} | {line['strategy']} | {line['outcome']}{after} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(laws(sys.argv[1]), crossings(sys.argv[1]), uses(sys.argv[1]), sep="\n\n")
