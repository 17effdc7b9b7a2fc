"""What a notebook shows of a run: the answer, a small table, and the pictures."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.reports.data.units import format_bytes, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import words
from jacobench.reports.page.answers import answers
from jacobench.reports.plots.all_plots import all_plots
from jacobench.reports.plots.style import styled

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from jacobench.reports.data.run_data import Run

# What the table shows, each column as people read it.
COLUMNS: dict[str, Callable[[Any], str]] = {
    "case": str,
    "strategy": str,
    "status": words,
    "seconds_median": format_seconds,
    "ratio_to_vjp": format_ratio,
    "peak_bytes": format_bytes,
}
MOST_ROWS = 20


def notebook(run: Run, phase: str = "gradient") -> str:
    """Return a fragment of HTML for a run.

    Parameters
    ----------
    run : Run
        What was measured.
    phase : str
        The phase that is shown.

    Returns
    -------
    str
        Without script or style, so that it disturbs nothing in the page that shows it.
    """
    rows = run.table[run.table["phase"] == phase]
    parts = [f"<p><strong>{escape(run.name or 'run')}</strong></p>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in answers(run, phase)]
    shown = pd.DataFrame({name: rows[name].map(show) for name, show in COLUMNS.items()})
    parts.append(shown.to_html(index=False, max_rows=MOST_ROWS, border=0))
    for name, picture in all_plots(run, phase).pictures.items():
        parts.append(
            f'<p><img alt="{escape(picture.caption)}" title="{escape(name)}" src="{_png(picture.figure)}"></p>'
        )
    return f"<div>{''.join(parts)}</div>"


def _png(figure: Figure) -> str:
    """Return a figure as a data URL: an image, as the ids of two SVGs in one notebook would clash."""
    content = BytesIO()
    with styled():
        figure.savefig(content, format="png", dpi=100)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
