"""Plain JSON of pytest-benchmark as a run."""

from __future__ import annotations

import json

import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import read_any
from jacobench.reports.regression.two_runs import compare


def document(seconds, brand="AMD EPYC", **more):
    names = ("tests/test_a.py::test_fast", "tests/test_a.py::test_slow[8]")
    return {
        "machine_info": {"system": "Linux", "machine": "x86_64", "cpu": {"brand_raw": brand, "count": 2}},
        "commit_info": {"id": "0123abcd"},
        "benchmarks": [
            {"fullname": name, "extra_info": {}, "stats": {"min": seconds * (k + 1), "mean": 9.0}}
            for k, name in enumerate(names)
        ],
        "version": "5.1.0",
    } | more


@pytest.fixture
def folder(tmp_path):
    """Return a function to a folder of files, each of a process."""

    def write(name, times, **more):
        (tmp_path / name).mkdir()
        for number, seconds in enumerate(times):
            (tmp_path / name / f"{number:04d}.json").write_text(json.dumps(document(seconds, **more)))
        return tmp_path / name

    return write


def test_a_file_is_one_pass(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(document(1e-3)))
    run = read_any(tmp_path / "x.json")
    assert run.table["case"].tolist() == ["tests/test_a.py::test_fast", "tests/test_a.py::test_slow[8]"]
    assert run.table["passes"].tolist() == [1, 1]
    assert run.passes["seconds"].tolist() == [1e-3, 2e-3]
    assert run.table["machine"][0] == "AMD EPYC, 2 cores, Linux x86_64"
    assert compare(run, run).exit_code == 3


def test_a_folder_has_a_pass_a_file(folder):
    base = read_any(folder("base", [1e-3 * (1 + k / 1000) for k in range(8)]))
    head = read_any(folder("head", [1.2e-3 * (1 + k / 1000) for k in range(8)]))
    assert base.passes["pass"].max() == 7
    assert compare(base, base).exit_code == 0
    outcome = compare(base, head)
    assert outcome.exit_code == 1
    assert set(outcome.verdicts["verdict"]) == {"regressed"}


def test_entries_of_one_process_are_one_pass(tmp_path):
    entries = [{"fullname": "a.py::test_x", "stats": {"min": 1e-3 * (1 + k)}} for k in range(8)]
    (tmp_path / "x.json").write_text(json.dumps({"machine_info": {}, "benchmarks": entries}))
    run = read_any(tmp_path / "x.json")
    assert run.table[["passes", "seconds_min"]].to_numpy().tolist() == [[1, 1e-3]]
    notes = compare(run, run).notes
    assert notes[0] == "Base: 8 entries from one process. Head: 8 entries from one process."
    assert "'a.py::test_x' has 8 entries" in notes[1]


def test_compare_reports_how_it_reads_each_side(folder):
    path = folder("base", [1e-3] * 10)
    for number, file in enumerate(sorted(path.iterdir())):
        info = {"id": f"{number:040x}", "time": f"2026-01-{20 - number}T00:00:00+00:00"}
        file.write_text(json.dumps(document(1e-3 * (number + 1), commit_info=info)))
    base, head = read_any(path), read_any(folder("head", [1e-3] * 9))
    newest = "of which the newest, 000000000000, is compared (1 file)"
    assert compare(base, head).notes[0] == f"Base: 10 files from 10 commits, {newest}. Head: 9 files from 1 commit."
    assert base.passes["seconds"].tolist() == [1e-3, 2e-3], "ten commits are not ten passes"


def test_a_folder_of_several_machines_is_refused(folder):
    path = folder("base", [1e-3])
    (path / "other.json").write_text(json.dumps(document(1e-3, brand="Other")))
    with pytest.raises(BadInput, match=r"2 machines.*AMD EPYC.*Other.*give the folder of one"):
        read_any(path)


def test_times_of_zero_are_read_and_have_no_verdict(folder):
    base, head = read_any(folder("base", [0] * 8)), read_any(folder("head", [1e-3] * 8))
    assert base.table["seconds_min"].tolist() == [0, 0]
    for pair in ((base, base), (base, head), (head, base)):
        verdicts = compare(*pair).verdicts
        assert set(verdicts["verdict"]) == {"inconclusive"}
        assert set(verdicts["reason"]) == {"a time of 0 s: shorter than the clock can measure"}


def test_counts_and_keys_in_extra_info_are_used(tmp_path):
    extra = {"case": "mlp", "strategy": "mine", "phase": "gradient", "peak_bytes": 4096}
    entries = [
        {"fullname": "a.py::test_x", "stats": {"min": 1e-3}, "extra_info": extra},
        {"fullname": "a.py::test_y", "stats": {"min": 1e-3}, "extra_info": {"case": "only a case"}},
    ]
    (tmp_path / "x.json").write_text(json.dumps({"machine_info": {}, "benchmarks": entries}))
    table = read_any(tmp_path / "x.json").table
    assert table[["case", "strategy", "phase"]].to_numpy().tolist() == [
        ["mlp", "mine", "gradient"],
        ["a.py::test_y", "benchmark", "call"],
    ]
    assert table["peak_bytes"][0] == 4096


def test_one_file_a_side_says_what_would_decide(folder):
    one = read_any(folder("one", [1e-3]))
    assert "--benchmark-json" in compare(one, one).notes[-1]


def test_other_processors_do_not_compare(folder):
    with pytest.raises(BadInput, match="different machines"):
        compare(read_any(folder("base", [1e-3])), read_any(folder("head", [1e-3], brand="Other")))


@pytest.mark.parametrize(
    "content",
    [
        {"benchmarks": 3},
        {"benchmarks": [], "other": 1},
        {"benchmarks": [{"fullname": "a", "stats": {"min": "x"}}], "machine_info": {}},
        {"benchmarks": [{"fullname": "a", "stats": {"min": -1}}], "machine_info": {}},
    ],
)
def test_what_is_neither_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(BadInput):
        read_any(tmp_path / "x.json")


def test_another_file_in_a_folder_is_skipped_with_a_note(folder):
    path = folder("mixed", [1e-3])
    (path / "other.json").write_text("{}")
    run = read_any(path)
    assert run.passes["pass"].nunique() == 1
    assert [note for note in compare(run, run).notes if "skipped" in note and "other.json" in note]


def test_what_is_not_there_is_said_as_for_a_run(tmp_path):
    with pytest.raises(BadInput, match="no run at"):
        read_any(tmp_path / "nowhere")
