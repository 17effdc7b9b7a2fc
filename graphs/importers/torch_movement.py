"""Rules of aten ops that move entries: shapes, slices, indices, padding, updates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.builder import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.importers.torch_conversion import TorchConversion


def _reshape(c: TorchConversion, x: Value, *_args: Any, **_kwargs: Any) -> Value:
    """Give the shape of the result."""
    return x if x.shape == c.shape else c.g.reshape(c.value(x), shape=c.shape)


def _permute(c: TorchConversion, x: Value, dims: Sequence[int]) -> Value:
    axes = tuple(d % len(x.shape) for d in dims)
    return x if axes == tuple(range(len(axes))) else c.g.transpose(c.value(x), axes=axes)


def _transpose(c: TorchConversion, x: Value, dim0: int = 0, dim1: int = 1) -> Value:
    axes = list(range(len(x.shape)))
    if len(axes) > 1:
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return _permute(c, x, axes)


def _expand(c: TorchConversion, x: Value, *_args: Any, **_kwargs: Any) -> Value:
    return x if x.shape == c.shape else c.g.broadcast(c.value(x), shape=c.shape)


def _copy(c: TorchConversion, _x: Any, source: Any, **_kwargs: Any) -> Value:
    return _expand(c, c.value(source))


def _repeat(c: TorchConversion, x: Value, repeats: Sequence[int]) -> Value:
    lengths = (1,) * (len(repeats) - len(x.shape)) + x.shape
    apart = tuple(length for pair in zip((1,) * len(repeats), lengths, strict=True) for length in pair)
    wide = tuple(length for pair in zip(repeats, lengths, strict=True) for length in pair)
    repeated = c.g.reshape(c.value(x), shape=apart)
    return c.g.reshape(repeated if wide == apart else c.g.broadcast(repeated, shape=wide), shape=c.shape)


def cut(c: TorchConversion, x: Value, dim: int, start: int, stop: int, step: int = 1) -> Value:
    """Return the entries start, start + step, … below stop along one axis."""
    dim %= len(x.shape)
    if (start, stop, step) == (0, x.shape[dim], 1):
        return x
    starts, stops, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[dim], stops[dim], steps[dim] = start, stop, step
    return c.g.slice(c.value(x), starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


def _slice(
    c: TorchConversion, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    start, stop, step = slice(start, end, step).indices(x.shape[dim])
    return cut(c, x, dim, start, stop, step)


def _select(c: TorchConversion, x: Value, dim: int, index: int) -> Value:
    index %= x.shape[dim]
    return c.g.reshape(cut(c, c.value(x), dim, index, index + 1), shape=c.shape)


def _unbind(c: TorchConversion, x: Value, dim: int = 0) -> list[Value]:
    dim %= len(x.shape)
    shape = (*x.shape[:dim], *x.shape[dim + 1 :])
    return [c.g.reshape(cut(c, c.value(x), dim, k, k + 1), shape=shape) for k in range(x.shape[dim])]


def _split(c: TorchConversion, x: Value, sizes: Sequence[int] | int, dim: int = 0) -> list[Value]:
    length = x.shape[dim]
    if isinstance(sizes, int):
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    stops = np.cumsum(sizes).tolist()
    return [cut(c, x, dim, stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]


def _chunk(c: TorchConversion, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    return _split(c, x, -(-x.shape[dim] // chunks), dim)


def _stack(c: TorchConversion, parts: Sequence[Any], dim: int = 0) -> Value:
    axis = dim % len(c.shape)
    apart = (*c.shape[:axis], 1, *c.shape[axis + 1 :])
    return _concatenate(c, [c.g.reshape(c.value(part), shape=apart) for part in parts], axis)


def _concatenate(c: TorchConversion, parts: Sequence[Any], dim: int = 0) -> Value:
    values = [c.value(part) for part in parts if tuple(part.shape) != (0,)]
    return values[0] if len(values) == 1 else c.g.concat(*values, axis=dim % len(values[0].shape))


def _pad(c: TorchConversion, x: Value, pad: Sequence[int], value: float = 0.0) -> Value:
    given = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    pairs = ((0, 0),) * (len(x.shape) - len(given)) + tuple(given)
    return c.g.pad(c.value(x), pairs=pairs, value=float(value))


def _flip(c: TorchConversion, x: Value, dims: Sequence[int]) -> Value:
    return c.g.flip(c.value(x), axes=tuple(d % len(x.shape) for d in dims)) if dims else x


def _roll(c: TorchConversion, x: Value, shifts: Sequence[int] | int, dims: Sequence[int] | int = ()) -> Value:
    shifts, dims = (tuple(each) if isinstance(each, (list, tuple)) else (each,) for each in (shifts, dims))
    if dims:
        return c.g.roll(c.value(x), shifts=shifts, axes=tuple(d % len(x.shape) for d in dims))
    flat = c.g.reshape(c.value(x), shape=(-1,))
    return c.g.reshape(c.g.roll(flat, shifts=shifts, axes=(0,)), shape=x.shape)


def _moved(c: TorchConversion, x: Value, *args: Any, **kwargs: Any) -> Value:
    """Any op that only moves entries or sets entries to zero: apply it to the positions, counted from 1."""
    moved = c.node.target(c.positions(*x.shape).double() + 1, *args, **kwargs)  # some ops take no integers
    return c.g.gather(c.value(x), positions=c.array(moved).astype(np.int64) - 1)


def _strided(c: TorchConversion, x: Value, *args: Any, **kwargs: Any) -> Value:
    if not c.node.args[0].meta["val"].is_contiguous():
        raise c.rejected(" of a tensor that is not contiguous")
    return _moved(c, x, *args, **kwargs)


def _indexed(c: TorchConversion, x: Value, indices: Sequence[Any]) -> Value:
    """Index with tensors or None for each axis; rows of a matrix are an embedding."""
    first = indices[0]
    if len(indices) == 1 and len(x.shape) == 2 and c.array(first).dtype != bool:
        return _rows(c, x, first)
    positions = c.positions(*x.shape)[tuple(_index(c, each) for each in indices)]
    return c.g.gather(c.value(x), positions=c.array(positions))


def _index(c: TorchConversion, given: Any) -> Any:
    return slice(None) if given is None else c.torch.from_numpy(c.array(given))


def _rows(c: TorchConversion, table: Value, rows: Any) -> Value:
    return c.g.embedding(c.value(table), indices=c.array(rows) % table.shape[0])


def _index_select(c: TorchConversion, x: Value, dim: int, index: Any) -> Value:
    if len(x.shape) == 2 and dim % 2 == 0 and index.dim() == 1:
        return _rows(c, x, index)
    return _moved(c, x, dim, c.torch.from_numpy(c.array(index)))


def _gather(c: TorchConversion, x: Value, dim: int, index: Any, **_sparse: Any) -> Value:
    return _moved(c, x, dim, c.torch.from_numpy(c.array(index)))


def _embedding(c: TorchConversion, table: Value, indices: Any, padding_idx: int = -1, *_args: Any) -> Value:
    """Rows of a table; the row `padding_idx` has no derivative."""
    rows = _rows(c, table, indices)
    padding = c.array(indices) == padding_idx
    if not padding.any():
        return rows
    return c.g.where(c.any_value(c.torch.from_numpy(padding[..., None])), c.g.stop_gradient(rows), rows)


def _update(c: TorchConversion, x: Any, updates: Any, positions: Any, mode: str = "set") -> Value:
    """Set, add, … entries of `x` at the positions, a tensor, to which the updates are broadcast."""
    updates, positions = c.value(updates), c.array(positions)
    if updates.shape != positions.shape:
        updates = c.g.broadcast(updates, shape=positions.shape)
    op = "scatter" if mode in {"set", "add"} else "scatter_reduce"
    return c.op(op, c.value(x), updates, positions=positions, mode=mode)


def _slice_scatter(
    c: TorchConversion, x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    positions = c.torch.ops.aten.slice(c.positions(*c.shape), dim, start, end, step)
    return c.value(source) if tuple(positions.shape) == c.shape else _update(c, x, source, positions)


def _select_scatter(c: TorchConversion, x: Any, source: Any, dim: int, index: int) -> Value:
    return _update(c, x, source, c.positions(*c.shape).select(dim, index))


def _index_put(c: TorchConversion, x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Value:
    if len(indices) == 1 and not accumulate and isinstance(indices[0], Value) and indices[0].dtype == np.bool_:
        return _put_where(c, x, indices[0], c.value(values))
    positions = c.positions(*c.shape)[tuple(_index(c, each) for each in indices)]
    return _update(c, x, values, positions, "add" if accumulate else "set")


def _put_where(c: TorchConversion, x: Any, mask: Value, value: Value) -> Value:
    """Set the entries, or rows, where a mask that depends on leaves is True; their number is not known."""
    n_inner = len(c.shape) - len(mask.shape)
    if len(value.shape) > n_inner:
        raise c.rejected(" with a mask that depends on leaves and several values")
    if n_inner:
        mask = c.condition(c.g.reshape(c.value(mask), shape=mask.shape + (1,) * n_inner))
    return c.g.where(mask, value, c.value(x))


def _scatter(c: TorchConversion, x: Any, dim: int, index: Any, source: Any, mode: str = "set") -> Value:
    index = c.torch.from_numpy(c.array(index))
    updates = c.value(source)
    for axis, length in enumerate(index.shape if updates.shape else ()):
        updates = cut(c, updates, axis, 0, length)
    return _update(c, x, updates, c.positions(*c.shape).gather(dim, index), mode)


MODES = {"sum": "add", "add": "add", "prod": "multiply", "multiply": "multiply", "amax": "max", "amin": "min"}
"""Word for a reduction in torch → mode of the op."""


def _scatter_reduce(
    c: TorchConversion, x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Value:
    if reduce not in MODES or not include_self:
        raise c.rejected(f" with reduce={reduce!r}, include_self={include_self}")
    return _scatter(c, x, dim, index, source, MODES[reduce])


def _index_add(c: TorchConversion, x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Value:
    updates = c.value(source) if alpha == 1 else c.g.scale(c.value(source), factor=float(alpha))
    return _update(c, x, updates, _selected(c, dim, index), "add")


def _index_copy(c: TorchConversion, x: Any, dim: int, index: Any, source: Any) -> Value:
    return _update(c, x, source, _selected(c, dim, index))


def _selected(c: TorchConversion, dim: int, index: Any) -> Any:
    return c.positions(*c.shape).index_select(dim, c.torch.from_numpy(c.array(index)))


RESHAPES = "view _unsafe_view reshape unsqueeze squeeze flatten unflatten view_as"

MOVES = """
    diagonal tril triu unfold pixel_shuffle pixel_unshuffle channel_shuffle rot90 reflection_pad1d reflection_pad2d
    replication_pad1d replication_pad2d repeat_interleave upsample_nearest1d upsample_nearest2d im2col take diag_embed
