"""Import of what ``history export`` wrote as CSV or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.bench.row.columns import CELL_KEYS, STATUSES
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import in_utc
from jacobench.reports.history.history_records import NUMBERS, Record, history_cell, stored_number
from jacobench.reports.history.imports.imported_file import ImportedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXTS = ("run_id", "machine", "controls", "suite", "commit", "measured_at", "committed_at", "branch")
RUN_NUMBERS = ("threads", "control_seconds")
NEEDED = ("run_id", "measured_at", *CELL_KEYS, "status")  # columns whose text every line has


def matches(content: Any) -> bool:
    """Return whether a JSON value is a list of cells with the fields of their runs; CSV becomes such a list."""
    return isinstance(content, list) and bool(content) and all(isinstance(one, dict) for one in content) and (
        content[0].keys() >= set(NEEDED)
    )  # fmt: skip


def read(path: Path, content: Any) -> ImportedFile:
    """Return the runs of an export; `BadInput` if a line is none. Columns that earlier versions lack may be missing."""
    runs: dict[tuple[Any, ...], list[dict[tuple[Any, ...], tuple[Any, ...]]]] = {}
    for number, line in enumerate(content, 1):
        try:
            run, cell = _run(line), _cell(line)
        except (OverflowError, TypeError, ValueError) as error:
            raise BadInput(f"{str(path)!r}, line {number} is not of a history's export: {error}") from None
        own = runs.setdefault(run, [{}])
        if cell[:3] in own[-1]:  # another run with the same name, at the same second
            own.append({})
        own[-1][cell[:3]] = cell
    return ImportedFile(tuple(_record(run, tuple(one.values())) for run, own in runs.items() for one in own))


def _run(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the fields of a line's run, in the order of ``TEXTS`` and ``RUN_NUMBERS``."""
    texts = {name: _text(line, name) for name in TEXTS}
    times = {name: in_utc(texts[name], "it") for name in ("measured_at", "committed_at") if texts[name]}
    return (*(texts | times).values(), *(_number(line, name) for name in RUN_NUMBERS))


def _cell(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the cell of a line, as that of a `Record`."""
    texts = {name: _text(line, name) for name in (*CELL_KEYS, "status")}
    if texts["status"] not in STATUSES:
        raise ValueError(f"its status is {texts['status']!r}: expected one of {', '.join(STATUSES)}")
    return history_cell({**texts, **{name: _number(line, name) for name in NUMBERS}})


def _text(line: Mapping[str, Any], name: str) -> str:
    text = line.get(name)
    if not isinstance(text, str) and (name in NEEDED or text is not None):
        raise TypeError(f"its {name} is {text!r}: expected a text")
    return text or ""


def _number(line: Mapping[str, Any], name: str) -> float | None:
    number = line.get(name)
    return None if number is None or number == "" else stored_number(name, float(number))


def _record(run: tuple[Any, ...], cells: tuple[tuple[Any, ...], ...]) -> Record:
    fields: Mapping[str, Any] = dict(zip((*TEXTS, *RUN_NUMBERS), run, strict=True))
    return Record(**{**fields, "threads": int(fields["threads"] or 0)}, cells=cells)
