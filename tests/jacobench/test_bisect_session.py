"""A bisection with gates whose result is known."""

from __future__ import annotations

import itertools
import math
import subprocess
from pathlib import Path

import pytest

from jacobench.bench.gate.bisect_candidates import Candidate, CandidateRange, commit_range
from jacobench.bench.gate.gate_config import GateConfig
from jacobench.bench.gate.trees.revisions import Project, project_of
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.bisect_session import BisectSession, restricted
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment, Unsupported
from jacobench.reports.regression.bisection import failing_rows
from jacobench.reports.regression.outcome import Outcome, verdict_table
from jacobench.reports.regression.thresholds import GateThresholds, ThresholdRule

N = 12

RANGE = CandidateRange(
    "release",
    Candidate("0", "x 0", ()),
    tuple(Candidate(str(number), f"x {number}", (str(number - 1),)) for number in range(1, N)),
    "x",
)


class World:
    """Gates between versions: ``seconds`` of each case at each version, ``faults`` of versions."""

    def __init__(self, seconds, faults=None):
        self.seconds, self.faults, self.asked = seconds, faults or {}, []

    def __call__(self, _project, base, head, config, thresholds, _report):
        old, new = (int(side.requirements[0].removeprefix("x==")) for side in (base, head))
        self.asked.append((old, new, config, thresholds))
        fault = self.faults.get(new)
        if isinstance(fault, BaseException):
            raise fault
        lines = [self._line(case, old, new, thresholds, fault) for case in config.cases or self.seconds]
        verdicts = {line["verdict"] for line in lines}
        order = {"regressed": "regressed", "inconclusive": "inconclusive", "not measured": "nothing"}
        state = next((state for verdict, state in order.items() if verdict in verdicts), "clear")
        return Outcome(state, verdict_table(lines)), f"{old} → {new} · suite"

    def _line(self, case, old, new, thresholds, fault):
        ratio = self.seconds[case](new) / self.seconds[case](old)
        slower = ratio >= 1 + thresholds.of(case, "s").time
        verdict = fault or ("regressed" if slower else "unchanged")
        return {"case": case, "strategy": "s", "phase": "p", "quantity": "seconds", "ratio": ratio, "verdict": verdict}


def bisect(world, config=None, **more):
    said = []
    ticks = itertools.count(0, 60)
    config = config or GateConfig(max_minutes=5.0)
    session = BisectSession(
        Project(Path(), Path()), RANGE, config, GateThresholds(), said.append, world, lambda: float(next(ticks)), **more
    )
    return session, said


def slower_from(first, factor=1.5):
    return lambda version: factor if version >= first else 1.0


@pytest.mark.parametrize("culprit", range(1, N))
def test_the_first_slower_release_is_compared_with_the_one_before_it(culprit):
    world = World({"mine": slower_from(culprit), "other": lambda _version: 1.0})
    session, said = bisect(world)
    result = session.search()
    assert result.exit_code == 0
    assert result.title.startswith(f"the first regressed release is x {culprit} · ")
    assert world.asked[0][:2] == (0, N - 1)
    assert all(old == 0 for old, *_ in world.asked[1:-1]), "each step compares with the good side"
    assert (culprit - 1, culprit) in [asked[:2] for asked in world.asked]
    assert result.title.endswith(f"{culprit - 1} → {culprit} · suite")
    assert len(world.asked) <= math.ceil(math.log2(N - 1)) + 2
    assert all(config.cases == ("mine",) for _, _, config, _ in world.asked[1:]), "only what regressed is measured"
    assert result.outcome.verdicts["ratio"].tolist() == [1.5]
    assert result.outcome.notes[:2] == (
        "From x 0 to x 11, the largest change is +50.0%.",
        f"{len(world.asked)} gates in {len(world.asked)} min.",
    )
    steps = [line for line in said if line.startswith("gate ")]
    assert len(steps) == len(world.asked)
    assert "candidates left, about 4 gates (4 min)" in steps[1]


def test_a_small_earlier_change_is_not_the_result_and_gets_the_smaller_threshold():
    world = World({"mine": lambda version: 1.06 ** (version >= 2) * 1.5 ** (version >= 7)})
    session, _ = bisect(world)
    assert session.search().title.startswith("the first regressed release is x 7 ·")
    assert world.asked[1][3].of("mine", "s").time == pytest.approx(math.sqrt(1.59) - 1)
    assert world.asked[-1][3].of("mine", "s").time == 0.02, "the last gate has the configured threshold"


def test_many_small_changes_have_no_single_cause():
    session, _ = bisect(World({"mine": lambda version: 1.01**version}))
    result = session.search()
    assert result.exit_code == 3
    assert "several small changes may add up" in result.title
    assert result.outcome.state == "clear"


