"""Cases, suites and cells: a suite is an ordered set of cases; a cell is case × strategy × phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.phase_costs import FORWARD, TASKS
from jacobench.bench.cell.prepared_cell import REFERENCE_STEP
from jacobench.bench.cell.problem import Problem, leaves_of, make_problem, solve
from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Graph
from jacobench.strategies import contract, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

BY_STRATEGY = contract.PHASES  # of the task "gradient"


@dataclass(frozen=True)
class Case:
    """A graph with its sizes and leaves, measured with each strategy."""

    name: str  # unique in its suite; contains the knobs, so that globs can select them: "mlp-w64-d3-b1-density0.1"
    knobs: Mapping[str, Any]  # values of columns such as `graph`, `depth`, `n_seeds`; None where one does not apply
    strategies: tuple[str, ...]  # names, or "file.py:Class"
    make: Callable[[], Any]  # builds the graph without large allocations; returns it, or (graph, leaves)
    rng_seed: int = 0  # the leaves are `graph.sample(rng_seed)`, unless `make` returns them
    task: str = "gradient"  # or "jacobian": the whole matrix of the output by the leaves
    content: str = ""  # arguments of the generator as text, equal for equal cases
    files: tuple[str, ...] = ()  # absolute paths of files that the case is read from

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of the task."""
        return TASKS[self.task]


@dataclass(frozen=True)
class Suite:
    """At least one case, in the order of measuring, with distinct names. The suite is named after its file."""

    name: str
    cases: tuple[Case, ...]


def build(case: Case) -> tuple[Graph, dict[str, NDArray[Any]]]:
    """Build a case's graph and its leaves: those that the generator returns, or drawn, equal on every machine.

    Raises BadInput if the generator does not return a graph, or if its leaves do not fit the graph.
    """
    graph, given = made_by(case)
    return graph, leaves_of(graph, given, case.rng_seed)


def problem_of(
    case: Case,
    budget_bytes: int,
    step: Callable[[str], None] = lambda _name: None,
    *,
    differences: bool = True,
) -> Problem:
    """Build a case's graph, its leaves and seeds, and add the reference as `problem.solve` does.

    `step` is called with the name of each step that begins. Raises as `build`, and `OverBudget`.
    """
    step("building the case")
    graph, given = made_by(case)
    n_seeds = int(case.knobs.get("n_seeds") or 1)
    problem = make_problem(graph, case.task, n_seeds, case.rng_seed, budget_bytes, given)
    step(REFERENCE_STEP)
    return solve(problem, registry.load(registry.REFERENCE), budget_bytes, differences=differences)


def graph_of(case: Case) -> Graph:
    """Build only the graph of a case; raises BadInput if the generator does not return one."""
    return made_by(case)[0]


def columns_of(graph: Graph) -> dict[str, Any]:
    """Return the columns that a graph determines. A case's knobs may name the leaves otherwise."""
    return {"n_parameters": graph.n_parameters, "dtype": graph.dtype.name, "wrt": graph.selection}


def made_by(case: Case) -> tuple[Graph, Mapping[str, Any] | None]:
    """Return what a case's generator returns: a graph, and leaves or None. Raises as `graph_of`."""
    made = case.make()
    graph, leaves = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if isinstance(graph, Graph) and (leaves is None or isinstance(leaves, Mapping)):
        return graph, leaves
    given = f"({', '.join(type(part).__name__ for part in made)})" if isinstance(made, tuple) else type(made).__name__
    raise BadInput(f"case {case.name!r}: expected its generator to return a Graph or (Graph, leaves), got {given}")


def select_cases(suite: Suite, globs: Sequence[str]) -> Suite:
    """Return the suite with the cases that match any glob, all without globs; a glob without a match is BadInput."""
    names = [case.name for case in suite.cases]
    chosen: set[str] = set()
    for glob in globs:
        found = matching(glob, names)
        if not found:
            shown = ", ".join(names[:5]) + (f" … ({len(names)} in total)" if len(names) > 5 else "")
            hint = "".join(f"; did you mean {near!r}?" for near in get_close_matches(glob, names, n=1))
            raise BadInput(f"no case of suite {suite.name!r} matches {glob!r}; it has {shown}{hint}")
        chosen.update(found)
    return replace(suite, cases=tuple(case for case in suite.cases if case.name in chosen)) if globs else suite


SIZES = ("depth", "width", "batch", "n_seeds", "weight_density")  # knobs that make a case larger


def larger(cases: Sequence[Case], name: str) -> list[Case]:
    """Return the cases larger than the case `name`: at least one size is larger, none is smaller, all else is equal."""
    small = next(case for case in cases if case.name == name)
    return [case for case in cases if _is_larger(case.knobs, small.knobs)]


def _is_larger(knobs: Mapping[str, Any], small: Mapping[str, Any]) -> bool:
    sizes = [key for key in SIZES if all(isinstance(some.get(key), int | float) for some in (knobs, small))]
    if any(knobs.get(key) != small.get(key) for key in {*knobs, *small} - set(sizes)):
        return False
    return all(knobs[key] >= small[key] for key in sizes) and any(knobs[key] > small[key] for key in sizes)


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
    """Return the cells case by case: forward pass, reference, other strategies (those of the case, unless given)."""
    found = []
    for case in suite.cases:
        found.append(Cell(case.name, FORWARD, FORWARD))
        specs = [registry.absolute(registry.check(strategy)) for strategy in strategies or case.strategies]
        # The reference first: if a strategy crashes the process, those timed before it already have their partner.
        for spec in sorted(specs, key=lambda spec: spec != registry.REFERENCE):
            found.extend(Cell(case.name, spec, phase) for phase in case.phases)
    return list(dict.fromkeys(found))


def ordered(cells: Iterable[Cell], pass_number: int) -> list[Cell]:
    """Return the cells in the order of a pass. Every other pass reverses the strategies, because machines drift."""
    if pass_number % 2 == 0:
        return list(cells)
    result: list[Cell] = []
    for _, of_case in groupby(cells, key=lambda cell: cell.case):
        by_strategy = [list(group) for _, group in groupby(of_case, key=lambda cell: cell.strategy)]
        result.extend(cell for group in reversed(by_strategy) for cell in group)
    return result
