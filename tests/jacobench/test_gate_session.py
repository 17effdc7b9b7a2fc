"""Steps of a gate, with a runner whose measurements are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from jacobench.bench.gate.gate_config import GateConfig
from jacobench.bench.gate.trees.revisions import SideSource
from jacobench.gate_session import judge, sides_of
from jacobench.graphs.errors import BadInput
from jacobench.reports.regression.thresholds import GateThresholds, ThresholdRule

MIB = 2**20


@dataclass
class KnownRunner:
    """A runner whose processes need known bytes."""

    fresh: int  # bytes of head in fresh processes
    first: int = 5 * MIB  # bytes of head in the precheck
    strategies: tuple[str, ...] = ("dense",)
    cases: tuple[str, ...] = ()
    asked: list[object] = field(default_factory=list)

    def precheck(self):
        self.asked.append("precheck")

    def can_time(self):
        return True

    def prechecked(self):
        return self.rows(range(1), self.first)

    def measure(self, _cells, pairs, stage):
        self.asked.append("time")
        return [
            row | {"stage": stage, "seconds": 1e-3 * (1 + row["pair"] * 1e-6)} for row in self.rows(pairs, self.first)
        ]

    def measure_memory(self, cells, pairs):
        self.asked.append((list(cells), pairs))
        return self.rows(pairs, self.fresh)

    def rows(self, pairs, in_head):
        row = {
            "stage": 0,
            "case": "a",
            "strategy": "dense",
            "phase": "gradient",
            "status": "ok",
            "memory_tool": "memray",
        }
        return [
            row | {"pair": pair, "side": side, "position": 0, "seconds": None, "peak_bytes": n_bytes}
            for pair in pairs
            for side, n_bytes in (("base", 4 * MIB), ("head", in_head))
        ]


@pytest.mark.parametrize(
    ("first", "fresh", "verdict", "n_measured"),
    [(5, 5, "regressed", 1), (5, 4, "unchanged", 1), (4, 5, "unchanged", 0), (3, 5, "improved", 0)],
)
def test_bytes_that_look_larger_are_measured_again_before_anything_is_timed(first, fresh, verdict, n_measured):
    runner = KnownRunner(fresh * MIB, first * MIB)
    outcome = judge(runner, GateThresholds(), 600, lambda _text: None)
    lines = outcome.verdicts.set_index("quantity")["verdict"]
    assert lines["peak_bytes"] == verdict
    assert runner.asked[: 1 + n_measured] == ["precheck", *[([("a", "dense")], range(6))] * n_measured]
    assert set(runner.asked[1 + n_measured :]) == {"time"}


def test_the_rule_of_a_case_that_is_known_but_not_measured_is_no_glob():
    rules = (ThresholdRule("[a]", "*", {"memory": 0.9}),)
    outcome = judge(KnownRunner(5 * MIB), GateThresholds(rules=rules, cases=("[a]",)), 600, lambda _text: None)
    assert outcome.verdicts.set_index("quantity")["verdict"]["peak_bytes"] == "regressed"


def test_the_sides_differ_by_the_revision_or_by_requirements():
    with_both = GateConfig(base_with=("a==1",), head_with=("a==2", "b"))
    assert sides_of("v1", GateConfig()) == (SideSource("v1"), SideSource(None))
    assert sides_of(None, with_both) == (SideSource(None, ("a==1",)), SideSource(None, ("a==2", "b")))
    assert sides_of("v1", with_both)[0] == SideSource("v1", ("a==1",))
    with pytest.raises(BadInput, match=r"^nothing to compare: expected --against REV, --base-with REQ or"):
        sides_of(None, GateConfig())
