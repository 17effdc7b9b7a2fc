"""Cells: case × strategy × phase, in the order they are measured in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from jacobench.bench.row import columns
from jacobench.strategies import contract, registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.bench.suites.case import Suite

FORWARD = columns.FORWARD

BY_STRATEGY = contract.PHASES

NEEDS = {
    "forward": ("forward",),
    "prepare": BY_STRATEGY,
    "linearize": BY_STRATEGY[1:],
    "pullback": BY_STRATEGY[2:],
    "gradient": ("gradient",),
}
"""Phase → the phases that cannot be had where it fails."""


@dataclass(frozen=True)
class Cell:
    """One thing to be measured.

    Attributes
    ----------
    case : str
        The case's name.
    strategy : str
        A registered strategy's name, or where to load it from: ``file.py:Class``, ``package.module:Class``.
    phase : str
        One of `columns.PHASES`.
    """

    case: str
    strategy: str
    phase: str

    @property
    def id(self) -> str:
        """What pytest shows for it."""
        return f"{self.case}-{self.strategy.rpartition('/')[2]}-{self.phase}"


def cells_of(suite: Suite, strategies: Sequence[str] = ()) -> list[Cell]:
    """List a suite's cells: case by case, the forward pass first, then the reference, then the others.

    Parameters
    ----------
    suite : Suite
        The cases, each with its strategies.
    strategies : sequence of str
        Taken instead of each case's own, if any are given.

    Returns
    -------
    list of Cell
        All of them.

    Raises
    ------
    BadInput
        For a strategy that cannot be looked for.
    """
    found = []
    for case in suite.cases:
        found.append(Cell(case.name, FORWARD, FORWARD))
        specs = [registry.absolute(registry.check(strategy)) for strategy in strategies or case.strategies]
        # The reference first: if another strategy ends the process, those timed before it have had their partner.
        for spec in sorted(specs, key=lambda spec: spec != registry.REFERENCE):
            found.extend(Cell(case.name, spec, phase) for phase in BY_STRATEGY)
    return list(dict.fromkeys(found))


def ordered(cells: Iterable[Cell], pass_number: int) -> list[Cell]:
    """Return the cells in the order of a pass: in every other pass the strategies of each case are reversed.

    Whatever drifts while a case is measured then favours the first strategy as often as the last.
    """
    if pass_number % 2 == 0:
        return list(cells)
    result: list[Cell] = []
    for _, of_case in groupby(cells, key=lambda cell: cell.case):
        by_strategy = [list(group) for _, group in groupby(of_case, key=lambda cell: cell.strategy)]
        result.extend(cell for group in reversed(by_strategy) for cell in group)
    return result
