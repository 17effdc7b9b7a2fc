"""Self-contained HTML page of runs: answer, tables, plots, machine, every row, and how to reproduce them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from jacobench.bench.row.columns import shown_phase
from jacobench.reports.analysis.doubts import floor_note
from jacobench.reports.data.machine_parts import parts_of
from jacobench.reports.data.vocabulary import heading, provenance
from jacobench.reports.page import page_sentences, quality_sentences
from jacobench.reports.page.answers import QUESTION, answers
from jacobench.reports.page.machine_comparison import compare_machines
from jacobench.reports.page.page_tables import (
    counts,
    crossover_rows,
    failures,
    memory_limits,
    recommendations,
    row_table,
)
from jacobench.reports.page.run_facts import commands, machine_details, stability
from jacobench.reports.plots.all_plots import all_plots
from jacobench.reports.plots.machine_plots import machine_plots
from jacobench.reports.render.html_document import render_html
from jacobench.reports.render.output_files import inline_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.plots.layout import Plot


def page(runs: Sequence[Run], phase: str = "gradient") -> str:
    """Return one HTML document about runs, without external resources. Raises BadInput if the phase is unknown."""
    parts = parts_of(runs)
    sections = [_section(part, f"run{number}", phase) for number, part in enumerate(parts)]
    return render_html(
        "page/run_page.html.j2",
        sections=sections,
        comparison=(comparison := compare_machines(runs, phase)),
        machine_plots=_machine_plots(runs, phase) if comparison else [],
        phase=phase,
        text=page_sentences,
        quality=quality_sentences,
    )


def _section(run: Run, key: str, phase: str) -> dict[str, Any]:
    """Return the contents of the page for one run on one machine. Limits and crossovers: relevant groups, then the collapsed ones."""
    phase = shown_phase(run.table, phase)
    drawn = all_plots(run, phase)
    plots = {name: _figure(f"{key}-{name}", name, plot) for name, plot in drawn.plots.items()}
    return {
        "id": key,
        "name": run.name,
        "heading": heading(run.table),
        "phase": phase,
        "suites": ", ".join(str(suite) for suite in run.table["suite"].dropna().unique()),
        "question": QUESTION,
        "summary": plots.pop("summary", None) or plots.pop("cases", None),
        "answers": answers(run, phase),
        "recommendations": recommendations(run, phase),
        "memory_bytes": float((run.facts.get("machine") or {}).get("memory_bytes") or "nan"),
        "limits_unknown": floor_note(run.table, phase),
        "limits": memory_limits(run, phase),
        "crossovers": crossover_rows(run, phase),
        "machine": provenance(run.table),
        "stability": stability(run, phase),
        "details": machine_details(run),
        "plots": list(plots.values()),
        "missing": drawn.missing,
        "counts": counts(run.table),
        "failures": failures(run.table),
        "rows": row_table(run),
        "csv": _data_url(run.table),
        "commands": commands(run),
    }


def _machine_plots(runs: Sequence[Run], phase: str) -> list[dict[str, Any]]:
    return [_figure(name, name, plot) for name, plot in machine_plots(runs, phase).items()]


def _figure(key: str, name: str, plot: Plot) -> dict[str, Any]:
    svg = Markup(inline_svg(plot.figure, key))  # noqa: S704  (matplotlib escapes the text in it)
    return {"name": name, "svg": svg, "caption": plot.caption, "notes": plot.notes, "csv": _data_url(plot.data)}


def _data_url(table: pd.DataFrame) -> str:
    csv = table.to_csv(index=False, lineterminator="\n")
    return "data:text/csv;base64," + base64.b64encode(csv.encode()).decode()
