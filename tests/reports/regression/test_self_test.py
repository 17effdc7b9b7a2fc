"""Counts of a self-test, on outcomes with known answers."""

import math

import pytest

from jacobench.bench.gate.gate_client import Injection
from jacobench.reports.regression.outcome import Outcome, verdict_table
from jacobench.reports.regression.self_test import LARGER, SLOWER, SelfTestGate, injections, tally


def outcome(*lines):
    names = ("case", "strategy", "quantity", "ratio", "detectable", "verdict", "base")
    lines = [(*line, 1.0) if len(line) < len(names) else line for line in lines]
    return Outcome(
        "clear", verdict_table([dict(zip(names, line, strict=True)) | {"phase": "gradient"} for line in lines])
    )


def test_false_alarms_and_power_are_counted_apart():
    plain = outcome(
        ("a", "vjp", "seconds", 1.001, 0.02, "unchanged"),
        ("b", "vjp", "seconds", 1.03, 0.02, "regressed"),
        ("a", "vjp", "peak_bytes", 1.0, 0.01, "unchanged"),
        ("c", "vjp", "seconds", math.nan, 0.02, "broken"),
        ("a", "vjp", "retained_bytes", 1.0, 0.01, "inconclusive"),
    )
    dosed = outcome(
        ("a", "vjp", "seconds", 1.05, 0.02, "regressed"),
        ("b", "vjp", "seconds", 1.05, 0.02, "inconclusive"),
        ("a", "vjp", "peak_bytes", 1.02, 0.01, "regressed"),
        ("b", "vjp", "peak_bytes", 1.02, 0.3, "unchanged"),
        ("b", "vjp", "peak_bytes", 1.0, 0.01, "unchanged", 0.0),
        ("a", "vjp", "retained_bytes", 1.5, 0.01, "regressed"),
    )
    found = tally(
        [
            SelfTestGate({}, plain),
            SelfTestGate({("a", "vjp"): Injection(0.05, 0.02), ("b", "vjp"): Injection(0.05, 0.02)}, dosed),
        ]
    )
    told = found.set_index(["quantity", "added"])[["gates", "rows", "found", "inconclusive"]].T.to_dict("list")
    assert told == {
        ("seconds", 0.0): [1, 2, 1, 0],
        ("seconds", 0.05): [1, 2, 1, 1],
        ("peak_bytes", 0.0): [1, 1, 0, 0],
        ("peak_bytes", 0.02): [1, 1, 1, 0],  # of a small row 2 % are fewer bytes than a gate minds, of nothing none
        ("retained_bytes", 0.0): [1, 1, 0, 1],
    }
    assert found["ratio"].tolist() == pytest.approx([1.0155, 1.05, 1.0, 1.02, 1.0])


def test_every_other_gate_is_without_additions_and_the_others_add_each_amount_to_a_third():
    cells = [(f"case {k}", "vjp") for k in range(30)]
    assert [len(injections(cells, number)) for number in range(4)] == [0, 10, 0, 10]
    assert {dose.slower for dose in injections(cells, 1).values()} == set(SLOWER)
    assert {dose.larger for dose in injections(cells, 1).values()} == {LARGER}
    assert {cell for number in (1, 3, 5) for cell in injections(cells, number)} == set(cells)
    assert injections(cells, 1)[cells[0]] != injections(cells, 7)[cells[0]]
    assert {dose.slower for dose in injections(cells, 1, (0.02,)).values()} == {0.02}
