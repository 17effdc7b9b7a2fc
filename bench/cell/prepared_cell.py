"""A strategy before its phases are measured: predicted, prepared and verified."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import nan, prod
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from jacobench.strategies.contract import PHASES, placed

from .verification import difference_breach, fingerprint, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Predictions, Prepared, Strategy

FORWARD = "forward"  # strategy and phase of the forward pass alone

NEEDS: Mapping[str, tuple[str, ...]] = {
    FORWARD: (FORWARD,),
    "prepare": PHASES,
    "linearize": PHASES[1:],
    "pullback": PHASES[2:],
    "gradient": ("gradient",),
}
"""Phase → the phases that fail when it fails."""

LONGEST_REASON = 300  # characters

REFERENCE_STEP, MEMORY_STEP, TIMING_STEP = "computing the reference", "measuring memory", "timing"
"""Steps of a cell that callers announce. `prepare_cell` announces the steps between the first and the second."""


@dataclass(frozen=True)
class Problem:
    """A graph with the arrays at which it is differentiated."""

    graph: Graph
    leaves: Mapping[str, Array]  # name → array
    seeds: Array  # shape (S, *output_shape)
    reference: Mapping[str, Array] = field(default_factory=dict)  # cotangents, shape (S, *leaf shape), or empty

    def fingerprint(self) -> int:
        """Return a checksum of all arrays."""
        return hash(tuple(map(fingerprint, (*self.leaves.values(), self.seeds, *self.reference.values()))))


def draw_seeds(graph: Graph, kind: str, n_seeds: int, rng_seed: int) -> Array:
    """Return `n_seeds` seeds uniform on [−1, 1) for kind "random", or the unit vector of each output for "identity"."""
    if kind == "identity":
        n_out = prod(graph.output_shape)
        return np.eye(n_out, dtype=graph.dtype).reshape(n_out, *graph.output_shape)
    rng = np.random.default_rng([rng_seed, crc32(b"the seeds")])
    return (2 * rng.random((n_seeds, *graph.output_shape)) - 1).astype(graph.dtype)


def encodable(text: str) -> str:
    """Return a text for JSON: bytes of a file's name that is not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(reason: str) -> str:
    """Return a reason on one line of at most `LONGEST_REASON` characters: an exception may contain whole arrays."""
    text = " ".join(encodable(reason).split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 2] + " …"


def status_of(error: BaseException, step: str) -> tuple[str, str]:
    """Return the status and the reason of a cell in which a step raised an exception."""
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
        }[phase]

    def fail(self, phase: str, status: str, reason: str) -> None:
        """Give a phase, and every phase that needs it, a status; the status of an earlier failure is kept."""
        for needing in NEEDS[phase]:
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
    check: str = "reference",
    step: Callable[[str], None] = lambda _name: None,
) -> PreparedCell:
    """Load, predict, prepare and verify a strategy. Its failures are in `PreparedCell.failed`; nothing is raised.

    A strategy whose predicted peak exceeds `budget_bytes` in any phase is not computed. `check` selects what the
    cotangents are compared with: the reference's ("reference"), central differences of the reference itself
    ("differences"), or nothing, because the reference was compared before in this run ("contract"). `step` is called
    with the name of each step that begins.
    """
    cell = PreparedCell(spec.rpartition(":")[2], problem)
    with cell.failures("prepare"):
        step("loading")
        cell.strategy = load(spec)
        cell.name = str(cell.strategy.name)
        step("preparing")
        cell.predictions = predict(cell.strategy, problem.graph, len(problem.seeds))
        over = _over_budget(cell.predictions, budget_bytes)
        if over:
            cell.fail("prepare", "over_budget", over)
        else:
            cell.prepared = cell.strategy.prepare(problem.graph)
    if not cell.failed:
        step("verifying")
        with cell.failures("linearize"):
            _verify(cell, check)
    return cell


def predict(strategy: Strategy, graph: Graph, n_seeds: int) -> Predictions | None:
    """Return the predicted bytes and flops of a strategy's phases, or None if it has no model."""
    model = getattr(strategy, "predict", None)
    if model is None:
        return None
    predictions: Predictions = model(graph, n_seeds)
    return predictions


def _over_budget(predictions: Predictions | None, budget_bytes: int) -> str:
    if predictions is None:
        return ""
    phase = max(PHASES, key=lambda phase: predictions.phases[phase].peak_bytes)
    peak = predictions.phases[phase].peak_bytes
    if peak <= budget_bytes:
        return ""
    return f"{phase} is predicted to need {peak / 2**30:,.2f} GiB, the budget is {budget_bytes / 2**30:,.2f} GiB"


def _verify(cell: PreparedCell, check: str) -> None:
    problem = cell.problem
    assert cell.prepared is not None
    reference = problem.reference if check == "reference" else None
    found = verify(problem.graph, cell.prepared, problem.leaves, problem.seeds, reference)
    cell.max_relative_error = found.max_relative_error
    breach = found.breach
    if check == "differences" and not breach:
        try:
            breach = difference_breach(problem.graph, problem.leaves, problem.seeds, problem.reference)
        except MemoryError:
            cell.note = "not compared with central differences: they need more memory than the budget"
    if breach:
        cell.fail("prepare", "wrong", breach)
