"""Notebook view of a run: the answer, a small table with the winners, and the plots."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import in_phase, shown_phase
from jacobench.reports.analysis.doubts import by_case, floor_note
from jacobench.reports.analysis.recommendation import fastest, least_memory, recommend
from jacobench.reports.data.machine_parts import by_machine
from jacobench.reports.data.units import format_peak, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import heading, words
from jacobench.reports.page.answers import answers
from jacobench.reports.plots.all_plots import all_plots
from jacobench.reports.plots.style import styled

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from jacobench.reports.data.run_data import Run

FORMATS: dict[str, Callable[[Any], str]] = {
    "case": str,
    "strategy": str,
    "status": words,
    "seconds_median": format_seconds,
    "ratio_to_vjp": format_ratio,
}  # columns of the table, and the peak
MAX_ROWS = 20
MARK, DOUBT = " *", " ?"
WINNER = "* clearly the fastest in its case, or clearly the least memory"
DOUBTFUL = "? slower than the fastest, but it could win at its own limit"


def notebook(run: Run, phase: str = "gradient") -> str:
    """Return an HTML fragment of a run, without script and style, so that it does not affect the page around it.

    The machines of a run, if there are several, follow each other.
    ``*`` marks the strategy that is clearly the fastest in its case, and the one that clearly needs the least memory: the
    same winners as on the page of `jacobench report`. ``?`` marks slower strategies that could win at their own limit.
    """
    return f"<div>{''.join(html for part in by_machine(run).values() for html in _part(part, phase))}</div>"


def _part(run: Run, phase: str) -> list[str]:
    """Return the elements of one machine's part."""
    phase = shown_phase(run.table, phase)
    rows = run.table[in_phase(run.table, phase)]
    shown = pd.DataFrame({name: rows[name].map(show) for name, show in FORMATS.items()})
    shown["peak_bytes"] = [format_peak(row) for row in rows.to_dict("records")]
    found = recommend(run.table, run.passes, phase)
    winners = {"seconds_median": fastest(found), "peak_bytes": least_memory(run.table, phase)}
    for column, winner in winners.items():
        shown.loc[rows["case"].map(winner) == rows["strategy"], column] += MARK
    doubts = by_case(found)
    in_doubt = [strategy in doubts.get(case, {}) for case, strategy in zip(rows["case"], rows["strategy"], strict=True)]
    shown.loc[in_doubt, "seconds_median"] += DOUBT
    title = ", ".join(filter(None, (run.name or "run", heading(run.table))))
    parts = [f"<p><strong>{escape(title)}</strong></p>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in answers(run, phase)]
    parts.append(shown.to_html(index=False, max_rows=MAX_ROWS, border=0))
    has_winner = bool((fastest(found) or winners["peak_bytes"]) and len(rows))
    notes = [
        WINNER if has_winner else "",
        DOUBTFUL if any(in_doubt) else "",
        floor_note(run.table, phase) if fastest(found) else "",
    ]
    parts += [f"<p>{escape(note)}</p>" for note in notes if note]
    for name, plot in all_plots(run, phase).plots.items():
        parts.append(f'<p><img alt="{escape(plot.caption)}" title="{escape(name)}" src="{_png(plot.figure)}"></p>')
    return parts


def _png(figure: Figure) -> str:
    """Return a figure as a data URL: an image, because the ids of two SVGs in one notebook would clash."""
    content = BytesIO()
    with styled():
        figure.savefig(content, format="png", dpi=100)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
