"""Whether a strategy is right: held against the reference, against central differences, and against the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isnan, nan
from statistics import median
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from jacobench.strategies.contract import placed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prepared

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""The largest over leaves of max|Δ| / max|reference| that passes."""

ROUNDING = 100
"""A leaf may differ by this many units of rounding of the largest cotangent of all leaves, whatever its own are: a cotangent
that is 0 but for cancellation, as behind a layer norm of width 2, is nothing but rounding."""

STEPS = (1e-5, 1e-6, 1e-6, 1e-7, 1e-7)
"""Of central differences, relative to each leaf's root mean square, each along a direction of its own: a rectifier's kink
may lie inside a step, but hardly ever inside three of the five. Of 2,000 right mlps of width 64, depth 3 and batch 16 two
were called wrong by three steps, none by these."""


@dataclass(frozen=True)
class Finding:
    """What verifying one strategy on one graph found.

    Attributes
    ----------
    breach : str
        What is wrong, in a sentence with the figures; empty if nothing is.
    max_relative_error : float
        The largest over leaves of max|Δ| / max|reference|; NaN without a reference or where shapes differ.
    """

    breach: str = ""
    max_relative_error: float = nan


def verify(
    graph: Graph,
    prepared: Prepared,
    leaves: Mapping[str, Array],
    seeds: Array,
    reference: Mapping[str, Array] | None,
) -> Finding:
    """Linearize, pull back twice, and hold what comes back against the contract and the reference.

    Parameters
    ----------
    graph : Graph
        What was prepared.
    prepared : Prepared
        The strategy's preparation of it.
    leaves : mapping of str to NDArray
        The point.
    seeds : NDArray
        Shape (S, *output_shape).
    reference : mapping of str to NDArray or None
        Cotangents known to be right, shape (S, *leaf shape) each; None leaves the comparison out.

    Returns
    -------
    Finding
        The first breach found, or none.

    Raises
    ------
    Exception
        Whatever the strategy raises.
    """
    inputs = {**leaves, "the seeds": seeds}
    before = _fingerprints(inputs)
    linearized = prepared.linearize(placed(prepared, leaves))
    breach = _changed("linearize wrote its inputs", before, _fingerprints(inputs)) or _output_breach(
        graph, linearized.output, leaves
    )
    if breach:
        return Finding(breach)
    output, described = linearized.output, _fingerprints({"output": linearized.output})
    first = linearized.pullback(seeds)
    breach = _form_breach(graph, first, len(seeds))
    if breach:
        return Finding(breach)
    error = relative_error(first, reference) if reference is not None else nan
    kept = _fingerprints(first)
    second = linearized.pullback(seeds)
    del linearized  # not held beside the next: two may be more than the budget
    again = prepared.linearize(placed(prepared, leaves)).output
    breach = (
        _form_breach(graph, second, len(seeds))
        or _error_breach(graph, first, reference, error)
        or _changed("a later call changed the cotangents that pullback had returned", kept, _fingerprints(first))
        or _changed("a later call changed what linearize had returned", described, _fingerprints({"output": output}))
        or _changed("pullback wrote its inputs", before, _fingerprints(inputs))
        or _sharing_breach(first, {**inputs, **{f"{name} of a second call": bar for name, bar in second.items()}})
        or ("output shares memory with that of an earlier call" if np.shares_memory(output, again) else "")
        or _repeat_breach(graph, first, second)
    )
    return Finding(breach, error)


def relative_error(bars: Mapping[str, Array], reference: Mapping[str, Array]) -> float:
    """Return the largest over leaves of max|Δ| / max|reference|; infinite where the reference is 0 and Δ is not."""
    return max((_relative(bars[name], reference[name]) for name in reference), default=0.0)


def _relative(bar: Array, reference: Array) -> float:
    difference, scale = float(np.max(np.abs(bar - reference))), float(np.max(np.abs(reference)))
    if scale == 0:
        return 0.0 if difference == 0 else inf
    return difference / scale


def central_difference_error(
    graph: Graph, leaves: Mapping[str, Array], seeds: Array, bars: Mapping[str, Array], rng_seed: int = 0
) -> float:
    """Compare ⟨seed, f'(x) d⟩ = Σ ⟨x̄, d⟩ with central differences in float64 along random directions d.

    Parameters
    ----------
    graph : Graph
        The function.
    leaves : mapping of str to NDArray
        The point.
    seeds : NDArray
        Shape (S, *output_shape); only the first is used.
    bars : mapping of str to NDArray
        The cotangents that `seeds` pulls back to, shape (S, *leaf shape) each.
    rng_seed : int
        Seed of the direction.

    Returns
    -------
    float
        The median over `STEPS` of |Δ| relative to the root of Σ (x̄ d)² over all entries, a scale that no
        cancellation shrinks. Some 1e-8 for a right gradient of a smooth graph in float64; limited by the gradient's own
        rounding in float32.
    """
    rng = np.random.default_rng(rng_seed)
    return median(_difference_error(graph, leaves, seeds, bars, rng, step) for step in STEPS)


