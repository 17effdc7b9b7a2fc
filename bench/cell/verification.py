"""Verification of a strategy: against the reference, against central differences, and against the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import inf, isnan, nan, prod
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from numpy.lib.array_utils import byte_bounds

from jacobench.strategies.contract import placed

from .timing import timed_call
from .whole_jacobian import arrays_of, form_breach, joined, own_jacobian, rows_by_leaf, shape_of, whole_jacobian

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Linearized, Prepared

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # largest relative error that passes; see `relative_error`

SMALL_LEAF = 1e-2
"""A leaf's error is relative to at least this share of the largest cotangent of all leaves. Cotangents that are 0 but
for cancellation, as before a layer norm of width 2, consist of rounding errors only."""

DIFFERENCE_TOLERANCE = {"float64": 1e-5, "float32": 1e-2}
"""Largest relative error against central differences that passes; see `central_difference_error`."""

STEPS = (1e-5, 1e-6, 1e-6, 1e-7)
"""Steps of central differences relative to each leaf's root mean square, each along a random direction of its own. A
rectifier's kink may be inside a step, but hardly ever inside three of the four."""

ROUNDING = 10
"""Units of rounding of the function's value that a central difference may contain. Where the value is much larger than
its change, rounding alone gave 2e-5 for a correct gradient (pointnet, batch 4)."""


NOT_FINITE = "the output is not finite at this point"


@dataclass(frozen=True)
class Verification:
    """Result of verifying one strategy on one problem."""

    breach: str = ""  # what is wrong, in one sentence with the numbers; empty if nothing is
    status: str = "wrong"  # status of a breach; "error" if the graph is the cause, not the strategy
    max_relative_error: float = nan  # see `relative_error`; NaN without a reference or where shapes differ
    linearize_seconds: float = nan  # of the first call
    result_seconds: float = nan  # of the first pullback, or the first Jacobian
    is_own_jacobian: bool = False  # whether the strategy's method `jacobian` was verified
    is_repeated: bool = True  # whether a second call was compared with the first


@dataclass(frozen=True)
class Differentiation:
    """What a strategy computes from a linearized graph: cotangents or, by its own method, the whole Jacobian.

    `call` is the method's name. `bars` are cotangents, or rows of the Jacobian as such.
    """

    call: str
    compute: Callable[[Linearized], Any]
    breach: Callable[[Any], str]  # of the form: leaves, shapes, dtypes, values
    bars: Callable[[Any], Mapping[str, Array]]


def derivative(graph: Graph, linearized: Linearized, seeds: Array, rows: NDArray[np.int64] | None) -> Differentiation:
    """Return what to verify: the strategy's own whole Jacobian, if `rows` of it are asked for, else its cotangents."""
    if rows is None or own_jacobian(linearized) is None:
        return Differentiation(
            "pullback",
            lambda linearized: linearized.pullback(seeds),
            lambda bars: _form_breach(graph, bars, len(seeds)),
            lambda bars: bars,
        )
    return Differentiation(
        "jacobian",
        lambda linearized: whole_jacobian(linearized, graph),
        partial(form_breach, graph),
        lambda jacobian: rows_by_leaf(jacobian, rows, graph),
    )


