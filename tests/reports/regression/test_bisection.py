"""Search for the first slower candidate, on histories whose culprit is known."""

from __future__ import annotations

import math
import random
from itertools import combinations

import pytest

from jacobench.bench.gate.bisect_candidates import Candidate
from jacobench.reports.regression.bisection import (
    BAD,
    GOOD,
    UNDECIDED,
    UNTESTABLE,
    decisive,
    failing_rows,
    finding,
    gates_left,
    halfway,
    largest_ratio,
    of_symptoms,
    start,
)
from jacobench.reports.regression.outcome import verdict_table
from jacobench.reports.regression.thresholds import GateThresholds, ThresholdRule, Thresholds


def chain(n):
    return [Candidate(str(number), f"release {number}", (str(number - 1),)) for number in range(n)]


def search(candidates, is_bad, untestable=()):
    """Return the last state of a search, and the names of the candidates that it tested."""
    state, tested = start(candidates), []
    while (number := state.middle()) is not None:
        name = candidates[number].name
        tested.append(name)
        state = state.after(number, UNTESTABLE if name in untestable else BAD if is_bad(name) else GOOD)
    return state, tested


def names(state):
    return [each.name for each in state.remaining]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 20, 65])
def test_every_culprit_is_found_with_log2_tests(n):
    for culprit in range(n):
        state, tested = search(chain(n), lambda name, first=culprit: int(name) >= first)
        assert names(state) == [str(culprit)]
        assert len(tested) <= gates_left(n) == math.ceil(math.log2(n))
        assert str(n - 1) not in tested, "the last one is known to be bad"
        assert len(set(tested)) == len(tested)
        last_good = state.last_good()
        assert (last_good.name if last_good else "-1") == str(culprit - 1)


@pytest.mark.parametrize("n_skipped", [1, 2])
def test_untestable_ones_are_skipped_and_remain_only_next_to_the_culprit(n_skipped):
    n = 14
    for culprit in range(n):
        for untestable in combinations(range(n - 1), n_skipped):
            state, tested = search(chain(n), lambda name, first=culprit: int(name) >= first, set(map(str, untestable)))
            first_bad = min(each for each in range(culprit, n) if each not in untestable)
            last_good = max((each for each in range(culprit) if each not in untestable), default=-1)
            assert names(state) == [str(each) for each in range(last_good + 1, first_bad + 1)]
            assert len(tested) <= math.ceil(math.log2(n)) + 2 * n_skipped


def test_a_broken_stretch_in_the_middle_is_left_fast():
    n, broken = 200, {str(each) for each in range(80, 130)}
    for culprit in [*range(1, 80), *range(131, n)]:
        state, tested = search(chain(n), lambda name, first=culprit: int(name) >= first, broken)
        if culprit != 79:
            assert names(state) == [str(culprit)]
        assert len(tested) <= math.log2(n) + math.log2(len(broken)) + 2


def test_a_stretch_around_the_culprit_remains_as_a_whole():
    state, tested = search(chain(20), lambda name: int(name) >= 9, {"8", "9", "10"})
    assert names(state) == ["8", "9", "10", "11"]
    assert len(tested) <= 8
    undecided = start(chain(3)).after(1, UNDECIDED)
    assert names(undecided) == ["0", "1", "2"]
    assert undecided.middle() == 0


def random_history(n, rng):
    """Return commits, each after its parents, among them merges; the last one contains all."""
    commits, tips = [], []
    for number in range(n - 1):
        parents = rng.sample(tips, min(len(tips), rng.choice([1, 1, 1, 2])))
        if rng.random() < 0.2:
            parents = [str(rng.randrange(number))] if number else []
        tips = [tip for tip in tips if tip not in parents] + [str(number)]
        commits.append(Candidate(str(number), "", ("outside", *parents)))
    return [*commits, Candidate(str(n - 1), "", tuple(tips))]


def test_the_culprit_of_a_history_with_merges_is_found():
    rng = random.Random(0)
    for _ in range(60):
        history = random_history(40, rng)
        reach = start(history).reach
        for culprit in rng.sample(range(40), 8):
            state, tested = search(history, lambda name, reach=reach, bit=culprit: bool(reach[int(name)] >> bit & 1))
            assert names(state) == [str(culprit)]
            assert len(tested) <= 2 * math.log2(40)


LINE = {"case": "c", "strategy": "s", "phase": "p", "quantity": "seconds", "ratio": 1.44}


