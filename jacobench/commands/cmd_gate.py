"""``jacobench gate``: measure the working tree against another revision, in pairs of processes."""

from __future__ import annotations

from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands.write_outcome import Junit, Markdown, report_options, say, write_outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.bench.gate.trees.revisions import Project
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import GateThresholds

Against = Annotated[
    str | None,
    typer.Option(
        metavar="REV",
        help="Branch, tag or commit to compare with. Optional with --base-with or --head-with: then both sides are the working tree.",
    ),
]

GateSuite = Annotated[
    str | None, typer.Option("--suite", metavar="NAME|FILE.toml", help="Suite to measure. Default: gate.")
]

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="S",
        help="Strategy to measure: a name, file.py:Class or package.module:Class. Default: those that the project registers. Repeatable.",
    ),
]

Pytest = Annotated[
    list[str] | None,
    typer.Option(
        "--pytest",
        metavar="ARGS",
        help="Measure a pytest-benchmark suite instead of strategies: files, folders, ids and options of pytest, as one word that is split as a shell does. Repeatable.",
    ),
]

SuiteFrom = Annotated[
    str | None,
    typer.Option(
        metavar="head|base", help="Run the benchmark files of this side on both sides. Default: each runs its own."
    ),
]

Memory = Annotated[bool, typer.Option("--memory", help="With --pytest: measure the memory of each benchmark, too.")]

Out = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="With --pytest: keep pytest-benchmark's JSON of each process in a new folder."),
]

GateCases = Annotated[
    list[str] | None,
    typer.Option(
        "--case",
        metavar="NAME|GLOB",
        help="Use only this case, or the benchmark with this id. Or use those that match a glob. Repeatable.",
    ),
]

MaxMinutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Time limit in minutes. After it, only suspected regressions are measured again. Default: 10.",
    ),
]

Install = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE", help="Command that installs a revision. {python} is its interpreter, {dir} its folder."
    ),
]

BaseWith = Annotated[
    list[str] | None,
    typer.Option(
        "--base-with",
        metavar="REQ",
        help="Requirement that is installed for base only, such as 'jax==0.4.34', a URL or a path. Repeatable.",
    ),
]

HeadWith = Annotated[
    list[str] | None,
    typer.Option(
        "--head-with", metavar="REQ", help="Requirement that is installed for head only, as --base-with. Repeatable."
    ),
]

Untracked = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Largest size of all untracked files together, which head contains. Default: 200MB."
    ),
]

SelfTest = Annotated[
    bool,
    typer.Option(
        "--self-test", help="Measure how often the gate gives false alarms and finds known slowdowns on this machine."
    ),
]

OPTIONS = {"strategies": "--strategy", "cases": "--case"}  # field of GateConfig → its option, where the names differ

NOT_REPEATED = ("timeout_seconds", "in_project", "out")
"""Fields that the command which measures again leaves out: no option sets the first two; the third must be new."""

IN_FOLDER = ("suite", "strategies")
"""Fields whose values in pyproject.toml are relative to the folder of the project."""

MAX_CASES = 3
"""Cases of failing rows that the advice names."""


def gate(
    against: Against = None,
    suite: GateSuite = None,
    strategy: Strategies = None,
    pytest: Pytest = None,
    suite_from: SuiteFrom = None,
    memory: Memory = False,
    out: Out = None,
    case: GateCases = None,
    max_minutes: MaxMinutes = None,
    base_with: BaseWith = None,
    head_with: HeadWith = None,
    install: Install = None,
    untracked: Untracked = None,
    junit: Junit = None,
    markdown: Markdown = None,
    self_test: SelfTest = False,
) -> None:
    """Fail if the working tree has a regression. Measures it and another revision in alternation.

    It measures strategies, or with --pytest the benchmarks of any project that uses pytest-benchmark.

    A regression is more time, more memory, a faster growth with size, or a new failure. A slowdown is measured a second
    time before it counts. To set thresholds and defaults, use [tool.jacobench.gate] in pyproject.toml.

    Exit codes: 0 no regression, 1 a confirmed regression, 2 bad input, 3 inconclusive, 4 nothing was measured.

    Examples: jacobench gate --against origin/main --strategy my_strategy.py:Mine ·
    jacobench gate --against origin/main --pytest benchmarks/
    """
    from jacobench import gate_session
    from jacobench.graphs.errors import BadInput

    if self_test and (against is not None or base_with or head_with):
        raise BadInput("--self-test compares the current environment with itself: leave out the sides")
    if self_test and pytest:
        raise BadInput("--self-test measures strategies: leave out --pytest")
    given = {
        "suite": suite,
        "strategies": tuple(strategy or ()),
        "pytest": tuple(pytest or ()),
        "suite_from": suite_from,
        "memory": memory or None,
        "out": out,
        "cases": tuple(case or ()),
        "max_minutes": max_minutes,
        "base_with": tuple(base_with or ()),
        "head_with": tuple(head_with or ()),
        "install": install,
        "untracked": untracked,
    }
    project, config, thresholds = gate_session.load_config(given, in_git=not self_test)
    if self_test:
        _self_test(config, thresholds)
        return
    outcome, title = _measure(against, project, config, thresholds, report_options(markdown, junit))
    write_outcome(outcome, title, markdown, junit)
    _advise(outcome, against, config, project)
    raise typer.Exit(outcome.exit_code)


