"""Phases of a cell: which a task has, what a strategy predicts for them, and which exceed the memory budget."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jacobench.strategies.contract import PHASES, Prediction, Predictions

from .verification import value_bytes
from .whole_jacobian import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Strategy

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


def needing_phases(task: str, phase: str) -> tuple[str, ...]:
    """Return the phases of a task that fail when a phase fails: itself and all later ones."""
    phases = TASKS[task]
    return (FORWARD,) if phase == FORWARD else phases[phases.index(phase) :]


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


def input_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes of the leaves and of seeds."""
    sizes = [prod(leaf.shape) for leaf in graph.leaves.values()]
    return (sum(sizes) + n_seeds * prod(graph.output_shape)) * graph.dtype.itemsize


def cotangent_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes of the cotangents that seeds pull back to."""
    return n_seeds * sum(prod(graph.leaves[name].shape) for name in graph.wrt) * graph.dtype.itemsize


def over_budget(needs: Mapping[str, int], n_bytes: int, budget_bytes: int) -> str:
    """Return which step exceeds the budget, with `n_bytes` of leaves and seeds; empty if none does."""
    step, peak = max(needs.items(), key=lambda item: item[1])
    if peak + n_bytes <= budget_bytes:
        return ""
    return (
        f"{step} is predicted to need {format_size(peak + n_bytes)} with leaves and seeds, "
        f"the budget is {format_size(budget_bytes)}"
    )


def format_size(n_bytes: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.4g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:,.2f} GiB"
