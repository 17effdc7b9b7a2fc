"""What goes out to other tools, to the letter; and what comes in from pytest-benchmark, as it writes it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from jacobench.bench.row.columns import CELL_KEYS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import (
    benchmark_paths,
    read_any,
    read_benchmark_file,
    read_each,
)
from jacobench.reports.data.run_data import Run
from jacobench.reports.history import store
from jacobench.reports.history.exports import FORMATS
from jacobench.reports.history.history_records import from_benchmark_file, from_run
from jacobench.reports.history.series import series

PLAIN = """
import pytest

@pytest.mark.parametrize("n", [10, 1000])
def test_sum(benchmark, n):
    benchmark.pedantic(sum, args=(range(n),), rounds=3)

def test_cell(benchmark):
    benchmark.extra_info.update(case="mlp", strategy="mine", phase="pullback", peak_bytes=4096)
    benchmark.pedantic(sum, args=(range(10),), rounds=3)
"""


@pytest.fixture
def two_runs(history_of, record):
    newer = (
        ("mlp", "vjp", "gradient", "ok", 5, 0.5, 0.5, 0.25, 0.75, 1.0, 20480, 3, None),
        ("mlp", "dense", "gradient", "ok", 1, 2.0, 2.0, None, None, 4.0, None, None, None),
        ("mlp", "sparse", "gradient", "timeout", 0, *[None] * 8),
        ("half", "benchmark", "call", "ok", None, None, 3.0, 2.0, *[None] * 5),
        ("peak", "benchmark", "call", "ok", *[None] * 6, 4096, None, None),
        ("other", "benchmark", "call", "ok", *[None] * 8, 0.5),
    )
    return history_of(record(0), record(1, cells=newer))


def test_github_takes_the_newest_run(two_runs):
    assert json.loads(FORMATS["github"](two_runs)) == [
        {"name": "mlp · vjp · gradient", "unit": "s", "value": 0.5, "range": "0.25 to 0.75"},
        {"name": "mlp · vjp · gradient (memory)", "unit": "B", "value": 20480},
        {"name": "mlp · dense · gradient", "unit": "s", "value": 2},
        {"name": "half", "unit": "s", "value": 3},
        {"name": "peak (memory)", "unit": "B", "value": 4096},
        {"name": "other (value)", "unit": "value", "value": 0.5},
    ]


def test_bencher_takes_the_newest_run_in_nanoseconds(two_runs):
    assert json.loads(FORMATS["bencher"](two_runs)) == {
        "mlp · vjp · gradient": {
            "latency": {"value": 5e8, "lower_value": 2.5e8, "upper_value": 7.5e8},
            "peak-bytes": {"value": 20480},
        },
        "mlp · dense · gradient": {"latency": {"value": 2e9}},
        "half": {"latency": {"value": 3e9, "lower_value": 2e9}},
        "peak": {"peak-bytes": {"value": 4096}},
        "other": {"value": {"value": 0.5}},
    }


def test_json_and_csv_have_every_cell(two_runs):
    lines = json.loads(FORMATS["json"](two_runs))
    assert [(line["run_id"], line["strategy"], line["seconds_median"]) for line in lines] == [
        ("run-0", "vjp", 0.001),
        ("run-1", "vjp", 0.5),
        ("run-1", "dense", 2),
        ("run-1", "sparse", None),
        ("run-1", "benchmark", 3),
        ("run-1", "benchmark", None),
        ("run-1", "benchmark", None),
    ]
    read = list(csv.DictReader(io.StringIO(FORMATS["csv"](two_runs))))
    assert list(read[0]) == list(lines[0])
    assert [line["status"] for line in read] == ["ok", "ok", "ok", "timeout", "ok", "ok", "ok"]
    assert [line["seconds_median"] for line in read[3:]] == ["", "3.0", "", ""]
    assert read[6]["value"] == "0.5"


def test_nothing_to_export(history_of, record):
    history = history_of(record())
    empty = store.History(history.runs, history.cells[:0])
    for name in ("github", "bencher"):
        with pytest.raises(BadInput, match="the history has no cell"):
            FORMATS[name](empty)


@pytest.mark.long
def test_what_pytest_benchmark_saved_is_read(tmp_path):
    (tmp_path / "test_plain.py").write_text(PLAIN)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--benchmark-save=first",
        "test_plain.py",
    ]
    for _ in range(2):
        # Without what says that this very test runs beside others: pytest-benchmark measures nothing then.
        alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    records = [from_benchmark_file(read_benchmark_file(path)) for path in benchmark_paths(tmp_path / ".benchmarks")]
    assert [one.run_id.rpartition("/")[2] for one in records] == ["0001_first", "0002_first"]
    document = json.loads(next((tmp_path / ".benchmarks").rglob("0001*.json")).read_text())
    fastest = {entry["name"]: entry["stats"]["min"] for entry in document["benchmarks"]}
    for one in records:
        assert store.add(tmp_path / "history.sqlite", one)
        assert not store.add(tmp_path / "history.sqlite", one)
    found = {own.name: own for own in series(store.load(tmp_path / "history.sqlite"), "seconds")}
    assert set(found) == {"test_plain.py::test_sum[10]", "test_plain.py::test_sum[1000]", "mlp · mine · pullback"}
    assert found["test_plain.py::test_sum[10]"].measured[0] == fastest["test_sum[10]"]
    compared = read_any(tmp_path / ".benchmarks")
    assert {cell[:3] for one in records for cell in one.cells} == set(
        map(tuple, compared.table[list(CELL_KEYS)].to_numpy())
    )
    assert compared.passes["pass"].nunique() == 2
    assert [own.measured.size for own in found.values()] == [2, 2, 2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "is cut short"),
        ("[]", "expected a JSON file that pytest-benchmark wrote"),
        ("", "is empty"),
        ('{"benchmarks": []}', "expected 'benchmarks' and 'machine_info'"),
        ("{}", "expected 'benchmarks' and 'machine_info'"),
        ('{"benchmarks": [], "machine_info": {"machine": "x"}, "datetime": "2026-01-01"}', "has no benchmarks"),
        ('{"benchmarks": [{"fullname": "a", "stats": {}}], "machine_info": {}}', "KeyError: 'min'"),
        ('{"benchmarks": [{"fullname": "a", "stats": {"min": -1}}]}', r"0001.json.*'a' is -1: expected finite seconds"),
        ('{"benchmarks": [{"fullname": "a", "stats": {"min": NaN}}]}', "'a' is nan"),
        ('{"benchmarks": [{"fullname": "a", "stats": {"min": Infinity}}]}', r"0001.json.*'a' is inf"),
        (f'{{"benchmarks": [{{"fullname": "a", "stats": {{"min": 1{"0" * 400}}}}}]}}', "expected finite seconds"),
        ('{"benchmarks": [], "machine_info": {}, "jacobench": {}}', "history add"),
    ],
)
def test_what_pytest_benchmark_did_not_write(content, expected, tmp_path):
    (tmp_path / "0001.json").write_text(content)
    with pytest.raises(BadInput, match=expected):
        read_benchmark_file(tmp_path / "0001.json")


@pytest.mark.parametrize(
    ("machine_info", "machine"),
    [
        ({"processor": "x86_64", "system": "Linux", "machine": "x86_64"}, "x86_64, ? cores, Linux x86_64"),  # of 2015
        ({"cpu": {"brand": "AMD EPYC", "count": 2}, "system": "Linux"}, "AMD EPYC, 2 cores, Linux"),  # of 2018
        ({"cpu": None, "machine": "x86_64"}, "x86_64, ? cores, x86_64"),
        ({"cpu": {}, "machine": "x86_64"}, "x86_64, ? cores, x86_64"),
        ({"user": "ci", "host": "a"}, "host a, user ci"),  # of a hook
        ("runner", "runner"),
        (None, ""),
    ],
)
def test_every_description_of_a_machine_is_read(machine_info, machine, tmp_path):
    content = plain("a.py::test_x") | {"machine_info": machine_info, "commit_info": None}
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8-sig")
    found = read_benchmark_file(tmp_path / "x.json")
    assert (found.machine, found.commit) == (machine, "")
    assert from_benchmark_file(found).cells[0][:4] == ("a.py::test_x", "benchmark", "call", "ok")


def test_keys_of_the_user_are_not_ours(tmp_path):
    own = {
        "status": "wrong",
        "passes": 7,
        "seconds_median": 9.0,
        "peak_bytes": 3,
        "case": "small",
        "error": float("nan"),
    }
    content = plain("a.py::test_x", "b.py::test_x", "c.py::test_x")
    for entry, more in zip(
        content["benchmarks"],
        ({}, {"strategy": "greedy", "phase": "warm"}, {"strategy": "s", "phase": "gradient"}),
        strict=True,
    ):
        entry["extra_info"] = own | more
    content["benchmarks"].append(content["benchmarks"][2] | {"fullname": "d.py::test_x"})  # the same keys: not a name
    (tmp_path / "x.json").write_text(json.dumps(content))
    cells = from_benchmark_file(read_benchmark_file(tmp_path / "x.json")).cells
    assert [cell[0] for cell in cells] == [f"{letter}.py::test_x" for letter in "abcd"]
    assert {cell[1:] for cell in cells} == {
        ("benchmark", "call", "ok", 1, 1e-3, 1e-3, None, None, None, None, None, None)
    }


def test_a_name_that_occurs_twice_is_named(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(plain("a.py::test_x", "a.py::test_x", "b.py::test_x")))
    found = read_benchmark_file(tmp_path / "x.json")
    assert [one.key[0] for one in found.benchmarks] == ["a.py::test_x", "b.py::test_x"]
    assert found.notes == (f"{str(tmp_path / 'x.json')!r}: 'a.py::test_x' has 2 entries; the fastest counts",)


def test_a_file_that_cannot_be_read_affects_only_itself(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(plain("a.py::test_x")))
    (tmp_path / "2.json").write_text("")
    (tmp_path / "3.json").write_text(json.dumps(plain("a.py::test_x")), encoding="utf-16")
    found, skipped = read_each(benchmark_paths(tmp_path), read_benchmark_file)
    assert [file.name for file in found] == [f"{tmp_path.name}/1"]
    assert [line.partition(".json' ")[2].partition(";")[0] for line in skipped] == ["is empty", "is not UTF-8 text"]
    (tmp_path / "1.json").unlink()
    with pytest.raises(BadInput, match=r"is empty.*1 more cannot be read"):
        read_each(benchmark_paths(tmp_path), read_benchmark_file)


def plain(*full_names):
    entries = [{"name": name.rpartition("::")[2], "fullname": name, "stats": {"min": 1e-3}} for name in full_names]
    return {"benchmarks": entries, "machine_info": {"machine": "x"}, "datetime": "2026-01-01T00:00:00"}


def test_a_history_keyed_by_short_names_is_read_by_full_names(tmp_path, record):
    """Earlier versions wrote the short name without strategy and phase."""
    (tmp_path / "0001.json").write_text(json.dumps(plain("a.py::test_x", "a.py::test_y", "b.py::test_y")))
    file = read_benchmark_file(tmp_path / "0001.json")
    new = from_benchmark_file(file)
    old_cells = tuple((name, "", "", *new.cells[0][3:]) for name in ("test_x", "test_y", "test_gone"))
    old = replace(new, run_id="old", cells=old_cells)
    path = tmp_path / "history.sqlite"
    assert store.add(path, old)
    assert store.add(path, new)
    found = store.load(path).cells
    names = found.groupby("case", observed=True)["run"].nunique().to_dict()
    # test_y may be either of two: it keeps its own series
    assert names == {"a.py::test_x": 2, "a.py::test_y": 1, "b.py::test_y": 1, "test_y": 1, "test_gone": 1}
    assert set(found["strategy"]) == {"benchmark"}
    assert set(found["phase"]) == {"call"}
    assert not store.add(path, replace(new, run_id="old")), "a file that an earlier version imported is not added again"


def test_a_folder_without_a_json(tmp_path):
    with pytest.raises(BadInput, match="no JSON file"):
        benchmark_paths(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        benchmark_paths(tmp_path / "nowhere")


def test_a_run_is_kept(standard):
    facts = {
        "threads": 2,
        "datetime": "2026-11-24T01:00:00+02:00",
        "commit_info": {"time": "2026-11-23T12:00:00+00:00"},
        "calibration_seconds": [3e-5, 1e-5, 2e-5],
    }
    (one,) = from_run(Run(standard, name="a-run", facts=facts))
    assert (one.run_id, one.threads, one.control_seconds) == ("a-run", 2, 2e-5)
    assert (one.measured_at, one.committed_at) == ("2026-11-23T23:00:00+00:00", "2026-11-23T12:00:00+00:00")
    assert len(one.cells) == len(standard)
    assert one.digest == from_run(Run(standard, name="a-run", facts=facts | {"datetime": "2026-12-01"}))[0].digest
    assert one.digest != from_run(Run(standard, name="another", facts=facts))[0].digest


@pytest.mark.parametrize("moment", [None, "yesterday", 7, "0001-01-01T00:00:00+01:00"])
def test_a_run_that_does_not_say_when(moment, standard):
    with pytest.raises(BadInput, match="expected a date and time"):
        from_run(Run(standard, name="a-run", facts={"datetime": moment}))


def test_runs_of_earlier_versions_keep_their_series(tmp_path, record):
    """Earlier versions wrote keys of machines with six digits, and names of cases without parentheses."""
    old, new = "AMD, 2 cores, 24 GiB, Linux x86_64 (1a2b3c)", "AMD, 2 cores, 24 GiB, Linux x86_64 (1a2b3c4d)"
    cell = record(0).cells[0]
    path = tmp_path / "history.sqlite"
    former = ("net.f-b1x2x3", "net.f-width4", "net.f-k1")
    today = ("net.f-b(1x2)x(3)", "net.f-width4", "net.f-k'1'", "net.f-k1")
    for number, (machine, cases) in enumerate([(old, former), (old.replace("1a2b3c", "3c2b1a"), former), (new, today)]):
        store.add(path, record(number, machine=machine, cells=tuple((case, *cell[1:]) for case in cases)))
    found = {(own.key["machine"], own.name): own.measured.size for own in series(store.load(path), "seconds")}
    sizes = {"net.f-b(1x2)x(3)": 3, "net.f-width4": 3, "net.f-k1": 3, "net.f-k'1'": 1}
    assert found == {(new, " · ".join((case, *cell[1:3]))): size for case, size in sizes.items()}


def test_a_file_that_an_earlier_version_imported_is_not_added_again(tmp_path):
    """Earlier versions wrote the architecture instead of the processor for files of 2018."""
    content = plain("a.py::test_x") | {"machine_info": {"cpu": {"brand": "AMD", "count": 2}, "machine": "x86_64"}}
    (tmp_path / "x.json").write_text(json.dumps(content))
    new = from_benchmark_file(read_benchmark_file(tmp_path / "x.json"))
    assert store.add(tmp_path / "h.sqlite", replace(new, machine="x86_64, 2 cores, x86_64"))
    assert not store.add(tmp_path / "h.sqlite", new)
    assert store.add(tmp_path / "h.sqlite", replace(new, machine="AMD, 4 cores, x86_64"))
    assert store.add(tmp_path / "other.sqlite", replace(new, run_id="/x"))  # of a file in the current folder
    assert not store.add(tmp_path / "other.sqlite", new)
