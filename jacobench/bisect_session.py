"""A bisection from start to end: gates between a good side and candidates, until the first slower one is known."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from jacobench import gate_session
from jacobench.bench.gate.bisect_candidates import Candidate, compared_with
from jacobench.reports.regression import bisect_sentences, bisection

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from jacobench.bench.gate.bisect_candidates import CandidateRange
    from jacobench.bench.gate.gate_config import GateConfig
    from jacobench.bench.gate.trees.revisions import Project
    from jacobench.reports.regression.bisection import Bisection
    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.thresholds import GateThresholds

TIME_FACTORS = (1, 2, 4)
"""Time limits of the gates of one comparison, in turn until one is conclusive, as multiples of the given limit."""

FINDING_OF_STATE = {"clear": bisection.GOOD, "regressed": bisection.BAD, "nothing": bisection.UNTESTABLE}
"""State of the gate between the good and the bad side → finding; other states are undecided."""


@dataclass(frozen=True)
class BisectResult:
    """Result of a bisection: the gate that shows it, its title, and the exit code."""

    outcome: Outcome
    title: str
    exit_code: int


@dataclass
class BisectSession:
    """A bisection under way.

    ``run``: `gate_session.run`. ``good`` and ``bad``: the ends of what is left to search. ``base``: what ``bad`` was
    compared with. ``reasons``: why candidates were skipped, by name. ``seconds``: time of all gates.
    """

    project: Project
    searched: CandidateRange
    config: GateConfig
    thresholds: GateThresholds
    report: Callable[[str], None]
    run: Callable[..., tuple[Outcome, str]] = gate_session.run
    clock: Callable[[], float] = time.monotonic
    n_gates: int = 0
    seconds: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)
    good: Candidate = field(init=False)
    bad: Candidate = field(init=False)
    base: Candidate = field(init=False)

    def __post_init__(self) -> None:
        self.base = self.good = self.searched.good
        self.bad = self.searched.candidates[-1]

    def search(self) -> BisectResult:
        """Compare the good side with the bad one, then with candidates between them; return what was found.

        Raises UnsuitableEnvironment if the machine or the network fails; then ``good`` and ``bad`` are what is left.
        """
        first, last, kind = self.searched.good, self.bad, self.searched.kind
        self.report(bisect_sentences.first_gate(first.label, last.label, kind, len(self.searched.candidates)))
        outcome, title, found = self._compare(first, last, self.thresholds, _finding_of_state)
        if found != bisection.BAD:
            headline = bisect_sentences.not_searched(first.label, last.label)
            return self._result(outcome, outcome.exit_code, headline, title)
        failing = bisection.failing_rows(outcome.verdicts)
        symptoms = bisection.decisive(failing)
        self.thresholds = replace(self.thresholds, cases=tuple(outcome.verdicts["case"].unique()))
        self.config, last_config = restricted(self.config, symptoms), restricted(self.config, failing)
        state, outcome, title = self._narrow(symptoms, outcome, title)
        if state.n_left > 1:
            reasons = [(each.label, self.reasons.get(each.name, "")) for each in state.remaining]
            lines = [bisect_sentences.one_remaining(label, reason) for label, reason in reasons]
            return self._result(outcome, 3, bisect_sentences.one_of(kind, state.n_left), title, *lines)
        self.config = last_config
        return self._confirmed(state.remaining[0], symptoms, failing, (outcome, title))

    def _narrow(self, symptoms: pd.DataFrame, outcome: Outcome, title: str) -> tuple[Bisection, Outcome, str]:
        """Test candidates until none is left to test; return the last state, and the gate of the earliest bad one."""
        state = bisection.start(self.searched.candidates)
        while (number := state.middle()) is not None:
            candidate = self.searched.candidates[number]
            base = compared_with(self.project, self.searched, candidate)
            n_gates = bisection.gates_left(state.n_left)
            expected = n_gates * self.seconds / self.n_gates
            before = "" if base == self.searched.good else base.label
            self.report(
                bisect_sentences.step(self.n_gates + 1, before, candidate.label, state.n_left, n_gates, expected)
            )
            found, tested = self._tested(base, candidate, symptoms)
            state = state.after(number, found)
            if found == bisection.BAD and tested:
                self.base, (outcome, title) = base, tested
            self.good, self.bad = state.last_good() or self.base, self.searched.candidates[state.bad]
        return state, outcome, title

    def _tested(
        self, base: Candidate, candidate: Candidate, symptoms: pd.DataFrame
    ) -> tuple[str, tuple[Outcome, str] | None]:
        """Compare a base with a candidate; return the finding, and the gate and its title unless it failed."""
        thresholds = bisection.halfway(self.thresholds, symptoms)
        tested = self._compared(base, candidate, thresholds, symptoms)
        if isinstance(tested, str):
            return self._skipped(candidate, tested), None
        outcome, title, found = tested
        if found in {bisection.GOOD, bisection.BAD}:
            ratio = bisection.largest_ratio(bisection.of_symptoms(symptoms, outcome.verdicts))
            self.report(bisect_sentences.measured(candidate.label, found, ratio))
            return found, (outcome, title)
        undecided = found == bisection.UNDECIDED
        return self._skipped(
            candidate,
            bisect_sentences.inconclusive(len(TIME_FACTORS)) if undecided else bisect_sentences.no_common_row(),
        ), None

    def _skipped(self, candidate: Candidate, why: str) -> str:
        self.reasons[candidate.name] = why
        self.report(bisect_sentences.skipped(candidate.label, why))
        return bisection.UNTESTABLE

    def _confirmed(
        self, culprit: Candidate, symptoms: pd.DataFrame, failing: pd.DataFrame, last: tuple[Outcome, str]
    ) -> BisectResult:
        """Return the result after a gate of a candidate against the one directly before it, by all failing rows.

        ``last`` is the gate between the base and the candidate.
        """
        outcome, title = last
        kind, first, bad = self.searched.kind, self.searched.good, self.searched.candidates[-1]
        notes = [bisect_sentences.whole_change(first.label, bad.label, bisection.largest_ratio(symptoms))]
        before = self._before(culprit)
        if before.name != self.base.name or not set(failing.index) <= set(bisection.by_line(outcome.verdicts).index):
            self.report(bisect_sentences.last_gate(self.n_gates + 1, before.label, culprit.label))
            tested = self._compared(before, culprit, self.thresholds, symptoms)
            if isinstance(tested, str):
                notes.append(bisect_sentences.compared_with_base(self.base.label, tested))
            else:
                outcome, title, found = tested
                if found != bisection.BAD:
                    headline = bisect_sentences.not_confirmed(kind, culprit.label, self.base.label)
                    return self._result(outcome, 3, headline, title, *notes)
        if n := bisection.findings(failing, outcome.verdicts).count(bisection.GOOD):
            notes.append(bisect_sentences.other_causes(n))
        return self._result(outcome, 0, bisect_sentences.found(kind, culprit.label), title, *notes)

    def _before(self, candidate: Candidate) -> Candidate:
        """Return what is directly before a candidate; it need not be a candidate itself."""
        known = {each.name: each for each in (self.searched.good, self.base, *self.searched.candidates)}
        if not candidate.parents:  # a merged history of its own begins here
            return self.searched.good
        name = candidate.parents[0]
        return known.get(name, Candidate(name, name[:12], ()))

    def _compared(
        self, base: Candidate, head: Candidate, thresholds: GateThresholds, symptoms: pd.DataFrame
    ) -> tuple[Outcome, str, str] | str:
        """Compare two candidates by the rows with symptoms; return why if one of them cannot be measured."""
        from jacobench.bench.machine.worker_process import HarnessFailure
        from jacobench.graphs.errors import BadInput, UnsuitableEnvironment, Unsupported

        try:
            return self._compare(base, head, thresholds, partial(_finding_of_rows, symptoms))
        except UnsuitableEnvironment:  # it would skip all other candidates, too
            raise
        except (BadInput, Unsupported, HarnessFailure) as error:
            return " ".join(str(error).split())

    def _compare(
        self, base: Candidate, head: Candidate, thresholds: GateThresholds, judge: Callable[[Outcome], str]
    ) -> tuple[Outcome, str, str]:
        """Run a gate, and repeat it with more time while it is undecided; return its outcome, title and finding."""
        sides = self.searched.source(base.name), self.searched.source(head.name)
        for number, factor in enumerate(TIME_FACTORS):
            self.n_gates += 1
            out = f"{self.config.out}/gate-{self.n_gates}" if self.config.out else ""
            config = replace(self.config, max_minutes=factor * self.config.max_minutes, out=out)
            if number:
                self.report(bisect_sentences.again(config.max_minutes))
            began = self.clock()
            try:
                outcome, title = self.run(self.project, *sides, config, thresholds, self.report)
            finally:
                self.seconds += self.clock() - began
            found = judge(outcome)
            if found != bisection.UNDECIDED:
                break
        return outcome, title, found

    def _result(self, outcome: Outcome, exit_code: int, headline: str, title: str, *notes: str) -> BisectResult:
        effort = bisect_sentences.effort(self.n_gates, self.seconds)
        return BisectResult(
            replace(outcome, notes=(*notes, effort, *outcome.notes)), f"{headline} · {title}", exit_code
        )


def _finding_of_state(outcome: Outcome) -> str:
    return FINDING_OF_STATE.get(outcome.state, bisection.UNDECIDED)


def _finding_of_rows(symptoms: pd.DataFrame, outcome: Outcome) -> str:
    return bisection.finding(symptoms, outcome.verdicts)


def restricted(config: GateConfig, symptoms: pd.DataFrame) -> GateConfig:
    """Return a configuration that measures only the cases, and the named strategies, that have symptoms.

    All cases are kept if a sweep has symptoms, and all strategies if their names in the rows are not those that the
    user gave.
    """
    cases, strategies, quantities = (
        dict.fromkeys(symptoms.index.get_level_values(name)) for name in ("case", "strategy", "quantity")
    )
    if not any("~" in quantity for quantity in quantities):
        config = replace(config, cases=tuple(cases))
    return replace(config, strategies=tuple(strategies)) if set(strategies) <= set(config.strategies) else config
