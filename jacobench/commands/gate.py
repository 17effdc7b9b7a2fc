"""``jacobench gate``: both revisions measured in turns, here and now."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands.run import Cases

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.bench.gate.question import Question
    from jacobench.reports.verdicts.limits import Limits
    from jacobench.reports.verdicts.outcome import Outcome

WIDE = 400
"""Columns of a log, which is searched by line: no row is folded."""

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
        float | None, typer.Option(metavar="M", help="After which no more is begun. Default: 10.")
    ] = None,
    install: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="How a side is installed, with {python} and {dir}.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write Markdown; -: to standard output, instead of the table.")
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure false alarms and power of the gate on this machine.")
    ] = False,
) -> None:
    """Measure the working tree against another revision of its repository, in turns, and fail if it got worse.

    Exit codes: 0 clear, 1 a confirmed regression, 2 bad input, 3 inconclusive, 4 nothing was measured.
    Thresholds and defaults: [tool.jacobench.gate] in pyproject.toml.

    Example: jacobench gate --against origin/main --strategy my_strategy.py:Mine
    """
    from jacobench.gating import asked
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
    project, question, limits = asked(given)
    if against is None:
        _self_test(question, limits)
        return
    from jacobench.gating import gated

    outcome, title = gated(project, against, question, limits, _say)
    _tell(outcome, title, markdown, junit)
    _advise(outcome, against)
    raise typer.Exit(outcome.exit_code)


def _say(text: str) -> None:
    from jacobench.commands import screen

    screen.talk().print(text)


def _self_test(question: Question, limits: Limits) -> None:
    from jacobench.commands import screen
    from jacobench.gating import self_test

    found = self_test(question, limits, _say)
    headings = ("added", "to", "gates", "rows", "found", "inconclusive", "share found, 95 %", "median ratio")
    screen.out().print(screen.columns(headings, [_tallied(line) for line in found.to_dict("records")]))
    _say(
        "added 0 %: what was found is a false alarm. The time's threshold is "
        f"{limits.default.time:.1%}. Intervals: Clopper-Pearson, as if rows were independent, which those of one gate are not."
    )


def _tallied(line: dict[Any, Any]) -> tuple[object, ...]:
    share = f"{line['share']:.2%} [{line['low']:.2%}, {line['high']:.2%}]"
    counts = (line["gates"], line["rows"], line["found"], line["inconclusive"])
    return (f"{line['added']:.0%}", line["quantity"], *counts, share, f"{line['ratio']:.4f}")


def _tell(outcome: Outcome, title: str, markdown: str | None, junit: Path | None) -> None:
    """Put the outcome wherever it is asked for."""
    from jacobench.commands import screen
    from jacobench.reports.verdicts.formats import FORMATS

    if markdown == "-":
        typer.echo(FORMATS["markdown"](outcome, title))
    else:
        screen.out().print(title)
        screen.out(WIDE).print(_table(outcome.verdicts))
    if markdown not in {None, "-"}:
        _write(FORMATS["markdown"](outcome, title), Path(str(markdown)))
    if junit is not None:
        _write(FORMATS["junit"](outcome, title), junit)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(FORMATS["summary"](outcome, title) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo(FORMATS["annotations"](outcome, title), nl=False, err=markdown == "-")


def _write(text: str, path: Path) -> None:
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.files import write_text

    try:
        write_text(text, path)
    except OSError as error:
        raise BadInput(f"cannot write {str(error.filename or path)!r}: {error.strerror}") from None


def _table(verdicts: pd.DataFrame) -> Any:
    """Return the lines that are not unchanged, the worst first; of a gate without any, the one with the largest change."""
    from jacobench.commands import screen
    from jacobench.reports.verdicts.wording import words, worst_first

    ordered = worst_first(verdicts)
    notable = ordered[ordered["verdict"] != "unchanged"]
    shown = [words(line) for line in (notable if len(notable) else ordered[:1]).to_dict("records")]
    headings = ("case", "strategy", "phase", "", "base", "head", "change", "95 %", "could see", "verdict")
    return screen.columns(
        headings,
        (
            (w.case, w.strategy, w.phase, w.quantity, w.base, w.head, w.change, w.interval, w.visible, w.verdict)
            for w in shown
        ),
    )


def _advise(outcome: Outcome, against: str) -> None:
    """Say what holds for the whole, why the failing rows fail, and what to do."""
    from shlex import join

    from jacobench.reports.verdicts.wording import counted

    if len(outcome.verdicts):
        _say(counted(outcome))
    for note in outcome.notes:
        _say(note)
    failing = outcome.verdicts[outcome.verdicts["verdict"].isin(["regressed", "broken"])]
    for reason in failing[failing["verdict"] == "broken"]["reason"].unique()[:5]:
        _say(f"broken: {reason}")
    if len(failing):
        cells = [word for case in failing["case"].unique()[:3] for word in ("--case", case)]
        _say(f"to look closer: {join(['jacobench', 'gate', '--against', against, *cells])}")
        _say("if it is meant: raise the threshold of these rows in pyproject.toml, [[tool.jacobench.gate.rows]]")
