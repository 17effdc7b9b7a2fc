"""A strategy before its phases are measured: predicted, prepared and verified."""

from __future__ import annotations

import traceback
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any

from jacobench.strategies.contract import Predictions, placed

from .phase_costs import (
    FORWARD,
    JACOBIAN,
    TASKS,
    cotangent_bytes,
    input_bytes,
    needing_phases,
    over_budget,
    predict,
    predict_task,
    step_bytes,
)
from .problem import Problem, with_result
from .timing import timed_call
from .verification import verify
from .whole_jacobian import shape_of, whole_jacobian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jacobench.strategies.contract import Prepared, Strategy

LONGEST_REASON = 300  # characters

REFERENCE_STEP, MEMORY_STEP, TIMING_STEP = "computing the reference", "measuring memory", "timing"
"""Steps of a cell that callers announce. `prepare_cell` announces the steps between the first and the second."""


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
        cell.first_seconds |= with_result(problem.task, found.linearize_seconds, found.result_seconds)
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
