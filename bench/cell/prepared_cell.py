"""A strategy before its phases are measured: predicted, prepared and verified."""

from __future__ import annotations

import traceback
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import nan, prod
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from jacobench.strategies.contract import PHASES, Prediction, Predictions, placed

from .timing import timed_call
from .verification import NOT_FINITE, difference_breach, difference_bytes, fingerprint, value_bytes, verify
from .whole_jacobian import joined, shape_of, unit_seeds, whole_jacobian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prepared, Strategy

FORWARD = "forward"  # strategy and phase of the forward pass alone

JACOBIAN = "jacobian"  # task and phase of the whole Jacobian

TASKS: Mapping[str, tuple[str, ...]] = {"gradient": PHASES, JACOBIAN: ("prepare", JACOBIAN)}
"""Task of a case → its phases in order, each of which fails if an earlier one fails. The last, which has the task's name, is
all the work at one point."""

KEPT = {
    "linearize": ("prepare",),
    "pullback": ("prepare", "linearize"),
    "gradient": ("prepare",),
    JACOBIAN: ("prepare",),
}
"""Phase → the phases whose results are held while it runs."""

NO_DIFFERENCES = "the reference was not compared with central differences: they need more memory than the budget"

STOPS_GRADIENT = (
    "the reference was not compared with central differences: the graph contains stop_gradient, so that its cotangents "
    "are not those of the derivative"
)

LONGEST_REASON = 300  # characters

REFERENCE_STEP, MEMORY_STEP, TIMING_STEP = "computing the reference", "measuring memory", "timing"
"""Steps of a cell that callers announce. `prepare_cell` announces the steps between the first and the second."""


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
        raise OverBudget(f"the leaves and seeds need {_size(n_bytes)}, the budget is {_size(budget_bytes)}")
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


def input_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes of the leaves and of seeds."""
    sizes = [prod(leaf.shape) for leaf in graph.leaves.values()]
    return (sum(sizes) + n_seeds * prod(graph.output_shape)) * graph.dtype.itemsize


def cotangent_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes of the cotangents that seeds pull back to."""
    return n_seeds * sum(prod(graph.leaves[name].shape) for name in graph.wrt) * graph.dtype.itemsize


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.4g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:,.2f} GiB"


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
        first |= _with_result(problem.task, first["linearize"], seconds)
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


def _with_result(task: str, linearize_seconds: float, result_seconds: float) -> dict[str, float]:
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


def encodable(text: str) -> str:
    """Return a text for JSON: bytes of a file's name that is not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(reason: str) -> str:
    """Return a reason on one line of at most `LONGEST_REASON` characters: an exception may contain whole arrays."""
    text = " ".join(encodable(reason).split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 2] + " …"


def status_of(error: BaseException, step: str) -> tuple[str, str]:
    """Return the status and the reason of a cell in which a step raised an exception."""
    if type(error).__name__ == "OverBudget":
        return "over_budget", one_line(str(error))
    if isinstance(error, MemoryError):
        return "out_of_memory", one_line(f"{step}: {str(error) or 'MemoryError'}")
    if type(error).__name__ == "Unsupported":  # a plug-in may define its own
        return "unsupported", one_line(str(error))
    return "error", one_line(f"{step}: {type(error).__name__}: {error}")


@dataclass
class PreparedCell:
    """One strategy on one problem, before its phases are measured."""

    name: str
    problem: Problem
    strategy: Strategy | None = None  # None for the forward pass, or if it could not be loaded
    prepared: Prepared | None = None  # None if a step before failed
    predictions: Predictions | None = None  # None if the strategy has no model
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)  # phase → status, reason; not to be timed
    max_relative_error: float = nan  # against the reference; NaN for the reference itself
    note: str = ""  # why a check was left out
    traceback: str = ""
    first_seconds: dict[str, float] = field(default_factory=dict)  # phase → first call, in seconds

    def call(self, phase: str) -> Callable[[], Any]:
        """Return the call that a phase measures; for ``pullback`` this linearizes first."""
        graph, leaves, seeds = self.problem.graph, self.problem.leaves, self.problem.seeds
        if phase == FORWARD:
            return lambda: graph.evaluate(leaves)
        strategy, prepared = self.strategy, self.prepared
        assert strategy is not None
        assert prepared is not None
        leaves = placed(prepared, leaves)
        if phase == "pullback":
            linearized = prepared.linearize(leaves)
            return lambda: linearized.pullback(seeds)
        return {
            "prepare": lambda: strategy.prepare(graph),
            "linearize": lambda: prepared.linearize(leaves),
            "gradient": lambda: prepared.linearize(leaves).pullback(seeds),
            JACOBIAN: lambda: whole_jacobian(prepared.linearize(leaves), graph),
        }[phase]

    def fail(self, phase: str, status: str, reason: str) -> None:
        """Give a phase, and every phase that needs it, a status; the status of an earlier failure is kept."""
        for needing in needing_phases(self.problem.task, phase):
            self.failed.setdefault(needing, (status, one_line(reason)))

    @contextmanager
    def failures(self, phase: str) -> Iterator[None]:
        """Turn any exception of a strategy into the status of a phase."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (a plug-in may raise anything; only its own rows fail)
            self.fail(phase, *status_of(error, phase))
            self.traceback = encodable(traceback.format_exc())


