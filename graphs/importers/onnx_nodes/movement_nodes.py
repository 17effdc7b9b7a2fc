"""ONNX operators that move entries: look-ups, slices, changes of shape, updates."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers import index_positions
from jacobench.graphs.importers.index_positions import COORDINATES, numbers
from jacobench.graphs.importers.onnx_nodes.folding import evaluated
from jacobench.graphs.importers.onnx_nodes.node_call import NodeCall, NodeRule, along

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Shape
    from jacobench.graphs.builder import GraphBuilder, Value

    Places = Callable[[NodeCall, Shape], NDArray[np.intp]]


def _moved(call: NodeCall) -> Value:
    """Return the op that gathers what the operator moves: it is evaluated on the positions of the entries."""
    x = call.value(0)
    others = [call.array(k) for k in range(1, len(call.inputs))]
    positions = evaluated(call.op_type, call.attrs, call.opset, [numbers(x.shape), *others])[0]
    return call.g.gather(x, positions=positions)


def _gather(call: NodeCall) -> Value:
    """Look up entries along an axis: one of them is a slice, and rows of a matrix are an embedding."""
    x, indices = call.value(0), call.array(1)
    assert indices is not None
    axis = along(len(x.shape), call.attrs["axis"])
    length = x.shape[axis]
    if indices.size and not (-length <= indices.min() and indices.max() < length):
        raise BadInput(f"indices are {indices.min()} to {indices.max()}: expected −{length} to {length - 1}")
    indices = np.where(indices < 0, indices + length, indices)
    if indices.ndim == 0:
        part = _slice_along(call.g, x, axis, slice(int(indices), int(indices) + 1))
        return call.g.reshape(part, shape=x.shape[:axis] + x.shape[axis + 1 :])
    if axis == 0 and len(x.shape) == 2:
        return call.g.embedding(x, indices=indices)
    return call.g.gather(x, positions=numbers(x.shape).take(indices, axis))


def _slice_along(g: GraphBuilder, x: Value, axis: int, part: slice) -> Value:
    return _sliced(g, x, tuple(part if k == axis else slice(None) for k in range(len(x.shape))))


def _sliced(g: GraphBuilder, x: Value, parts: tuple[slice, ...]) -> Value:
    """Return part of a value."""
    if all(part == slice(None) for part in parts):
        return x
    starts, stops, steps = zip(*(part.indices(n) for part, n in zip(parts, x.shape, strict=True)), strict=True)
    stops = tuple(None if stop < 0 else stop for stop in stops)  # before the first entry
    return g.slice(x, starts=starts, stops=stops, steps=steps)


def _slice(call: NodeCall) -> Value:
    x = call.value(0)
    starts, stops = call.whole_numbers("starts", 1), call.whole_numbers("ends", 2)
    assert starts is not None
    assert stops is not None
    axes = call.whole_numbers("axes", 3) or tuple(range(len(starts)))
    steps = call.whole_numbers("steps", 4) or (1,) * len(starts)
    parts = [slice(None)] * len(x.shape)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        parts[along(len(x.shape), axis)] = slice(start, stop, step)
    return _sliced(call.g, x, tuple(parts))


def _reshape(call: NodeCall) -> Value:
    """Change the shape; 0 keeps a length unless `allowzero`."""
    x, shape = call.value(0), call.whole_numbers("shape", 1)
    assert shape is not None
    if not call.attrs.get("allowzero"):
        if any(n == 0 and k >= len(x.shape) for k, n in enumerate(shape)):
            raise BadInput(f"shape {shape} keeps an axis that a value of shape {x.shape} does not have")
        shape = tuple(x.shape[k] if n == 0 else n for k, n in enumerate(shape))
    return call.g.reshape(x, shape=shape)


def _flatten(call: NodeCall) -> Value:
    x, axis = call.value(0), call.attrs["axis"]
    axis += len(x.shape) if axis < 0 else 0
    return call.g.reshape(x, shape=(prod(x.shape[:axis]), prod(x.shape[axis:])))


def _squeeze(call: NodeCall) -> Value:
    x, axes = call.value(0), call.whole_numbers("axes", 1)
    n_axes = len(x.shape)
    removed = {along(n_axes, k) for k in axes} if axes else {k for k, n in enumerate(x.shape) if n == 1}
    if any(x.shape[k] != 1 for k in removed):
        raise BadInput(f"axes {sorted(removed)} of shape {x.shape}: expected axes of length 1")
    return call.g.reshape(x, shape=tuple(n for k, n in enumerate(x.shape) if k not in removed))


def _unsqueeze(call: NodeCall) -> Value:
    x, axes = call.value(0), call.whole_numbers("axes", 1)
    assert axes is not None
    n_axes = len(x.shape) + len(axes)
    added = {along(n_axes, k) for k in axes}
    lengths = iter(x.shape)
    return call.g.reshape(x, shape=tuple(1 if k in added else next(lengths) for k in range(n_axes)))


def _transpose(call: NodeCall) -> Value:
    x = call.value(0)
    axes = tuple(call.attrs.get("perm") or reversed(range(len(x.shape))))
    return x if axes == tuple(range(len(x.shape))) else call.g.transpose(x, axes=axes)


def _concat(call: NodeCall) -> Value:
    return call.g.concat(*call.values, axis=call.attrs["axis"]) if len(call.inputs) > 1 else call.value(0)


def _split(call: NodeCall) -> list[Value]:
    """Cut into parts whose lengths are given, or into equal parts of which the last may be smaller."""
    x = call.value(0)
    axis = along(len(x.shape), call.attrs["axis"])
    lengths = call.whole_numbers("split", 1)
    if lengths is None:
        part = -(-x.shape[axis] // call.n_outputs)
        lengths = tuple(min(part, x.shape[axis] - k * part) for k in range(call.n_outputs))
    if sum(lengths) != x.shape[axis]:
        raise BadInput(f"parts {lengths} of an axis of length {x.shape[axis]}: expected the sum {x.shape[axis]}")
    ends = np.cumsum(lengths).tolist()
    parts = [slice(end - n, end) for end, n in zip(ends, lengths, strict=True)]
    return [_slice_along(call.g, x, axis, part) for part in parts]


def _pad(call: NodeCall) -> Value:
    """Pad, or crop where the number is negative; the value may be a leaf."""
    x, g = call.value(0), call.g
    n_axes = len(x.shape)
    pads = call.whole_numbers("pads", 1) or call.whole_numbers("paddings")
    assert pads is not None
    axes = tuple(along(n_axes, axis) for axis in call.whole_numbers("axes", 3) or range(n_axes))
    pairs = [(0, 0)] * n_axes
    for k, axis in enumerate(axes):
        pairs[axis] = (pads[k], pads[k + len(axes)])
    if call.attrs["mode"] != "constant":
        return g.gather(x, positions=index_positions.padding(x.shape, pairs, call.attrs["mode"]))
    filler = g.constant(call.attrs.get("value", 0.0)) if call.given(2) is None else call.value(2)
    if filler.constant is not None:
        return g.pad(x, pairs=tuple(pairs), value=float(filler.constant.item()))
    inside = np.pad(np.ones([max(n + min(a, 0) + min(b, 0), 0) for n, (a, b) in zip(x.shape, pairs, strict=True)], bool),
                    [(max(a, 0), max(b, 0)) for a, b in pairs])  # fmt: skip
    return g.where(g.constant(inside), g.pad(x, pairs=tuple(pairs)), g.reshape(filler, shape=()))


def _tile(call: NodeCall) -> Value:
    x, repeats = call.value(0), call.whole_numbers("repeats", 1)
    assert repeats is not None
    return tiled(call.g, x, repeats)


def tiled(g: GraphBuilder, x: Value, repeats: tuple[int, ...]) -> Value:
    """Repeat a value along its axes, as ``numpy.tile``."""
    if all(n == 1 for n in repeats):
        return x
    apart = g.reshape(x, shape=tuple(n for length in x.shape for n in (1, length)))
    wide = g.broadcast(apart, shape=tuple(n for pair in zip(repeats, x.shape, strict=True) for n in pair))
    return g.reshape(wide, shape=tuple(r * n for r, n in zip(repeats, x.shape, strict=True)))


def repeated(g: GraphBuilder, x: Value, factors: tuple[int, ...]) -> Value:
    """Repeat each entry along its axes, as ``numpy.repeat``."""
    apart = g.reshape(x, shape=tuple(n for length in x.shape for n in (length, 1)))
    wide = g.broadcast(apart, shape=tuple(n for pair in zip(x.shape, factors, strict=True) for n in pair))
    return g.reshape(wide, shape=tuple(r * n for r, n in zip(factors, x.shape, strict=True)))


def _expand(call: NodeCall) -> Value:
    x, shape = call.value(0), call.whole_numbers("shape", 1)
    assert shape is not None
    out = np.broadcast_shapes(x.shape, shape)
    return x if out == x.shape else call.g.broadcast(x, shape=out)


SCATTER_MODES = {
    "none": ("scatter", "set"),
    "add": ("scatter", "add"),
    "mul": ("scatter_reduce", "multiply"),
    "max": ("scatter_reduce", "max"),
    "min": ("scatter_reduce", "min"),
}
"""Reduction of ONNX → op and its mode."""


def _along_axis(call: NodeCall, shape: Shape) -> NDArray[np.intp]:
    """Return the positions that GatherElements reads, and ScatterElements writes to."""
    indices = call.array(1)
    assert indices is not None
    return index_positions.along_axis(shape, indices, along(len(shape), call.attrs["axis"]))


def _at_points(call: NodeCall, shape: Shape) -> NDArray[np.intp]:
    """Return the positions that GatherND reads, and ScatterND writes to."""
    indices = call.array(1)
    assert indices is not None
    return index_positions.at_points(shape, indices, call.attrs.get("batch_dims", 0))


def _look_up(places: Places) -> NodeRule:
    return NodeRule(lambda call: call.g.gather(call.value(0), positions=places(call, call.value(0).shape)), fixed=(1,))


def _scatter(places: Places) -> NodeRule:
    def convert(call: NodeCall) -> Value:
        x, updates = call.value(0), call.value(2)
        name, mode = SCATTER_MODES[call.attrs.get("reduction", "none")]
        result: Value = getattr(call.g, name)(x, updates, positions=places(call, x.shape), mode=mode)
        return result

    return NodeRule(convert, fixed=(1,))


def _depth_to_space(call: NodeCall) -> Value:
    x, size = call.value(0), call.attrs["blocksize"]
    n, depth, height, width = x.shape
    columns_first = call.attrs.get("mode", "DCR") == "DCR"
    split = (size, size, depth // size**2) if columns_first else (depth // size**2, size, size)
    apart = call.g.reshape(x, shape=(n, *split, height, width))
    mixed = call.g.transpose(apart, axes=(0, 3, 4, 1, 5, 2) if columns_first else (0, 1, 4, 2, 5, 3))
    return call.g.reshape(mixed, shape=(n, depth // size**2, height * size, width * size))


def _space_to_depth(call: NodeCall) -> Value:
    x, size = call.value(0), call.attrs["blocksize"]
    n, depth, height, width = x.shape
    apart = call.g.reshape(x, shape=(n, depth, height // size, size, width // size, size))
    mixed = call.g.transpose(apart, axes=(0, 3, 5, 1, 2, 4))
    return call.g.reshape(mixed, shape=(n, depth * size**2, height // size, width // size))


def _one_hot(call: NodeCall) -> Value:
    """Look up the value for off or on, of which one is computed from a leaf, at each position."""
    chosen = [call.array(0), call.array(1), np.array([0, 1])]
    positions = evaluated("OneHot", call.attrs, call.opset, chosen)[0]
    return call.g.gather(call.value(2), positions=positions)


def _trilu(call: NodeCall) -> Value:
    x, offset = call.value(0), call.whole_numbers("k", 1) or (0,)
    part = np.triu if call.attrs["upper"] else np.tril
    kept = part(np.ones(x.shape[-2:], bool), offset[0])
    return call.g.where(call.g.constant(kept), x, call.g.constant(0.0))


def _refused_resize(attrs: Mapping[str, Any]) -> str:
    known = {
        "mode": ("nearest",),
        "coordinate_transformation_mode": COORDINATES,
        "keep_aspect_ratio_policy": ("stretch",),
    }
    return next((f"with {name} {attrs[name]}" for name in known if attrs.get(name) not in (None, *known[name])), "")


def _scales(call: NodeCall) -> tuple[list[int], list[float]]:
    """Return the output's lengths and the factors of all axes."""
    shape = call.value(0).shape
    axes = call.whole_numbers("axes") or range(len(shape))
    lengths, scales = list(shape), [1.0] * len(shape)
    sizes = call.array(3)
    given = (
        sizes
        if sizes is not None and sizes.size
        else np.ravel(call.attrs.get("scales", call.array(_scales_input(call))))
    )
    if len(given) != len(axes):
        raise BadInput(f"{len(given)} sizes or scales: expected {len(axes)}")
    for axis, number in zip(axes, given, strict=True):
        exact = sizes is not None and bool(sizes.size)
        lengths[axis] = int(number) if exact else int(np.floor(shape[axis] * number))
        scales[axis] = lengths[axis] / shape[axis] if exact else float(number)
    return lengths, scales


