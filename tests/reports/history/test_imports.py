"""Results of other tools: what is read, in which unit, and what is left out with its reason."""

from __future__ import annotations

import json
import math
import re

import pytest

from jacobench.bench.row.columns import STATUSES
from jacobench.graphs.errors import BadInput
from jacobench.reports.history import store
from jacobench.reports.history.exports import FORMATS as EXPORTS
from jacobench.reports.history.history_records import NUMBERS
from jacobench.reports.history.imports.import_formats import read_file, read_source
from jacobench.reports.history.imports.value_units import interval, unit_of
from jacobench.reports.history.renames import new_names
from jacobench.reports.history.series import series

HASH = "0123456789abcdef0123456789abcdef01234567"


def bench(name="a", value=2.0, unit="ns/iter", **more):
    return {"name": name, "value": value, "unit": unit, **more}


def entry(*benches, tool="cargo", commit=HASH, date=1_600_000_000_000):
    return {
        "commit": {"id": commit, "timestamp": "2020-09-13T14:26:40+02:00", "message": "m"},
        "date": date,
        "tool": tool,
        "benches": list(benches),
    }


def data(*entries, suite="Rust"):
    return {"lastUpdate": 1, "repoUrl": "https://example.org", "entries": {suite: list(entries)}}


def cells_of(record):
    """Return name → fields that are stored, status first."""
    numbers = {cell[0]: dict(zip(("status", *NUMBERS), cell[3:], strict=True)) for cell in record.cells}
    return {name: {key: value for key, value in own.items() if value is not None} for name, own in numbers.items()}


def written(path, content, prefix=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(prefix + json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("unit", "larger", "value", "column", "expected"),
    [
        ("ns/iter", None, 68228.0, "seconds_median", 6.8228e-5),
        ("us/op", None, 3.0, "seconds_median", 3e-6),
        ("µs", None, 3.0, "seconds_median", 3e-6),
        ("Milliseconds", False, 5.0, "seconds_median", 5e-3),
        ("iter/sec", None, 4.0, "seconds_median", 0.25),
        ("ops/sec", None, 1000.0, "seconds_median", 1e-3),
        ("ops/ms", None, 2.0, "seconds_median", 5e-4),
        ("MB/s", None, 50.0, "seconds_median", 0.02),
        ("MB/s", True, 50.0, "seconds_median", 0.02),
        ("B/op", None, 128.0, "peak_bytes", 128.0),
        ("MiB", False, 1.5, "peak_bytes", 1.5 * 2**20),
        ("kB", False, 2.0, "peak_bytes", 2000.0),
        ("allocs/op", None, 7.0, "value", 7.0),
        ("errors/s", False, 7.0, "value", 7.0),  # of which less is better: no time
        ("%", False, 7.0, "value", 7.0),
    ],
)
def test_each_unit_becomes_seconds_bytes_or_a_value(unit, larger, value, column, expected):
    found = unit_of(unit, larger)
    assert found.column == column
    assert found.convert(value) == pytest.approx(expected)


@pytest.mark.parametrize("unit", ["points", "ms", "B"])
def test_a_value_of_which_more_is_better_has_no_place(unit):
    assert unit_of(unit, larger_is_better=True) is None


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("± 12.5", "ns/iter", (87.5e-9, 112.5e-9)),
        ("+/- 1,000", "ns/iter", (0.0, 1.1e-6)),
        ("±0.5%", "ops/sec", (1 / 100.5, 1 / 99.5)),
        ("stddev: 0.001", "iter/sec", (0.009, 0.011)),
        ("80 to 125", "ms", (0.08, 0.125)),
        ("25", "s", (75.0, 125.0)),
        ("± 200", "ops/sec", None),  # no largest time
        ("wide", "s", None),
        ("None", "s", None),
    ],
)
def test_each_form_of_a_range_becomes_an_interval(text, unit, expected):
    found = interval(100.0, text, unit_of(unit, None))
    assert found == (pytest.approx(expected) if expected else None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.js", "window.BENCHMARK_DATA = {}"),
        ("small.js", "window.BENCHMARK_DATA={};\n"),
        ("cached.json", "{}"),
        ("x", "\ufeff{}\n"),
    ],
)
def test_github_action_benchmark(name, text, tmp_path):
    fast, other = bench(value=100.0, range="± 5"), bench("rate", 4.0, "iter/sec", range="stddev: 0.05")
    content = data(entry(fast), entry(bench(value=90.0), other, bench("m", 3, "KiB"), tool="pytest", commit="f" * 40))
    (tmp_path / name).write_text(text.replace("{}", json.dumps(content)), "utf-8")
    found = read_file(tmp_path / name)
    first, second = found.records
    assert (first.commit, first.run_id, first.suite, first.machine) == (HASH, f"Rust/{HASH[:12]}", "Rust", "")
    assert (first.measured_at, first.committed_at) == ("2020-09-13T12:26:40+00:00", "2020-09-13T12:26:40+00:00")
    approx = pytest.approx
    assert cells_of(first) == {
        "a": {
            "status": "ok",
            "seconds_median": approx(1e-7),
            "seconds_low": approx(9.5e-8),
            "seconds_high": approx(1.05e-7),
        }
    }
    assert cells_of(second) == {
        "a": {"status": "ok", "seconds_median": approx(9e-8)},
        "rate": {"status": "ok", "seconds_median": 0.25, "seconds_low": approx(0.2), "seconds_high": approx(0.3)},
        "m": {"status": "ok", "peak_bytes": 3072},
    }
    assert first.cells[0][:3] == ("a", "benchmark", "call"), "the key that pytest-benchmark's own files have"


