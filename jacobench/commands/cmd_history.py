"""``jacobench history``: many runs in one file, and the changes between them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console
from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
Quantity = Annotated[str, typer.Option(metavar="Q", help="Quantity: seconds, bytes, nonzeros or value.")]
Branch = Annotated[
    str | None,
    typer.Option(metavar="GLOB", help="Only runs of these branches. Without it: those of the main branch."),
]

DEFAULT = Path("benchmarks/history.sqlite")
EXIT_CODES = {"clear": 0, "regressed": 1, "inconclusive": 3, "nothing": 4}


@app.command()
def add(
    runs: console.Runs,
    file: File = DEFAULT,
    branch: Annotated[
        str | None,
        typer.Option(
            metavar="B",
            help="Branch of the runs. Without it: the branch that the run recorded, or else the current one.",
        ),
    ] = None,
) -> None:
    """Add runs to a history. Skips runs that it already contains, and with a warning those that cannot be read.

    A run on a cluster with several kinds of machine becomes one run per machine.

    Example: jacobench history add runs/first --file benchmarks/history.sqlite
    """
    from jacobench.reports.data.pytest_benchmark_json import read_each
    from jacobench.reports.data.run_data import read
    from jacobench.reports.history import branches, store
    from jacobench.reports.history.history_records import from_run

    found, skipped = read_each(runs, lambda run: from_run(read(run)))
    _warn(skipped)
    here = branches.current_branch(Path.cwd(), os.environ)
    for records in found:
        for record in records:
            is_new = store.add(file, replace(record, branch=branch or record.branch or here))
            name = f"{record.run_id} on {record.machine}" if len(records) > 1 else record.run_id
            console.stderr().print(f"{name}: {f'added to {file}' if is_new else f'already in {file}, skipped'}")


@app.command("import")
def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", help="Files, or folders of files."),
    ],
    file: File = DEFAULT,
    branch: Annotated[
        str | None,
        typer.Option(metavar="B", help="Branch of the runs. Without it: the branch that the file states, if any."),
    ] = None,
) -> None:
    """Add results of other tools. Skips files that cannot be read, with a warning, and runs that it already contains.

    Formats: JSON files of pytest-benchmark (.benchmarks), data.js or the JSON file of github-action-benchmark, results
    of asv (the folder results), and what 'history export' wrote as csv or json. The content of a file decides.

    Example: jacobench history import .benchmarks
    """
    from jacobench.reports.data.pytest_benchmark_json import read_each
    from jacobench.reports.history import branches
    from jacobench.reports.history.imports.import_formats import read_source

    found, skipped = read_each(sources, lambda source: (source, *read_source(source)))
    _warn(skipped)
    here, commit = branches.current_branch(Path.cwd(), os.environ), branches.current_commit(Path.cwd())
    for source, records, problems in found:
        _warn(problems)
        own = [
            replace(one, branch=branch or one.branch or (here if one.commit and commit.startswith(one.commit) else ""))
            for one in records
        ]
        _add_all(str(source), own, file)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(metavar="HISTORY…", help="Histories to add. They do not change.")],
    file: File = DEFAULT,
) -> None:
    """Add the runs of other histories, such as those of other machines. Skips runs that it already contains.

    Example: jacobench history merge linux.sqlite macos.sqlite --file benchmarks/history.sqlite
    """
    from jacobench.reports.data.pytest_benchmark_json import read_each
    from jacobench.reports.history import store

    found, skipped = read_each(files, lambda other: (str(other), store.records(other)))
    _warn(skipped)
    for name, records in found:
        _add_all(name, records, file)


@app.command()
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Name of a case, or names with '*'.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="New name, with as many '*', which keep their text.")],
    file: File = DEFAULT,
) -> None:
    """Continue the series of a renamed case under its new name, in all branches.

    Example: jacobench history rename 'tests/speed.py::*' 'benchmarks/test_speed.py::*'
    """
    from jacobench.reports.history import store
    from jacobench.reports.history.renames import new_names

    for before, after in store.rename(file, lambda known: new_names(old, new, known)).items():
        console.stderr().print(f"{before} → {after}")


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        console.stderr().print(problem)


def _add_all(source: str, records: Sequence[Record], file: Path) -> None:
    """Add runs, and print one line about them."""
    from jacobench.graphs.wording import counted
    from jacobench.reports.history import store

    found = store.add_all(file, records)
    n_extended = f"; {found['extended']} extended by new results" if found["extended"] else ""
    n_known = f"; {found['known']} already there, skipped" if found["known"] else ""
    console.stderr().print(f"{source}: {counted(found['added'], 'run')} added to {file}{n_extended}{n_known}")


@app.command()
def show(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    branch: Branch = None,
    quantity: Quantity = "seconds",
) -> None:
    """Print each series with a sparkline.

    A series is one quantity of one case, strategy and phase over all runs on one machine. Series are grouped by
    machine, controls, threads and suite.

    Example: jacobench history show --strategy vjp --phase gradient
    """
    from jacobench.reports.history.history_tables import series_rows

    history = _read(file, branch, case=case, strategy=strategy, phase=phase, machine=machine)
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
    branch: Branch = None,
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

    history = _read(file, branch, case=case, strategy=strategy, phase=phase, machine=machine)
    found = checks.check(history, recent=recent)
    if csv:
        found.changes.to_csv(sys.stdout, index=False)
    headings = ("series", "change", "verdict", "size (95 % interval)", "level")
    for setting, rows in () if csv else change_rows(history, found.changes):
        console.stdout().print(setting or "unknown machine")
        console.stdout().print(console.columns(headings, rows, whole=("between",)))
    console.stderr().print(summary(found))
    return EXIT_CODES[found.state]


@app.command()
def plot(
    file: File = DEFAULT,
    case: Case = None,
    strategy: Strategy = None,
    phase: Phase = None,
    machine: Machine = None,
    branch: Branch = None,
    quantity: Quantity = "seconds",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("plots"),
) -> int:
    """Plot series over runs. Writes PNG, SVG and the data as CSV, and prints the paths.

    Without --phase, it plots the phase gradient if the history has it, or else every phase.

    Example: jacobench history plot --case 'mlp-*' --out plots
    """
    from jacobench.reports.history.history_check import check as find
    from jacobench.reports.history.history_plots import draw
    from jacobench.reports.history.series import select
    from jacobench.reports.render import output_files

    history = _read(file, branch, case=case, strategy=strategy, phase=phase, machine=machine)
    if phase is None and "gradient" in set(history.cells["phase"]):
        history = select(history, {"phase": "gradient"})
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
    branch: Branch = None,
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
    is_whole = branch is None and to not in OF_ONE_RUN
    history = _read(file, branch, is_whole=is_whole, case=case, strategy=strategy, phase=phase, machine=machine)
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
    branch: Branch = None,
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

    history = _read(file, branch, case=case, strategy=strategy, phase=phase, machine=machine)
    text = page(history, find(history, recent=recent))
    with console.writing(out):
        console.echo(output_files.write_text(text, out))
    return 0


def _read(file: Path, branch: str | None, *, is_whole: bool = False, **globs: str | None) -> History:
    """Read a history: the runs of some branches, or all of them; of these, what the patterns select."""
    from jacobench.reports.history import store
    from jacobench.reports.history.branches import default_branch, of_branch
    from jacobench.reports.history.series import select

    whole = store.load(file)
    history = whole if is_whole else of_branch(whole, branch, "" if branch else default_branch(Path.cwd()))
    if branch is None and len(history.runs) < len(whole.runs):
        name, n_runs = history.runs.loc[0, "branch"], len(history.runs)
        console.stderr().print(f"branch {name!r}: {n_runs} of {len(whole.runs)} runs; to read others: --branch GLOB")
    return select(history, {column: glob for column, glob in globs.items() if glob is not None})