def verify(
    graph: Graph,
    prepared: Prepared,
    leaves: Mapping[str, Array],
    seeds: Array,
    reference: Mapping[str, Array] | None,
    rows: NDArray[np.int64] | None = None,
    spare_bytes: float = inf,
) -> Verification:
    """Linearize, differentiate twice, and check the results against the contract and, unless it is None, the reference.

    Parameters
    ----------
    seeds : NDArray
        Shape (S, *output_shape).
    reference : mapping of str to NDArray, optional
        Cotangents of these seeds.
    rows : NDArray, optional
        For the task "jacobian": numbers of the outputs of which the seeds are the unit vectors. A strategy's own method
        ``jacobian`` is verified instead of its pullback.
    spare_bytes : float
        Largest size of two Jacobians; if they are larger, there is no second call.
    """
    with np.errstate(all="ignore"):
        expected = np.asarray(graph.evaluate(leaves))
    if not np.isfinite(expected).all():
        return Verification(NOT_FINITE, "error")
    inputs = {**leaves, "the seeds": seeds}
    before = _fingerprints(inputs)
    at = placed(prepared, leaves)
    linearized, linearize_seconds = timed_call(lambda: prepared.linearize(at))
    breach = _changed("linearize wrote its inputs", before, _fingerprints(inputs)) or _output_breach(
        graph, linearized.output, expected
    )
    if breach:
        return Verification(breach)
    output, output_before = linearized.output, fingerprint(linearized.output)
    found = derivative(graph, linearized, seeds, rows)
    first, seconds = timed_call(partial(found.compute, linearized))
    breach = found.breach(first)
    if breach:
        return Verification(breach)
    if rows is not None and found.call == "pullback" and len(rows) == shape_of(graph)[0]:
        seconds += timed_call(lambda: joined(first, graph) is None)[1]
    bars = found.bars(first)
    error = relative_error(bars, reference) if reference is not None else nan
    own = arrays_of(first)
    kept = _fingerprints(own)
    is_repeated = 2 * sum(array.nbytes for array in own.values()) <= spare_bytes
    second = found.compute(linearized) if is_repeated else first
    del linearized  # two linearizations may exceed the budget
    again = prepared.linearize(placed(prepared, leaves)).output
    others = {f"{name} of a second call": array for name, array in arrays_of(second).items()} if is_repeated else {}
    breach = (
        found.breach(second)
        or _error_breach(graph, bars, reference, error)
        or _changed(f"a later call changed what {found.call} had returned", kept, _fingerprints(own))
        or ("a later call changed the output of linearize" if fingerprint(output) != output_before else "")
        or _changed(f"{found.call} wrote its inputs", before, _fingerprints(inputs))
        or _sharing_breach(own, {**inputs, **others})
        or ("output shares memory with that of an earlier call" if np.shares_memory(output, again) else "")
        or (_repeat_breach(graph, found.call, bars, found.bars(second)) if is_repeated else "")
    )
    return Verification(
        breach, "wrong", error, linearize_seconds, seconds, found.call == "jacobian", is_repeated=is_repeated
    )


def relative_error(bars: Mapping[str, Array], reference: Mapping[str, Array]) -> float:
    """Return the largest relative error of any leaf; 0 without leaves.

    It is max|Δ| of a leaf over the larger of its own max|reference| and `SMALL_LEAF` of that of all leaves; infinite
    where all references are 0 and Δ is not.
    """
    return max(_relative_errors(bars, reference).values(), default=0.0)


def _relative_errors(bars: Mapping[str, Array], reference: Mapping[str, Array]) -> dict[str, float]:
    scales = {name: float(np.max(np.abs(array))) for name, array in reference.items()}
    least = SMALL_LEAF * max(scales.values(), default=0.0)
    return {name: _ratio(bars[name] - reference[name], max(scale, least)) for name, scale in scales.items()}


def _ratio(difference: Array, scale: float) -> float:
    largest = float(np.max(np.abs(difference)))
    if scale == 0:
        return 0.0 if largest == 0 else inf
    return largest / scale


def central_difference_error(
    graph: Graph, leaves: Mapping[str, Array], seeds: Array, bars: Mapping[str, Array], rng_seed: int = 0
) -> float:
    """Compare ⟨seed, f'(x) d⟩ = Σ ⟨x̄, d⟩ with central differences in float64 along four random directions d.

    Only the first of the seeds is used; `bars` are the cotangents that the seeds pull back to. It costs eight
    evaluations of the graph in float64, at each of which a moved copy of the leaves exists.

    Returns the second smallest error over the directions of `STEPS`, so that up to two of them may meet a kink. An
    error is |Δ|, less the rounding of the function's values, relative to the root of Σ (x̄ d)² over all entries, a
    scale that no cancellation reduces. It is about 1e-8 for a correct gradient of a smooth graph in float64; float32
    adds the gradient's own rounding.
    """
    rng = np.random.default_rng(rng_seed)
    wide = replace(graph, dtype=np.dtype(np.float64))
    point = {name: leaf.astype(np.float64, copy=False) for name, leaf in leaves.items()}
    seed = seeds[0].astype(np.float64, copy=False)
    return sorted(_difference_error(wide, point, seed, bars, rng, step) for step in STEPS)[1]


def difference_bytes(graph: Graph) -> int:
    """Predict the bytes of `central_difference_error`: leaves in float64, direction, moved leaves, and all values."""
    leaves = sum(prod(leaf.shape) for leaf in graph.leaves.values())
    return 8 * 3 * leaves + 2 * value_bytes(graph, itemsize=8)


def value_bytes(graph: Graph, itemsize: int = 0) -> int:
    """Return the bytes of the values that `Graph.evaluate` holds, by default in the graph's dtype."""
    computed = (node for node in graph.nodes if not getattr(node.op, "is_view", False))  # the gate's base may lack it
    return (itemsize or graph.dtype.itemsize) * sum(prod(node.shape) for node in computed)


