"""What a notebook shows of a run: the answer, a small table, and the pictures."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from jacobench.reports.page.answers import answers
from jacobench.reports.pictures.album import album
from jacobench.reports.pictures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jacobench.reports.runs import Run

COLUMNS = ("case", "strategy", "status", "seconds_median", "ratio_to_vjp", "peak_bytes")


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
    parts.append(rows[list(COLUMNS)].to_html(index=False, max_rows=20, na_rep="", border=0))
    for name, picture in album(run, phase).pictures.items():
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
