"""Table of JAX's primitives that move entries, without arithmetic: (builder, parameters, operands) → its result, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.importers.jax_operands import NotExpressible, Operand, OperandBuilder, is_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.graphs.array_types import Shape

Parameters = dict[str, Any]


def _broadcast(g: OperandBuilder, p: Parameters, x: Operand, *_dynamic: Operand) -> Operand:
    shape, axes = tuple(p["shape"]), tuple(p["broadcast_dimensions"])
    if np.prod(shape) == np.prod(x.shape):
        return g.reshaped(x, shape)
    return g.moved("broadcast", x, shape=shape, axes=axes)


def _reshape(g: OperandBuilder, p: Parameters, x: Operand, *_dynamic: Operand) -> Operand:
    if p["dimensions"] is not None:
        x = g.transposed(x, p["dimensions"])
    return g.reshaped(x, tuple(p["new_sizes"]))


def _squeeze(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    return g.reshaped(x, tuple(n for axis, n in enumerate(x.shape) if axis not in p["dimensions"]))


def _slice(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    strides = p["strides"] or (1,) * len(x.shape)
    return sliced(g, x, p["start_indices"], p["limit_indices"], strides)


def sliced(g: OperandBuilder, x: Operand, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int]) -> Operand:
    """Return a part of an operand."""
    if not is_value(x):
        return x[tuple(map(slice, starts, stops, steps))]
    return g.moved("slice", x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


def section(g: OperandBuilder, x: Operand, axis: int, start: int, length: int) -> Operand:
    """Return the entries from `start` along an axis."""
    starts, stops = [0] * len(x.shape), list(x.shape)
    starts[axis], stops[axis] = start, start + length
    return sliced(g, x, starts, stops, [1] * len(starts))


def entry(g: OperandBuilder, x: Operand, k: int) -> Operand:
    """Return ``x[k]`` along the leading axis."""
    return g.reshaped(section(g, x, 0, k, 1), x.shape[1:]) if is_value(x) else x[k]


def stacked(g: OperandBuilder, xs: Sequence[Operand], axis: int = 0) -> Operand:
    """Join operands along a new axis."""
    if not any(map(is_value, xs)):
        return np.stack([np.asarray(x) for x in xs], axis)
    shape = (*xs[0].shape[:axis], 1, *xs[0].shape[axis:])
    return g.joined([g.reshaped(x, shape) for x in xs], axis)


def _split(g: OperandBuilder, p: Parameters, x: Operand) -> list[Operand]:
    starts = np.cumsum([0, *p["sizes"]])
    return [section(g, x, p["axis"], int(start), n) for start, n in zip(starts, p["sizes"], strict=False)]


def _unstack(g: OperandBuilder, p: Parameters, x: Operand) -> list[Operand]:
    shape = (*x.shape[: p["axis"]], *x.shape[p["axis"] + 1 :])
    return [g.reshaped(section(g, x, p["axis"], k, 1), shape) for k in range(x.shape[p["axis"]])]


def _pad(g: OperandBuilder, p: Parameters, x: Operand, value: Operand) -> Operand:
    if is_value(value):
        raise NotExpressible("pad with a computed value")
    before, after, interior = zip(*p["padding_config"], strict=True) if p["padding_config"] else ((), (), ())
    pairs = tuple(zip(before, after, strict=True))
    return g.moved("pad", x, pairs=pairs, interior=tuple(interior), value=float(value))


def _gather(g: OperandBuilder, p: Parameters, x: Operand, indices: Operand) -> Operand:
    if is_value(indices) or not is_value(x):
        raise NotExpressible("gather at computed positions")
    positions = np.asarray(g.positions_of_gather(x.shape, indices, p))
    fill = 0.0 if np.all(positions >= 0) else float("nan" if p["fill_value"] is None else p["fill_value"])
    return g.moved("gather", x, positions=positions, fill=fill)


def _scatter(mode: str, op: str = "scatter") -> Any:
    def rule(g: OperandBuilder, p: Parameters, x: Operand, indices: Operand, updates: Operand) -> Operand:
        if is_value(indices):
            raise NotExpressible("scatter at computed positions")
        positions = np.asarray(g.positions_of_scatter(x.shape, indices, updates.shape, p))
        return g.moved(op, x, updates, positions=positions, mode=mode)

    return rule


def _scatter_sub(g: OperandBuilder, p: Parameters, x: Operand, indices: Operand, updates: Operand) -> Operand:
    return _scatter("add")(g, p, x, indices, g.apply("neg", updates))


def _dynamic_slice(g: OperandBuilder, p: Parameters, x: Operand, *starts: Operand) -> Operand:
    first = _clamped_starts(x.shape, p["slice_sizes"], starts, "dynamic_slice")
    return sliced(g, x, first, np.add(first, p["slice_sizes"]).tolist(), [1] * len(first))


def _dynamic_update_slice(g: OperandBuilder, _p: Parameters, x: Operand, update: Operand, *starts: Operand) -> Operand:
    first = _clamped_starts(x.shape, update.shape, starts, "dynamic_update_slice")
    index = tuple(slice(start, start + n) for start, n in zip(first, update.shape, strict=True))
    return g.moved("scatter", x, update, positions=_numbered(x.shape)[index], mode="set")


def _clamped_starts(shape: Shape, sizes: Sequence[int], starts: Sequence[Operand], name: str) -> list[int]:
    if any(map(is_value, starts)):
        raise NotExpressible(f"{name} at a computed position")
    limits = zip(starts, shape, sizes, strict=True)
    return [min(max(int(start), 0), length - size) for start, length, size in limits]


def _numbered(shape: Shape) -> Any:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def _concatenate(g: OperandBuilder, p: Parameters, *xs: Operand) -> Operand:
    return g.joined(xs, p["dimension"])


def _transpose(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    return g.transposed(x, p["permutation"])


MOVEMENT: Mapping[str, Any] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "rev": lambda g, p, x: g.moved("flip", x, axes=tuple(p["dimensions"])),
    "slice": _slice,
    "split": _split,
    "unstack": _unstack,
    "tile": lambda g, p, x: g.moved("gather", x, positions=np.tile(_numbered(x.shape), p["reps"])),
    "stack": lambda g, p, *xs: stacked(g, xs, p["axis"]),
    "concatenate": _concatenate,
    "pad": _pad,
    "gather": _gather,
    "scatter": _scatter("set"),
    "scatter-add": _scatter("add"),
    "scatter-sub": _scatter_sub,
    "scatter-mul": _scatter("multiply", "scatter_reduce"),
    "scatter-max": _scatter("max", "scatter_reduce"),
    "scatter-min": _scatter("min", "scatter_reduce"),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
