"""Functions composed of indexing and sums, for libraries that lack them; every library can differentiate them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.structures import boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.array_types import Indices
    from jacobench.graphs.structures.positions import Positions
    from jacobench.graphs.structures.sparsity import Pattern
    from jacobench.graphs.structures.windows import Windows


ROTATED_ONCE, ROTATED_TWICE = np.array([1, 2, 0]), np.array([2, 0, 1])


def crossed(x: Any, y: Any) -> Any:
    """Return x × y over the last axis."""
    return x[..., ROTATED_ONCE] * y[..., ROTATED_TWICE] - x[..., ROTATED_TWICE] * y[..., ROTATED_ONCE]


def _gathered(xp: Any, x: Any, windows: Windows) -> Any:
    """Return the windows of x (…, *lengths), shape (…, windows, taps), padded with zeros."""
    leading = tuple(x.shape[: x.ndim - len(windows.lengths)])
    flat, zero = x.reshape((*leading, -1)), np.zeros((*leading, 1), x.dtype)
    positions = np.where(windows.valid(), windows.positions(), windows.n_positions)
    return xp.concatenate([flat, zero], -1)[..., positions]


def correlate(xp: Any, x: Any, W: Any, windows: Windows, groups: int) -> Any:
    """Return the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels per group, *kernel)."""
    seen = _gathered(xp, x.reshape((len(x), groups, W.shape[1], *windows.lengths)), windows)
    y = xp.einsum("rgcpk,gock->rgop", seen, W.reshape((groups, len(W) // groups, W.shape[1], -1)))
    return y.reshape((len(x), len(W), *windows.out))


def largest(xp: Any, x: Any, windows: Windows) -> Any:
    """Return the maximum of each window of x (rows, *lengths); the slope goes to the first of equal entries."""
    seen = _gathered(xp, x, windows)
    compared = xp.where(windows.valid(), seen, -np.inf)
    first = xp.argmax(compared, axis=-1)[..., None] == np.arange(windows.n_taps)
    return xp.sum(seen * first, axis=-1).reshape((len(x), *windows.out))


def window_sums(xp: Any, x: Any, windows: Windows) -> Any:
    """Return the sum of each window of x (rows, *lengths)."""
    return xp.sum(_gathered(xp, x, windows), axis=-1).reshape((len(x), *windows.out))


def masked_affine(xp: Any, mask: Pattern, z: Any, v: Any, b: Any) -> Any:
    """Return z Wᵀ + b for z (…, m) and a dense W gathered from v."""
    position = np.full(mask.shape, mask.indices.size)
    position[mask.rows, mask.columns] = np.arange(mask.indices.size)
    W = xp.concatenate([v, v[:1] * 0])[position]
    return xp.matmul(z, W.T) + b


def entries(xp: Any, x: Any, positions: Indices, fill: float) -> Any:
    """Return the entries of x at flat positions; `fill` where the position is −1."""
    y = x.reshape((-1,))[xp.constant(positions)]
    return y if positions.min() >= 0 else xp.where(xp.constant(positions >= 0), y, fill)


def gathered(xp: Any, x: Any, positions: Positions, fill: float) -> Any:
    """Return the entries of x at the positions; `fill` where there are none."""
    return entries(xp, x, positions.flat(), fill)


def scattered(xp: Any, x: Any, updates: Any, positions: Positions, mode: str) -> Any:
    """Return x with the updates set at the positions, or combined with its entries there, one update per entry at a time."""
    single = positions.in_single_runs()
    at, flat, y = single.runs[single.order], updates.reshape((-1,)), x.reshape((-1,))
    combine = COMBINATIONS[mode]
    rank = np.arange(at.size) - np.searchsorted(at, at)
    for k in range(int(rank.max(initial=-1)) + 1):
        source = np.full(positions.n, -1)
        source[at[rank == k]] = single.order[rank == k]
        y = xp.where(xp.constant(source >= 0), combine(xp, y, flat[xp.constant(source)]), y)
    return y.reshape(tuple(x.shape))


COMBINATIONS: Mapping[str, Callable[[Any, Any, Any], Any]] = {
    "set": lambda _xp, _y, new: new,
    "add": lambda _xp, y, new: y + new,
    "multiply": lambda _xp, y, new: y * new,
    "max": lambda xp, y, new: xp.maximum(y, new),
    "min": lambda xp, y, new: xp.minimum(y, new),
}


def padded(xp: Any, x: Any, pairs: Any, interior: Any, value: float) -> Any:
    """Return x between other entries, as `boxes.padded` describes it, which are `value`."""
    copy = boxes.padded(tuple(x.shape), pairs, interior)
    positions = np.full(copy.out, -1)
    positions[copy.target] = np.arange(prod(copy.x)).reshape(copy.x)[copy.source]
    return entries(xp, x, positions, value)


def rolled(xp: Any, x: Any, shifts: Any, axes: Any) -> Any:
    """Shift the entries of x cyclically along axes."""
    for shift, axis in zip(shifts, axes, strict=True):
        lead = (slice(None),) * axis
        x = xp.concatenate([x[(*lead, slice(-shift, None))], x[(*lead, slice(None, -shift))]], axis)
    return x


def vectors(xp: Any, x: Any, kept: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Return x as vectors (…, n) along some axes, with the `kept` ones before."""
    moved = xp.transposed(x, (*kept, *axes)) if x.ndim > 1 else x
    return moved.reshape((*moved.shape[: len(kept)], -1))


def first_extreme(xp: Any, name: str, x: Any, kept: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Return the "max" or "min" over some axes; the slope goes to the first of equal entries."""
    seen = vectors(xp, x, kept, axes)
    at = getattr(xp, f"arg{name}")(seen, axis=-1)[..., None]
    return xp.sum(xp.where(at == xp.constant(np.arange(seen.shape[-1])), seen, 0), axis=-1)


def product(xp: Any, x: Any, kept: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Return the product over some axes."""
    return xp.prod(vectors(xp, x, kept, axes), axis=-1)


def cumprod(xp: Any, x: Any, axis: int) -> Any:
    """Return cumulative products."""
    before = (slice(None),) * axis
    parts = [x[(*before, slice(0, 1))]]
    for i in range(1, x.shape[axis]):
        parts.append(parts[-1] * x[(*before, slice(i, i + 1))])
    return xp.concatenate(parts, axis=axis)
