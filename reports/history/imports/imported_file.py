"""What an importer reads from a file, and what it left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY
from jacobench.reports.history.history_records import history_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.history.history_records import Record

REPEATED = "another one of the same run has this name; the smallest counts"


@dataclass(frozen=True)
class ImportedFile:
    """Runs of a file. left_out: why, for each result that was left out. notes: sentences about the others."""

    records: tuple[Record, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class BenchmarkCells:
    """Cells of one run under construction: one per benchmark, with the smallest value of each column."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, case: str, status: str, numbers: Mapping[str, float | None]) -> bool:
        """Add what was measured of a benchmark; of several entries with one name, the smallest value counts.

        Return whether there are several.
        """
        cell = self.found.setdefault(case, {"status": status})
        is_repeated = any(name in cell for name, number in numbers.items() if number is not None)
        for name, number in numbers.items():
            if number is not None and not cell.get(name, number) < number:
                cell[name] = number
        return is_repeated

    def cells(self) -> tuple[tuple[Any, ...], ...]:
        """Return the cells of a `Record`."""
        return tuple(
            history_cell({"case": case, "strategy": STRATEGY, "phase": PHASE, **cell})
            for case, cell in self.found.items()
        )


def list_of(value: Any) -> list[Any]:
    """Return a list as it is; an empty one for anything else."""
    return value if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """Return a text as it is; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def utc_of(milliseconds: Any) -> str:
    """Return the time of JavaScript's milliseconds since 1970 as ISO 8601 in UTC; empty if it is none."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
