"""A run that was read: its tidy table, what each pass and each round measured, and what else it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import COLUMNS, tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_json import Document, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PASS_COLUMNS = ("case", "strategy", "phase", "pass", "worker", "seconds")


def _no_lines() -> pd.DataFrame:
    return _frame(())


@dataclass(frozen=True)
class Run:
    """All that a run has to say. A notebook shows it as its table and its pictures.

    Attributes
    ----------
    table : DataFrame
        The tidy table; see `load`.
    passes : DataFrame
        What each pass measured; see `load_passes`.
    samples : DataFrame
        Every timed round, with the columns of ``passes``: seconds per call. Empty, as ``passes``, for a run of an earlier
        version.
    name : str
        The run's own, or that of its folder.
    facts : mapping
        What run.json holds beside the rows, where it does: ``machine`` (a record of processor, caches, packages and
        settings), ``control_seconds`` (of a fixed kernel, one a process), ``load_after``, ``wall_seconds``, ``command``
        (what measures it again); ``datetime`` and ``commit_info`` are pytest-benchmark's.
    """

    table: pd.DataFrame
    passes: pd.DataFrame = field(default_factory=_no_lines)
    samples: pd.DataFrame = field(default_factory=_no_lines)
    name: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer, the table of gradients, and the pictures."""
        from jacobench.reports.page.notebook import notebook  # noqa: PLC0415  (a run that is only read draws nothing)

        return notebook(self)


def read(run: str | Path) -> Run:
    """Read a run.

    Parameters
    ----------
    run : str or Path
        A run's folder, or a ``run.json``.

    Returns
    -------
    Run
        All of it.

    Raises
    ------
    BadInput
        If it is not there, cannot be read, is not a run's, or is not finished.
    """
    document = read_document(run)
    table = _table(document)
    names = table["run_id"].dropna().unique()
    name = str(names[0]) if len(names) else document.path.parent.name
    return Run(table, _frame(_passes(document)), _frame(_samples(document)), name, document.facts)


def load(run: str | Path) -> pd.DataFrame:
    """Read a run's tidy table.

    Parameters
    ----------
    run : str or Path
        A run's folder, or a ``run.json``.

    Returns
    -------
    DataFrame
        One line a case × strategy × phase in the order of the run, the columns of ``COLUMNS``, missing is NaN.
        ``attrs["threads"]`` is the number of threads where the run recorded it.

    Raises
    ------
    BadInput
        As `read`.
    """
    return _table(read_document(run))


def load_passes(run: str | Path) -> pd.DataFrame:
    """Read what each pass of a run measured.

    Parameters
    ----------
    run : str or Path
        A run's folder, or a ``run.json``.

    Returns
    -------
    DataFrame
        One line a pass of each cell that was timed: ``case``, ``strategy``, ``phase``; ``pass`` and ``worker``, which
        together name the process; ``seconds`` per call, the minimum over the pass's rounds. No line for a run that an
        earlier version wrote, which did not record them.

    Raises
    ------
    BadInput
        As `read`.
    """
    return _frame(_passes(read_document(run)))


def _table(document: Document) -> pd.DataFrame:
    try:
        table = tidy([{name: row.get(name) for name in COLUMNS} for row in document.rows])
    except ValueError as error:
        raise BadInput(f"{str(document.path)!r} is damaged: {error}") from None
    threads = document.facts.get("threads")
    if threads is not None:
        table.attrs["threads"] = threads
    return table


def _frame(lines: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=list(PASS_COLUMNS))


def _passes(document: Document) -> Iterator[tuple[Any, ...]]:
    for entry in document.entries:
        for own in _triples(document, entry, "pass_seconds", float):
            yield (*_cell(entry), *own)


def _samples(document: Document) -> Iterator[tuple[Any, ...]]:
    for entry in document.entries:
        data = entry.get("stats", {}).get("data", ())
        begin = 0
        for number_of_pass, worker, n_rounds in _triples(document, entry, "pass_rounds", int):
            for seconds in data[begin : begin + n_rounds]:
                yield (*_cell(entry), number_of_pass, worker, seconds)
            begin += n_rounds


def _cell(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    row = entry["extra_info"]
    return row["case"], row["strategy"], row["phase"]


def _triples(document: Document, entry: Mapping[str, Any], key: str, kind: type[Any]) -> Iterator[tuple[int, int, Any]]:
    for triple in entry.get(key, ()):
        try:
            number_of_pass, worker, value = triple
            yield int(number_of_pass), int(worker), kind(value)
        except (TypeError, ValueError):
            raise BadInput(
                f"{str(document.path)!r} is damaged: {' · '.join(_cell(entry))} has {triple!r} among its {key}: "
                "expected pass, worker and a number"
            ) from None
