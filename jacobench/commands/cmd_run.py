"""``jacobench run``: measure a suite."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import fields
from inspect import Parameter, signature
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from jacobench.bench.run.run_options import DECIDED_IN, MAX_MINUTES, RunOptions, flag, resume_command
from jacobench.commands import console
from jacobench.commands.cmd_explain import Dims, Model, Wrt, parse_dims, parse_wrt
from jacobench.graphs.errors import BadInput, Interrupted
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jacobench.bench.cluster.cluster_passes import ClusterProgress
    from jacobench.bench.cluster.cluster_run import ReadyCluster
    from jacobench.bench.run.passes import Progress
    from jacobench.bench.run.run_folder import RunFolder, Settings
    from jacobench.reports.data.run_data import Run

CLAIMS = "claims"  # suite whose run answers the question, claim by claim

Cases = Annotated[
    list[str] | None, typer.Option("--case", metavar="GLOB", help="Use only cases whose names match GLOB. Repeatable.")
]
Suite = Annotated[
    str, typer.Option(metavar="NAME|FILE.toml", help="Suite to use; 'jacobench list suites' lists all suites.")
]


def run(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder for the results. [default: runs/<when>-<id>]")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Continue the run in this folder. With --max-minutes: also the undecided cases of a finished run.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be measured, with predicted bytes and seconds.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the table.")] = False,
    model: Model = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="With --model: number of samples.")] = None,
    dim: Dims = None,
    wrt: Wrt = None,
    **options: Any,
) -> int | None:
    """Measure a suite of cases. Prints a table and writes a folder with run.json, measurements.csv and plots.

    A case is a graph with fixed sizes. Each case is measured with several strategies, such as dense, sparse and vjp.
    With --model, the cases are models of other libraries instead: an ONNX file, a glob of such files, or a function in a
    Python file. A model of torch or JAX is also measured in its library's original form.

    Example: jacobench run --suite smoke --strategy dense --strategy vjp --out runs/first
    """
    if resume is not None:
        _refuse_others(context)
    values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in options.items()}
    given = {"batch": batch, "dims": parse_dims(dim), "wrt": parse_wrt(wrt)}
    values["suite"] = _suite(values, model, given)
    chosen = RunOptions(**values)  # with --resume, only its limit in minutes counts
    if dry_run:
        with _without_collections():
            _dry_run(chosen)
        return None
    _measure(chosen, out, resume, quiet=quiet)
    return 0


def _suite(values: Mapping[str, Any], model: str | None, given: dict[str, Any]) -> str:
    """Return the suite: the option's value, or the suite of the models as text."""
    from jacobench.bench.suites.model_sweep import model_suite

    if model is None:
        for name in (name for name, value in given.items() if value is not None):
            raise BadInput(f"--{name.removesuffix('s')} requires --model: a suite has its own")
        return str(values["suite"])
    if values["suite"] != RunOptions.suite:
        raise BadInput(f"--model and --suite {values['suite']} cannot be combined: expected one of them")
    return model_suite(model, values["strategies"], **given)


NO_PROFILE = "Times are not predicted: this machine has no profile for this code. To measure one (a minute): jacobench doctor --profile"


def _add_options(command: Callable[..., Any]) -> None:
    """Add the options of `RunOptions` to the signature of a command; typer builds its options from there."""
    own = [p for p in signature(command, eval_str=True).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    hints = get_type_hints(RunOptions)
    derived = []
    for option in fields(RunOptions):
        kind, default = hints[option.name], option.default
        if isinstance(default, tuple):  # typer repeats an option for a list only
            kind, default = list[str], []
        typed = typer.Option(default, flag(option), metavar=option.metadata["metavar"], help=option.metadata["help"])
        derived.append(Parameter(option.name, Parameter.KEYWORD_ONLY, default=typed, annotation=kind))
    own = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in own]
    vars(command)["__signature__"] = signature(command).replace(parameters=[own[0], *derived, *own[1:]])


_add_options(run)


def _refuse_others(context: typer.Context) -> None:
    """Refuse most options together with --resume: a run keeps the options it was started with."""
    given = []
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if (
            parameter.name not in {"resume", "quiet", "max_minutes", "cluster"}
            and source is not None
            and source.name == "COMMANDLINE"
        ):
            given.append(parameter.opts[0])
    if given:
        raise BadInput(
            f"--resume continues a run with the options it was started with; remove {', '.join(sorted(given))}"
        )


def _measure(options: RunOptions, out: Path | None, resume: Path | None, *, quiet: bool) -> None:
    from jacobench import api
    from jacobench.bench.run import run_folder as folders
    from jacobench.bench.run.run_plan import absolute

    folder = folders.resume(resume) if resume else None
    settings = folder.settings if folder else options
    cluster = options.cluster or settings.cluster
    if settings.same_machine and not cluster:
        raise BadInput("--same-machine requires --cluster")
    if folder and options.cluster and not settings.cluster:
        raise BadInput(f"{str(folder.path)!r} was started without a cluster; continue it without --cluster")
    if out and not folder:
        folders.check_free(out)  # before the hosts of a cluster describe themselves
    machine = next(iter(folder.settings.machines), "") if folder else ""
    try:
        if cluster:
            _silence_dask()
        announce = (lambda _step: None) if quiet else console.announce
        with api.ready(cluster, settings, console.stderr().print, machine, announce) as hosts:
            if folder and (other := absolute(options).cluster):
                folder.note_cluster(other)
            _measure_on(hosts, options, out, folder, quiet=quiet)
    finally:
        if folder:
            folder.close()


