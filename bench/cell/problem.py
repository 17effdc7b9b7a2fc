"""The problem that all strategies of a case solve: a graph, its leaves and seeds, and the reference's cotangents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from .phase_costs import FORWARD, JACOBIAN, cotangent_bytes, format_size, input_bytes, predict
from .timing import timed_call
from .verification import NOT_FINITE, difference_breach, difference_bytes, fingerprint
from .whole_jacobian import joined, shape_of, unit_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Strategy

NO_DIFFERENCES = "the reference was not compared with central differences: they need more memory than the budget"

STOPS_GRADIENT = (
    "the reference was not compared with central differences: the graph contains stop_gradient, so that its cotangents "
    "are not those of the derivative"
)


@dataclass(frozen=True)
class Problem:
    """A graph with the arrays at which it is differentiated."""

    graph: Graph
    leaves: Mapping[str, Array]  # name → array
    seeds: Array  # shape (S, *output_shape)
    rows: NDArray[np.int64] | None = None  # for the task "jacobian": the outputs whose unit vectors are the seeds
    reference: Mapping[str, Array] = field(default_factory=dict)  # cotangents of the first seeds that fit, or empty
    n_verified: int = 0  # number of seeds that `reference` has cotangents of
    fault: str = ""  # why no strategy can be compared with the reference here
    is_wrong: bool = False  # whether the fault is that the reference differs from central differences
    note: str = ""  # which checks were left out
    first_seconds: Mapping[str, float] = field(default_factory=dict)  # phase → first call of forward and reference

    @property
    def task(self) -> str:
        """The task, one of `TASKS`."""
        return "gradient" if self.rows is None else JACOBIAN

    @property
    def has_all_seeds(self) -> bool:
        """Whether the seeds are all that the phases use: not if rows of the Jacobian were left out."""
        return self.rows is None or len(self.rows) == shape_of(self.graph)[0]

    def fingerprint(self) -> int:
        """Return a checksum of all arrays."""
        return hash(tuple(map(fingerprint, (*self.leaves.values(), self.seeds, *self.reference.values()))))


class OverBudget(Exception):  # noqa: N818  (reads as a statement, as `Unsupported`)
    """The arrays of a case alone exceed the memory budget."""


def make_problem(
    graph: Graph, task: str, n_seeds: int, rng_seed: int, budget_bytes: int, given: Mapping[str, Array] | None = None
) -> Problem:
    """Draw seeds and, unless they are given, leaves; raises `OverBudget` if they alone exceed the budget.

    For the task "gradient", there are `n_seeds` seeds, uniform on [−1, 1). For the task "jacobian", they are the unit vectors
    of `rows_to_verify`. Raises as `leaves_of`.
    """
    rows = rows_to_verify(graph, budget_bytes) if task == JACOBIAN else None
    n_bytes = input_bytes(graph, n_seeds if rows is None else len(rows))
    if n_bytes > budget_bytes:
        raise OverBudget(f"the leaves and seeds need {format_size(n_bytes)}, the budget is {format_size(budget_bytes)}")
    seeds = _random_seeds(graph, n_seeds, rng_seed) if rows is None else unit_seeds(graph, rows)
    return Problem(graph, leaves_of(graph, given, rng_seed), seeds, rows)


def rows_to_verify(graph: Graph, budget_bytes: int) -> NDArray[np.int64]:
    """Return the rows of the whole Jacobian that are verified: all, or evenly spaced ones, and at least one.

    Their seeds, the reference and those of two calls take at most a quarter of the budget.
    """
    n_out, n_in = shape_of(graph)
    affordable = budget_bytes // 4 // ((n_out + 3 * n_in) * graph.dtype.itemsize)
    n_rows = min(n_out, max(1, affordable))
    return np.arange(n_rows) * n_out // n_rows


def _random_seeds(graph: Graph, n_seeds: int, rng_seed: int) -> Array:
    rng = np.random.default_rng([rng_seed, crc32(b"the seeds")])
    return (2 * rng.random((n_seeds, *graph.output_shape)) - 1).astype(graph.dtype)


def leaves_of(graph: Graph, given: Mapping[str, Array] | None, rng_seed: int) -> dict[str, Array]:
    """Return copies of the given leaves, or drawn ones for None; raises BadInput if the given do not fit."""
    if given is None:
        return graph.sample(rng_seed)
    return {name: np.array(leaf) for name, leaf in zip(graph.leaves, graph.values_of(given), strict=False)}


def solve(problem: Problem, reference: Strategy, budget_bytes: int, *, differences: bool = True) -> Problem:
    """Add the reference's cotangents of as many seeds as fit in the budget.

    They are compared with central differences if these fit too and `differences` is true: once per case and run. A
    wrong reference is a fault of the problem, so it judges no strategy.
    """
    graph, seeds = problem.graph, problem.seeds
    most, at_once = _seeds_that_fit(graph, reference, len(seeds), budget_bytes)
    if not most:
        return problem
    first: dict[str, float] = {}
    with np.errstate(all="ignore"):
        _, first[FORWARD] = timed_call(lambda: graph.evaluate(problem.leaves))
        prepared, first["prepare"] = timed_call(lambda: reference.prepare(graph))
        linearized, first["linearize"] = timed_call(lambda: prepared.linearize(problem.leaves))
        bars, seconds = timed_call(partial(_pull_back, linearized, graph, seeds[:most], at_once))
    if at_once == len(seeds) and problem.has_all_seeds:
        if problem.task == JACOBIAN:
            seconds += timed_call(lambda: joined(bars, graph) is None)[1]
        first |= with_result(problem.task, first["linearize"], seconds)
    solved = replace(problem, reference=bars, n_verified=most, first_seconds=first)
    if not np.isfinite(linearized.output).all():
        return replace(solved, fault=NOT_FINITE)
    del linearized
    infinite = [name for name, bar in bars.items() if not np.isfinite(bar).all()]
    if infinite:
        return replace(solved, fault=_infinite_gradient(reference.name, infinite))
    if not differences:
        return solved
    return _with_differences(solved, reference, budget_bytes)


def with_result(task: str, linearize_seconds: float, result_seconds: float) -> dict[str, float]:
    """Return the first calls of the phases with a result: cotangents of all seeds, or the whole Jacobian.

    That of the phase with the task's name is a linearization and the result.
    """
    whole = {task: linearize_seconds + result_seconds}
    return whole if task == JACOBIAN else {"pullback": result_seconds, **whole}


def _infinite_gradient(reference: str, leaves: list[str]) -> str:
    """Return a fault that is true whatever the cause. Central differences cannot tell: they are finite at a pole."""
    with_respect_to = ", ".join(leaves)
    return (
        f"the gradient that {reference} computes is not finite, with respect to {with_respect_to}: "
        f"the graph has none at this point, or {reference} is wrong"
    )


def _with_differences(problem: Problem, reference: Strategy, budget_bytes: int) -> Problem:
    graph = problem.graph
    if any(node.op.name == "stop_gradient" for node in graph.nodes):
        return replace(problem, note=STOPS_GRADIENT)
    if input_bytes(graph, len(problem.seeds)) + difference_bytes(graph) > budget_bytes:
        return replace(problem, note=NO_DIFFERENCES)
    try:
        breach = difference_breach(graph, problem.leaves, *_to_compare(problem))
    except MemoryError:
        return replace(problem, note=NO_DIFFERENCES)
    fault = f"{reference.name}, the reference, is wrong: its {breach}"
    return replace(problem, fault=fault, is_wrong=True) if breach else problem


def _to_compare(problem: Problem) -> tuple[Array, Mapping[str, Array]]:
    """Return the seeds, and their cotangents, to compare with central differences, which use the first seed only.

    Of unit vectors, it is a random combination of all.
    """
    if problem.rows is None:
        return problem.seeds, problem.reference
    weights = np.random.default_rng(0).uniform(-1, 1, problem.n_verified).astype(problem.graph.dtype)
    seeds = problem.seeds[: problem.n_verified]
    bars = {name: np.tensordot(weights, bar, 1)[np.newaxis] for name, bar in problem.reference.items()}
    return np.tensordot(weights, seeds, 1)[np.newaxis], bars


def _pull_back(linearized: Any, graph: Graph, seeds: Array, at_once: int) -> Mapping[str, Array]:
    """Pull back a few seeds at a time."""
    if at_once >= len(seeds):
        found: Mapping[str, Array] = linearized.pullback(seeds)
        return found
    bars = {name: np.empty((len(seeds), *graph.leaves[name].shape), graph.dtype) for name in graph.wrt}
    for begin in range(0, len(seeds), at_once):
        for name, bar in linearized.pullback(seeds[begin : begin + at_once]).items():
            bars[name][begin : begin + at_once] = bar
    return bars


def _seeds_that_fit(graph: Graph, reference: Strategy, n_seeds: int, budget_bytes: int) -> tuple[int, int]:
    """Return the number of seeds whose cotangents fit in the budget, and the number to pull back at a time."""
    left = budget_bytes - input_bytes(graph, n_seeds)
    if _gradient_peak(reference, graph, n_seeds) <= left:
        return n_seeds, n_seeds
    most = int((left - _gradient_peak(reference, graph, 1)) // max(cotangent_bytes(graph, 1), 1))
    return max(0, min(most, n_seeds)), 1


def _gradient_peak(strategy: Strategy, graph: Graph, n_seeds: int) -> int:
    predictions = predict(strategy, graph, n_seeds)
    return predictions.phases["gradient"].peak_bytes if predictions else 0
