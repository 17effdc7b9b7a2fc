"""From measurements to rows."""

import math

import pytest

from jacobench.bench.row.columns import COLUMNS, tidy
from jacobench.bench.row.statistics import interquartile_range, robust_interval
from jacobench.bench.run.row_summary import Header, as_scalars, rows_of
from jacobench.bench.suites.case import Suite, cells_of

HEADER = Header("run-1", "abc", "a machine", "tuned", "mine")
INTERVALS = ("seconds_low", "seconds_high", "ratio_low", "ratio_high", "seconds_iqr")


@pytest.fixture
def rows(make_case):
    """Return a function from measurements to the rows of one case, by (strategy, phase)."""

    def merged(*measurements, strategies=("dense", "vjp")):
        case = make_case(strategies=strategies)
        found = rows_of(HEADER, [case], cells_of(Suite("mine", (case,))), measurements)
        return {(row["strategy"], row["phase"]): row for row in found}

    return merged


def test_every_cell_is_a_row_in_order_with_every_column(make_case):
    cases = make_case("a"), make_case("b")
    cells = cells_of(Suite("mine", cases))
    found = rows_of(HEADER, cases, cells, [])
    assert [(row["case"], row["strategy"], row["phase"]) for row in found] == [
        (cell.case, cell.strategy, cell.phase) for cell in cells
    ]
    assert all(list(row) == list(COLUMNS) for row in found)
    assert {row["status"] for row in found} == {"not_tried"}
    assert all(row["reason"] == "the run ended before it" for row in found)
    assert len(tidy(found)) == len(cells)


def test_header_and_knobs_are_in_every_row(make_case):
    case = make_case(activation="gelu", weight_density=0.5, residual=True, n_seeds=3, loss=None, no_such_column=7)
    for row in rows_of(HEADER, [case], cells_of(Suite("mine", (case,))), []):
        assert (row["run_id"], row["commit"], row["machine"]) == ("run-1", "abc", "a machine")
        assert (row["controls"], row["suite"]) == ("tuned", "mine")
        assert (row["activation"], row["weight_density"], row["residual"], row["n_seeds"]) == ("gelu", 0.5, True, 3)
        assert row["loss"] is None
        assert "no_such_column" not in row


def test_an_empty_commit_is_missing(make_case):
    case = make_case()
    header = Header("run-1", "", "a machine", "tuned", "mine")
    assert rows_of(header, [case], cells_of(Suite("mine", (case,))), [])[0]["commit"] is None


def test_passes_are_merged_from_one_number_each(rows, make_measurement):
    passes = [(3.0, 2.0, 2.5), (4.0, 5.0), (9.0, 3.0)]
    row = rows(*(make_measurement(seconds=s, pass_number=k) for k, s in enumerate(passes)))["dense", "gradient"]
    assert (row["status"], row["passes"], row["rounds"]) == ("ok", 3, 7)
    assert (row["seconds_min"], row["seconds_median"]) == (2.0, 3.0)
    assert row["seconds_iqr"] == interquartile_range([2.0, 4.0, 3.0])
    assert (row["seconds_low"], row["seconds_high"]) == pytest.approx(robust_interval([2.0, 4.0, 3.0]))


def test_one_pass_has_no_interval(rows, make_measurement):
    both = rows(make_measurement("vjp", (1.0,)), make_measurement("dense", (2.0, 3.0)))
    row = both["dense", "gradient"]
    assert (row["seconds_median"], row["ratio_to_vjp"]) == (2.0, 2.0)
    assert all(row[name] is None or math.isnan(row[name]) for name in INTERVALS)
    assert tidy([row])[list(INTERVALS)].isna().all(axis=None)
    assert not set(INTERVALS) & as_scalars(row).keys()


def test_ratios_are_paired_pass_by_pass(rows, make_measurement):
    measurements = []
    for k, (drift, ratio) in enumerate([(1.0, 2.0), (10.0, 2.2), (0.1, 1.8)]):
        measurements.append(make_measurement("vjp", (drift, 2 * drift), pass_number=k))
        measurements.append(make_measurement("dense", (3 * drift * ratio, drift * ratio), pass_number=k))
    row = rows(*measurements)["dense", "gradient"]
    assert row["ratio_to_vjp"] == pytest.approx(2.0)
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx(robust_interval([2.0, 2.2, 1.8]))
    vjp = rows(*measurements)["vjp", "gradient"]
    assert (vjp["ratio_to_vjp"], vjp["ratio_low"], vjp["ratio_high"]) == pytest.approx((1, 1, 1))