ENDS = {
    "clear": (lambda _version: 1.0, None, 0, 1),
    "inconclusive": (slower_from(3), "inconclusive", 3, 3),
    "nothing": (slower_from(3), "not measured", 4, 1),
}


@pytest.mark.parametrize("error", [BadInput("why"), Unsupported("why"), HarnessFailure("why")])
def test_a_release_whose_gate_fails_is_skipped(error):
    result = bisect(World({"mine": slower_from(6)}, {5: error}))[0].search()
    assert result.outcome.notes[:2] == ("x 5: why", "x 6: the first that is known to be slower")


@pytest.mark.parametrize("name", ENDS)
def test_without_a_regression_there_is_nothing_to_search(name):
    seconds, fault, code, n_gates = ENDS[name]
    world = World({"mine": seconds}, {N - 1: fault})
    result = bisect(world)[0].search()
    assert (result.exit_code, len(world.asked)) == (code, n_gates)
    assert result.outcome.state == name
    assert result.title.startswith("x 0 → x 11 · ")
    assert [config.max_minutes for _, _, config, _ in world.asked] == [5, 10, 20][:n_gates]


def test_inconclusive_gates_are_repeated_with_more_time_and_what_cannot_be_measured_is_skipped():
    faults = {
        4: "inconclusive",
        5: BadInput("head (5) cannot be\ninstalled: no wheel"),
        7: "gone",
    }
    world = World({"mine": slower_from(6)}, faults)
    session, said = bisect(world)
    result = session.search()
    assert result.exit_code == 3
    assert result.title.startswith("the first regressed release is one of 3 · 0 → 6")
    assert result.outcome.notes[:3] == (
        "x 4: inconclusive in 3 gates",
        "x 5: head (5) cannot be installed: no wheel",
        "x 6: the first that is known to be slower",
    )
    assert [config.max_minutes for _, new, config, _ in world.asked if new == 4] == [5, 10, 20]
    assert [new for _, new, *_ in world.asked].count(5) == 1
    assert "inconclusive; measuring again, for up to 10 minutes" in said
    assert "x 5 is skipped: head (5) cannot be installed: no wheel" in said
    assert (session.good.name, session.bad.name) == ("3", "6")
    session, _ = bisect(World({"mine": slower_from(2)}, faults))
    assert session.search().title.startswith("the first regressed release is x 2 ·")


def test_rows_with_another_cause_are_counted():
    world = World({"small": slower_from(3, 1.1), "mine": slower_from(9), "with it": slower_from(9, 1.1)})
    result = bisect(world)[0].search()
    assert result.title.startswith("the first regressed release is x 9 ·")
    assert any(note.startswith("1 row of the slower side has another cause") for note in result.outcome.notes)
    assert {config.cases for _, _, config, _ in world.asked[1:-1]} == {("mine",)}
    assert world.asked[-1][2].cases == ("small", "mine", "with it")
    world = World({"small": slower_from(3, 1.1), "mine": slower_from(1)})
    assert bisect(world)[0].search().title.startswith("the first regressed release is x 1 ·")
    assert world.asked[-1][2].cases == ("small", "mine"), "measured again, because the last step has one of them only"


def test_if_the_release_before_cannot_be_measured_the_rows_are_compared_with_good():
    world = World({"mine": slower_from(6)})

    def run(project, base, head, config, thresholds, report):
        if base.requirements == ("x==5",):
            raise BadInput("gone from the index")
        return world(project, base, head, config, thresholds, report)

    result = bisect(run)[0].search()
    assert result.exit_code == 0
    assert result.title.endswith("0 → 6 · suite")
    assert any("compared with x 0" in note and "gone from the index" in note for note in result.outcome.notes)


def test_bad_input_of_the_first_gate_is_an_error_and_an_interrupt_keeps_the_range():
    with pytest.raises(BadInput, match="no such suite"):
        bisect(World({"mine": slower_from(6)}, {N - 1: BadInput("no such suite")}))[0].search()
    for version, left in {N - 1: (0, 11), 5: (0, 11), 8: (5, 11), 6: (5, 8)}.items():
        session, _ = bisect(World({"mine": slower_from(6)}, {version: KeyboardInterrupt()}))
        with pytest.raises(KeyboardInterrupt):
            session.search()
        assert (int(session.good.name), int(session.bad.name)) == left


@pytest.fixture
def merged(tmp_path):
    """Return a repository with commits of main (M…) and of a merged branch (B…), the letters of all, and its hashes."""

    def git(*words):
        words = ("git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", *words)
        return subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    def commit(name, *parents):
        ends = [word for parent in parents for word in ("-p", made[parent])]
        made[name] = git("-c", "commit.gpgsign=false", "commit-tree", "-m", name, *ends, tree)

    git("init", "-q", "-b", "main")
    made, tree = {}, git("mktree", "--missing")
    for name, *parents in (["M0"], ["M1", "M0"], ["B1", "M0"], ["B2", "B1"], ["M2", "M1", "B2"], ["M3", "M2"]):
        commit(name, *parents)
    return project_of(tmp_path), made