def _scales_input(call: NodeCall) -> int:
    return 2 if call.op_type == "Resize" and call.opset >= 11 else 1


def _resize(call: NodeCall) -> Value:
    """Resize to the nearest entries: a repetition where the indices of all axes are one, otherwise a look-up."""
    x = call.value(0)
    lengths, scales = _scales(call)
    mode = call.attrs.get("coordinate_transformation_mode", "asymmetric")
    rounding = call.attrs.get("nearest_mode", "floor")
    picked = [
        np.arange(n) if n == m else index_positions.nearest(n, m, scale, coordinates=mode, rounding=rounding)
        for n, m, scale in zip(x.shape, lengths, scales, strict=True)
    ]
    factors = tuple(m // n for n, m in zip(x.shape, lengths, strict=True))
    repeats = (np.repeat(np.arange(n), factor) for n, factor in zip(x.shape, factors, strict=True))
    if all(map(np.array_equal, picked, repeats)):
        return x if set(factors) == {1} else repeated(call.g, x, factors)
    return call.g.gather(x, positions=index_positions.on_grid(x.shape, picked))


def _dropout(call: NodeCall) -> Value:
    training = call.array(2)
    if training is not None and training.any():
        raise Unsupported("Dropout in training mode, which is random")
    return call.any_value(0)


RULES = {
    "Identity": NodeRule(lambda call: call.any_value(0)),
    "Dropout": NodeRule(_dropout, fixed=(1, 2)),
    "Reshape": NodeRule(_reshape, fixed=(1,)),
    "Flatten": NodeRule(_flatten),
    "Squeeze": NodeRule(_squeeze, fixed=(1,)),
    "Unsqueeze": NodeRule(_unsqueeze, fixed=(1,)),
    "Transpose": NodeRule(_transpose),
    "Concat": NodeRule(_concat),
    "Split": NodeRule(_split, fixed=(1,), n_outputs=None),
    "Slice": NodeRule(_slice, fixed=(1, 2, 3, 4)),
    "Pad": NodeRule(_pad, fixed=(1, 3)),
    "Tile": NodeRule(_tile, fixed=(1,)),
    "Expand": NodeRule(_expand, fixed=(1,)),
    "Gather": NodeRule(_gather, fixed=(1,)),
    "GatherElements": _look_up(_along_axis),
    "GatherND": _look_up(_at_points),
    "ReverseSequence": NodeRule(_moved, fixed=(1,)),
    "Compress": NodeRule(_moved, fixed=(1,)),
    "Scatter": _scatter(_along_axis),
    "ScatterElements": _scatter(_along_axis),
    "ScatterND": _scatter(_at_points),
    "DepthToSpace": NodeRule(_depth_to_space),
    "SpaceToDepth": NodeRule(_space_to_depth),
    "OneHot": NodeRule(_one_hot, fixed=(0, 1)),
    "Trilu": NodeRule(_trilu, fixed=(1,)),
    "Resize": NodeRule(_resize, fixed=(1, 2, 3), refused=_refused_resize),
    "Upsample": NodeRule(_resize, fixed=(1,), refused=_refused_resize),
}
