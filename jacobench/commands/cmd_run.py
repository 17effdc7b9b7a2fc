"""``jacobench run``: measure a suite."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jacobench.bench.run.passes import Progress
    from jacobench.bench.run.run_plan import Request

CLAIMS = "claims"
"""The suite whose rows answer the question, claim by claim."""

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy", metavar="S", help="Instead of the suite's: a name, file.py:Class or package.module:Class."
    ),
]
Cases = Annotated[list[str] | None, typer.Option("--case", metavar="GLOB", help="Only cases whose names match.")]
Suite = Annotated[str, typer.Option(metavar="NAME|FILE.toml", help="What to measure; see 'jacobench list suites'.")]


def run(
    context: typer.Context,
    suite: Suite = "standard",
    strategy: Strategies = None,
    case: Cases = None,
    passes: Annotated[int, typer.Option(metavar="N", help="Fresh processes for each cell.")] = 3,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder. Default: runs/<when>-<id>.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Go on with a run that was cut short.")] = None,
    threads: Annotated[int, typer.Option(metavar="N", help="For every library alike.")] = 1,
    memory_budget: Annotated[
        str, typer.Option(metavar="SIZE", help="Strategies predicted to need more are not tried.")
    ] = DEFAULT_BUDGET,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="For one measurement, all its rounds.")] = 60.0,
    controls: Annotated[
        str, typer.Option(metavar="tuned|asis", help="Set threads and malloc for all, or leave them as found.")
    ] = "tuned",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells with predicted bytes and seconds; measure nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the table.")] = False,
) -> None:
    """Measure a suite: a table on the screen, and a run's folder with run.json, measurements.csv and plots.

    Example: jacobench run --suite smoke --strategy dense --strategy vjp --out runs/first
    """
    from jacobench.bench.run.run_plan import Request

    request = Request(
        suite, tuple(strategy or ()), tuple(case or ()), passes, threads, memory_budget, timeout, controls
    )
    if resume is not None:
        _refuse_others(context)
    if dry_run:
        _dry_run(request)
    else:
        _measure(request, out, resume, quiet=quiet)


def _refuse_others(context: typer.Context) -> None:
    """Refuse whatever is asked for beside --resume: a run goes on as it was started."""
    from jacobench.graphs.errors import BadInput

    sources = {name: context.get_parameter_source(name) for name in context.params if name not in {"resume", "quiet"}}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BadInput(f"--resume goes on with a run as it was started: expected no other option, got {flags}")


def _measure(request: Request, out: Path | None, resume: Path | None, *, quiet: bool) -> None:
    from jacobench import api
    from jacobench.bench.machine.worker_process import HarnessFailure
    from jacobench.bench.run import run_folder as folders
    from jacobench.bench.run.runner import start
    from jacobench.commands import console
    from jacobench.reports.render.run_table import terminal_table

    began = time.monotonic()
    folder = folders.resume(resume) if resume else start(request, out)
    for note in [*folder.notes, *([] if resume else _budget_note(request, folder.settings.budget_bytes))]:
        console.talk().print(note)
    try:
        with _progress(quiet=quiet) as report:
            found = api.finish(folder, report)
    except KeyboardInterrupt:
        console.talk().print(f"\ncut short; what was measured is kept: jacobench run --resume {folder.path}")
        raise typer.Exit(130) from None
    except HarnessFailure as error:
        console.talk().print(f"jacobench: {error}; what was measured is kept: jacobench run --resume {folder.path}")
        raise typer.Exit(4) from None
    except OSError as error:
        where, why = error.filename or folder.path, error.strerror or error
        kept = f"; what was measured is kept: jacobench run --resume {folder.path}" if folder.path.exists() else ""
        console.talk().print(f"jacobench: {where}: {why}{kept}")
        raise typer.Exit(4) from None
    console.out().print(terminal_table(found))
    if folder.settings.suite == CLAIMS:
        _claims(folder.path)
    if not quiet:
        seconds = time.monotonic() - began
        console.talk().print(_summary(folder.path, None if resume else seconds))


def _claims(path: Path) -> None:
    """Print one line a claim, unwrapped, for eyes and for grep."""
    from jacobench.reports.claims.claim_catalogue import lines
    from jacobench.reports.data.run_data import read

    for line in lines(read(path)):
        typer.echo(line)


def _budget_note(request: Request, budget_bytes: int) -> list[str]:
    from jacobench.bench.machine.byte_sizes import parse_bytes
    from jacobench.reports.data.units import format_bytes

    if budget_bytes >= parse_bytes(request.memory_budget):
        return []
    return [f"the memory budget is {format_bytes(budget_bytes)}: the machine or its control group has no more"]


def _summary(path: Path, seconds: float | None) -> str:
    """Say where the run is and, of a run in one go, how much of the time was spent in measured calls."""
    import json

    facts = json.loads((path / "run.json").read_bytes())["jacobench"]
    share = "" if seconds is None else f", {facts['measured_seconds'] / seconds:.0%} of it in measured calls"
    took = "" if seconds is None else f" ({seconds:.0f} s{share})"
    return f"{path}: run.json, measurements.csv, journal.jsonl, plots/{took}; a page of it: jacobench report {path}"


def _progress(*, quiet: bool) -> Any:
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from jacobench.commands import console

    @contextmanager
    def shown() -> Iterator[Callable[[Progress], None]]:
        terminal = console.talk()
        if quiet or not terminal.is_terminal:
            yield lambda _progress: None
            return
        style = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
        with Bar(*style, TextColumn("{task.description}", markup=False), console=terminal, transient=True) as bar:
            task = bar.add_task("starting", total=None)

            def report(progress: Progress) -> None:
                cell = progress.cell
                doing = (
                    f"pass {progress.pass_number + 1} · {cell.case} · {cell.strategy} · {cell.phase}" if cell else ""
                )
                bar.update(task, completed=progress.done, total=progress.total, description=doing)

            yield report

    return shown()


def _dry_run(request: Request) -> None:
    from jacobench.bench.run.run_estimate import estimate, total_seconds
    from jacobench.bench.run.run_plan import plan
    from jacobench.commands import console
    from jacobench.reports.data.units import format_bytes, format_seconds

    planned = plan(request)
    for note in _budget_note(request, planned.budget_bytes):
        console.talk().print(note)
    found = estimate(planned)
    rows = [
        (
            cell["case"],
            cell["strategy"],
            cell["phase"],
            "?" if cell["predicted_bytes"] is None else format_bytes(cell["predicted_bytes"]),
            "?" if cell["predicted_seconds"] is None else format_seconds(cell["predicted_seconds"]),
            "over budget" if cell["over_budget"] else "",
        )
        for cell in found
    ]
    console.out().print(console.columns(("case", "strategy", "phase", "peak bytes", "seconds a call", ""), rows))
    seconds = total_seconds(found, request.passes)
    console.talk().print(f"{len(found)} cells, {request.passes} passes: about {seconds:.0f} s; nothing was measured")