"""
"""Ops that move entries and set others to zero."""

MOVEMENT: Mapping[str, Callable[..., Any]] = {
    **{f"aten.{word}": _reshape for word in RESHAPES.split()},
    **{f"aten.{word}": _moved for word in MOVES.split()},
    "aten.permute": _permute,
    "aten.transpose": _transpose,
    "aten.t": _transpose,
    "aten.expand": _expand,
    "aten.copy": _copy,
    "aten.repeat": _repeat,
    "aten.slice": _slice,
    "aten.select": _select,
    "aten.split_with_sizes": _split,
    "aten.split": _split,
    "aten.chunk": _chunk,
    "aten.unbind": _unbind,
    "aten.stack": _stack,
    "aten.cat": _concatenate,
    "aten.constant_pad_nd": _pad,
    "aten.flip": _flip,
    "aten.roll": _roll,
    "aten.as_strided": _strided,
    "aten.index": _indexed,
    "aten._unsafe_index": _indexed,
    "aten.index_select": _index_select,
    "aten.gather": _gather,
    "aten.embedding": _embedding,
    "aten.slice_scatter": _slice_scatter,
    "aten.select_scatter": _select_scatter,
    "aten.index_put": _index_put,
    "aten._unsafe_index_put": _index_put,
    "aten.scatter": _scatter,
    "aten.scatter_add": partial(_scatter, mode="add"),
    "aten.scatter_reduce.two": _scatter_reduce,
    "aten.index_add": _index_add,
    "aten.index_copy": _index_copy,
}
