"""``jacobench bisect``: find the commit, or the release of a dependency, that made the project slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands.cmd_gate import (
    GateCases,
    GateSuite,
    Install,
    MaxMinutes,
    Memory,
    Out,
    Pytest,
    Strategies,
    Untracked,
    options_of,
)
from jacobench.commands.write_outcome import Junit, Markdown, report_options, say, write_outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.bench.gate.bisect_candidates import CandidateRange
    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.bench.gate.trees.revisions import Project
    from jacobench.bisect_session import BisectResult, BisectSession


def bisect(
    good: Annotated[str, typer.Option(metavar="REV|RELEASE", help="Older commit or release, which is fast.")],
    bad: Annotated[str, typer.Option(metavar="REV|RELEASE", help="Newer commit or release, which is slower.")],
    package: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Search the releases of this dependency, with the project as it is in the working tree.",
        ),
    ] = None,
    suite: GateSuite = None,
    strategy: Strategies = None,
    pytest: Pytest = None,
    suite_from: Annotated[
        str | None,
        typer.Option(
            metavar="head|base|REV",
            help="With --pytest: run the benchmark files of --bad (head), of --good (base) or of another commit at all commits. Default: head.",
        ),
    ] = None,
    memory: Memory = False,
    out: Out = None,
    case: GateCases = None,
    max_minutes: MaxMinutes = None,
    install: Install = None,
    untracked: Untracked = None,
    junit: Junit = None,
    markdown: Markdown = None,
) -> None:
    """Find the commit, or the release of a dependency, that made the project slower.

    Compares the good side with the bad one, then with candidates between them. A search among N candidates needs about
    log2(N) + 2 gates. Only the rows with the largest slowdown are measured further. An inconclusive gate is repeated
    with more time. What cannot be measured is skipped. --max-minutes is the limit of each gate.

    Exit codes: 0 found or no regression, 2 bad input, 3 inconclusive, or several candidates remain, 4 nothing was
    measured.

    Example: jacobench bisect --good v1.2 --bad main --strategy my_strategy.py:Mine
    """
    from jacobench import gate_session
    from jacobench.bench.gate.gate_config import new_folder
    from jacobench.bisect_session import BisectSession

    given = {
        "suite": suite,
        "strategies": tuple(strategy or ()),
        "pytest": tuple(pytest or ()),
        "memory": memory or None,
        "out": out,
        "cases": tuple(case or ()),
        "max_minutes": max_minutes,
        "install": install,
        "untracked": untracked,
    }
    project, config, thresholds = gate_session.load_config(given)
    new_folder(config.out)
    searched = _range(project, config, good, bad, package, suite_from)
    session = BisectSession(project, searched, _searching(config, package), thresholds, say)
    result = _search(session, report_options(markdown, junit))
    write_outcome(result.outcome, result.title, markdown, junit)
    raise typer.Exit(result.exit_code)


def _range(
    project: Project, config: GateConfig, good: str, bad: str, package: str | None, suite_from: str | None
) -> CandidateRange:
    """Return the candidates: the releases of a package or, without one, the commits."""
    from jacobench.bench.gate.bisect_candidates import commit_range, release_range
    from jacobench.graphs.errors import BadInput

    if suite_from and (package or not config.pytest):
        raise BadInput("--suite-from needs --pytest and commits: leave it out")
    if package:
        return release_range(package, good, bad)
    return commit_range(project, good, bad, (suite_from or config.suite_from or "head") if config.pytest else None)


def _searching(config: GateConfig, package: str | None) -> GateConfig:
    """Return the configuration of the gates. The search decides what is installed on each side."""
    from dataclasses import replace

    suite_from = config.suite_from if package else "head" if config.pytest else ""
    return replace(config, suite_from=suite_from, base_with=(), head_with=())


def _search(session: BisectSession, reports: Sequence[str]) -> BisectResult:
    """Search. If the search ends too early, the error names the command that continues; `reports` are its options."""
    from jacobench.graphs.errors import BadInput, Interrupted, UnsuitableEnvironment
    from jacobench.reports.regression.bisect_sentences import to_continue

    try:
        return session.search()
    except KeyboardInterrupt:
        raise Interrupted(to_continue(_command(session, reports))) from None
    except UnsuitableEnvironment as error:
        raise BadInput(f"{error}. {to_continue(_command(session, reports))}") from error


def _command(session: BisectSession, reports: Sequence[str]) -> str:
    """Return the command that searches what is left, from the current folder."""
    from dataclasses import replace
    from shlex import join

    package, suite = session.searched.package, session.searched.suite
    ends = (each.name if package else each.name[:12] for each in (session.good, session.bad))
    words = [word for pair in zip(("--good", "--bad"), ends, strict=True) for word in pair]
    named = ["--package", package] if package else []
    files = ["--suite-from", suite[:12]] if suite else []
    options = options_of(replace(session.config, suite_from=""), session.project)
    return join(["jacobench", "bisect", *named, *words, *files, *options, *reports])