def test_a_pair_is_never_made_across_two_processes(rows, make_measurement):
    row = rows(make_measurement("vjp", (1.0,), worker=0), make_measurement("dense", (2.0,), worker=1))[
        "dense", "gradient"
    ]
    assert (row["status"], row["ratio_to_vjp"]) == ("ok", None)
    row = rows(make_measurement("vjp", (1.0,), pass_number=0), make_measurement("dense", (2.0,), pass_number=1))[
        "dense", "gradient"
    ]
    assert row["ratio_to_vjp"] is None


def test_a_replaced_workers_own_partner_is_what_counts(rows, make_measurement):
    found = rows(
        make_measurement("vjp", (1.0,), worker=0),
        make_measurement("vjp", (8.0,), worker=1),
        make_measurement("dense", (16.0,), worker=1),
    )
    assert found["dense", "gradient"]["ratio_to_vjp"] == pytest.approx(2.0)
    vjp = found["vjp", "gradient"]
    assert (vjp["seconds_min"], vjp["passes"], vjp["rounds"]) == (1.0, 1, 1)
    assert vjp["ratio_to_vjp"] == pytest.approx(1.0)


def test_the_forward_pass_has_no_ratio_and_phases_are_not_mixed(rows, make_measurement):
    found = rows(
        make_measurement("forward", (5.0,), phase="forward"),
        make_measurement("vjp", (1.0,)),
        make_measurement("dense", (4.0,), phase="pullback"),
    )
    assert found["forward", "forward"]["seconds_min"] == 5.0
    assert found["forward", "forward"]["ratio_to_vjp"] is None
    assert found["dense", "pullback"]["ratio_to_vjp"] is None


def test_a_failure_in_one_pass_is_the_rows_status(rows, make_measurement):
    row = rows(
        make_measurement("vjp", (1.0,)),
        make_measurement("dense", (1.0,), n_parameters=12),
        make_measurement("dense", (), pass_number=1, status="crashed", reason="ended by SIGKILL"),
    )["dense", "gradient"]
    assert (row["status"], row["reason"], row["passes"]) == ("crashed", "ended by SIGKILL", 0)
    assert row["n_parameters"] == 12
    assert all(row[name] is None for name in (*INTERVALS, "seconds_min", "seconds_median", "ratio_to_vjp"))


def test_a_failed_reference_leaves_no_ratio(rows, make_measurement):
    row = rows(make_measurement("vjp", (), status="timeout"), make_measurement("dense", (1.0,)))["dense", "gradient"]
    assert (row["status"], row["ratio_to_vjp"]) == ("ok", None)


def test_memory_and_predictions_come_from_the_pass_that_has_them(rows, make_measurement):
    row = rows(
        make_measurement(pass_number=0),
        make_measurement(
            pass_number=1, peak_bytes=0, retained_bytes=8, memory_tool="memray", n_nonzeros=0, max_relative_error=0.0
        ),
        make_measurement(pass_number=2, peak_bytes=64, max_relative_error=1.0),
    )["dense", "gradient"]
    assert (row["peak_bytes"], row["retained_bytes"], row["memory_tool"]) == (0, 8, "memray")
    assert (row["n_nonzeros"], row["max_relative_error"]) == (0, 0.0)


def test_a_strategy_from_a_file_appears_under_its_name(rows, make_measurement, plugin_file):
    spec = f"{plugin_file('')}:Right"
    found = rows(make_measurement("right", spec=spec), strategies=(spec, "vjp"))
    assert found["right", "gradient"]["status"] == "ok"
    assert {strategy for strategy, _ in found} == {"forward", "right", "vjp"}


def test_two_strategies_of_one_name_stay_apart(rows, make_measurement, plugin_file):
    """Also where two workers, neither of which knew of the other, gave both the same name."""
    one, other = (f"{plugin_file('', name)}:Right" for name in ("one.py", "other.py"))
    found = rows(
        make_measurement("right", spec=one),
        make_measurement("right", spec=other, worker=1),
        make_measurement("vjp", spec=f"{one}2"),
        strategies=(one, other, "vjp"),
    )
    assert len(found) == 1 + 3 * 4
    assert {strategy for strategy, _ in found} == {"forward", "right", other, "vjp"}


def test_as_scalars_leaves_out_what_is_missing():
    assert as_scalars({"a": None, "b": math.nan, "c": 0, "d": False, "e": "", "f": 1.5}) == {
        "c": 0,
        "d": False,
        "e": "",
        "f": 1.5,
    }
