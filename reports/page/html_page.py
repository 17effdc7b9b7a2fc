"""One self-contained HTML page: what was asked, what was found, on which machine, every row, and how to measure it again."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jacobench.reports.data.provenance import provenance
from jacobench.reports.data.units import format_bytes
from jacobench.reports.page.answers import QUESTION, answers
from jacobench.reports.page.failed_cells import Failure, counts, failures
from jacobench.reports.page.limits_and_crossovers import Crossing, Fitting, crossings, fitting
from jacobench.reports.page.recommendation_table import Advice, advice
from jacobench.reports.page.reproduction import commands
from jacobench.reports.page.row_table import Records, records
from jacobench.reports.page.stability import Trust, trust
from jacobench.reports.plots.all_plots import all_plots
from jacobench.reports.plots.style import DARK
from jacobench.reports.render.output_files import inline_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.plots.plot_data import Plot


@dataclass(frozen=True)
class Shown:
    """A picture as it stands in the page.

    Attributes
    ----------
    name, svg, caption : str
        The SVG element may hold markup; the others are plain text.
    notes : tuple of str
        What follows from the data.
    csv : str
        What is drawn, as a data URL.
    """

    name: str
    svg: str
    caption: str
    notes: tuple[str, ...]
    csv: str


@dataclass(frozen=True)
class Section:
    """Everything that the page says of one run."""

    id: str
    name: str
    suites: str
    question: str
    answers: list[str]
    machine: list[str]
    details: list[tuple[str, str]]
    trust: Trust
    advice: list[Advice]
    memory: str
    fitting: list[Fitting]
    crossings: list[Crossing]
    pictures: list[Shown]
    missing: dict[str, str]
    counts: str
    failures: list[Failure]
    records: Records
    csv: str
    commands: list[tuple[str, str]]


def page(runs: Sequence[Run], phase: str = "gradient") -> str:
    """Write the page of one run, or of several one after another.

    Parameters
    ----------
    runs : sequence of Run
        At least one.
    phase : str
        The phase that counts.

    Returns
    -------
    str
        A whole HTML document, that needs no other file and no network.

    Raises
    ------
    BadInput
        If the phase is unknown.
    """
    sections = [_section(run, f"run{number}", phase) for number, run in enumerate(runs)]
    return _template().render(
        sections=sections,
        phase=phase,
        css=_resource("page.css"),
        js=_resource("page.js"),
        dark={light[1:].lower(): dark for light, dark in DARK.items()},
    )


def _section(run: Run, key: str, phase: str) -> Section:
    drawn = all_plots(run, phase)
    return Section(
        id=key,
        name=run.name,
        suites=", ".join(str(suite) for suite in run.table["suite"].dropna().unique()),
        question=QUESTION,
        answers=answers(run, phase),
        machine=provenance(run.table),
        details=_details(run),
        trust=trust(run),
        advice=advice(run, phase),
        memory=format_bytes(float((run.facts.get("machine") or {}).get("memory_bytes") or "nan")),
        fitting=fitting(run, phase),
        crossings=crossings(run, phase),
        pictures=[_shown(f"{key}-{name}", name, picture) for name, picture in drawn.pictures.items()],
        missing=drawn.missing,
        counts=counts(run.table),
        failures=failures(run.table),
        records=records(run.table),
        csv=_data_url(run.table.to_csv(index=False, lineterminator="\n")),
        commands=commands(run),
    )


def _shown(key: str, name: str, picture: Plot) -> Shown:
    svg = inline_svg(picture.figure, key)
    data = picture.data.to_csv(index=False, lineterminator="\n")
    return Shown(name, svg, picture.caption, picture.notes, _data_url(data))


def _data_url(csv: str) -> str:
    return "data:text/csv;base64," + base64.b64encode(csv.encode()).decode()


def _details(run: Run) -> list[tuple[str, str]]:
    """Return what the run recorded of the machine, as pairs of a word and a value."""
    machine = run.facts.get("machine") or {}
    blas = [
        " ".join(str(library[key]) for key in ("internal_api", "version", "architecture") if library.get(key))
        for library in machine.get("blas") or ()
    ]
    packages = [f"{name} {version}" for name, version in (machine.get("packages") or {}).items()]
    settings = [f"{name}={value}" for name, value in (machine.get("settings") or {}).items()]
    found: list[tuple[str, Any]] = [
        ("processor", machine.get("processor")),
        ("caches", machine.get("caches")),
        ("frequency governor", machine.get("governor")),
        ("boost", machine.get("boost")),
        ("system", machine.get("system")),
        ("C library", machine.get("libc")),
        ("Python", machine.get("python")),
        ("packages", packages),
        ("BLAS", list(dict.fromkeys(blas))),
        ("set for every process", settings),
    ]
    return [(word, ", ".join(value) if isinstance(value, list) else str(value)) for word, value in found if value]


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415  (only a page needs it)

    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return made.from_string(_resource("page.html.j2"))
