"""``jacobench gate``: both revisions measured in turns, here and now."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands.cmd_run import Cases
from jacobench.commands.write_outcome import Junit, Markdown

if TYPE_CHECKING:
    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import Limits

Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="S",
        help="A name, file.py:Class or package.module:Class. Default: those that the project registers.",
    ),
]


def gate(
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="The branch, tag or commit to compare with.")
    ] = None,
    suite: Annotated[str | None, typer.Option(metavar="NAME|FILE.toml", help="What to measure. Default: gate.")] = None,
    strategy: Strategies = None,
    case: Cases = None,
    max_minutes: Annotated[
        float | None, typer.Option(metavar="M", help="After which only candidates are confirmed. Default: 10.")
    ] = None,
    install: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="How a side is installed, with {python} and {dir}.")
    ] = None,
    junit: Junit = None,
    markdown: Markdown = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure false alarms and power of the gate on this machine.")
    ] = False,
) -> None:
    """Measure the working tree against another revision of its repository, in turns, and fail if it got worse.

    Exit codes: 0 clear, 1 a confirmed regression, 2 bad input, 3 inconclusive, 4 nothing was measured.
    Thresholds and defaults: [tool.jacobench.gate] in pyproject.toml.

    Example: jacobench gate --against origin/main --strategy my_strategy.py:Mine
    """
    from jacobench.gate_session import asked
    from jacobench.graphs.errors import BadInput

    if (against is None) == (not self_test):
        raise BadInput("expected either --against REV, or --self-test")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it, too, leaves nothing behind
    given = {
        "suite": suite,
        "strategies": tuple(strategy or ()),
        "cases": tuple(case or ()),
        "max_minutes": max_minutes,
        "install": install,
    }
    project, question, limits = asked(given, in_git=not self_test)
    if against is None:
        _self_test(question, limits)
        return
    from jacobench.commands.write_outcome import tell
    from jacobench.gate_session import gated

    outcome, title = gated(project, against, question, limits, _say)
    tell(outcome, title, markdown, junit)
    _advise(outcome, against)
    raise typer.Exit(outcome.exit_code)


def _say(text: str) -> None:
    from jacobench.commands import console

    console.stderr().print(text)


def _self_test(question: GateConfig, limits: Limits) -> None:
    from jacobench.commands import console
    from jacobench.gate_session import self_test

    found = self_test(question, limits, _say)
    headings = ("added", "to", "gates", "rows", "found", "inconclusive", "share found, 95 %", "median ratio")
    console.stdout().print(console.columns(headings, [_tallied(line) for line in found.to_dict("records")]))
    _say(
        "added 0 %: what was found is a false alarm. The time's threshold is "
        f"{limits.default.time:.1%}. Intervals: Clopper-Pearson, as if rows were independent, which those of one gate are not."
    )


def _tallied(line: dict[Any, Any]) -> tuple[object, ...]:
    share = f"{line['share']:.2%} [{line['low']:.2%}, {line['high']:.2%}]"
    counts = (line["gates"], line["rows"], line["found"], line["inconclusive"])
    return (f"{line['added']:.0%}", line["quantity"], *counts, share, f"{line['ratio']:.4f}")


def _advise(outcome: Outcome, against: str) -> None:
    """Say what to do about what failed."""
    from shlex import join

    failing = outcome.verdicts[outcome.verdicts["verdict"].isin(["regressed", "broken"])]
    if len(failing):
        cells = [word for case in failing["case"].unique()[:3] for word in ("--case", case)]
        _say(f"to look closer: {join(['jacobench', 'gate', '--against', against, *cells])}")
        _say("if it is meant: raise the threshold of these rows in pyproject.toml, [[tool.jacobench.gate.rows]]")