def _difference_error(
    graph: Graph,
    point: Mapping[str, Array],
    seed: Array,
    bars: Mapping[str, Array],
    rng: np.random.Generator,
    step: float,
) -> float:
    direction = {name: rng.standard_normal(point[name].shape) * _root_mean_square(point[name]) for name in graph.wrt}

    def along(distance: float) -> Array:
        moved = {name: leaf + distance * direction[name] if name in direction else leaf for name, leaf in point.items()}
        return np.asarray(seed * graph.evaluate(moved))

    above, below = along(step), along(-step)
    difference = (float(np.sum(above)) - float(np.sum(below))) / (2 * step)
    rounding = ROUNDING * float(np.finfo(np.float64).eps) * float(np.sum(np.abs(above))) / step
    total = squares = 0.0
    for name in graph.wrt:
        term = bars[name][0] * direction[name]
        total += float(np.sum(term))
        squares += float(np.vdot(term, term))
    gap = max(0.0, abs(difference - total) - rounding)
    return gap / squares**0.5 if squares else gap


def _root_mean_square(array: Array) -> float:
    return float(np.sqrt(np.mean(array * array))) or 1.0


def difference_breach(graph: Graph, leaves: Mapping[str, Array], seeds: Array, bars: Mapping[str, Array]) -> str:
    """Compare cotangents with central differences; return what is wrong, empty if nothing is."""
    if not graph.wrt:
        return ""
    error = central_difference_error(graph, leaves, seeds, bars)
    tolerance = DIFFERENCE_TOLERANCE[graph.dtype.name]
    if error <= tolerance:
        return ""
    return f"cotangents are off by {error:.1e} from central differences: expected at most {tolerance:.0e}, relative"


def _output_breach(graph: Graph, output: Any, expected: Array) -> str:
    given = _described(output)
    form = f"{graph.dtype.name} {graph.output_shape}"
    if given != form:
        return f"output is {given}: expected {form}"
    error = relative_error({"output": output}, {"output": expected})
    if not error <= TOLERANCE[graph.dtype.name]:
        return f"output is off by {error:.1e}: expected at most {TOLERANCE[graph.dtype.name]:.0e}, relative"
    return ""


def _form_breach(graph: Graph, bars: Any, n_seeds: int) -> str:
    """Check the leaves, shapes, dtypes and values of a pullback's result."""
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
    errors = _relative_errors(bars, reference)
    worst = max(errors, key=lambda name: errors[name])
    return f"cotangent of {worst} is off by {error:.1e} from the reference: expected at most {tolerance:.0e}, relative"


def _repeat_breach(graph: Graph, call: str, first: Mapping[str, Array], second: Mapping[str, Array]) -> str:
    error = relative_error(second, first)
    if error <= TOLERANCE[graph.dtype.name]:
        return ""
    return f"the second {call} differs from the first by {error:.1e}, relative"


def _sharing_breach(own: Mapping[str, Array], others: Mapping[str, Array]) -> str:
    """Check that arrays share memory neither with each other nor with others; the keys name the arrays.

    Compare only arrays whose address ranges overlap: the time is linear in the number of leaves, but for sorting.

    Of several breaches, the first in the order of the leaves is named, wherever the arrays are in memory.
    """
    names = [*own, *others]
    arrays = [*own.values(), *others.values()]
    by_address = sorted((*byte_bounds(array), k) for k, array in enumerate(arrays))
    overlapping: list[tuple[int, int]] = []  # end and number of arrays that begin before the next one
    first = len(own), 0  # numbers of two arrays that share memory; the smaller one is that of an array of `own`
    for begin, end, k in by_address:
        overlapping = [found for found in overlapping if found[0] > begin]
        for _, other in overlapping:
            pair = min(k, other), max(k, other)
            if pair < first and np.shares_memory(arrays[k], arrays[other]):
                first = pair
        overlapping.append((end, k))
    if first[0] == len(own):
        return ""
    return f"{names[first[0]]} shares memory with {names[first[1]]}: expected memory of its own"


def _changed(what: str, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    names = [name for name in before if before[name] != after[name]]
    return f"{what}: {', '.join(names)}" if names else ""


def _described(array: Any) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


def _fingerprints(arrays: Mapping[str, Array]) -> dict[str, int]:
    return {name: fingerprint(array) for name, array in arrays.items()}


def fingerprint(array: Array) -> int:
    """Return a checksum of an array."""
    return crc32(np.ascontiguousarray(array).data.cast("B"))