@pytest.mark.parametrize(
    ("symptom", "verdict", "expected"),
    [
        *(("regressed", verdict, GOOD) for verdict in ("unchanged", "improved")),
        *(("regressed", verdict, UNTESTABLE) for verdict in ("broken", "gone", "new", "changed", "not measured")),
        ("regressed", "regressed", BAD),
        ("regressed", "inconclusive", UNDECIDED),
        ("broken", "broken", BAD),
        *(("broken", verdict, GOOD) for verdict in ("unchanged", "improved", "regressed", "inconclusive")),
        *(("broken", verdict, UNTESTABLE) for verdict in ("gone", "not measured")),
    ],
)
def test_a_candidate_is_judged_by_the_same_row(symptom, verdict, expected):
    symptoms = failing_rows(verdict_table([LINE | {"verdict": symptom}]))
    found = verdict_table([LINE | {"verdict": verdict}, LINE | {"case": "other", "verdict": "regressed"}])
    assert finding(symptoms, found) == expected


def test_any_bad_row_makes_a_candidate_bad_and_a_missing_one_untestable():
    rows = [LINE | {"case": case, "verdict": "regressed"} for case in "abc"]
    symptoms = failing_rows(verdict_table([*rows, LINE | {"case": "d", "verdict": "unchanged"}]))

    def judged(**verdicts):
        return finding(
            symptoms, verdict_table([LINE | {"case": case, "verdict": one} for case, one in verdicts.items()])
        )

    assert judged(a="unchanged", b="improved", c="unchanged", d="regressed") == GOOD
    assert judged(a="unchanged", b="regressed", c="inconclusive") == BAD
    assert judged(a="unchanged", b="inconclusive") == UNDECIDED
    assert judged(a="unchanged", b="unchanged") == UNTESTABLE


def test_the_largest_slowdown_decides():
    ratios = {"a": 1.69, "b": 1.31, "c": 1.29, "d": math.inf}
    table = [LINE | {"case": case, "ratio": ratio, "verdict": "regressed"} for case, ratio in ratios.items()]
    broken = [LINE | {"case": "e", "ratio": math.nan, "verdict": "broken"}]
    cases = [
        list(decisive(failing_rows(verdict_table(lines))).index.get_level_values("case"))
        for lines in ([*broken, *table], broken, [*broken, table[-1]])
    ]
    assert cases == [["a", "b"], ["e"], ["e", "d"]]


def test_thresholds_are_halfway_to_the_bad_side():
    table = [
        LINE | {"verdict": "regressed"},
        LINE | {"phase": "q", "ratio": 1.69, "verdict": "regressed"},
        LINE | {"quantity": "peak_bytes", "ratio": 4.0, "verdict": "regressed"},
        LINE | {"case": "d", "ratio": 1.03, "verdict": "regressed"},
        LINE | {"case": "e", "ratio": 1.96, "verdict": "regressed"},
        LINE | {"case": "f", "ratio": math.nan, "verdict": "broken"},
    ]
    configured = GateThresholds(Thresholds(time=0.02, memory=0.1), (ThresholdRule("d", "*", {"time": 0.05}),), 12)
    symptoms = failing_rows(verdict_table(table))
    found = halfway(configured, symptoms)
    assert found.of("c", "s").time == pytest.approx(0.2)
    assert found.of("c", "s").memory == pytest.approx(1.0)
    assert found.of("d", "s").time == 0.05, "the configured one, which is larger"
    assert found.of("e", "s").time == pytest.approx(0.4)
    assert found.of("e", "s").memory == 0.1
    assert found.tightest == 0.05, "that of the calibration kernel"
    assert found.pairs == 12
    assert largest_ratio(of_symptoms(symptoms, verdict_table(table[:2]))) == 1.69
    only_broken = failing_rows(verdict_table(table[-1:]))
    assert halfway(configured, only_broken).default == configured.default


def test_a_rule_for_the_exact_name_of_a_case_is_not_a_glob_for_symptoms():
    """``test_sum[10]`` as a glob would be the rule of ``test_sum1``, too."""
    rules = (ThresholdRule("test_sum[10]", "*", {"time": 0.3}),)
    configured = GateThresholds(Thresholds(time=0.02), rules, cases=("test_sum[10]", "test_sum1"))
    line = LINE | {"case": "test_sum1", "verdict": "regressed"}
    assert halfway(configured, failing_rows(verdict_table([line]))).of("test_sum1", "s").time == pytest.approx(0.2)
