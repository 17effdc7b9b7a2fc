"""``jacobench gate``: measure the working tree against another revision, in pairs of processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands.cmd_run import Cases
from jacobench.commands.write_outcome import Junit, Markdown, say, write_outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import GateThresholds

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="S",
        help="Strategy to measure: a name, file.py:Class or package.module:Class. Default: those that the project registers. Repeatable.",
    ),
]

MAX_CASES = 3
"""Cases of failing rows that the advice names."""


def gate(
    against: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Branch, tag or commit to compare with. Required without --self-test."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.toml", help="Suite to measure. Default: gate.")
    ] = None,
    strategy: Strategies = None,
    case: Cases = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Time limit in minutes. After it, only suspected regressions are measured again. Default: 10.",
        ),
    ] = None,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE", help="Command that installs a revision. {python} is its interpreter, {dir} its folder."
        ),
    ] = None,
    untracked: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Largest size of all untracked files together, which head contains. Default: 200MB."
        ),
    ] = None,
    junit: Junit = None,
    markdown: Markdown = None,
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test",
            help="Measure how often the gate gives false alarms and finds known slowdowns on this machine.",
        ),
    ] = False,
) -> None:
    """Fail if the working tree has a regression. Measures it and another revision in alternation.

    A regression is more time, more memory, a faster growth with size, or a new failure. A slowdown is measured a second
    time before it counts. To set thresholds and defaults, use [tool.jacobench.gate] in pyproject.toml.

    Exit codes: 0 no regression, 1 a confirmed regression, 2 bad input, 3 inconclusive, 4 nothing was measured.

    Example: jacobench gate --against origin/main --strategy my_strategy.py:Mine
    """
    from jacobench import gate_session
    from jacobench.graphs.errors import BadInput

    if (against is None) == (not self_test):
        raise BadInput("expected either --against REV or --self-test")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM cleans up as an interrupt does
    given = {
        "suite": suite,
        "strategies": tuple(strategy or ()),
        "cases": tuple(case or ()),
        "max_minutes": max_minutes,
        "install": install,
        "untracked": untracked,
    }
    project, config, thresholds = gate_session.load_config(given, in_git=not self_test)
    if against is None:
        _self_test(config, thresholds)
        return
    outcome, title = gate_session.run(project, against, config, thresholds, say)
    write_outcome(outcome, title, markdown, junit)
    _advise(outcome, {"against": against} | given)
    raise typer.Exit(outcome.exit_code)


def _self_test(config: GateConfig, thresholds: GateThresholds) -> None:
    from jacobench.commands import console
    from jacobench.gate_session import self_test

    found = self_test(config, thresholds, say)
    headings = ("added", "to", "gates", "rows", "found", "inconclusive", "share found, 95 %", "median ratio")
    console.stdout().print(console.columns(headings, [_counted(line) for line in found.to_dict("records")]))
    say(
        f"Every regression with 0 % added is a false alarm. The time threshold is {thresholds.default.time:.1%}. "
        "The intervals (Clopper-Pearson) treat rows as independent; those of one gate are not."
    )


def _counted(line: dict[Any, Any]) -> tuple[object, ...]:
    share = f"{line['share']:.2%} [{line['low']:.2%}, {line['high']:.2%}]"
    counts = (line["gates"], line["rows"], line["found"], line["inconclusive"])
    return (f"{line['added']:.0%}", line["quantity"], *counts, share, f"{line['ratio']:.4f}")


def _advise(outcome: Outcome, given: Mapping[str, Any]) -> None:
    """Print the commands that measure failing or undecided rows again, each complete on one line."""
    from jacobench.reports.regression.outcome import FAILING

    failing = outcome.verdicts[outcome.verdicts["verdict"].isin(FAILING)]
    if len(failing):
        cases = failing.loc[~failing["quantity"].str.contains("~"), "case"].unique()  # a sweep is not a case
        say(f"To measure again: {_command(given, cases[:MAX_CASES] if len(cases) else given['cases'])}")
        say("If the change is intended, raise the threshold in pyproject.toml, [[tool.jacobench.gate.rows]].")
    if outcome.undecided:
        say(f"To measure the undecided cases again: {_command(given, outcome.undecided)}")


def _command(given: Mapping[str, Any], cases: Iterable[str]) -> str:
    """Return this command with the given options, restricted to some cases."""
    from shlex import join

    words = ["jacobench", "gate"]
    for name, values in {**given, "cases": tuple(cases)}.items():
        option = {"strategies": "--strategy", "cases": "--case"}.get(name, f"--{name.replace('_', '-')}")
        for value in values if isinstance(values, tuple) else (values,):
            words += [] if value is None else [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return join(words)
