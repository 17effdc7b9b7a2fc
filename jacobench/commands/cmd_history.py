"""``jacobench history``: many runs in one file, and the changes between them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console
from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.reports.history.history_records import Record
    from jacobench.reports.history.store import History

app = typer.Typer(
    name="history",
    help="Keep many runs in one file and find changes between them.",
    epilog="Start with: jacobench history add runs/first",
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Option("--file", metavar="FILE", help="File of the history.")]
Case = Annotated[str | None, typer.Option(metavar="GLOB", help="Only cases that match GLOB.")]
Strategy = Annotated[str | None, typer.Option(metavar="GLOB", help="Only strategies that match GLOB.")]
Phase = Annotated[str | None, typer.Option(metavar="GLOB", help="Only phases that match GLOB.")]
Machine = Annotated[str | None, typer.Option(metavar="GLOB", help="Only machines that match GLOB.")]
Quantity = Annotated[str, typer.Option(metavar="Q", help="Quantity: seconds, bytes or nonzeros.")]

DEFAULT = Path("benchmarks/history.sqlite")
EXIT_CODES = {"clear": 0, "regressed": 1, "inconclusive": 3, "nothing": 4}


@app.command()
def add(runs: console.Runs, file: File = DEFAULT) -> None:
    """Add runs to a history. Skips runs that it already contains, and with a warning those that cannot be read.

    Example: jacobench history add runs/first --file benchmarks/history.sqlite
    """
    from jacobench.reports.data.run_data import read
    from jacobench.reports.history.history_records import from_run

    _add(runs, lambda run: from_run(read(run)), file)


@app.command("import")
def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", help="Folders named .benchmarks, or JSON files of pytest-benchmark."),
    ],
    file: File = DEFAULT,
) -> None:
    """Add results that pytest-benchmark saved. Skips files that cannot be read, with a warning.

    Example: jacobench history import .benchmarks
    """
    from jacobench.reports.data.pytest_benchmark_json import benchmark_paths, read_benchmark_file
    from jacobench.reports.history.history_records import from_benchmark_file

    def record(path: Path) -> Record:
        found = read_benchmark_file(path)
        for note in found.notes:
            console.stderr().print(note)
        return from_benchmark_file(found)

    _add([path for source in sources for path in benchmark_paths(source)], record, file)


def _add(paths: list[Path], read: Callable[[Path], Record], file: Path) -> None:
    from jacobench.reports.data.pytest_benchmark_json import read_each
    from jacobench.reports.history import store

    records, skipped = read_each(paths, read)
    for problem in skipped:
        console.stderr().print(problem)
    for record in records:
        is_new = store.add(file, record)
        console.stderr().print(f"{record.run_id}: {f'added to {file}' if is_new else f'already in {file}, skipped'}")


@app.command()
def show(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    quantity: Quantity = "seconds",
) -> None:
    """Print each series with a sparkline.

    A series is one quantity of one case, strategy and phase over all runs on one machine. Series are grouped by
    machine, controls, threads and suite.

    Example: jacobench history show --strategy vjp --phase gradient
    """
    from jacobench.reports.history.history_tables import series_rows

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    headings = ("case", "strategy", "phase", "runs", "median", "latest", "change", "oldest to newest")
    for setting, rows in series_rows(history, quantity):
        console.stdout().print(setting)
        console.stdout().print(console.columns(headings, rows))
        console.stdout().print()


@app.command()
def check(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    recent: Annotated[
        int, typer.Option(metavar="N", min=1, help="Fail only on regressions that began within the last N runs.")
    ] = 20,
    csv: Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")] = False,
) -> int:
    """Find changes in series. For each, prints the commits, size, 95 % interval, shape (step or drift) and verdict.

    A series is one quantity of one case, strategy and phase over all runs on one machine.

    Exit codes: 1 if a series regressed within the last N runs (see --recent) and did not recover. 3 if no series has
    ten runs, or if the machine may have caused a recent slowdown. 4 if no series has a measured value. Improvements and
    older regressions are printed, but they do not change the exit code.

    Example: jacobench history check --recent 30
    """
    from jacobench.reports.history import history_check as checks
    from jacobench.reports.history.history_tables import change_rows, summary

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    found = checks.check(history, recent=recent)
    if csv:
        found.changes.to_csv(sys.stdout, index=False)
    elif len(found.changes):
        headings = ("series", "change", "verdict", "size (95 % interval)", "level", "between")
        console.stdout().print(console.columns(headings, change_rows(history, found.changes)))
    console.stderr().print(summary(found))
    return EXIT_CODES[found.state]


@app.command()
def plot(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = "gradient",
    machine: Machine = None,
    quantity: Quantity = "seconds",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("plots"),
) -> int:
    """Plot series over runs. Writes PNG, SVG and the data as CSV, and prints the paths.

    Example: jacobench history plot --case 'mlp-*' --out plots
    """
    from jacobench.reports.history.history_check import check as find
    from jacobench.reports.history.history_plots import draw
    from jacobench.reports.render import output_files

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    plots = draw(history, find(history, (quantity,)).changes, quantity)
    with console.writing(out):
        for path in output_files.save(plots, out):
            console.echo(path)
    return 0


@app.command()
def export(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    to: Annotated[str, typer.Option("--format", metavar="F", help="Format: csv, json, github or bencher.")] = "csv",
) -> None:
    """Print a history for other tools.

    csv and json contain all runs. github and bencher contain the newest run. github is for github-action-benchmark with
    tool: customSmallerIsBetter. bencher is the Bencher Metric Format.

    Example: jacobench history export --format github --phase gradient > output.json
    """
    from jacobench.reports.history.exports import FORMATS, OF_ONE_RUN, newest

    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    if to in OF_ONE_RUN:
        run = history.runs.loc[newest(history)]
        console.stderr().print(f"newest run: {run['run_id']}, {run['measured_at']}, {run['machine']}")
    console.echo(FORMATS[to](history), end="")


@app.command()
def report(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    recent: Annotated[
        int, typer.Option(metavar="N", min=1, help="List regressions that began before the last N runs as known.")
    ] = 20,
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="Output file.")] = Path("history.html"),
) -> int:
    """Write an HTML page of all series and their changes. The page works offline.

    Example: jacobench history report --out history.html
    """
    from jacobench.reports.history.history_check import check as find
    from jacobench.reports.history.history_page import page
    from jacobench.reports.render import output_files

    history = _read(file, case=case, strategy=strategy, phase=phase, machine=machine)
    text = page(history, find(history, recent=recent))
    with console.writing(out):
        console.echo(output_files.write_text(text, out))
    return 0


def _read(file: Path, **globs: str | None) -> History:
    from jacobench.reports.history import store
    from jacobench.reports.history.series import select

    return select(store.load(file), {column: glob for column, glob in globs.items() if glob is not None})