def _difference_error(
    graph: Graph,
    leaves: Mapping[str, Array],
    seeds: Array,
    bars: Mapping[str, Array],
    rng: np.random.Generator,
    step: float,
) -> float:
    wide = replace(graph, dtype=np.dtype(np.float64))
    point = {name: leaf.astype(np.float64) for name, leaf in leaves.items()}
    seed = seeds[0].astype(np.float64)
    direction = {name: rng.standard_normal(point[name].shape) * _root_mean_square(point[name]) for name in graph.wrt}

    def along(distance: float) -> float:
        moved = {name: leaf + distance * direction[name] if name in direction else leaf for name, leaf in point.items()}
        return float(np.sum(seed * wide.evaluate(moved)))

    difference = (along(step) - along(-step)) / (2 * step)
    terms = [bars[name][0].astype(np.float64) * direction[name] for name in graph.wrt]
    scale = np.sqrt(sum(float(np.sum(term * term)) for term in terms))
    gap = abs(difference - sum(float(np.sum(term)) for term in terms))
    return gap / scale if scale else gap


def _root_mean_square(array: Array) -> float:
    return float(np.sqrt(np.mean(array * array))) or 1.0


def _output_breach(graph: Graph, output: Any, leaves: Mapping[str, Array]) -> str:
    given = _described(output)
    expected = f"{graph.dtype.name} {graph.output_shape}"
    if given != expected:
        return f"output is {given}: expected {expected}"
    error = relative_error({"output": output}, {"output": np.asarray(graph.evaluate(leaves))})
    if not error <= TOLERANCE[graph.dtype.name]:
        return f"output is off by {error:.1e}: expected at most {TOLERANCE[graph.dtype.name]:.0e}, relative"
    return ""


def _form_breach(graph: Graph, bars: Any, n_seeds: int) -> str:
    """Say which leaves, shapes, dtypes or values of a pullback's result are not as the contract has them."""
    if not isinstance(bars, dict) or set(bars) != set(graph.wrt):
        given = ", ".join(map(str, bars)) if isinstance(bars, dict) else type(bars).__name__
        return f"pullback returned {given or 'nothing'}: expected exactly the leaves {', '.join(graph.wrt)}"
    for name in graph.wrt:
        given = _described(bars[name])
        expected = f"{graph.dtype.name} {(n_seeds, *graph.leaves[name].shape)}"
        if given != expected:
            return f"cotangent of {name} is {given}: expected {expected}"
        if not bars[name].flags.writeable:
            return f"cotangent of {name} is read-only: expected an array that the caller owns"
        if not np.isfinite(bars[name]).all():
            return f"cotangent of {name} has {int(np.sum(~np.isfinite(bars[name])))} entries that are NaN or infinite"
    return ""


def _error_breach(graph: Graph, bars: Mapping[str, Array], reference: Mapping[str, Array] | None, error: float) -> str:
    tolerance = TOLERANCE[graph.dtype.name]
    if reference is None or isnan(error) or error <= tolerance:
        return ""
    rounding = (
        ROUNDING * float(np.finfo(graph.dtype).eps) * max(float(np.max(np.abs(bar))) for bar in reference.values())
    )
    for name in sorted(reference, key=lambda name: -_relative(bars[name], reference[name])):
        found = _relative(bars[name], reference[name])
        if found > tolerance and float(np.max(np.abs(bars[name] - reference[name]))) > rounding:
            return f"cotangent of {name} is off by {found:.1e} from the reference: expected at most {tolerance:.0e}, relative"
    return ""


def _repeat_breach(graph: Graph, first: Mapping[str, Array], second: Mapping[str, Array]) -> str:
    error = relative_error(second, first)
    if error <= TOLERANCE[graph.dtype.name]:
        return ""
    return f"pullback answered differently the second time, by {error:.1e} relative"


def _sharing_breach(bars: Mapping[str, Array], others: Mapping[str, Array]) -> str:
    names = list(bars)
    for i, name in enumerate(names):
        beside = {**others, **{f"that of {other}": bars[other] for other in names[:i]}}
        for other, array in beside.items():
            if np.shares_memory(bars[name], array):
                return f"cotangent of {name} shares memory with {other}: expected memory of its own"
    return ""


def _changed(what: str, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    names = [name for name in before if before[name] != after[name]]
    return f"{what}: {', '.join(names)}" if names else ""


def _described(array: Any) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


def _fingerprints(arrays: Mapping[str, Array]) -> dict[str, int]:
    return {name: crc32(np.ascontiguousarray(array).data.cast("B")) for name, array in arrays.items()}
