"""A gate from start to end: configuration, measurement of two revisions, and verdict."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.bench.gate.paired_runner import PairedRunner
    from jacobench.bench.gate.suite.benchmark_runner import BenchmarkRunner
    from jacobench.bench.gate.trees.revisions import Project, SideSource
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import GateThresholds

    Report = Callable[[str], None]

SELF_TEST_MINUTES = 3.0
"""Time limit of one gate of a self-test."""


def load_config(given: Mapping[str, Any], *, in_git: bool = True) -> tuple[Project, GateConfig, GateThresholds]:
    """Return the project in this folder, its configuration and its thresholds; ``given`` overrides pyproject.toml.

    Raises BadInput for an invalid pyproject.toml, or if the folder must be in a git repository and is not.
    """
    from jacobench.bench.gate.gate_config import configured, options_from_table, read_table
    from jacobench.bench.gate.trees.revisions import Project, project_of
    from jacobench.reports.regression.thresholds import read_thresholds

    here = Path.cwd()
    project = project_of(here) if in_git else Project(here, here)
    table, rest = options_from_table(read_table(project), project.folder)
    options = {name: value for name, value in given.items() if value not in ((), None)}
    return project, configured(table, options), read_thresholds(rest)


def sides_of(against: str | None, config: GateConfig) -> tuple[SideSource, SideSource]:
    """Return base and head; without a revision `against`, both are the working tree. Raises BadInput if they are equal."""
    from jacobench.bench.gate.trees.revisions import SideSource
    from jacobench.graphs.errors import BadInput

    if against is None and not (config.base_with or config.head_with):
        raise BadInput("nothing to compare: expected --against REV, --base-with REQ or --head-with REQ, or --self-test")
    return SideSource(against, config.base_with), SideSource(None, config.head_with)


def run(
    project: Project,
    base: SideSource,
    head: SideSource,
    config: GateConfig,
    thresholds: GateThresholds,
    report: Report,
) -> tuple[Outcome, str]:
    """Measure and judge both sides; return the outcome, and a title with both and the suite."""
    from jacobench.bench.gate.paired_runner import PairedRunner
    from jacobench.bench.gate.sides import two_revisions
    from jacobench.bench.machine.doctor_sentences import variable_sentences
    from jacobench.bench.machine.environment import variable_facts
    from jacobench.reports.regression.side_sentences import code_notes, side_title

    began = time.monotonic()
    with two_revisions(project, base, head, config, report) as runner:
        requirements = (*base.requirements, *head.requirements)
        sides = zip(runner.sides, (base, head), strict=True)
        title = " → ".join(side_title(side.tree.revision, source.requirements) for side, source in sides)
        until = began + 60 * config.max_minutes
        if isinstance(runner, PairedRunner):
            outcome, what = judge(runner, thresholds, until - time.monotonic(), report), Path(config.suite).stem
        else:
            judged = judge_benchmarks(runner, thresholds, began, until, report, memory=config.memory)
            outcome, what = judged, " · ".join(config.pytest)
        controls = "tuned" if isinstance(runner, PairedRunner) else "asis"  # a suite inherits all variables
        variables = variable_sentences(variable_facts(runner.settings, controls))
        notes = (*outcome.notes, *code_notes(runner.code, requirements), *variables)
        outcome = replace(outcome, notes=notes, distributions=runner.code.distributions)
        return outcome, f"{title} · {what}"


def judge(runner: PairedRunner, thresholds: GateThresholds, max_seconds: float, report: Report) -> Outcome:
    """Verify all cells, then measure pairs of processes until there is a verdict."""
    import pandas as pd

    from jacobench.reports.regression import fresh_bytes, gate_sentences
    from jacobench.reports.regression.gate_loop import run_gate

    began = time.monotonic()
    report(gate_sentences.verifying(len(runner.strategies), len(runner.cases)))
    runner.precheck()

    def measure(cells: Sequence[tuple[str, str]] | None, pairs: range, stage: int) -> pd.DataFrame:
        if runner.can_time():  # else no process starts: the statuses are known
            report(gate_sentences.stage_step(stage, len(pairs), None if cells is None else len(cells)))
        return pd.DataFrame(runner.measure(cells, pairs, stage))

    def measure_memory(cells: Sequence[tuple[str, str]], pairs: range) -> pd.DataFrame:
        report(gate_sentences.memory_step(len(pairs), len(cells)))
        return pd.DataFrame(runner.measure_memory(cells, pairs))

    thresholds = replace(thresholds, cases=(*thresholds.cases, *(case.name for case in runner.cases)))
    fresh = fresh_bytes.confirm(pd.DataFrame(runner.prechecked()), measure_memory, thresholds)
    left = max_seconds - (time.monotonic() - began)
    return run_gate(measure, thresholds, max_seconds=left, clock=time.monotonic, fresh=fresh)


def judge_benchmarks(
    runner: BenchmarkRunner, thresholds: GateThresholds, began: float, until: float, report: Report, *, memory: bool
) -> Outcome:
    """Run every benchmark once on each side, then measure pairs of processes until there is a verdict.

    The gate began and should end at these times (`time.monotonic`). Raises BadInput if six pairs do not fit.
    """
    from jacobench.bench.gate.suite.time_plan import FEWEST_PAIRS, check_time, round_seconds
    from jacobench.reports.regression import fresh_bytes, gate_sentences
    from jacobench.reports.regression.benchmark_samples import benchmark_samples
    from jacobench.reports.regression.gate_loop import run_gate

    report(gate_sentences.collecting())
    runner.precheck(began, until)
    times = runner.times()
    check_time(times, time.monotonic() - began, until - began, FEWEST_PAIRS + memory)  # one pair measures memory
    rounds = {1: round_seconds(times, 1, until - time.monotonic())}
    if times.n_benchmarks:
        pair = times.with_rounds(rounds[1])
        report(gate_sentences.time_expected(times.n_benchmarks // 2, FEWEST_PAIRS, pair, until - began))

    def measure(cells: Sequence[tuple[str, str]] | None, pairs: range, stage: int) -> pd.DataFrame:
        ids = None if cells is None else [case for case, _ in cells]
        times = runner.times(ids)
        seconds = rounds.setdefault(stage, round_seconds(times, stage, until - time.monotonic()))
        if times.n_benchmarks:  # else no process starts: the statuses are known
            n = times.n_benchmarks // 2
            report(gate_sentences.pairs_expected(stage, len(pairs), n, times.with_rounds(seconds)))
        return benchmark_samples(runner.measure(ids, pairs, stage, seconds))

    def measure_memory(cells: Sequence[tuple[str, str]], pairs: range) -> pd.DataFrame:
        report(gate_sentences.memory_step(len(pairs), len(cells)))
        return benchmark_samples(runner.measure_memory([case for case, _ in cells], pairs))

    thresholds = replace(thresholds, cases=(*thresholds.cases, *runner.ids))
    fresh = None
    if memory and times.n_benchmarks:
        fresh = fresh_bytes.confirm(benchmark_samples(runner.precheck_memory()), measure_memory, thresholds)
    left = until - time.monotonic()
    outcome = run_gate(measure, thresholds, max_seconds=left, clock=time.monotonic, fresh=fresh)
    return replace(outcome, notes=(*outcome.notes, *_suite_notes(runner)))


def _suite_notes(runner: BenchmarkRunner) -> Iterator[str]:
    """Return the notes on what pytest skipped, and on memory that is not measured."""
    from jacobench.reports.regression import gate_sentences

    skipped = [(side, suite.skipped) for side, suite in runner.suites.items() if suite.skipped]
    for side, found in skipped:
        yield gate_sentences.skipped(side, len(found), next(iter(found.values())))
    if runner.processes.no_memory:
        yield gate_sentences.memory_unknown(runner.processes.no_memory)
    if found := runner.without_memory:
        yield gate_sentences.memory_incomplete(len(found), next(iter(found.values())))


def self_test(
    config: GateConfig,
    thresholds: GateThresholds,
    report: Report,
    amounts: Sequence[float] | None = None,
    gate_minutes: float = SELF_TEST_MINUTES,
) -> pd.DataFrame:
    """Run gates on the current environment, alternately without changes and with added work.

    ``amounts`` of work to add are relative to the time of a call (default: `reports.regression.self_test.SLOWER`).
    ``gate_minutes`` limits each gate. Reports the load of the machine at the end. Returns the table of
    `reports.regression.self_test.tally`.
    """
    from jacobench.bench.gate.sides import here_twice
    from jacobench.bench.machine.machine_record import load, stolen_seconds
    from jacobench.reports.regression import gate_sentences
    from jacobench.reports.regression.self_test import SLOWER, SelfTestGate, injections, tally

    began, longest, stolen = time.monotonic(), 0.0, stolen_seconds()
    gates: list[SelfTestGate] = []
    loads = [load()]
    amounts = SLOWER if amounts is None else amounts
    with here_twice(config) as runner:
        cells = [(case.name, strategy) for case in runner.cases for strategy in runner.strategies]
        while not gates or time.monotonic() - began + longest < 60 * config.max_minutes:
            gate_began = time.monotonic()
            runner.injections = injections(cells, len(gates), amounts)
            report(gate_sentences.self_test_step(len(gates) + 1, changed=bool(runner.injections)))
            outcome = judge(runner, thresholds, 60 * gate_minutes, lambda _text: None)
            added = {(case, runner.label(strategy)): one for (case, strategy), one in runner.injections.items()}
            gates.append(SelfTestGate(added, outcome))
            longest = max(longest, time.monotonic() - gate_began)
            loads.append(load())
    cores = os.cpu_count() or 1
    share = (stolen_seconds() - stolen) / (cores * (time.monotonic() - began))
    report(gate_sentences.self_test_load(tuple(one for one in loads if one is not None), cores, share))
    return tally(gates)