def _measure(
    against: str | None, project: Project, config: GateConfig, thresholds: GateThresholds, reports: Sequence[str]
) -> tuple[Outcome, str]:
    """Return the outcome and its title. With --out, an interrupt names a command without it: its folder must be new."""
    from jacobench import gate_session
    from jacobench.graphs.errors import Interrupted

    try:
        return gate_session.run(project, *gate_session.sides_of(against, config), config, thresholds, say)
    except KeyboardInterrupt:
        if not config.out:
            raise
        command = _command(against, config, config.cases, project, reports)
        raise Interrupted(f"To start again without --out: {command}") from None


def _self_test(config: GateConfig, thresholds: GateThresholds) -> None:
    from jacobench.commands import console
    from jacobench.gate_session import self_test
    from jacobench.reports.regression import gate_sentences

    found = self_test(config, thresholds, say)
    headings = ("added", "to", "gates", "rows", "found", "inconclusive", "share found, 95 %", "median ratio")
    console.stdout().print(console.columns(headings, [_counted(line) for line in found.to_dict("records")]))
    say(gate_sentences.self_test_note(thresholds.default.time))


def _counted(line: dict[Any, Any]) -> tuple[object, ...]:
    share = f"{line['share']:.2%} [{line['low']:.2%}, {line['high']:.2%}]"
    counts = (line["gates"], line["rows"], line["found"], line["inconclusive"])
    return (f"{line['added']:.0%}", line["quantity"], *counts, share, f"{line['ratio']:.4f}")


def _advise(outcome: Outcome, against: str | None, config: GateConfig, project: Project) -> None:
    """Print the commands that measure failing or undecided rows again, each complete on one line."""
    from jacobench.reports.regression import gate_sentences
    from jacobench.reports.regression.outcome import FAILING

    failing = outcome.verdicts[outcome.verdicts["verdict"].isin(FAILING)]
    if len(failing):
        cases = failing.loc[~failing["quantity"].str.contains("~"), "case"].unique()  # a sweep is not a case
        command = _command(against, config, cases[:MAX_CASES] if len(cases) else config.cases, project)
        say(gate_sentences.measure_again(command))
        if "regressed" in set(failing["verdict"]):
            say(gate_sentences.raise_threshold())
    if outcome.undecided:
        say(gate_sentences.measure_undecided(_command(against, config, outcome.undecided, project)))


def _command(
    against: str | None, config: GateConfig, cases: Iterable[str], project: Project, more: Sequence[str] = ()
) -> str:
    """Return the command that measures some cases with the same configuration, from the current folder."""
    from dataclasses import replace
    from shlex import join

    revision = ["--against", against] if against else []
    return join(["jacobench", "gate", *revision, *options_of(replace(config, cases=tuple(cases)), project), *more])


def options_of(config: GateConfig, project: Project) -> list[str]:
    """Return the options, in words, that give a configuration in the current folder."""
    from dataclasses import fields

    words = []
    is_elsewhere = config.in_project and Path.cwd() != project.folder  # its paths are relative to that folder
    left_out = (*NOT_REPEATED, *(["pytest"] if is_elsewhere else []))
    for field in fields(config):
        values = getattr(config, field.name)
        if values != field.default and field.name not in left_out:
            option = OPTIONS.get(field.name, f"--{field.name.replace('_', '-')}")
            for value in values if isinstance(values, tuple) else (values,):
                word = relative_to_here(value, project) if field.name in IN_FOLDER else _word(value)
                words += [option] if value is True else [option, word]
    return words


def _word(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def relative_to_here(value: str, project: Project) -> str:
    """Return a file in the project, or a class in it, relative to the current folder; other values are unchanged."""
    place, colon, name = value.rpartition(":") if ".py:" in value else (value, "", "")
    path = Path(place)
    return f"{relpath(path)}{colon}{name}" if path.is_absolute() and path.is_relative_to(project.top) else value
