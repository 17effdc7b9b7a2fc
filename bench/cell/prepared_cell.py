"""A strategy tried on a case: predicted, prepared, proved right, and only then handed out to be measured."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from math import nan, prod
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from jacobench.bench.cell.verification import central_difference_error, verify
from jacobench.bench.suites.case import build
from jacobench.bench.suites.cells import BY_STRATEGY, FORWARD, NEEDS
from jacobench.strategies import registry
from jacobench.strategies.contract import Predictions, placed
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prepared, Strategy

SMALL_FLOPS = 10**7
"""Graphs whose forward pass takes no more flops than this are also held against central differences."""

DIFFERENCE_TOLERANCE = {"float64": 1e-5, "float32": 1e-2}
"""For central differences along a random direction; see `verify.central_difference_error`."""

GIB = 2**30

LONGEST_REASON = 300
"""Characters."""


@dataclass(frozen=True)
class Problem:
    """A case's graph, leaves and seeds, and the cotangents that the reference finds there.

    Attributes
    ----------
    graph : Graph
        The graph.
    leaves : mapping of str to NDArray
        The point.
    seeds : NDArray
        Shape (n_seeds, *output_shape), uniform on [−1, 1), or each the unit vector of one output.
    reference : mapping of str to NDArray
        Leaf name → (n_seeds, *leaf shape), from the strategy ``vjp``.
    """

    graph: Graph
    leaves: Mapping[str, Array]
    seeds: Array
    reference: Mapping[str, Array]

    def fingerprint(self) -> int:
        """Return a checksum of all arrays."""
        found = 0
        for array in (*self.leaves.values(), self.seeds, *self.reference.values()):
            found = crc32(np.ascontiguousarray(array).data.cast("B"), found)
        return found


def problem_of(case: Case) -> Problem:
    """Build a case's graph, draw its leaves and seeds, and take the reference's cotangents."""
    graph, leaves = build(case)
    rng = np.random.default_rng([case.rng_seed, crc32(b"the seeds")])
    n_out = prod(graph.output_shape)
    if case.seeds == "identity":
        seeds = np.eye(n_out, dtype=graph.dtype).reshape(n_out, *graph.output_shape)
    else:
        n_seeds = int(case.knobs.get("n_seeds") or 1)
        seeds = (2 * rng.random((n_seeds, *graph.output_shape)) - 1).astype(graph.dtype)
    reference = registry.load(registry.REFERENCE).prepare(graph).linearize(leaves).pullback(seeds)
    return Problem(graph, leaves, seeds, reference)


@dataclass
class PreparedCell:
    """How a strategy fared on a case before anything was timed.

    Attributes
    ----------
    name : str
        The strategy's name.
    point : Problem
        Where it was tried.
    strategy : Strategy or None
        None for the forward pass, or if it could not be loaded.
    prepared : Prepared or None
        None if it did not get that far.
    predictions : Predictions or None
        None if the strategy has no model.
    failed : dict of str to tuple of str
        Phase → (status, reason) for each phase that must not be timed.
    max_relative_error : float
        Against the reference; NaN for the reference itself.
    traceback : str
        Of what the strategy raised.
    """

    name: str
    point: Problem
    strategy: Strategy | None = None
    prepared: Prepared | None = None
    predictions: Predictions | None = None
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)
    max_relative_error: float = nan
    traceback: str = ""

    def call(self, phase: str) -> Callable[[], Any]:
        """Return what is measured in a phase; for ``pullback`` this linearizes first."""
        graph, leaves, seeds = self.point.graph, self.point.leaves, self.point.seeds
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
        """Give a phase, and every phase that needs it, a status; an earlier failure stands.

        The reason becomes one line of bounded length: an exception may carry whole arrays.
        """
        reason = shorten(reason, LONGEST_REASON, placeholder=" …")
        for needing in NEEDS[phase]:
            self.failed.setdefault(needing, (status, reason))


def prepare_cell(
    spec: str, point: Problem, budget_bytes: int, load: Callable[[str], Strategy] = registry.load
) -> PreparedCell:
    """Try a strategy on a case.

    Parameters
    ----------
    spec : str
        What `registry.load` takes, or ``"forward"``.
    point : Problem
        The case.
    budget_bytes : int
        A strategy predicted to need more than this in any phase is not tried.
    load : callable
        Loads a strategy.

    Returns
    -------
    PreparedCell
        Never raises for what a strategy does.
    """
    trial = PreparedCell(spec.rpartition(":")[2], point)
    if spec == FORWARD:
        trial.predictions = predict_forward(point.graph)
        return trial
    step = "prepare"
    try:
        trial.strategy = load(spec)
        trial.name = str(trial.strategy.name)
        trial.predictions = predict(trial.strategy, point.graph, len(point.seeds))
        over = _over_budget(trial.predictions, budget_bytes)
        if over:
            trial.fail("prepare", "over_budget", over)
            return trial
        trial.prepared = trial.strategy.prepare(point.graph)
        step = "linearize"
        _prove(trial, is_reference=spec == registry.REFERENCE)
    except MemoryError as error:
        trial.fail(step, "out_of_memory", f"{step}: {str(error) or 'MemoryError'}")
        trial.traceback = traceback.format_exc()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  (a plug-in may raise anything; it costs its own rows only)
        status = "unsupported" if type(error).__name__ == "Unsupported" else "error"
        reason = str(error) if status == "unsupported" else f"{step}: {type(error).__name__}: {error}"
        trial.fail(step, status, reason)
        trial.traceback = traceback.format_exc()
    return trial


def predict(strategy: Strategy, graph: Graph, n_seeds: int) -> Predictions | None:
    """Return what a strategy expects to take, or None if it has no model."""
    model = getattr(strategy, "predict", None)
    if model is None:
        return None
    predictions: Predictions = model(graph, n_seeds)
    return predictions


def _over_budget(predictions: Predictions | None, budget_bytes: int) -> str:
    if predictions is None:
        return ""
    phase = max(BY_STRATEGY, key=lambda phase: predictions.phases[phase].peak_bytes)
    peak = predictions.phases[phase].peak_bytes
    if peak <= budget_bytes:
        return ""
    return f"{phase} is predicted to need {peak / GIB:,.2f} GiB, the budget is {budget_bytes / GIB:,.2f} GiB"


def _prove(trial: PreparedCell, *, is_reference: bool) -> None:
    """Hold the strategy against the reference, and the reference itself against central differences."""
    point = trial.point
    assert trial.prepared is not None
    reference = None if is_reference else point.reference
    finding = verify(point.graph, trial.prepared, point.leaves, point.seeds, reference)
    trial.max_relative_error = finding.max_relative_error
    breach = finding.breach or (_difference_breach(point) if is_reference else "")
    if breach:
        trial.fail("prepare", "wrong", breach)


def _difference_breach(point: Problem) -> str:
    graph = point.graph
    if predict_forward(graph).phases[FORWARD].flops > SMALL_FLOPS or not graph.wrt:
        return ""
    error = central_difference_error(graph, point.leaves, point.seeds, point.reference)
    tolerance = DIFFERENCE_TOLERANCE[graph.dtype.name]
    if error <= tolerance:
        return ""
    return f"cotangents are off by {error:.1e} from central differences: expected at most {tolerance:.0e}, relative"
