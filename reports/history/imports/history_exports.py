"""Import of what ``history export`` wrote as CSV or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.bench.row.columns import CELL_KEYS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import in_utc
from jacobench.reports.history.history_records import NUMBERS, Record, history_cell
from jacobench.reports.history.imports.imported_file import ImportedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS = ("run_id", "machine", "controls", "suite", "commit", "measured_at", "committed_at", "branch")
RUN_NUMBERS = ("threads", "control_seconds")


def matches(content: Any) -> bool:
    """Return whether a JSON value is a list of cells with the fields of their runs; CSV becomes such a list."""
    needed = {"run_id", "measured_at", "status", *CELL_KEYS}
    return isinstance(content, list) and bool(content) and all(isinstance(one, dict) for one in content) and (
        needed <= content[0].keys()
    )  # fmt: skip


def read(path: Path, content: Any) -> ImportedFile:
    """Return the runs of an export; `BadInput` if a line is none. Columns that earlier versions lack may be missing."""
    runs: dict[tuple[Any, ...], list[dict[tuple[Any, ...], tuple[Any, ...]]]] = {}
    for number, line in enumerate(content, 1):
        try:
            run = (*(str(line.get(name) or "") for name in TEXTS), *(_number(line.get(name)) for name in RUN_NUMBERS))
            cell = history_cell({**line, **{name: _number(line.get(name)) for name in NUMBERS}})
            in_utc(line["measured_at"], "the line")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{str(path)!r}, line {number} is not of a history's export: {error}") from None
        own = runs.setdefault(run, [{}])
        if cell[:3] in own[-1]:  # another run with the same name, at the same second
            own.append({})
        own[-1][cell[:3]] = cell
    return ImportedFile(tuple(_record(run, tuple(one.values())) for run, own in runs.items() for one in own))


def _record(run: tuple[Any, ...], cells: tuple[tuple[Any, ...], ...]) -> Record:
    fields: Mapping[str, Any] = dict(zip((*TEXTS, *RUN_NUMBERS), run, strict=True))
    return Record(**{**fields, "threads": int(fields["threads"] or 0)}, cells=cells)


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)
