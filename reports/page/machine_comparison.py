"""Comparison of machines on the page: crossovers, winners and details of each machine next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.data.machine_parts import machine_of, names_of_parts
from jacobench.reports.data.units import MISSING
from jacobench.reports.page import table_phrases
from jacobench.reports.page.page_tables import crossover_rows, winner
from jacobench.reports.page.run_facts import machine_details

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    case. ``details`` has a line per recorded fact.
    """

    columns: list[str]
    crossovers: list[tuple[str, list[CrossoverComparison]]]
    winners: list[tuple[str, Cells]]
    details: list[tuple[str, Cells]]


def compare_machines(parts: Sequence[Run], phase: str = "gradient") -> MachineComparison | None:
    """Compare runs, each of one machine; None unless there are several machines."""
    if len({machine_of(part) for part in parts}) < 2:
        return None
    winners = [
        {line["case"]: winner(line) for line in recommend(part.table, part.passes, phase).to_dict("records")}
        for part in parts
    ]
    details = [dict(machine_details(part)) for part in parts]
    return MachineComparison(names_of_parts(parts), _crossovers(parts, phase), _lines(winners), _lines(details))


def _lines(found: Sequence[dict[str, str]]) -> list[tuple[str, Cells]]:
    """Return one line per key of any column, in the order in which they first occur."""
    keys = dict.fromkeys(key for own in found for key in own)
    return [(key, [own.get(key, MISSING) for own in found]) for key in keys]


def _crossovers(parts: Sequence[Run], phase: str) -> list[tuple[str, list[CrossoverComparison]]]:
    found: list[dict[tuple[str, str, str], str]] = []
    relevant: dict[tuple[str, str, str], None] = {}
    for part in parts:
        near, others = crossover_rows(part, phase)
        keyed = {
            (sweep, line.strategies, line.quantity): table_phrases.crossover_on_machine(
                line.outcome, line.at, line.ahead
            )
            for sweep, lines in (*near, *others)
            for line in lines
        }
        relevant |= dict.fromkeys((sweep, line.strategies, line.quantity) for sweep, lines in near for line in lines)
        found.append(keyed)
    groups: dict[str, list[CrossoverComparison]] = {}
    for key in relevant:
        sweep, strategies, quantity = key
        line = CrossoverComparison(strategies, quantity, [own.get(key, MISSING) for own in found])
        groups.setdefault(sweep, []).append(line)
    return list(groups.items())
