"""Positions that indexing in other libraries reads from or writes to, for the ops gather and scatter.

Each function returns the numbers of entries of an array of the given shape, counted in C order, as integers. NumPy's own
functions make many more from `numbers`: ``np.repeat(numbers(shape), 2, axis=1)``, ``np.tile(numbers(shape), (1, 3))``,
``np.take(numbers(shape), indices, axis=0)`` for ``Gather`` and ``index_select``, or ``np.diagonal(numbers(shape))``.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Shape

    Numbers = NDArray[np.intp]
    Integers = NDArray[np.integer[Any]]


def numbers(shape: Shape) -> Numbers:
    """Return the number of each entry, shape `shape`."""
    return np.arange(prod(shape)).reshape(shape)


def positions_of(shape: Shape, index: Any) -> Numbers:
    """Return the numbers of the entries that ``array[index]`` has in NumPy, for any index.

    Raises BadInput if the index is beyond the array.
    """
    try:
        return np.asarray(numbers(shape)[index])
    except IndexError as error:
        raise BadInput(f"an index does not fit an array of shape {shape}: {error}") from None


def along_axis(shape: Shape, indices: Integers, axis: int) -> Numbers:
    """Return the numbers of the entries at `indices` along an axis, and at the indices' own places along the others.

    As ``np.take_along_axis``, ``GatherElements``, ``ScatterElements`` and ``torch.gather``. The indices may be shorter than
    the array along the other axes; negative ones count from the end.
    """
    own: list[Integers] = list(np.indices(indices.shape, sparse=True))
    own[axis] = indices
    return positions_of(shape, tuple(own))


def at_points(shape: Shape, indices: Integers, batch_axes: int = 0) -> Numbers:
    """Return the numbers of the slices at points: the last axis of `indices` are coordinates, as in ``GatherND``.

    The first `batch_axes` axes of the array and the indices belong together. ``ScatterND`` has none of these.
    """
    places = np.indices((*indices.shape[:batch_axes], *(1,) * (indices.ndim - 1 - batch_axes)), sparse=True)
    points = [indices[..., k] for k in range(indices.shape[-1])]
    return positions_of(shape, (*places[:batch_axes], *points))


PADDING_MODES = {"reflect": "reflect", "replicate": "edge", "edge": "edge", "wrap": "wrap", "circular": "wrap"}
"""Name of a padding mode in torch or ONNX → its name in NumPy."""


def padding(shape: Shape, pairs: Sequence[tuple[int, int]], mode: str) -> Numbers:
    """Return the numbers of the entries of a padded array, (before, after) for each axis; negative numbers remove entries."""
    if mode not in PADDING_MODES:
        raise unknown("padding mode", mode, PADDING_MODES)
    kept = tuple(slice(max(0, -before), n - max(0, -after)) for n, (before, after) in zip(shape, pairs, strict=True))
    added = [(max(0, before), max(0, after)) for before, after in pairs]
    remaining = numbers(shape)[kept]
    if 0 in remaining.shape:
        raise BadInput(f"the padding {tuple(pairs)} leaves nothing of an array of shape {shape}")
    found: Numbers = np.pad(remaining, added, PADDING_MODES[mode])  # type: ignore[call-overload]
    return found


def on_grid(shape: Shape, indices: Sequence[Integers]) -> Numbers:
    """Return the numbers of the entries at the product of `indices`, one array for each of the last axes.

    With indices from `nearest` or `nearest_in_torch`, this is upsampling by the nearest entry.
    """
    leading = [np.arange(n) for n in shape[: len(shape) - len(indices)]]
    return positions_of(shape, np.ix_(*leading, *indices))


ROUNDING: Mapping[str, Callable[[Any], Any]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}
"""Rounding of a coordinate to a place, by its name in ``Resize`` of ONNX."""

COORDINATES: Mapping[str, Callable[[Any, int, int, float], Any]] = {
    "asymmetric": lambda at, _n, _length, scale: at / scale,
    "half_pixel": lambda at, _n, _length, scale: (at + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda at, _n, length, scale: (at + 0.5) / scale - 0.5 if length > 1 else 0 * at,
    "half_pixel_symmetric": lambda at, n, length, scale: n / 2 * (1 - length / (scale * n)) + (at + 0.5) / scale - 0.5,
    "align_corners": lambda at, n, length, _scale: at * (n - 1) / (length - 1) if length > 1 else 0 * at,
}
"""Coordinate in the array of each place in the resized array, by its name in ``Resize``.

Arguments: places, old and new length, new length divided by old.
"""


def nearest(
    n: int,
    length: int,
    scale: float | None = None,
    *,
    coordinates: str = "half_pixel",
    rounding: str = "round_prefer_floor",
) -> Numbers:
    """Return for each of `length` places the nearest of `n`, as ``Resize`` of ONNX; `scale` is by default length / n."""
    if coordinates not in COORDINATES:
        raise unknown("coordinate transformation", coordinates, COORDINATES)
    if rounding not in ROUNDING:
        raise unknown("rounding of coordinates", rounding, ROUNDING)
    at = COORDINATES[coordinates](np.arange(length), n, length, length / n if scale is None else scale)
    found: Numbers = np.clip(ROUNDING[rounding](at), 0, n - 1).astype(np.intp)
    return found


def nearest_in_torch(n: int, length: int, scale: float | None = None, *, exact: bool = False) -> Numbers:
    """Return for each of `length` places the nearest of `n`, as torch's modes ``nearest`` and ``nearest-exact``.

    `scale` is the scale factor, if one was given. As in torch, the rounding of float32 decides between equally near places.
    """
    step = np.float32(n) / np.float32(length) if scale is None else np.float32(1 / scale)
    at = (np.arange(length, dtype=np.float32) + np.float32(0.5 * exact)) * step
    found: Numbers = np.minimum(np.floor(at).astype(np.intp), n - 1)
    return found
