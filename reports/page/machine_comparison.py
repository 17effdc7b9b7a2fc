"""Comparison of machines on the page: crossovers, winners and details of each machine next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.analysis.sweeps import KNOBS, order_of_sweeps
from jacobench.reports.data.machine_parts import cases_of, machine_of, names_of_parts, parts_of
from jacobench.reports.data.units import MISSING
from jacobench.reports.page.page_tables import crossover_rows, sweep_name, winner
from jacobench.reports.page.run_facts import machine_details

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.reports.data.run_data import Run

Cells = list[str]  # one per machine, in the order of the columns


@dataclass(frozen=True)
class CrossoverComparison:
    """Crossover of two strategies in one sweep on each machine."""

    strategies: str
    quantity: str
    cells: Cells


@dataclass(frozen=True)
class MachineComparison:
    """Tables with one column per machine; ``columns`` names them.

    ``crossovers`` are grouped by sweep: those that are near the measured sizes on any machine. ``winners`` has a line per
    case, in the order of the runs. ``details`` has a line per recorded fact that differs, and ``same`` the name and value of each
    that all machines have in common.
    """

    columns: list[str]
    crossovers: list[tuple[str, list[CrossoverComparison]]]
    winners: list[tuple[str, Cells]]
    details: list[tuple[str, Cells]]
    same: list[tuple[str, str]]


def compare_machines(runs: Sequence[Run], phase: str = "gradient") -> MachineComparison | None:
    """Compare the machines of runs; None unless there are several."""
    parts = parts_of(runs)
    if len({machine_of(part) for part in parts}) < 2:
        return None
    won = [
        {line["case"]: winner(line) for line in recommend(part.table, part.passes, phase).to_dict("records")}
        for part in parts
    ]
    details = [dict(machine_details(part)) for part in parts]
    facts = _lines(dict.fromkeys(name for own in details for name in own), details)
    return MachineComparison(
        columns=names_of_parts(parts),
        crossovers=_crossovers(runs, parts, phase),
        winners=_lines((case for case in cases_of(runs) if any(case in own for own in won)), won),
        details=[(name, cells) for name, cells in facts if len(set(cells)) > 1],
        same=[(name, cells[0]) for name, cells in facts if len(set(cells)) == 1],
    )


def _lines(keys: Iterable[str], found: Sequence[dict[str, str]]) -> list[tuple[str, Cells]]:
    """Return one line per key, with the value of each column."""
    return [(key, [own.get(key, MISSING) for own in found]) for key in keys]


def _crossovers(runs: Sequence[Run], parts: Sequence[Run], phase: str) -> list[tuple[str, list[CrossoverComparison]]]:
    found: list[dict[tuple[str, str, str], str]] = []
    relevant: dict[tuple[str, str, str], None] = {}
    for part in parts:
        near, others = crossover_rows(part, phase)
        found.append(
            {
                (sweep, line.strategies, line.quantity): line.with_range
                for sweep, lines in (*near, *others)
                for line in lines
            }
        )
        relevant |= dict.fromkeys((sweep, line.strategies, line.quantity) for sweep, lines in near for line in lines)
    tables = [run.table for run in runs]
    order = [sweep_name(knob, held) for knob in KNOBS for held in order_of_sweeps(tables, knob)]
    groups: dict[str, list[CrossoverComparison]] = {sweep: [] for sweep in order}
    for key in relevant:
        sweep, strategies, quantity = key
        line = CrossoverComparison(strategies, quantity, [own.get(key, MISSING) for own in found])
        groups.setdefault(sweep, []).append(line)
    return [(sweep, lines) for sweep, lines in groups.items() if lines]
