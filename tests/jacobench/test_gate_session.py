"""Steps of a gate, with a runner whose measurements are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from jacobench.gate_session import judge
from jacobench.reports.regression.thresholds import GateThresholds

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
