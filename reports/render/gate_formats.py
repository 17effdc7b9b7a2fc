"""The forms in which an outcome leaves the gate: one entry each, from outcome and title to text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.render.gate_annotations import annotate
from jacobench.reports.render.gate_junit import junit
from jacobench.reports.render.gate_markdown import markdown, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.reports.regression.outcome import Outcome

FORMATS: Mapping[str, Callable[[Outcome, str], str]] = {
    "markdown": markdown,
    "summary": summary,
    "annotations": annotate,
    "junit": junit,
}
"""``FORMATS[name](outcome, title)``; the title says what was compared in what, such as ``"1a2b3c → 4d5e6f · standard"``."""
