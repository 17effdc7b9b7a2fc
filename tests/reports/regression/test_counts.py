"""Comparison of bytes and counts."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from jacobench.reports.regression.outcome import SAMPLE_COLUMNS
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds, read_thresholds
from jacobench.reports.regression.untimed import count_line, count_lines

MIB = 2**20


@pytest.mark.parametrize(
    ("quantity", "base", "head", "verdict"),
    [
        ("peak_bytes", 100 * MIB, 102 * MIB, "regressed"),
        ("peak_bytes", 100 * MIB, 100.9 * MIB, "unchanged"),
        ("peak_bytes", 1 * MIB, 1.05 * MIB, "unchanged"),  # 5 %, but only 51 KiB
        ("peak_bytes", 1 * MIB, 1.07 * MIB, "regressed"),
        ("retained_bytes", 0, 65536, "unchanged"),
        ("retained_bytes", 0, 65537, "regressed"),
        ("retained_bytes", 100 * MIB, 50 * MIB, "improved"),
        ("n_nonzeros", 1000, 1010, "unchanged"),
        ("n_nonzeros", 1000, 1011, "regressed"),
        ("n_nonzeros", 0, 1, "regressed"),
        ("n_nonzeros", 0, 0, "unchanged"),
        ("predicted_flops", 1000, 980, "improved"),
    ],
)
def test_each_quantity_has_its_threshold(quantity, base, head, verdict):
    assert count_line(quantity, base, head, Thresholds())["verdict"] == verdict


def test_what_was_not_there_before_is_infinitely_more():
    found = count_line("n_nonzeros", 0, 5, Thresholds())
    assert math.isinf(found["ratio"])
    assert found["reason"] == "none in base"


def test_the_detectable_change_of_small_rows_is_that_of_the_bytes():
    assert count_line("peak_bytes", MIB, MIB, Thresholds())["detectable"] == 1 / 16


def samples(**sides):
    lines = [
        {"case": "a", "strategy": "dense", "phase": "gradient", "status": "ok", "side": side, "pair": pair} | said
        for side, numbers in sides.items()
        for pair, said in enumerate(numbers)
    ]
    return pd.DataFrame(lines).reindex(columns=list(SAMPLE_COLUMNS))


def test_peaks_below_the_resolution_have_a_verdict_but_no_ratio():
    measured = {"memory_tool": "memray"}
    for base, head, verdict in (
        ({}, {"peak_bytes": MIB}, "regressed"),
        ({"peak_bytes": MIB}, {}, "improved"),
        ({}, {}, "unchanged"),
    ):
        found = pd.DataFrame(count_lines(samples(base=[measured | base], head=[measured | head]), GateThresholds()))
        (line,) = found[found["quantity"] == "peak_bytes"].to_dict("records")
        assert line["verdict"] == verdict
        assert math.isnan(line["ratio"])


def test_a_side_without_a_measurement_of_memory_has_no_verdict():
    table = samples(base=[{}], head=[{"memory_tool": "memray", "peak_bytes": MIB}])
    assert not list(count_lines(table, GateThresholds()))


def test_numbers_are_taken_from_the_process_that_has_them():
    table = samples(base=[{}, {"peak_bytes": 10 * MIB}], head=[{"peak_bytes": 20 * MIB}, {}])
    (found,) = count_lines(table, GateThresholds())
    assert (found["case"], found["quantity"], found["verdict"]) == ("a", "peak_bytes", "regressed")


def test_what_one_side_lacks_has_no_line():
    assert list(count_lines(samples(base=[{"n_nonzeros": 1}], head=[{}]), GateThresholds())) == []
    assert list(count_lines(samples(base=[{"n_nonzeros": 1}]), GateThresholds())) == []


def test_a_row_may_have_thresholds_of_its_own():
    limits = read_thresholds({"rows": [{"strategy": "dense", "counts": 0.5}]})
    (found,) = count_lines(samples(base=[{"n_nonzeros": 100}], head=[{"n_nonzeros": 140}]), limits)
    assert (found["verdict"], found["threshold"]) == ("unchanged", 0.5)
