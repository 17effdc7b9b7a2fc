"""Parts of a run, one per machine: a run on a cluster may have rows of several machines, which are never compared."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jacobench.reports.data.vocabulary import HEADING, heading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from jacobench.reports.data.run_data import Run

DIGITS = re.compile(r"\(([0-9a-f]{8})\)$")  # end of a machine's key

UNKNOWN = "unknown machine"

ONLY_OF_ALL = ("machines", "calibration_of_machines", "repetitions")
"""Facts of a run on a cluster that are not those of one machine."""


def by_machine(run: Run) -> dict[str, Run]:
    """Return the part of a run of each machine, by its key, in the order of the table; a run of one machine as it is.

    Everything that compares rows sees one of these parts. A case is measured on one machine, so each part has all rows
    of its cases. The key is empty for cases that none of several machines measured, and if the run does not record its
    machine. On a cluster, the facts have ``calibration_of_hosts``: host → seconds. The part of a run with several machines has its key as heading; see `vocabulary.heading`.
    """
    machines = machine_of_rows(run.table)
    known = [key for key in machines.unique() if key]
    if len(known) > 1:
        return {key: _part(run, key, set(run.table.loc[machines == key, "case"])) for key in machines.unique()}
    key = known[0] if known else ""
    on_cluster = key in (run.facts.get("machines") or {})  # and hosts may be known that measured nothing
    return {key: replace(run, facts={**run.facts, **_facts_of(run, key)}) if on_cluster else run}


def machine_of_rows(table: pd.DataFrame) -> pd.Series[str]:
    """Return the machine of each row: its own, or else that of its case; empty if there is none."""
    own: pd.Series[str] = table["machine"].fillna(table.groupby("case")["machine"].transform("first")).fillna("")
    return own


def machine_of(part: Run) -> str:
    """Return the machine of a run that has one, by `by_machine`; empty if it is unknown."""
    return next((str(key) for key in machine_of_rows(part.table).unique() if key), "")


def parts_of(runs: Iterable[Run]) -> list[Run]:
    """Return the parts of all runs, in order."""
    return [part for run in runs for part in by_machine(run).values()]


def cases_of(runs: Iterable[Run]) -> list[str]:
    """Return the distinct cases of all runs, in their order."""
    return list(dict.fromkeys(str(case) for run in runs for case in run.table["case"]))


def short_names(keys: Iterable[str]) -> list[str]:
    """Return a distinct name of each machine for file names: the digits of its key, or else its number.

    >>> short_names(["AMD EPYC, 2 cores, 23 GiB, Linux x86_64 (1a2b3c4d)", "another"])
    ['1a2b3c4d', 'machine2']
    """
    found: dict[str, str] = {}
    for number, key in enumerate(keys, 1):
        digits = DIGITS.search(key)
        found[key] = digits[1] if digits and digits[1] not in found.values() else f"machine{number}"
    return list(found.values())


def names_of_parts(parts: Sequence[Run]) -> list[str]:
    """Return the machine of each part, with its run if several parts have this machine."""
    machines = [machine_of(part) or heading(part.table) or UNKNOWN for part in parts]
    counts = Counter(machines)
    return [
        machine if counts[machine] == 1 else f"{machine}, {part.name}"
        for machine, part in zip(machines, parts, strict=True)
    ]


def _part(run: Run, key: str, cases: set[str]) -> Run:
    table, passes, samples = (frame[frame["case"].isin(cases)] for frame in (run.table, run.passes, run.samples))
    table = table.reset_index(drop=True)
    table.attrs = {**run.table.attrs, HEADING: key or "not measured"}
    facts = {name: value for name, value in run.facts.items() if name not in ONLY_OF_ALL}
    return replace(run, table=table, passes=passes, samples=samples, facts=facts | _facts_of(run, key))


def _facts_of(run: Run, key: str) -> dict[str, Any]:
    """Return the facts of one machine of a cluster, and by host the seconds of the calibration kernel."""
    by_host = (run.facts.get("calibration_of_machines") or {}).get(key) or {}
    return {
        "machine": (run.facts.get("machines") or {}).get(key) or {},
        "calibration_seconds": [seconds for own in by_host.values() for seconds in own],
        "calibration_of_hosts": by_host,
    }
