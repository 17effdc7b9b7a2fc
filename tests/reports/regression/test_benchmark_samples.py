"""Gates of pytest suites on synthetic processes: samples, verdicts of rows and of the whole."""

from __future__ import annotations

import json
import math

import pytest

from jacobench.bench.gate.gate_client import CellStatus
from jacobench.bench.gate.suite.benchmark_runner import BenchmarkProcess
from jacobench.reports.data.pytest_benchmark_json import read_minima
from jacobench.reports.regression.benchmark_samples import benchmark_samples
from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.thresholds import GateThresholds

OTHER_TIMER = CellStatus("changed", "--timer differs")
OK, CHANGED, FAILS = CellStatus("ok"), CellStatus("changed"), CellStatus("error", "why")


def process(pair, side, statuses, files=(), timed=(), calibration=1e-4):
    position = (side == "head") ^ (pair % 2)
    return BenchmarkProcess(1, pair, side, position, tuple(files), frozenset(timed), statuses, calibration)


@pytest.fixture
def written(tmp_path):
    """Return a function from minima by full name to a file of pytest-benchmark that has them."""

    def write(**minima):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        entries = [{"fullname": name, "stats": {"min": seconds}} for name, seconds in minima.items()]
        path.write_text(json.dumps({"benchmarks": entries}))
        return path

    return write


def test_a_benchmark_without_a_time_failed_and_a_time_of_zero_is_missing(written, tmp_path):
    files = [written(a=2.0, b=0.0, d=-1.0), tmp_path / "missing.json", written(other=1.0)]
    statuses = {"a": OK, "b": OK, "c": OK, "d": OK, "old": OK, "fails": FAILS}
    found = benchmark_samples([process(0, "base", statuses, files, timed="abcd")])
    rows = {row["case"]: (row["status"], row["seconds"]) for row in found.to_dict("records")}
    assert {name: status for name, (status, _) in rows.items()} == {
        "control": "ok", "a": "ok", "b": "ok", "c": "error", "d": "error", "old": "ok", "fails": "error",
    }  # fmt: skip
    assert {name: seconds for name, (_, seconds) in rows.items() if not math.isnan(seconds)} == {
        "a": 2.0,
        "control": 1e-4,
    }
    assert set(found[found["case"] == "c"]["reason"]) == {"pytest-benchmark wrote no time"}


def test_the_fastest_entry_of_a_name_counts_and_an_invalid_file_has_none(written, tmp_path):
    path = written(a=2.0)
    content = json.loads(path.read_text())
    content["benchmarks"] += [{"fullname": "a", "stats": {"min": 1.5}}, {"fullname": "b"}, 3]
    path.write_text(json.dumps(content))
    assert read_minima(path) == {"a": 1.5}
    path.write_text("{")
    assert read_minima(path) == {}


VERDICTS = {
    "clear": ([({"a": OK}, {"a": OK})], ["unchanged"], ""),
    "only new and gone": ([({"a": OK}, {"b": OK})], ["gone", "new"], "1 row is gone: "),
    "changed does not count": ([({"a": CHANGED}, {"a": CHANGED, "b": OK})], ["changed", "new"], "1 row changed: "),
    "changed by an option": (
        [({"a": OTHER_TIMER}, {"a": OTHER_TIMER})],
        ["changed"],
        "1 row changed: --timer differs, so",
    ),
    "all changed": ([({"a": CHANGED}, {"a": CHANGED})], ["changed"], "so there is no verdict"),
    "all fail": (
        [({"a": FAILS, "b": FAILS}, {"a": FAILS, "b": FAILS})],
        ["not measured"] * 2,
        "2 rows not measured: error (why)",
    ),
    "broken": ([({"a": CHANGED, "b": OK}, {"a": FAILS, "b": OK})], ["broken", "unchanged"], ""),
    "all of base fail": (
        [({"a": FAILS, "b": FAILS}, {"a": OK, "b": OK})],
        ["improved"] * 2,
        "so there is no verdict. 2 rows improved: ok in head, error (why) in base.",
    ),
    "all of base fail, and one is new": (
        [({"a": FAILS}, {"a": OK, "b": OK})],
        ["improved", "new"],
        "1 row improved: ok in head, error (why) in base.",
    ),
    "one of base fails": ([({"a": FAILS, "b": OK}, {"a": OK, "b": OK})], ["improved", "unchanged"], ""),
}
STATES = {
    **dict.fromkeys(("clear", "only new and gone", "changed does not count", "one of base fails"), 0),
    **dict.fromkeys(
        ("changed by an option", "all changed", "all fail", "all of base fail", "all of base fail, and one is new"), 4
    ),
    "broken": 1,
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_state_of_a_suite(name, written):
    (((base, head),), verdicts, note) = VERDICTS[name]
    both = [each for each in base if base[each] == head.get(each) == OK]

    def measure(_cells, pairs, _stage):
        sides = [("base", base), ("head", head)]
        file = written(**dict.fromkeys(both, 1e-3))
        return benchmark_samples([process(pair, *side, [file], both) for pair in pairs for side in sides])

    outcome = run_gate(measure, GateThresholds(), max_seconds=60, clock=lambda: 0.0)
    assert outcome.exit_code == STATES[name], outcome
    assert outcome.verdicts["verdict"].tolist() == verdicts
    assert note in " ".join(outcome.notes)
    assert " ".join(outcome.notes).count(note) == 1 or not note
    assert "Strategy" not in " ".join(outcome.notes)
