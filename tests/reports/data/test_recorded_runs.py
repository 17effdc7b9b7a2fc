"""Runs recorded with schema 1 stay readable, under the names of today."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES
from jacobench.bench.row.columns import COLUMNS, HEAP
from jacobench.bench.run import run_document
from jacobench.reports.data import run_json
from jacobench.reports.data.run_data import load, load_passes, read

RECORDED = Path(__file__).parents[4] / "shared" / "cases" / "run" / "data"

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"needs the recorded runs in {RECORDED}")

N_CELLS, N_PASSES = {"plain": 13, "rs": 104}, {"plain": 4, "rs": 3}


@pytest.mark.parametrize("name", N_CELLS)
def test_every_number_of_a_recorded_run_is_read(name):
    content = json.loads((RECORDED / name / "run.json").read_bytes())
    assert content["jacobench"]["schema"] == 1
    run = read(RECORDED / name)
    assert list(run.table.columns) == list(COLUMNS)
    assert len(run.table) == N_CELLS[name]
    assert len(run.passes) == N_PASSES[name] * (run.table["status"] == "ok").sum()
    rows = {(row["case"], row["strategy"], row["phase"]): row for row in run.table.to_dict("records")}
    for entry in content["benchmarks"]:
        written = entry["extra_info"]
        row = rows[written["case"], written["strategy"], written["phase"]]
        columns = {run_json.RENAMED.get(key, key): value for key, value in written.items() if key != "position"}
        for heap in HEAP:
            if columns[heap] is not None and columns[heap] < RESOLUTION_BYTES:
                assert math.isnan(row[heap])
                del columns[heap]
        assert columns.items() <= row.items()
    n_rounds = sum(len(entry["stats"]["data"]) for entry in content["benchmarks"])
    assert len(run.samples) == n_rounds
    assert len(load(RECORDED / name)) == len(run.table)
    assert len(load_passes(RECORDED / name / "run.json")) == len(run.passes)


@pytest.mark.parametrize("name", N_CELLS)
def test_the_facts_of_a_recorded_run_have_the_names_of_today(name):
    written = json.loads((RECORDED / name / "run.json").read_bytes())["jacobench"]
    facts = read(RECORDED / name).facts
    assert facts["calibration_seconds"] == written["control_seconds"]
    assert "control_seconds" not in facts
    kept = {"threads", "wall_seconds", "measured_seconds", "machine", "load_after", "command"}
    assert {key: facts[key] for key in kept} == {key: written[key] for key in kept}


def test_runs_are_written_with_the_newest_schema_that_is_read():
    assert run_json.SCHEMAS[-1] == run_document.SCHEMA
