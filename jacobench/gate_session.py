"""The gate put together: what is asked, two revisions that are measured, and the loop that judges them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.bench.gate.paired_runner import PairedRunner
    from jacobench.bench.gate.revisions import Project
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import Limits

    Say = Callable[[str], None]

SELF_TEST_MINUTES = 3.0
"""What one gate of a self-test may take."""


def asked(given: Mapping[str, Any], *, in_git: bool = True) -> tuple[Project, GateConfig, Limits]:
    """Return the project in this folder, and what is asked of its gate: first what is given, then its pyproject.toml.

    Raises
    ------
    BadInput
        Outside a git repository, if there must be one, or for a pyproject.toml that cannot be used.
    """
    from jacobench.bench.gate.gate_config import question_of, read_table
    from jacobench.bench.gate.revisions import Project, project_of
    from jacobench.reports.regression.thresholds import limits_of

    here = Path.cwd()
    project = project_of(here) if in_git else Project(here, here)
    question, rest = question_of(read_table(project), project.folder)
    said = {name: value for name, value in given.items() if value not in ((), None)}
    return project, replace(question, **said), limits_of(rest)


def gated(project: Project, against: str, question: GateConfig, limits: Limits, say: Say) -> tuple[Outcome, str]:
    """Measure and judge two revisions; return the outcome, and what was compared."""
    from jacobench.bench.gate.sides import two_revisions

    began = time.monotonic()
    with two_revisions(project, against, question, say) as gauge:
        base, head = (side.tree.revision for side in gauge.sides)
        left = 60 * question.max_minutes - (time.monotonic() - began)
        return judged(gauge, limits, left, say), f"{base} → {head} · {Path(question.suite).stem}"


def judged(gauge: PairedRunner, limits: Limits, max_seconds: float, say: Say) -> Outcome:
    """Let a gauge weigh and measure until there is a verdict."""
    import pandas as pd

    from jacobench.reports.regression.gate_loop import run_gate

    began = time.monotonic()
    say(f"proving and weighing {len(gauge.strategies)} strategies at {len(gauge.cases)} cases, on both sides")
    gauge.precheck()

    def measure(cells: Sequence[tuple[str, str]] | None, pairs: range, stage: int) -> pd.DataFrame:
        what = "all cells" if cells is None else f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
        say(f"stage {stage}: {len(pairs)} pairs of processes, {what}")
        return pd.DataFrame(gauge.measure(cells, pairs, stage))

    left = max_seconds - (time.monotonic() - began)
    return run_gate(measure, limits, max_seconds=left, clock=time.monotonic)


def self_test(question: GateConfig, limits: Limits, say: Say) -> pd.DataFrame:
    """Let the current environment's gate find what is not there, and what is: gates in turns without and with added work.

    Returns
    -------
    DataFrame
        As `selftest.tally` returns it.
    """
    from jacobench.bench.gate.sides import here_twice
    from jacobench.reports.regression.self_test import Gate, doses, tally

    began, longest = time.monotonic(), 0.0
    gates: list[Gate] = []
    with here_twice(question) as gauge:
        cells = [(case.name, strategy) for case in gauge.cases for strategy in gauge.strategies]
        while not gates or time.monotonic() - began + longest < 60 * question.max_minutes:
            gate_began = time.monotonic()
            gauge.injections = doses(cells, len(gates))
            say(f"gate {len(gates) + 1}: {'work and memory added to the head' if gauge.injections else 'A/A'}")
            outcome = judged(gauge, limits, 60 * SELF_TEST_MINUTES, lambda _text: None)
            named = {(case, gauge.label(strategy)): dose for (case, strategy), dose in gauge.injections.items()}
            gates.append(Gate(named, outcome))
            longest = max(longest, time.monotonic() - gate_began)
    return tally(gates)
