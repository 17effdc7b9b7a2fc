"""``jacobench history``: many runs in one file, what changed in them and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.reports.history.history_records import Record
    from jacobench.reports.history.store import History

app = typer.Typer(
    name="history",
    help="Many runs in one file: what changed in them, when, and by how much.",
    epilog="Begin with: jacobench history add runs/first",
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Option("--file", metavar="FILE", help="The history.")]
Case = Annotated[str | None, typer.Option(metavar="GLOB", help="Only cases whose names match.")]
Strategy = Annotated[str | None, typer.Option(metavar="GLOB", help="Only strategies whose names match.")]
Phase = Annotated[str | None, typer.Option(metavar="GLOB", help="Only phases whose names match.")]
Machine = Annotated[str | None, typer.Option(metavar="GLOB", help="Only machines whose names match.")]
Recent = Annotated[int, typer.Option(metavar="N", min=1, help="Runs for which a standing regression counts.")]

DEFAULT = Path("benchmarks/history.sqlite")
EXIT_CODES = {"clear": 0, "regressed": 1, "inconclusive": 3, "nothing": 4}


@app.command()
def add(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Runs' folders, or their run.json.")],
    file: File = DEFAULT,
) -> None:
    """Add runs, each whole or not at all; one that is there already changes nothing.

    Example: jacobench history add runs/first --file benchmarks/history.sqlite
    """
    from jacobench.reports.data.run_data import read
    from jacobench.reports.history.history_records import from_run

    _add([from_run(read(run)) for run in runs], file)


@app.command("import")
def import_(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE…", help="Folders .benchmarks, or files that pytest-benchmark wrote.")
    ],
    file: File = DEFAULT,
) -> None:
    """Add what pytest-benchmark saved.

    Example: jacobench history import .benchmarks
    """
    from jacobench.reports.history.benchmark_import import read_benchmarks

    _add([record for source in sources for record in read_benchmarks(source)], file)


def _add(records: list[Record], file: Path) -> None:
    from jacobench.commands import console
    from jacobench.reports.history import store

    for record in records:
        said = "added to" if store.add(file, record) else "is in already, nothing changed in"
        console.talk().print(f"{record.run_id}: {said} {file}")


@app.command()
def show(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    quantity: Annotated[str, typer.Option(metavar="Q", help="seconds, bytes or nonzeros.")] = "seconds",
) -> None:
    """Show each series with a sparkline, those of one machine and its controls together.

    Example: jacobench history show --strategy vjp --phase gradient
    """
    from jacobench.commands import console
    from jacobench.reports.history.history_tables import series_rows

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    for heading, rows in series_rows(history, quantity):
        console.out().print(heading)
        console.out().print(
            console.columns(("case", "strategy", "phase", "runs", "median", "latest", "", "oldest to newest"), rows)
        )
        console.out().print()


@app.command()
def check(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    recent: Recent = 20,
    csv: Annotated[bool, typer.Option("--csv", help="All columns, as CSV.")] = False,
) -> None:
    """Find where series changed: commits, size with its 95 % interval, step or drift, and what that means.

    Exit code 1 if a series regressed within the last N runs of its machine and still is; 3 if no series has ten runs yet, or the machine may
    have done it; 4 if there is nothing to look at. Improvements, and regressions older than that, are shown and exit with 0.

    Example: jacobench history check --recent 30
    """
    import sys

    from jacobench.commands import console
    from jacobench.reports.history import history_check as checks
    from jacobench.reports.history.history_tables import change_rows, summary

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    found = checks.check(history, recent=recent)
    if csv:
        found.changes.to_csv(sys.stdout, index=False)
    elif len(found.changes):
        headings = ("series", "change", "verdict", "by (95 %)", "level", "between")
        console.out().print(console.columns(headings, change_rows(history, found.changes)))
    console.talk().print(summary(found))
    if code := EXIT_CODES[found.state]:
        raise typer.Exit(code)


@app.command()
def plot(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = "gradient",
    machine: Machine = None,
    quantity: Annotated[str, typer.Option(metavar="Q", help="seconds, bytes or nonzeros.")] = "seconds",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to.")] = Path("plots"),
) -> None:
    """Draw series over runs as PNG and SVG, with what is drawn as CSV, and print the paths.

    Example: jacobench history plot --case 'mlp-*' --out pictures
    """
    from jacobench.reports.history.history_check import check as find
    from jacobench.reports.history.history_plots import draw
    from jacobench.reports.render import output_files

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    pictures = draw(history, find(history, (quantity,)).changes, quantity)
    with _writing(out):
        for path in output_files.save(pictures, out):
            typer.echo(path)


@app.command()
def export(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    to: Annotated[str, typer.Option("--format", metavar="F", help="csv, json, github or bencher.")] = "csv",
) -> None:
    """Print a history for other tools: all of it (csv, json), or its newest run (github, bencher).

    github is for github-action-benchmark with tool: customSmallerIsBetter; bencher is the Bencher Metric Format.

    Example: jacobench history export --format github --phase gradient > output.json
    """
    from jacobench.commands import console
    from jacobench.graphs.errors import unknown
    from jacobench.reports.history.exports import FORMATS, OF_ONE_RUN, newest

    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    if to in OF_ONE_RUN:
        run = history.runs.loc[newest(history)]
        console.talk().print(f"the newest run: {run['run_id']}, {run['measured_at']}, {run['machine']}")
    typer.echo(FORMATS[to](history), nl=False)


@app.command()
def report(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    recent: Recent = 20,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Where to.")] = Path("history.html"),
) -> None:
    """Write one HTML page of all series with their changes marked; it needs nothing else, and no network.

    Example: jacobench history report --out history.html
    """
    from jacobench.reports.history.history_check import check as find
    from jacobench.reports.history.history_page import page
    from jacobench.reports.render import output_files

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    text = page(history, find(history, recent=recent))
    with _writing(out):
        typer.echo(output_files.write_text(text, out))


def _read(file: Path, **globs: str | None) -> History:
    from jacobench.reports.history import store
    from jacobench.reports.history.series import select

    return select(store.load(file), {column: glob for column, glob in globs.items() if glob is not None})


def _writing(out: Path) -> Any:
    from contextlib import contextmanager

    from jacobench.graphs.errors import BadInput

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadInput(f"cannot write {str(error.filename or out)!r}: {error.strerror}") from None

    return told()