def test_what_github_action_benchmark_cannot_state_is_left_out_with_its_reason(tmp_path):
    bad = [
        bench(value="fast"),
        "no object",
        bench(None),
        bench(value=10**400),
        bench("zero", 0, "ops/s"),
        bench("nan", math.nan),
        bench("ok"),
    ]
    broken = [{"date": 1}, entry(bench(), commit=None), entry(bench(), date="yesterday"), entry(), entry(*bad), 7]
    points = entry(bench("score", 3, "points"), bench("good", 2, "req/s"), tool="customBiggerIsBetter")
    path = written(tmp_path / "data.js", data(*broken, points))
    records, problems = read_source(path)
    assert [list(cells_of(one)) for one in records] == [["ok"], ["good"]]
    assert [problem.removeprefix(f"{path}: ") for problem in problems] == [
        "3 results left out: an entry without a commit",
        "1 result left out: an entry without a date",
        "1 result left out: an entry without a benchmark",
        "4 results left out: a benchmark without a name or a number",
        "2 results left out: no positive, finite number",
        "1 result left out: larger is better, and 'points' is no rate",
    ]


def test_of_a_name_twice_in_one_run_the_smallest_value_counts(tmp_path):
    content = data(entry(bench(value=3.0), bench(value=2.0), bench(value=4.0, unit="B")))
    found = read_file(written(tmp_path / "data.js", content))
    assert found.left_out == ("another one of the same run has this name; the smallest counts",)
    (record,) = found.records
    assert cells_of(record) == {"a": {"status": "ok", "seconds_median": pytest.approx(2e-9), "peak_bytes": 4}}


PARAMS = {"machine": "box", "cpu": "Intel i5", "os": "Linux", "ram": 8, "python": "3.11", "numpy": "1.8"}
SETTING = "box, Intel i5, Linux, Python 3.11, numpy 1.8"
VERSION_1 = {
    "commit_hash": HASH,
    "date": 1_600_000_000_000,
    "params": PARAMS,
    "python": "3.11",
    "requirements": {"numpy": "1.8", "Cython": None},
    "results": {
        "suite.Sum.time_sum": 0.25,
        "suite.time_failed": None,
        "suite.time_sizes": {
            "params": [["10", "1000"], ["'a'", "'b'"]],
            "result": [1.0, math.nan, None, 4.0],
            "stats": [{"ci_99": [0.9, 1.2]}, None, None, {"ci_99": [3.0, 5.0]}],
        },
        "suite.peakmem_sum": 4096,
        "suite.track_error": 1e-3,
    },
    "benchmark_version": {"suite.Sum.time_sum": "v1"},
    "started_at": {"suite.Sum.time_sum": 1_700_000_000_000},
    "version": 1,
}
COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "samples"]
VERSION_2 = {
    "commit_hash": HASH,
    "date": 1_600_000_000_000,
    "params": PARAMS,
    "requirements": {"numpy": "1.8"},
    "result_columns": COLUMNS,
    "results": {
        "suite.Sum.time_sum": [[0.25], [], "v1", 1_700_000_000_000],
        "suite.time_failed": [None, [], "v1"],
        "suite.time_sizes": [
            [1.0, math.nan, None, 4.0], [["10", "1000"], ["'a'", "'b'"]], "v1", 1_700_000_000_500, 0.3,
            [0.9, None, None, 3.0], [1.2, None, None, 5.0],
        ],
        "suite.peakmem_sum": [[4096], []],
        "suite.track_error": [[1e-3], []],
    },
    "version": 2,
}  # fmt: skip


