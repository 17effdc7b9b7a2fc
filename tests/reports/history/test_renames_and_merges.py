"""Renamed cases continue their series; merged histories have each run once."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.history import store
from jacobench.reports.history.renames import new_names
from jacobench.reports.history.series import series

NAMES = ["a.py::x[1]", "a.py::x[2]", "a.py::y", "b.py::x[1]"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a.py::y", "a.py::z", {"a.py::y": "a.py::z"}),
        ("a.py::x[1]", "a.py::x[*]", {"a.py::x[1]": "a.py::x[*]"}),  # an exact name first
        ("a.py::*", "tests/a.py::*", {name: f"tests/{name}" for name in NAMES[:3]}),
        ("*.py::x[*]", "*/test.py::*", {"a.py::x[1]": "a/test.py::1", "a.py::x[2]": "a/test.py::2", "b.py::x[1]": "b/test.py::1"}),
    ],
)  # fmt: skip
def test_names_after_a_rename(old, new, expected):
    assert new_names(old, new, NAMES) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a.py::z", "c", r"unknown case 'a.py::z': expected one of .*did you mean 'a.py::y'"),
        ("c*", "d*", "unknown case 'c\\*'"),
        ("a*", "b", "'a\\*' has 1 '\\*' and 'b' has 0: expected equally many"),
        ("a.py::y", "", "'' leaves 'a.py::y' without a name: expected its new name; nothing was renamed"),
        ("a.py::y*", "*", "'\\*' leaves 'a.py::y' without a name"),
        ("a.py::y", "a.py::y", "'a.py::y' and 'a.py::y' are the same: expected another name"),
        ("a*", "a*", "are the same"),
    ],
)
def test_a_rename_that_is_impossible(old, new, expected):
    with pytest.raises(BadInput, match=expected):
        new_names(old, new, NAMES)


def of(*cases, seconds=1.0):
    return tuple((case, "vjp", "gradient", "ok", 1, *[seconds] * 4, 1.0, 16384, 1, None) for case in cases)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "h.sqlite"


def test_a_renamed_case_continues_its_series(path, record):
    for number, case in enumerate(["old", "old", "new", "new"]):
        store.add(path, record(number, cells=of(case, "other")))
    assert store.rename(path, lambda known: new_names("old", "new", known)) == {"old": "new"}
    found = {own.key["case"]: own.measured.size for own in series(store.load(path), "seconds")}
    assert found == {"new": 4, "other": 4}
    assert not store.add(path, record(0, cells=of("old", "other"))), "the run is known under its former name"


def test_names_may_be_exchanged(path, record):
    store.add(path, record(0, cells=of("a") + of("a-a", seconds=2.0)))
    assert store.rename(path, lambda _: {"a": "a-a", "a-a": "a"}) == {"a": "a-a", "a-a": "a"}
    found = {own.key["case"]: own.measured.tolist() for own in series(store.load(path), "seconds")}
    assert found == {"a": [2.0], "a-a": [1.0]}
    assert store.rename(path, lambda _: {"a": "a"}) == {}


def test_names_that_earlier_versions_wrote_are_renamed_as_they_are_shown(path, record):
    """They wrote the short name of a benchmark, and cases without marks together with machines of six digits."""
    numbers = record(0).cells[0][3:]
    old_key, new_key = "AMD, 2 cores, Linux (1a2b3c)", "AMD, 2 cores, Linux (1a2b3c4d)"
    old = (("test_x", "", "", *numbers), ("net.f-b1x2", "vjp", "gradient", *numbers))
    new = (("a.py::test_x", "benchmark", "call", *numbers), ("net.f-b(1x2)", "vjp", "gradient", *numbers))
    for number, (machine, cells) in enumerate([(old_key, old), (new_key, new)]):
        store.add(path, record(number, machine=machine, cells=cells))
    for before, after in {"a.py::test_x": "b.py::test_x", "net.f-b(1x2)": "net.g"}.items():
        assert store.rename(path, lambda known, b=before, a=after: new_names(b, a, known)) == {before: after}
    found = {own.name: own.measured.size for own in series(store.load(path), "seconds")}
    assert found == {"b.py::test_x": 2, "net.g · vjp · gradient": 2}


@pytest.mark.parametrize("table", [{"old": "new"}, {"old": "third", "new": "third"}])
def test_two_cases_of_one_run_cannot_get_one_name(table, path, record):
    store.add(path, record(0, cells=of("old")))
    store.add(path, record(1, cells=of("old", "new")))
    before = store.load(path).cells
    with pytest.raises(
        BadInput, match=r"the run 'run-1' of 2026-01-02.* would have two cases '(new|third)'.*nothing was renamed"
    ):
        store.rename(path, lambda _: table)
    assert store.load(path).cells.equals(before)


def test_nothing_is_created_by_a_rename(path):
    with pytest.raises(BadInput, match="no history at"):
        store.rename(path, lambda _: {})
    assert not path.exists()


def test_histories_are_merged_with_each_run_once(path, record, tmp_path):
    other = tmp_path / "other.sqlite"
    for number in (0, 1):
        store.add(path, record(number))
    for number in (1, 2):
        store.add(other, record(number, branch="topic"))
    store.add(other, record(1, machine="another"))
    before = other.read_bytes()
    assert store.add_all(path, store.records(other))["added"] == 2
    assert store.add_all(path, store.records(other)) == {"known": 3}
    assert other.read_bytes() == before
    runs = store.load(path).runs
    assert runs[["run_id", "machine", "branch"]].to_numpy().tolist() == [
        ["run-0", "a machine", ""],
        ["run-1", "a machine", ""],
        ["run-1", "another", ""],
        ["run-2", "a machine", "topic"],
    ]


def test_a_merge_knows_a_run_whose_case_was_renamed(path, record, tmp_path):
    other = tmp_path / "other.sqlite"
    for file in (path, other):
        store.add(file, record(0, cells=of("old")))
    store.rename(other, lambda known: new_names("old", "new", known))
    assert store.add_all(path, store.records(other)) == {"known": 1}
    assert store.add_all(tmp_path / "third.sqlite", store.records(other))["added"] == 1
    assert store.add_all(tmp_path / "third.sqlite", store.records(path)) == {"known": 1}


def test_records_are_what_was_added(path, record):
    given = [
        record(0, branch="topic"),
        record(1, cells=(*of("a"), ("b", "vjp", "gradient", "timeout", 0, *[None] * 8))),
    ]
    store.add_all(path, given)
    found = store.records(path)
    assert [one.stored_digest for one in found] == [one.digest for one in given]
    assert [sorted(one.cells, key=str) for one in found] == [sorted(one.cells, key=str) for one in given]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT branch FROM runs").fetchall() == [("topic",), ("",)]