def prepare_cell(
    spec: str,
    problem: Problem,
    budget_bytes: int,
    load: Callable[[str], Strategy],
    *,
    is_reference: bool = False,
    step: Callable[[str], None] = lambda _name: None,
) -> PreparedCell:
    """Load, predict, prepare and verify a strategy. Its failures are in `PreparedCell.failed`; nothing is raised.

    A strategy is not computed if its predicted peak in any phase, with the leaves and seeds, exceeds `budget_bytes`.
    Neither is it if the values of the graph, which verification computes, or the cotangents exceed it.
    Its cotangents are compared with the reference's, except for the reference itself. `step` is called with the name
    of each step that begins.
    """
    cell = PreparedCell(spec.rpartition(":")[2], problem)
    with cell.failures("prepare"):
        step("loading")
        cell.strategy = load(spec)
        cell.name = str(cell.strategy.name)
        step("preparing")
        cell.predictions = predict_task(cell.strategy, problem.graph, problem.task, len(problem.seeds))
        phases = cell.predictions.phases if cell.predictions else {}
        needs = step_bytes(problem.graph, len(problem.seeds), phases)
        over = over_budget(needs, input_bytes(problem.graph, len(problem.seeds)), budget_bytes)
        if over:
            cell.fail("prepare", "over_budget", over)
        else:
            prepare = partial(cell.strategy.prepare, problem.graph)
            cell.prepared, cell.first_seconds["prepare"] = timed_call(prepare)
    if not cell.failed:
        step("verifying")
        with cell.failures(TASKS[problem.task][1]):
            _verify(cell, budget_bytes, is_reference=is_reference)
    return cell


def predict(strategy: Strategy, graph: Graph, n_seeds: int) -> Predictions | None:
    """Return the predicted bytes and flops of a strategy's phases, or None if it has no model."""
    model = getattr(strategy, "predict", None)
    if model is None:
        return None
    predictions: Predictions = model(graph, n_seeds)
    return predictions


def predict_task(strategy: Strategy, graph: Graph, task: str, n_seeds: int) -> Predictions | None:
    """Return the prediction of each phase of a task; the number of seeds does not matter for the task "jacobian"."""
    found = predict(strategy, graph, shape_of(graph)[0] if task == JACOBIAN else n_seeds)
    if found is None:
        return None
    known = dict(found.phases)
    if task == JACOBIAN and JACOBIAN not in known:
        known[JACOBIAN] = _by_pullback(graph, known)
    return Predictions({phase: known[phase] for phase in TASKS[task]}, found.n_nonzeros)


def _by_pullback(graph: Graph, phases: Mapping[str, Prediction]) -> Prediction:
    """Predict `whole_jacobian` by a pullback of the identity from the phases for as many seeds as there are outputs."""
    n_out, n_in = shape_of(graph)
    linearize, pullback = phases["linearize"], phases.get("identity pullback", phases["pullback"])
    identity, matrix = (n_out * n * graph.dtype.itemsize for n in (n_out, n_in))
    copied = matrix if len(graph.wrt) > 1 else 0
    peak = max(
        linearize.peak_bytes,
        linearize.retained_bytes + identity + pullback.peak_bytes,
        pullback.retained_bytes + copied,
    )
    return Prediction(peak, matrix, linearize.flops + pullback.flops)