@pytest.mark.parametrize("content", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_asv(content, tmp_path):
    folder = tmp_path / "results"
    written(folder / "box" / "0123456-py3.11.json", content)
    written(folder / "box" / "machine.json", {"machine": "box", "version": 1})
    written(folder / "benchmarks.json", {"suite.time_sum": {"name": "suite.time_sum", "type": "time"}, "version": 2})
    for source in (folder, folder / "box"):
        (record,), problems = read_source(source)
        assert problems == []
        assert (record.run_id, record.commit, record.machine) == ("box/0123456-py3.11", HASH, SETTING)
        assert (record.measured_at, record.committed_at) == ("2023-11-14T22:13:20+00:00", "2020-09-13T12:26:40+00:00")
        assert cells_of(record) == {
            "suite.Sum.time_sum": {"status": "ok", "seconds_median": 0.25},
            "suite.time_failed": {"status": "error"},
            "suite.time_sizes(10, 'a')": {
                "status": "ok",
                "seconds_median": 1.0,
                "seconds_low": 0.9,
                "seconds_high": 1.2,
            },
            "suite.time_sizes(1000, 'a')": {"status": "error"},
            "suite.time_sizes(1000, 'b')": {
                "status": "ok",
                "seconds_median": 4.0,
                "seconds_low": 3.0,
                "seconds_high": 5.0,
            },
            "suite.peakmem_sum": {"status": "ok", "peak_bytes": 4096},
            "suite.track_error": {"status": "ok", "value": 1e-3},
        }


@pytest.mark.parametrize("content", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_results_of_an_earlier_version_of_an_asv_benchmark_are_another_benchmark(content, tmp_path):
    described = {"name": "suite.Sum.time_sum", "type": "time", "version": "v2", "unit": "seconds"}
    tracked = {"name": "suite.track_error", "type": "track", "unit": "ms"}
    written(tmp_path / "benchmarks.json", {one["name"]: one for one in (described, tracked)})
    written(tmp_path / "box" / "x.json", content)
    (record,), problems = read_source(tmp_path)
    assert problems == [
        f"{tmp_path}: 1 result left out: an earlier version of the benchmark than that of benchmarks.json"
    ]
    assert "suite.Sum.time_sum" not in cells_of(record)
    assert cells_of(record)["suite.track_error"] == {"status": "ok", "seconds_median": 1e-6}


PYTEST_BENCHMARK = {
    "benchmarks": [
        {"fullname": "a.py::test_x", "stats": {"min": 1e-3}},
        {
            "fullname": "b.py::test_x",
            "stats": {"min": 1e-3},
            "extra_info": {"case": "mlp", "strategy": "vjp", "phase": "gradient", "status": "ok", "peak_bytes": 4096},
        },
    ],
    "machine_info": {"cpu": {"brand_raw": "AMD", "count": 2}, "system": "Linux", "python_version": "3.11.2"},
    "commit_info": {"id": HASH, "time": "2026-01-01T00:00:00+01:00", "dirty": False, "branch": "main"},
    "datetime": "2026-01-01T00:00:00",
}
EXPORT = {
    "run_id": "r", "machine": "m", "controls": "", "suite": "", "commit": "c", "threads": 1,
    "measured_at": "2026-01-01T00:00:00+00:00", "committed_at": "2026-01-01T00:00:00+00:00", "control_seconds": 1e-5,
    "branch": "", "case": "a", "strategy": "s", "phase": "p", "status": "ok", "passes": 1, "seconds_median": 1.0,
}  # fmt: skip


@pytest.fixture
def varied(record):
    """Return runs that differ in everything that an export contains."""
    cells = (
        ("mlp, 'wide'", "vjp", "gradient", "ok", 3, 1.0, 1.1e-7, 1.0, 1.2, 1.0, 20480, 12, None),
        ('größe[a,\n"b"]', "benchmark", "call", "timeout", 0, *[None] * 8),
        ("count", "benchmark", "call", "ok", None, *[None] * 7, 0.1 + 0.2),
    )  # fmt: skip
    plain = {"threads": 0, "control_seconds": None, "committed_at": "", "commit": "", "machine": "", "suite": ""}
    return [record(0, cells=cells, branch="main"), record(1, **plain), record(1, seconds=2e-3, **plain, branch="a/b")]


@pytest.mark.parametrize("name", ["csv", "json"])
def test_an_export_is_imported_as_it_was(name, varied, tmp_path):
    for one in varied:
        assert store.add(tmp_path / "first.sqlite", one)
    exported = EXPORTS[name](store.load(tmp_path / "first.sqlite"))
    (tmp_path / "an-export").write_text(exported, "utf-8", newline="")
    records, problems = read_source(tmp_path / "an-export")
    assert problems == []
    assert [one.digest for one in records] == [one.digest for one in varied]
    assert store.add_all(tmp_path / "second.sqlite", records)["added"] == 3
    assert EXPORTS[name](store.load(tmp_path / "second.sqlite")) == exported
    assert store.add_all(tmp_path / "first.sqlite", records) == {"known": 3}


def test_exports_of_earlier_versions_have_fewer_columns(tmp_path, record):
    store.add(tmp_path / "h.sqlite", record())
    lines = json.loads(EXPORTS["json"](store.load(tmp_path / "h.sqlite")))
    written(tmp_path / "x", [{key: line[key] for key in line if key not in {"branch", "value"}} for line in lines])
    assert read_file(tmp_path / "x").records == (record(),)


def test_a_file_twice_is_imported_once(tmp_path):
    written(tmp_path / "data.js", data(entry(bench()), entry(bench(), commit="f" * 40)), "window.BENCHMARK_DATA = ")
    written(tmp_path / "box" / "0.json", VERSION_2)
    records, _ = read_source(tmp_path)
    assert store.add_all(tmp_path / "h.sqlite", records)["added"] == 3
    assert store.add_all(tmp_path / "h.sqlite", records) == {"known": 3}


def times_of(path):
    """Return case → times, in the order of the runs."""
    return {own.key["case"]: own.measured.tolist() for own in series(store.load(path), "seconds")}


def asv_file(folder, **results):
    """Return the runs of an asv file with results in seconds, whose benchmarks were measured one after the other."""
    rows = {
        f"time_{name}": [[seconds], [], "v", 1_700_000_000_000 + n] for n, (name, seconds) in enumerate(results.items())
    }
    written(folder / "box" / "0.json", VERSION_2 | {"results": rows})
    return read_source(folder)[0]


def test_an_asv_file_that_grew_adds_what_is_new_to_its_run(tmp_path):
    path = tmp_path / "h.sqlite"
    small, large = asv_file(tmp_path / "a", x=1.0), asv_file(tmp_path / "a", z=3.0, x=1.0, y=2.0)
    assert store.add_all(path, small) == {"added": 1}
    assert store.add_all(path, large) == {"extended": 1}
    assert store.add_all(path, [*large, *small]) == {"known": 2}
    assert times_of(path) == {"time_x": [1.0], "time_y": [2.0], "time_z": [3.0]}
    assert store.add_all(path, asv_file(tmp_path / "a", x=1.5, y=2.0)) == {"extended": 1}
    assert times_of(path) == {"time_x": [1.5], "time_y": [2.0], "time_z": [3.0]}
    assert len(store.load(path).runs) == 1


def test_a_merge_of_a_grown_asv_file_adds_what_is_new(tmp_path):
    first, second = tmp_path / "first.sqlite", tmp_path / "second.sqlite"
    small, large = asv_file(tmp_path / "a", x=1.0), asv_file(tmp_path / "a", x=1.0, y=2.0)
    for path, records in ((first, small), (second, large)):
        store.add_all(path, records)
    assert store.add_all(first, store.records(second)) == {"extended": 1}
    assert store.add_all(second, store.records(first)) == {"known": 1}
    assert times_of(first) == times_of(second) == {"time_x": [1.0], "time_y": [2.0]}


def test_an_exported_asv_file_grows(tmp_path):
    first, second = tmp_path / "first.sqlite", tmp_path / "second.sqlite"
    store.add_all(first, asv_file(tmp_path / "a", x=1.0))
    (tmp_path / "x.csv").write_text(EXPORTS["csv"](store.load(first)))
    store.add_all(second, read_file(tmp_path / "x.csv").records)
    assert store.add_all(second, asv_file(tmp_path / "a", x=1.0, y=2.0)) == {"extended": 1}
    assert store.add_all(second, read_file(tmp_path / "x.csv").records) == {"known": 1}
    assert times_of(second) == {"time_x": [1.0], "time_y": [2.0]}


def test_a_renamed_benchmark_of_a_grown_asv_file_keeps_its_name(tmp_path):
    path = tmp_path / "h.sqlite"
    store.add_all(path, asv_file(tmp_path / "a", x=1.0))
    store.rename(path, lambda known: new_names("time_*", "slow_*", known))
    assert store.add_all(path, asv_file(tmp_path / "a", x=1.0)) == {"known": 1}
    assert store.add_all(path, asv_file(tmp_path / "a", x=1.0, y=1.0)) == {"extended": 1}
    assert times_of(path) == {"slow_x": [1.0], "time_y": [1.0]}


def test_a_part_of_an_export_is_known(varied, tmp_path):
    path = tmp_path / "h.sqlite"
    store.add_all(path, varied)
    lines = json.loads(EXPORTS["json"](store.load(path)))
    for part in (lines[:1], [line for line in lines if line["case"] == "count"]):
        changed = [part[0] | {"value": 7.0, "seconds_median": None}]
        for content, expected in ((part, "known"), (changed, "added"), (changed, "known")):
            records = read_file(written(tmp_path / "part.json", content)).records
            assert store.add_all(path, records) == {expected: 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty; expected a file of pytest-benchmark or github-action-benchmark or asv or"),
        ("window.BENCHMARK_DATA = {", "is cut short"),
        ("window.BENCHMARK_DATA = (() => 1)()", "is not JSON"),
        ("[]", "none of the known formats"),
        ("{}", "none of the known formats"),
        ("3", "none of the known formats"),
        ('{"commit_hash": "a", "results": []}', "none of the known formats"),
        ('{"commit_hash": "a", "results": {}}', "has no result of a current benchmark"),
        ('{"commit_hash": "a", "results": {"time_a": 1.0}}', "has no date"),
        ('{"repoUrl": "", "entries": {"a": [], "b": 3}}', "has no results"),
        (json.dumps([bench()]), "has the results of one run without its commit and date"),
        ('{"a": {"latency": {"value": 3}}}', "has the results of one run without its commit and date"),
        ("run_id,measured_at,status,case,strategy,phase\na,2026-01-01,ok,c,s,p,7\n", None),
        ("run_id,measured_at,status,case,strategy,phase\na,then,ok,c,s,p\n", "line 1 is not of a history's export"),
        ("run_id,measured_at,status,case,strategy,phase,value\na,2026-01-01,ok,c,s,p,x\n", "line 1 is not"),
        (
            "run_id,measured_at,status,case,strategy,phase\na,2026-01-01,,c,s,p\n",
            "line 1 is not of a history's export: its status is '': expected one of ok, wrong,",
        ),
        (
            "run_id,measured_at,status,case,strategy,phase\na,2026-01-01,ok,c\n",
            "is cut short in line 1: expected 6 columns",
        ),
        (
            json.dumps([EXPORT, EXPORT | {"case": None}]),
            "line 2 is not of a history's export: its case is None: expected a text",
        ),
        (json.dumps([EXPORT | {"status": None}]), "line 1 is not of a history's export: its status is None"),
        (json.dumps([EXPORT | {"run_id": ["r"]}]), "line 1 is not of a history's export: its run_id is ['r']"),
        (json.dumps(VERSION_2 | {"commit_hash": None}), "has no commit: expected a file of asv with at least one"),
        ("run_id,measured_at,status,case,strategy\n", "none of the known formats"),
        ("SQLite format 3\0", "is a database; to add another history: jacobench history merge"),
    ],
)
def test_a_file_without_results_is_one_line(text, expected, tmp_path):
    (tmp_path / "x").write_text(text)
    if expected is None:
        assert len(read_file(tmp_path / "x").records) == 1
        return
    with pytest.raises(BadInput, match=re.escape(expected)) as raised:
        read_file(tmp_path / "x")
    assert str(tmp_path / "x") in str(raised.value)
    assert "\n" not in str(raised.value)


VALID = {
    "pytest-benchmark": PYTEST_BENCHMARK,
    "github-action-benchmark": data(entry(bench(range="± 1"), bench("b", unit="B"))),
    "asv 1": VERSION_1,
    "asv 2": VERSION_2,
    "export": [EXPORT],
}
DAMAGED = (None, "x", "nan", "0001-01-01T00:00:00+01:00", [], [1, 2, 3], {}, {"a": None}, -1, 10**400, "\ud800")


def places(value, place=()):
    """Yield the keys and numbers that lead to each value within a JSON value."""
    yield place
    if isinstance(value, dict | list):
        for key, own in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(own, (*place, key))


def with_value(content, place, value):
    """Return a JSON value with another value at a place."""
    if not place:
        return value
    copy = content.copy()
    copy[place[0]] = with_value(content[place[0]], place[1:], value)
    return copy


def read_or_refused(path):
    """Return the runs of a file, and the error."""
    try:
        return read_file(path).records, ""
    except BadInput as error:
        return (), str(error)


def can_be_stored(record):
    texts = (record.run_id, record.machine, record.commit, record.measured_at, record.committed_at, record.branch)
    keys = [cell[:4] for cell in record.cells]
    numbers = [number for cell in record.cells for number in (*cell[4:], record.threads) if number is not None]
    "".join((*texts, *(part for key in keys for part in key))).encode()
    assert record.cells
    assert len({key[:3] for key in keys}) == len(keys)
    assert all(case not in {"", "None"} and status in STATUSES for case, _, _, status in keys)
    assert record.measured_at.endswith("+00:00")
    return all(type(number) in {int, float} and 0 <= number < 2**63 for number in numbers)


@pytest.mark.parametrize("name", VALID)
def test_a_file_with_any_damaged_value_is_skipped_or_valid(name, tmp_path):
    path = tmp_path / "x.json"
    assert all(map(can_be_stored, read_file(written(path, VALID[name])).records))
    commits = {"", "c", HASH[:12], *(value[:12] for value in DAMAGED if isinstance(value, str))}
    n_refused = 0
    for place in places(VALID[name]):
        for value in DAMAGED:
            records, error = read_or_refused(written(path, with_value(VALID[name], place, value)))
            n_refused += bool(error)
            assert "\n" not in error
            assert all(map(can_be_stored, records)), (place, value)
            assert {record.commit[:12] for record in records} <= commits, (place, value)
    assert n_refused > 10


@pytest.mark.parametrize(
    "text",
    [
        "run_id,measured_at,status,case,strategy,phase\n" + "a" * 200_000 + ",2026-01-01,ok,c,s,p\n",
        json.dumps(VERSION_2 | {"result_columns": [["result"], "params"]}),
    ],
)
def test_a_damaged_file_is_named(text, tmp_path):
    (tmp_path / "x").write_text(text)
    with pytest.raises(BadInput, match=r"x' is damaged: \w*Error: .*; expected a file of pytest-benchmark or"):
        read_file(tmp_path / "x")


def test_an_export_that_was_not_written_fully_is_not_imported(varied, tmp_path):
    for one in varied:
        store.add(tmp_path / "h.sqlite", one)
    text = EXPORTS["csv"](store.load(tmp_path / "h.sqlite"))
    whole = {cell for record in varied for cell in record.cells}
    for end in range(0, len(text), 3):
        (tmp_path / "x").write_text(text[:end])
        records, _ = read_or_refused(tmp_path / "x")
        assert {cell for record in records for cell in record.cells} < whole


def test_an_invalid_file_of_a_folder_is_skipped(tmp_path):
    for name, content in {"a.json": "{", "b.csv": "no", "box/c.json": json.dumps(VERSION_1)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    records, problems = read_source(tmp_path)
    assert [one.run_id for one in records] == ["box/c"]
    assert [problem.partition(" is ")[0] for problem in problems] == [
        f"skipped: {str(tmp_path / name)!r}" for name in ("a.json", "b.csv")
    ]
    (tmp_path / "box" / "c.json").unlink()
    with pytest.raises(BadInput, match=r"a\.json.*1 more cannot be read"):
        read_source(tmp_path)


def test_a_folder_without_results(tmp_path):
    written(tmp_path / "machine.json", {"machine": "box", "version": 1})
    with pytest.raises(BadInput, match="has no results: expected a file of"):
        read_source(tmp_path)
    (tmp_path / "machine.json").unlink()
    with pytest.raises(BadInput, match=r"no file in .*: expected a folder with"):
        read_source(tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        read_source(tmp_path / "nowhere")
