"""run.json as others read it: pytest-benchmark's own command, and `load`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pytest_benchmark.stats import Stats

from jacobench.bench.row.columns import COLUMNS, tidy
from jacobench.bench.run.row_summary import Header, rows_of
from jacobench.bench.run.run_document import _pass_seconds
from jacobench.bench.run.run_folder import resume
from jacobench.bench.run.runner import carry_on
from jacobench.bench.suites.case import cells_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.reports.data.run_data import from_document, load, load_passes, read


@pytest.fixture(scope="module")
def document(finished):
    return json.loads((finished / "run.json").read_bytes())


@pytest.fixture(scope="module")
def journal(finished):
    folder = resume(finished)
    folder.close()
    return folder.measurements


def test_pytest_benchmarks_own_command_reads_it(finished, tmp_path):
    command = Path(sys.executable).with_name("pytest-benchmark")
    csv = tmp_path / "out.csv"
    done = subprocess.run(
        [command, "compare", finished / "run.json", "--group-by=group", "--sort=name", f"--csv={csv}"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    compared = pd.read_csv(csv)
    assert len(compared) == 18
    assert {name.rpartition("::")[2][:10] for name in compared["name"]} == {"test_cell["}


def test_it_has_what_pytest_benchmark_writes(document):
    assert document.keys() >= {"machine_info", "commit_info", "benchmarks", "datetime", "version"}
    assert {"node", "processor", "python_version", "cpu"} <= document["machine_info"].keys()
    entry = document["benchmarks"][0]
    assert entry.keys() >= {"group", "name", "fullname", "params", "param", "extra_info", "options", "stats"}


def test_statistics_are_pytest_benchmarks_own_of_the_same_samples(document, journal):
    assert len(document["benchmarks"]) == 18
    for entry in document["benchmarks"]:
        cell = tuple(entry["extra_info"][key] for key in ("case", "strategy", "phase"))
        found = [m for m in journal if (m.case, m.strategy, m.phase) == cell]
        assert sorted(m.pass_number for m in found) == [0, 1]
        expected = Stats()
        for seconds in [s for m in found for s in m.seconds]:
            expected.update(seconds)
        stats = dict(entry["stats"])
        assert stats.pop("data") == expected.data
        assert stats.pop("iterations") == found[0].iterations
        assert stats == expected.as_dict()
        assert stats["rounds"] == entry["extra_info"]["rounds"]
        assert stats["min"] == pytest.approx(entry["extra_info"]["seconds_min"])


def test_extra_info_holds_our_columns_as_scalars_and_nothing_missing(document):
    for entry in document["benchmarks"]:
        info = entry["extra_info"]
        assert set(info) <= {*COLUMNS, "position"}
        assert all(isinstance(value, str | int | float | bool) for value in info.values())
        assert info["status"] == "ok"
        assert info["passes"] == 2


def test_what_each_pass_measured_can_be_read_again(finished, journal):
    passes = load_passes(finished)
    found = {(m.case, m.strategy, m.phase, m.pass_number, m.worker): min(m.seconds) for m in journal if m.seconds}
    assert len(passes) == 36
    assert passes.columns.tolist() == ["case", "strategy", "phase", "pass", "worker", "host", "seconds"]
    for *cell, host, seconds in passes.itertuples(index=False, name=None):
        assert found[tuple(cell)] == seconds
        assert host == ""


def test_every_process_of_a_pass_is_recorded(make_measurement):
    """Else the strategies of a replaced worker would have no partner in its process."""
    found = [make_measurement(seconds=(3.0, 2.0), pass_number=k, worker=w) for k, w in ((0, 0), (1, 0), (0, 1))]
    assert _pass_seconds(found) == [[0, 0, 2.0], [0, 1, 2.0], [1, 0, 2.0]]


def test_entries_have_distinct_names(document):
    names = [entry["fullname"] for entry in document["benchmarks"]]
    assert len(set(names)) == len(names)


def test_rows_come_back_as_they_were(finished, journal, tiny):
    table = load(finished)
    suite = load_suite(str(tiny))
    row = table.iloc[0]
    header = Header(row["run_id"], row["commit"], row["machine"], row["controls"], row["suite"])
    rows = tidy(rows_of(header, suite.cases, cells_of(suite), journal))  # without the predictions of a machine profile
    pd.testing.assert_frame_equal(*(each.drop(columns="predicted_seconds") for each in (table, rows)))
    pd.testing.assert_frame_equal(table, load(finished / "run.json"))


def test_every_measurement_is_paired_with_the_reference_of_its_pass(finished):
    table = load(finished)
    timed = table[table["strategy"] != "forward"]
    assert timed[["ratio_to_vjp", "ratio_low", "ratio_high"]].notna().all(axis=None)
    assert (timed[timed["strategy"] == "vjp"]["ratio_to_vjp"] == 1).all()
    assert (timed["ratio_low"] <= timed["ratio_to_vjp"]).all()
    assert (timed["ratio_to_vjp"] <= timed["ratio_high"]).all()


def test_the_order_is_reversed_in_the_second_pass(journal):
    orders = [[m.strategy for m in journal if m.pass_number == k and m.phase == "gradient"] for k in (0, 1)]
    assert orders == [["vjp", "dense"] * 2, ["dense", "vjp"] * 2]
    assert {m.worker for m in journal} == {0}
    assert {m.peak_bytes is None for m in journal if m.pass_number == 1} == {True}


def test_the_run_in_memory_is_the_one_on_disk(finished):
    folder = resume(finished)
    before = (finished / "run.json").read_bytes()
    document, written = carry_on(folder, lambda _progress: None)
    folder.close()
    assert not written
    assert (finished / "run.json").read_bytes() == before
    here, there = from_document(document, finished / "run.json"), read(finished)
    # The machine profile may have been measured meanwhile.
    pd.testing.assert_frame_equal(*(run.table.drop(columns="predicted_seconds") for run in (here, there)))
    for name in ("passes", "samples"):
        pd.testing.assert_frame_equal(getattr(here, name), getattr(there, name))
    assert here.name == there.name
    of_this_call = {"datetime", "wall_seconds", "measured_seconds", "load_after"}
    assert {key: value for key, value in here.facts.items() if key not in of_this_call} == {
        key: value for key, value in there.facts.items() if key not in of_this_call
    }