def needing_phases(task: str, phase: str) -> tuple[str, ...]:
    """Return the phases of a task that fail when a phase fails: itself and all later ones."""
    phases = TASKS[task]
    return (FORWARD,) if phase == FORWARD else phases[phases.index(phase) :]


def step_bytes(graph: Graph, n_seeds: int, phases: Mapping[str, Prediction]) -> dict[str, int]:
    """Return the bytes of each phase that has a prediction, and those that verifying any strategy needs.

    `phases` are those of a strategy, empty without a model, or that of the forward pass, which is not verified.
    """
    least = 0 if FORWARD in phases else max(value_bytes(graph), cotangent_bytes(graph, n_seeds))
    return {**{phase: phase_bytes(phases, phase) for phase in phases}, "verification": least}


def phase_bytes(phases: Mapping[str, Prediction], phase: str) -> int:
    """Return the predicted memory of a phase: its peak, and what earlier phases keep, such as patterns."""
    kept = (phases[earlier].retained_bytes for earlier in KEPT.get(phase, ()) if earlier in phases)
    return phases[phase].peak_bytes + sum(kept)


def over_budget(needs: Mapping[str, int], n_bytes: int, budget_bytes: int) -> str:
    """Return which step exceeds the budget, with `n_bytes` of leaves and seeds; empty if none does."""
    step, peak = max(needs.items(), key=lambda item: item[1])
    if peak + n_bytes <= budget_bytes:
        return ""
    return (
        f"{step} is predicted to need {_size(peak + n_bytes)} with leaves and seeds, "
        f"the budget is {_size(budget_bytes)}"
    )


def _verify(cell: PreparedCell, budget_bytes: int, *, is_reference: bool) -> None:
    problem = cell.problem
    assert cell.prepared is not None
    if problem.fault:
        cell.fail("prepare", "wrong" if is_reference and problem.is_wrong else "error", problem.fault)
        return
    n_seeds = len(problem.seeds)
    n_verified = _verifiable(cell, budget_bytes)
    compared = min(n_verified, problem.n_verified)
    reference = {name: bar[:compared] for name, bar in problem.reference.items()} if compared else None
    n_used = compared or n_verified
    found = verify(
        problem.graph,
        cell.prepared,
        problem.leaves,
        problem.seeds[:n_used],
        None if is_reference else reference,
        None if problem.rows is None else problem.rows[:n_used],
        budget_bytes - _held_bytes(problem),
    )
    cell.max_relative_error = found.max_relative_error
    cell.first_seconds["linearize"] = found.linearize_seconds
    if found.is_own_jacobian or (n_used == n_seeds and problem.has_all_seeds):
        cell.first_seconds |= _with_result(problem.task, found.linearize_seconds, found.result_seconds)
    repeated = "" if found.is_repeated else "called once only: two Jacobians exceed the memory budget"
    cell.note = "; ".join(filter(None, (problem.note, _left_out(problem, compared), repeated)))
    if found.breach:
        cell.fail("prepare", found.status, found.breach)


def _left_out(problem: Problem, compared: int) -> str:
    what, count = ("seeds", len(problem.seeds)) if problem.rows is None else ("rows", shape_of(problem.graph)[0])
    if compared == count:
        return ""
    return f"compared with the reference for {compared} of {count} {what}: more exceed the memory budget"


def _held_bytes(problem: Problem) -> int:
    """Return the bytes of a problem: leaves, seeds and reference."""
    return sum(bar.nbytes for bar in problem.reference.values()) + input_bytes(problem.graph, len(problem.seeds))


def _verifiable(cell: PreparedCell, budget_bytes: int) -> int:
    """Return the number of seeds, at least one, whose cotangents of two calls fit next to the reference's."""
    problem = cell.problem
    n_seeds = len(problem.seeds)
    left = budget_bytes - _held_bytes(problem)

    def need(count: int) -> int:
        predictions = predict(cell.strategy, problem.graph, count) if cell.strategy else None
        if predictions is None:
            return 2 * cotangent_bytes(problem.graph, count)
        gradient = predictions.phases["gradient"]
        return gradient.peak_bytes + gradient.retained_bytes

    if need(n_seeds) <= left:
        return n_seeds
    return max(1, bisect_right(range(1, n_seeds), left, key=need))