def _silence_dask() -> None:
    """Keep the log of Dask from standard error until this process ends: it also reports tasks that Ctrl-C has ended."""
    from jacobench.bench.cluster.cluster_connection import check_installed, silence

    check_installed()
    silence()


def _measure_on(
    hosts: ReadyCluster | None, options: RunOptions, out: Path | None, resumed: RunFolder | None, *, quiet: bool
) -> None:
    """Start a run, or continue it, on this machine or on the hosts of a cluster, and show it."""
    from jacobench.bench.run.runner import start

    began = time.monotonic()
    folder = resumed or start(options, out)
    limit = options.max_minutes if resumed else None  # of this command alone, so that it must be given again
    kept = f"Results so far are saved. To continue: {resume_command(folder.path, limit)}"
    try:
        notes = [*folder.notes, *([] if resumed or hosts else _budget_note(options, folder.settings.budget_bytes))]
        for note in [*notes, *([] if hosts else _variable_notes(folder.settings))]:
            console.stderr().print(note)
        found = _finish(hosts, folder, limit, kept, quiet=quiet)
        _show(folder, found)
        if not quiet:
            seconds = time.monotonic() - began
            console.stderr().print(_summary(folder.path, found, None if resumed else seconds))
            if (
                hosts is None
                and (found.table["status"] == "ok").any()
                and found.table["predicted_seconds"].isna().all()
            ):
                console.stderr().print(NO_PROFILE)
            console.stderr().print(_undecided(folder, found, options.max_minutes))
    except KeyboardInterrupt:
        raise Interrupted(kept) from None


def _finish(hosts: ReadyCluster | None, folder: RunFolder, limit: float | None, kept: str, *, quiet: bool) -> Run:
    """Measure what a run lacks, and return it. `kept` ends the message of what prevents this."""
    from jacobench import api
    from jacobench.bench.machine.worker_process import HarnessFailure

    try:
        with _progress(quiet=quiet) if hosts is None else _cluster_progress(quiet=quiet) as report:
            return api.finish(folder, report, console.stderr().print, limit, hosts)
    except HarnessFailure as error:
        console.stderr().print(f"jacobench: not completed: {error}. {kept}")
        raise typer.Exit(4) from None
    except OSError as error:
        cause = f"{error.filename or folder.path}: {error.strerror or error}"
        console.stderr().print(f"jacobench: not completed: {cause}. {kept if folder.path.exists() else ''}".rstrip())
        raise typer.Exit(4) from None


def _show(folder: RunFolder, found: Run) -> None:
    """Print the tables of a run and, for the suite of the claims, their verdicts."""
    from jacobench.reports.render.run_table import terminal_tables

    for table in terminal_tables(found):
        console.stdout().print(table)
    if folder.settings.suite == CLAIMS:
        from jacobench.reports.claims.claim_catalogue import lines

        for line in lines(found):  # without line breaks, for readers and for grep
            console.echo(line)


def _variable_notes(settings: Settings) -> list[str]:
    """Return notes on the environment of this machine."""
    from jacobench.bench.machine.doctor_sentences import variable_sentences
    from jacobench.bench.machine.environment import variable_facts

    variables = variable_facts(settings.environment, settings.controls)
    return list(variable_sentences(variables, with_kept=settings.controls == "asis"))


def _budget_note(options: RunOptions, budget_bytes: int) -> list[str]:
    from jacobench.bench.machine.byte_sizes import parse_bytes
    from jacobench.reports.data.units import format_bytes

    if budget_bytes >= parse_bytes(options.memory_budget):
        return []
    return [f"memory budget reduced to {format_bytes(budget_bytes)}, the memory that this process may use"]


def _summary(path: Path, found: Run, seconds: float | None) -> str:
    """Return where the run is and, if it was not resumed, its duration and the share of measured calls."""
    took = ""
    if seconds is not None:
        took = f" ({seconds:.0f} s, {found.facts['measured_seconds'] / seconds:.0%} of it in measured calls)"
    files = "run.json, measurements.csv, journal.jsonl, plots/"
    return f"{path}: {files}{took}. To write an HTML page: {join(['jacobench', 'report', str(path)])}"


