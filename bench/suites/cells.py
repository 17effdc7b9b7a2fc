"""Cells: case × strategy × phase, in the order of measuring."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from jacobench.bench.cell.prepared_cell import FORWARD
from jacobench.strategies import contract, registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.bench.suites.case import Suite

BY_STRATEGY = contract.PHASES


@dataclass(frozen=True)
class Cell:
    """What one row measures: the name of a case, a strategy as the user named it, and one of `columns.PHASES`."""

    case: str
    strategy: str
    phase: str

    @property
    def id(self) -> str:
        """The identifier in pytest."""
        return f"{self.case}-{self.strategy.rpartition('/')[2]}-{self.phase}"


def cells_of(suite: Suite, strategies: Sequence[str] = ()) -> list[Cell]:
    """Return the cells of a suite, case by case: the forward pass, then the reference, then the other strategies.

    `strategies` replace those of the cases, unless empty. Raises BadInput for an unknown strategy.
    """
    found = []
    for case in suite.cases:
        found.append(Cell(case.name, FORWARD, FORWARD))
        specs = [registry.absolute(registry.check(strategy)) for strategy in strategies or case.strategies]
        # The reference first: if a strategy crashes the process, those timed before it already have their partner.
        for spec in sorted(specs, key=lambda spec: spec != registry.REFERENCE):
            found.extend(Cell(case.name, spec, phase) for phase in BY_STRATEGY)
    return list(dict.fromkeys(found))


def ordered(cells: Iterable[Cell], pass_number: int) -> list[Cell]:
    """Return the cells in the order of a pass. Every other pass reverses the strategies of each case.

    A drift of the machine then favors the first strategy as often as the last.
    """
    if pass_number % 2 == 0:
        return list(cells)
    result: list[Cell] = []
    for _, of_case in groupby(cells, key=lambda cell: cell.case):
        by_strategy = [list(group) for _, group in groupby(of_case, key=lambda cell: cell.strategy)]
        result.extend(cell for group in reversed(by_strategy) for cell in group)
    return result
