"""A run in memory: its tidy table, what each pass and each round measured, and its other facts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES
from jacobench.bench.row.columns import COLUMNS, HEAP, tidy
from jacobench.bench.row.statistics import PLAUSIBLE_SECONDS, plausible
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_json import Document, check_document, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

LARGEST = 1e30  # number that is not a time

TIMES = tuple(name for name in COLUMNS if "seconds" in name)
OF_THE_TIME = tuple(name for name in COLUMNS if name.startswith(("seconds_", "ratio_")) or name == "efficiency")

PASS_COLUMNS = ("case", "strategy", "phase", "pass", "worker", "host", "seconds")


def _frame(lines: Iterable[tuple[Any, ...]] = ()) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=list(PASS_COLUMNS))


@dataclass(frozen=True)
class Run:
    """Content of run.json.

    `passes` is described in `load_passes`; `samples` has every timed round, with the same columns. Both are empty for
    runs of versions that did not record them. `name` is the ``run_id``, or the name of the folder. `facts` is the other
    content of run.json, where present: ``machine``, ``calibration_seconds`` (time of the calibration kernel in each
    process), ``repetitions`` (pass from 0 and cause of each), ``load_after``, ``wall_seconds``, ``measured_seconds``, ``command`` (repeats the run), and
    pytest-benchmark's ``datetime`` and ``commit_info``. A run on a cluster may have rows of several machines; then
    ``machine`` is empty. ``machines`` has the record of each machine, and ``calibration_of_machines`` the seconds by
    machine and host. See `machine_parts.by_machine`. `view` returns the HTML that notebooks show; `jacobench.read`
    sets it, so that data do not import plots.
    """

    table: pd.DataFrame
    passes: pd.DataFrame = field(default_factory=_frame)
    samples: pd.DataFrame = field(default_factory=_frame)
    name: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    view: Callable[[Run], str] | None = field(default=None, repr=False, compare=False)

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows; None selects its plain text."""
        return self.view(self) if self.view else None


def read(run: str | Path) -> Run:
    """Read a run's folder, or its run.json; raises as `run_json.read_document`."""
    return _run(read_document(run))


def from_document(content: dict[str, Any], path: Path) -> Run:
    """Return the run of a run.json that is in memory; `path` is its file. Raises BadInput if it is damaged."""
    return _run(check_document(content, path))


def _run(document: Document) -> Run:
    table = _table(document)
    names = table["run_id"].dropna().unique()
    name = str(names[0]) if len(names) else document.path.parent.name
    return Run(table, _frame(_passes(document)), _frame(_samples(document)), name, document.facts)


def load(run: str | Path) -> pd.DataFrame:
    """Read the tidy table of a run's folder or run.json; raises as `run_json.read_document`.

    It has one row per case × strategy × phase in the order of the run, with the columns of ``COLUMNS``; missing values
    are NaN. ``attrs["threads"]`` is the number of threads, if recorded.
    """
    return _table(read_document(run))


def load_passes(run: str | Path) -> pd.DataFrame:
    """Read what each pass of a run measured, from its folder or run.json; raises as `run_json.read_document`.

    Returns
    -------
    DataFrame
        One row per timed cell and process: ``case``, ``strategy``, ``phase``; ``pass`` and ``worker``, which identify the
        process; ``host``, where it was, empty unless the run was on a cluster; ``seconds`` per call, the minimum over its
        rounds.
    """
    return _frame(_passes(read_document(run)))


def _table(document: Document) -> pd.DataFrame:
    try:
        table = tidy([{name: row.get(name) for name in COLUMNS} for row in document.rows])
    except ValueError as error:
        raise BadInput(f"{str(document.path)!r} is damaged: {error}") from None
    table[list(HEAP)] = table[list(HEAP)].where(table[list(HEAP)] >= RESOLUTION_BYTES)  # older runs have smaller ones
    table = _plausible(table)
    threads = document.facts.get("threads")
    if threads is not None:
        table.attrs["threads"] = threads
    return table


def _plausible(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without numbers that cannot have been measured: negative, infinite or enormous ones.

    A time of 0 is shorter than the clock can measure, so it is missing, too. The row's reason names the number.
    """
    given = table["seconds_median"]
    has_time = plausible(given)
    for name in (name for name, column in COLUMNS.items() if column.dtype == "float64"):
        table[name] = table[name].where(
            (table[name] >= 0) & (table[name] < (PLAUSIBLE_SECONDS[1] if name in TIMES else LARGEST))
        )
    table.loc[~has_time, list(OF_THE_TIME)] = math.nan
    for row in table.index[~has_time & given.notna() & (table["status"] == "ok")]:
        table.loc[row, "reason"] = f"no time: {given[row]:.3g} s in the file cannot have been measured"
    return table


def _passes(document: Document) -> Iterator[tuple[Any, ...]]:
    for entry in document.entries:
        hosts = _hosts(document, entry)
        for number, worker, seconds in _triples(document, entry, "pass_seconds", float):
            if plausible(seconds):
                yield (*_cell(entry), number, worker, hosts.get((number, worker), ""), seconds)


def _samples(document: Document) -> Iterator[tuple[Any, ...]]:
    for entry in document.entries:
        data = entry.get("stats", {}).get("data", ())
        hosts = _hosts(document, entry)
        begin = 0
        for number, worker, n_rounds in _triples(document, entry, "pass_rounds", int):
            for seconds in data[begin : begin + n_rounds]:
                if plausible(seconds):
                    yield (*_cell(entry), number, worker, hosts.get((number, worker), ""), seconds)
            begin += n_rounds


def _hosts(document: Document, entry: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """Return the host of each process, by pass and worker; empty unless the run was on a cluster."""
    return {(number, worker): host for number, worker, host in _triples(document, entry, "pass_hosts", str)}


def _cell(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    row = entry["extra_info"]
    return row["case"], row["strategy"], row["phase"]


def _triples(document: Document, entry: Mapping[str, Any], key: str, kind: type[Any]) -> Iterator[tuple[int, int, Any]]:
    for triple in entry.get(key, ()):
        try:
            pass_number, worker, value = triple
            yield int(pass_number), int(worker), kind(value)
        except (TypeError, ValueError):
            raise BadInput(
                f"{str(document.path)!r} is damaged: {' · '.join(_cell(entry))} has {triple!r} in {key}; "
                f"expected pass, worker and {'a name' if kind is str else 'a number'}"
            ) from None