def _undecided(folder: RunFolder, found: Run, max_minutes: float | None) -> str:
    """Return the number of undecided cases and, if there are any, the command that measures them further."""
    from jacobench.bench.row.columns import shown_phase
    from jacobench.reports.page.quality_sentences import no_case, undecided_cases
    from jacobench.reports.page.run_facts import undecided_counts

    phase = shown_phase(found.table, DECIDED_IN)
    n_undecided, n_cases = undecided_counts(found, phase)
    if not n_cases:
        return no_case(phase)
    sentence = undecided_cases(phase, n_undecided, n_cases)
    limit = max_minutes or folder.settings.max_minutes or MAX_MINUTES
    return f"{sentence} To continue: {resume_command(folder.path, limit)}" if n_undecided else sentence


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    terminal = console.stderr()
    if quiet:
        yield lambda _progress: None
        return
    if not terminal.is_terminal:
        begun: set[int] = set()

        def announce(progress: Progress) -> None:
            if progress.n_undecided is not None and progress.planned.number not in begun:
                begun.add(progress.planned.number)
                terminal.print(_pass_in_words(progress))

        yield announce
        return
    style = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Bar(*style, TextColumn("{task.description}", markup=False), console=terminal, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def report(progress: Progress) -> None:
            cell = progress.cell
            doing = f"{_pass_in_words(progress)} · {cell.case} · {cell.strategy} · {cell.phase}"
            bar.update(task, completed=progress.done, total=progress.total, description=doing)

        yield report


LINE_SECONDS = 30.0  # between lines of progress where standard error is not a terminal


@contextmanager
def _cluster_progress(*, quiet: bool) -> Iterator[Callable[[ClusterProgress], None]]:
    terminal = console.stderr()
    if quiet:
        yield lambda _progress: None
    elif terminal.is_terminal:
        with terminal.status("starting") as status:
            yield lambda progress: status.update(_cluster_in_words(progress))
    else:
        printed = [-LINE_SECONDS]

        def announce(progress: ClusterProgress) -> None:
            if time.monotonic() - printed[0] >= LINE_SECONDS:
                printed[0] = time.monotonic()
                terminal.print(_cluster_in_words(progress))

        yield announce


def _cluster_in_words(progress: ClusterProgress) -> str:
    """Return the number of hosts, of finished blocks and of undecided cases, and the remaining time."""
    parts = [counted(progress.n_hosts, "host"), f"{progress.blocks_done:,} of {counted(progress.blocks, 'block')}"]
    return " · ".join([*parts, *_what_is_left(progress)])


def _what_is_left(progress: Progress | ClusterProgress) -> list[str]:
    """Return the number of undecided cases, and the time left, where they are known."""
    parts = []
    if progress.n_undecided is not None:
        parts.append(counted(progress.n_undecided, "undecided case"))
    if progress.seconds_left is not None:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return parts


def _pass_in_words(progress: Progress) -> str:
    """Return the number of a pass, the number of undecided cases where it is known, and the time left, if limited."""
    parts = [f"pass {progress.planned.number + 1}"]
    if progress.planned.repeats:
        parts[0] += f" repeats pass {progress.planned.repeats.pass_number + 1}"
    return " · ".join([*parts, *_what_is_left(progress)])


@contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage: rows have no cycles, and each collection scans all of them."""
    import gc

    gc.disable()
    try:
        yield
    finally:
        gc.enable()


SHOWN = ("case", "strategy", "phase", "predicted_bytes", "predicted_seconds", "status", "reason")
"""Columns that a dry run shows."""


def _dry_run(options: RunOptions) -> None:
    from functools import cache

    from jacobench.bench.floor.stored_profile import profile_for
    from jacobench.bench.run.run_estimate import estimate, predicted_table, total_seconds
    from jacobench.bench.run.run_plan import plan
    from jacobench.reports.data.units import format_bytes, format_seconds

    planned = plan(options)
    for note in _budget_note(options, planned.budget_bytes):
        console.stderr().print(note)
    terminal = console.stderr()
    profile_of = cache(lambda dtype: profile_for(dtype, options.controls, options.threads, terminal.print))
    rows = predicted_table(planned, lambda dtype: profile_of(dtype).model)
    found = estimate(rows, planned.budget_bytes)
    lines = [
        (*cell, format_bytes(n_bytes), format_seconds(seconds), _remark(status, reason))
        for *cell, n_bytes, seconds, status, reason in zip(*(found[name].tolist() for name in SHOWN), strict=True)
    ]
    console.print_rows(("case", "strategy", "phase", "peak bytes", "seconds per call", ""), lines)
    for dtype in dict.fromkeys(found["dtype"]):
        terminal.print(f"Times are predicted with the machine profile for {dtype}, measured {profile_of(dtype).age}.")
    seconds, passes = total_seconds(found, options.first_passes), counted(options.first_passes, "pass", "passes")
    terminal.print(f"{counted(len(found), 'cell')}, {passes}: about {seconds:.0f} s")
    if (limit := options.limit_minutes) is not None:
        minutes = counted(f"{limit:g}", "minute")
        terminal.print(f"Further passes of undecided cases end {minutes} after the start of the run.")


def _remark(status: str, reason: str) -> str:
    """Return why a cell would not run, or has no prediction."""
    if status == "over_budget":
        return "over budget"
    return "" if reason == "predicted only" else str(reason)
