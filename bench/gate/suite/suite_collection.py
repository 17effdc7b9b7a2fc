"""What a side of a pytest suite collects: its benchmarks, and files and tests that are no benchmarks or fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.gate_client import CellStatus
from jacobench.bench.gate.suite.pytest_selection import CONFTEST, is_under

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.gate.suite.pytest_selection import SideSelection

CHANGED, SKIPPED = "changed", "skipped"
"""Statuses of benchmarks that are not measured: their source differs between the sides; pytest skips them."""


@dataclass(frozen=True)
class SuiteBenchmark:
    """A benchmark that a side has. Its id is the same on both sides: its file is relative to the project's folder."""

    id: str
    source: str  # digest of the code that decides what is measured
    file: str
    selection: int


@dataclass
class SideSuite:
    """What a side collects, and the times of its tests."""

    benchmarks: dict[str, SuiteBenchmark] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)  # file → why it cannot be collected; "": the whole session
    skipped: dict[str, str] = field(default_factory=dict)  # file → why
    left_out: list[str] = field(default_factory=list)  # ids that are in the files, but in none of the given nodes
    deselected: list[str] = field(default_factory=list)  # ids that options such as -k leave out
    missing: dict[int, list[str]] = field(default_factory=dict)  # selection → what it names, and the side lacks
    unnamed: list[Mapping[str, str]] = field(default_factory=list)  # files or functions not collected by their name
    n_tests: int = 0
    n_marked_only: int = 0
    seconds: dict[str, float] = field(default_factory=dict)  # id → of the whole test, with the shortest rounds
    options: dict[int, Mapping[str, str]] = field(default_factory=dict)  # selection → options that change times
    starting: dict[int, float] = field(default_factory=dict)  # selection → of a process, without the tests

    def lacks(self, benchmark_id: str) -> CellStatus | None:
        """Return why a benchmark could not be collected; None if the side simply does not have it."""
        file = benchmark_id.partition("::")[0]
        for where, reason in self.errors.items():
            place = Path(where)
            folder = place.parent.as_posix() if place.name in {CONFTEST, "__init__.py"} else where
            if not where or is_under(file, folder):
                return CellStatus("error", reason)
        return CellStatus(SKIPPED, self.skipped[file]) if file in self.skipped else None

    def add(self, event: Mapping[str, Any], selection: SideSelection, number: int) -> None:
        """Add what a process collected; a benchmark of several selections belongs to the first."""
        for each in event["benchmarks"]:
            if selection.selects(each["id"]):
                found = SuiteBenchmark(each["id"], each["source"], each["file"], number)
                self.benchmarks.setdefault(found.id, found)
            else:
                self.left_out.append(each["id"])
        ids = [*(each["id"] for each in event["benchmarks"]), *event["deselected"]]
        self.deselected += event["deselected"]
        self.missing[number] = [*event["missing"], *selection.unmatched(ids)]
        self.errors |= {each["file"]: each["reason"] for each in event["errors"]}
        self.skipped |= {each["file"]: each["reason"] for each in event["skipped"]}
        self.options[number] = event["options"]
        self.unnamed += event["unnamed"]
        self.n_tests += event["n_tests"]
        self.n_marked_only += event["n_marked_only"]