def bisect_commits(merged, seconds, stop_at=""):
    """Bisect from M1 to M3; interrupt the gate of a commit. Return the session, what it said, and the compared pairs."""
    project, made = merged
    names, asked, said = {hash_: name for name, hash_ in made.items()}, [], []

    def run(_project, base, head, config, thresholds, _report):
        old, new = names[base.revision], names[head.revision]
        asked.append((old, new))
        if new == stop_at:
            raise KeyboardInterrupt
        slower = seconds[new] / seconds[old] >= 1 + thresholds.of("mine", "s").time
        verdict = "regressed" if slower else "unchanged"
        ratio = seconds[new] / seconds[old]
        line = {
            "case": "mine",
            "strategy": "s",
            "phase": "p",
            "quantity": "seconds",
            "ratio": ratio,
            "verdict": verdict,
        }
        return Outcome("regressed" if slower else "clear", verdict_table([line])), f"{old} → {new} · suite"

    searched = commit_range(project, made["M1"], made["M3"])
    return BisectSession(project, searched, GateConfig(), GateThresholds(), said.append, run), said, asked


SLOW_BEFORE = {"M0": 3.0, "M1": 1.0, "B1": 3.0, "B2": 3.0, "M2": 1.0, "M3": 3.0}
"""Seconds of each commit: the good one made it faster, and the merged branch is older."""


def test_a_commit_of_a_branch_is_not_blamed_for_what_it_lacks(merged):
    session, said, asked = bisect_commits(merged, SLOW_BEFORE)
    result = session.search()
    assert result.exit_code == 0
    assert result.title.endswith("M2 → M3 · suite")
    assert ("M0", "B2") in asked
    assert any(f"{merged[1]['M0'][:12]} 'M0'" in line and "'B2'" in line for line in said)


def test_a_branch_that_contains_the_cause_is_searched_further(merged):
    seconds = {"M0": 1.5, "M1": 1.0, "B1": 1.5, "B2": 4.5, "M2": 3.0, "M3": 3.0}
    session, _, asked = bisect_commits(merged, seconds)
    result = session.search()
    assert result.title.startswith(f"the first regressed commit is {merged[1]['B2'][:12]} 'B2'")
    assert result.title.endswith("B1 → B2 · suite")
    assert ("M0", "B1") in asked


def test_after_an_interrupt_in_a_branch_the_ends_can_be_searched(merged):
    project, made = merged
    seconds = {"M0": 1.5, "M1": 1.0, "B1": 4.5, "B2": 4.5, "M2": 3.0, "M3": 3.0}
    session, *_ = bisect_commits(merged, seconds, stop_at="B1")
    with pytest.raises(KeyboardInterrupt):
        session.search()
    assert (session.good.name, session.bad.name) == (made["M0"], made["B2"])
    left = commit_range(project, session.good.name, session.bad.name).candidates
    assert [each.name for each in left] == [made["B1"], made["B2"]]


def test_a_failure_of_the_machine_ends_the_search():
    session, said = bisect(World({"mine": slower_from(6)}, {8: UnsuitableEnvironment("the disk is full")}))
    with pytest.raises(UnsuitableEnvironment, match="the disk is full"):
        session.search()
    assert (session.good.name, session.bad.name) == ("5", "11")
    assert not any("skipped" in line for line in said)


def test_a_rule_for_an_exact_name_stays_exact_in_gates_of_fewer_cases():
    world = World({"t[1]": lambda _version: 1.0, "t1": slower_from(6)})
    session, _ = bisect(world)
    session.thresholds = GateThresholds(rules=(ThresholdRule("t[1]", "*", {"time": 0.45}),))
    session.search()
    assert world.asked[1][3].of("t1", "s").time == pytest.approx(math.sqrt(1.5) - 1)
    assert world.asked[-1][2].cases == ("t1",)
    assert world.asked[-1][3].of("t1", "s").time == 0.02


def test_a_configuration_is_restricted_to_what_regressed():
    line = {"strategy": "s", "phase": "p", "quantity": "seconds", "verdict": "regressed"}
    table = [line | {"case": "a"}, line | {"case": "b", "verdict": "unchanged"}, line | {"case": "c", "strategy": "t"}]
    config = GateConfig(cases=("*",), strategies=("s", "t", "u"))
    found = restricted(config, failing_rows(verdict_table(table)))
    assert (found.cases, found.strategies) == (("a", "c"), ("s", "t"))
    named = GateConfig(strategies=("file.py:S", "t"))
    assert restricted(named, failing_rows(verdict_table(table))).strategies == named.strategies
    sweep = [*table, line | {"case": "a … b", "quantity": "seconds~width"}]
    assert restricted(config, failing_rows(verdict_table(sweep))).cases == ("*",)
