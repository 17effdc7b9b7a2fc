"""Ops that read from or write to fixed positions of an array: gather, scatter and look-ups in a table."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.position_calls import added, added_to_zeros, combined, taken
from jacobench.graphs.calls import Call, run, vjp_of
from jacobench.graphs.errors import BadInput, real_number
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.structures import positions as patterns
from jacobench.graphs.structures.positions import Positions, positions_in
from jacobench.graphs.structures.sparsity import DIAGONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.structures.sparsity import Structure

ITEM = np.dtype(np.intp).itemsize


def _positions(ctx: ArgumentContext) -> Positions:
    found: Positions = ctx.attrs["positions"]
    return found


def _checked(given: Any, x: Shape) -> Positions:
    """Return positions in an array of shape `x`. Raises BadInput unless each is −1 or the number of an entry."""
    if isinstance(given, Positions):
        return given
    array, n = np.asarray(given), prod(x)
    if array.dtype.kind not in "iu" or not array.size or array.min() < -1 or array.max() >= n:
        raise BadInput(f"the positions are {given!r:.60}: expected whole numbers from −1 to {n - 1}, at least one")
    return positions_in(x, array)


def _scratch_of_adding(positions: Positions, ctx: ArgumentContext) -> int:
    """Return the bytes that `added_to_zeros` allocates and frees."""
    part = 0 if positions.kept is None else positions.n_kept * ctx.dtype.itemsize
    products = positions.width > 1 and not positions.distinct
    return part + (positions.kept_runs.size * (ITEM + ctx.dtype.itemsize) if products else 0)


def _filled(structure: Structure) -> Jacobian:
    """Return the Jacobian rule of ones; the positions are written at once, for all samples."""

    def fill(J: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> list[Call]:
        return [(J.__setitem__, (structure.index(ctx), 1))]

    return Jacobian(
        structure,
        lambda y, _xs, _ctx: np.ones(1, y.dtype),
        fill=fill,
        fill_scratch=lambda ctx: 4 * ITEM * structure.n_nonzeros(ctx),
    )


def _as_positions(attrs: Attrs, given: Shapes) -> Attrs:
    return {"positions": _checked(attrs["positions"], given[0]), "fill": real_number("the fill", attrs["fill"])}


def _gather_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    positions = np.random.default_rng(0).integers(-1, size, size=(batch, size + 1))
    offsets = size * np.arange(batch)[:, None]
    return g.gather(g.input("x", (batch, size)), positions=np.where(positions < 0, -1, positions + offsets))


def _read(name: str, positions_of: Callable[[Attrs], Positions]) -> Argument:
    """Return the rules of an argument whose entries at some positions are the output; `name` is the structure's."""

    def of(ctx: ArgumentContext) -> Positions:
        return positions_of(ctx.attrs)

    def floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        return added_to_zeros(y_bar, of(ctx), x_bar)

    return Argument(
        vjp=vjp_of(floor),
        jvp=lambda x_dot, _y, _xs, ctx: _taken(x_dot, of(ctx)),
        jacobian=_filled(patterns.read(name, of)),
        floor=floor,
        flops=lambda ctx: 0 if of(ctx).distinct else ctx.n_out,
        per_sample=lambda _given, attrs: positions_of(attrs).keeps_samples,
        scratch_once=lambda ctx: _scratch_of_adding(of(ctx), ctx),
    )


GATHER = Op(
    name="gather",
    forward=lambda xp, x, positions, fill: xp.gathered(x, positions, fill),
    shape=lambda _given, attrs: attrs["positions"].shape,
    arguments=(_read("entry selection", lambda attrs: attrs["positions"]),),
    source="y[…] = x.flat[positions[…]], a fixed number where the position is −1; general indexing: Harris et al., "
    "Array programming with NumPy (2020)",
    example=_gather_example,
    attrs={"positions": None, "fill": 0.0},
    prepare=_as_positions,
    is_general=True,
    floor=lambda xs, y, attrs: taken(xs[0][None], attrs["positions"], y[None], attrs["fill"]),
)


def _as_indices(attrs: Attrs, given: Shapes) -> Attrs:
    """Return the positions of the rows of the table."""
    (table,), array = given, attrs["indices"]
    if isinstance(array, Positions):
        return attrs
    indices = np.asarray(array)
    if indices.dtype.kind not in "iu" or not indices.size or indices.min() < 0:
        raise BadInput(f"the indices are {array!r:.60}: expected whole numbers, each 0 or more")
    if len(table) != 2 or indices.max() >= table[0]:
        raise BadInput(
            f"the table has shape {table}, the largest index is {indices.max()}: expected (V, D) with V above this index"
        )
    rows = indices.reshape(-1).astype(np.intp)
    return {"indices": Positions((*indices.shape, table[1]), prod(table), table[1], rows, keeps_samples=False)}


def _embedding_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    indices = np.random.default_rng(0).integers(size + 1, size=(batch, 2))
    return g.embedding(g.parameter("table", (size + 1, size)), indices=indices)


EMBEDDING = Op(
    name="embedding",
    forward=lambda xp, table, indices: xp.take_rows(table, indices.rows),
    shape=lambda _given, attrs: attrs["indices"].shape,
    arguments=(_read("row selection", lambda attrs: attrs["indices"]),),
    source="y[…, :] = table[indices[…], :]; Bengio et al., A Neural Probabilistic Language Model (2003), section 2",
    example=_embedding_example,
    attrs={"indices": ()},
    prepare=_as_indices,
    floor=lambda xs, y, attrs: take_into(xs[0], attrs["indices"].rows, 0, y),
)


def _taken(x: Array, positions: Positions) -> Array:
    """Return the entries of x (S, *x.shape) at the positions, shape (S, *positions.shape); zeros where there are none."""
    out = np.empty((len(x), *positions.shape), x.dtype)
    run(taken(x, positions, out))
    return out


WRITES, REDUCTIONS = ("set", "add"), ("multiply", "max", "min")


def _as_writes(attrs: Attrs, given: Shapes, modes: tuple[str, ...]) -> Attrs:
    """Return the positions as the rules need them: of equal ones, only the last is set."""
    x, updates = given
    if attrs["mode"] not in modes:
        raise BadInput(f"the mode is {attrs['mode']!r}: expected one of {', '.join(modes)}")
    positions = _checked(attrs["positions"], x)
    if positions.shape != updates:
        raise BadInput(f"the positions have shape {positions.shape}, the updates {updates}: expected equal shapes")
    positions = positions.without_repeats() if attrs["mode"] == "set" else positions
    if attrs["mode"] in REDUCTIONS or not positions.distinct:
        positions = positions.in_single_runs()
    _ = positions.order  # computed now, so that no call of a rule does
    return {"positions": positions, "mode": attrs["mode"]}


def _writes_per_sample(given: Shapes, attrs: Attrs) -> bool:
    x, updates = given
    return x[:1] == updates[:1] and attrs["positions"].keeps_samples


NOTHING = Positions((0,), 0, 1, np.empty(0, np.intp), keeps_samples=True)
"""No positions."""


def _overwritten(ctx: ArgumentContext) -> Positions:
    return _positions(ctx) if ctx.attrs["mode"] == "set" else NOTHING


def _left(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the cotangents or tangents, without the entries that are overwritten."""
    if ctx.attrs["mode"] == "add":
        return y_bar
    x_bar = y_bar.copy()
    x_bar.reshape(len(y_bar), -1, _positions(ctx).width)[:, _positions(ctx).kept_runs] = 0
    return x_bar


def _left_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    rows = x_bar.reshape(len(y_bar), -1, _overwritten(ctx).width)
    return [(np.copyto, (x_bar, y_bar)), (rows.__setitem__, ((slice(None), _overwritten(ctx).kept_runs), 0))]


def _written(u_dot: Array, ctx: ArgumentContext) -> Array:
    """Return the tangents of updates (S, *updates.shape), added at the positions to zeros."""
    out = np.empty((len(u_dot), *ctx.out), u_dot.dtype)
    run(added_to_zeros(u_dot, _positions(ctx), out))
    return out


def _scatter_example(mode: str, g: Any, batch: int = 3, size: int = 4) -> Any:
    positions = np.random.default_rng(0).permutation(2 * size)[:size] + 2 * size * np.arange(batch)[:, None]
    positions[:, -1] = -1
    x, updates = g.input("x", (batch, 2 * size)), g.input("updates", (batch, size))
    return getattr(g, "scatter" if mode in WRITES else "scatter_reduce")(x, updates, positions=positions, mode=mode)


def _scattered_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    return [(np.copyto, (y, xs[0])), *combined(xs[1], attrs["positions"], y, attrs["mode"])]


SCATTER = Op(
    name="scatter",
    forward=lambda xp, x, updates, positions, mode: xp.scattered(x, updates, positions, mode),
    shape=lambda given, _attrs: given[0],
    arguments=(
        Argument(
            vjp=_left,
            jvp=_left,
            jacobian=Jacobian(
                patterns.kept("identity, some rows empty", _overwritten), lambda y, _xs, _ctx: np.ones(1, y.dtype)
            ),
            floor=_left_floor,
            returns_cotangent=lambda ctx: ctx.attrs["mode"] == "add",
        ),
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: _taken(y_bar, _positions(ctx)),
            jvp=lambda u_dot, _y, _xs, ctx: _written(u_dot, ctx),
            jacobian=_filled(patterns.written("entry placement", _positions)),
            floor=lambda y_bar, _y, _xs, x_bar, ctx: taken(y_bar, _positions(ctx), x_bar),
            per_sample=_writes_per_sample,
        ),
    ),
    source="x with updates[…] set at, or added to, x.flat[positions[…]], none where the position is −1; of updates that are "
    "set at one position, the last remains; Harris et al., Array programming with NumPy (2020)",
    example=partial(_scatter_example, "set"),
    flops=lambda ctx: 0 if ctx.attrs["mode"] == "set" else _positions(ctx).n_kept,
    attrs={"positions": None, "mode": "set"},
    prepare=partial(_as_writes, modes=WRITES),
    is_general=True,
    floor=_scattered_floor,
)

# scatter_reduce: the derivatives by x and by the updates are slopes, which depend on the values.


def _exclusive_products(values: Array, positions: Positions) -> Array:
    """Return for each of the values (runs,) the product of the others at its position."""
    by_position, found = values[positions.order], np.ones_like(values)
    at = positions.runs[positions.order]
    rank = np.arange(at.size) - np.searchsorted(at, at)
    before, after = np.ones_like(by_position), np.ones_like(by_position)
    for k in range(1, int(rank.max(initial=0)) + 1):
        own = np.flatnonzero(rank == k)
        before[own] = before[own - 1] * by_position[own - 1]
    for k in range(int(rank.max(initial=0)), 0, -1):
        own = np.flatnonzero(rank == k)
        after[own - 1] = after[own] * by_position[own]
    found[positions.order] = before * after
    return found


def _slopes(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the derivatives of the entries at the positions by the updates, or of all entries by x; the argument's shape."""
    positions = _positions(ctx)
    x, updates = (array.reshape(-1) for array in xs)
    if ctx.attrs["mode"] != "multiply":
        return _shares(y.reshape(-1), x, updates, ctx).reshape(ctx.x)
    if ctx.k == 1:
        others = x[positions.runs]
        return (others if positions.distinct else others * _exclusive_products(updates, positions)).reshape(ctx.x)
    products = np.ones(ctx.n_in, ctx.dtype)
    run(combined(updates, positions, products, "multiply"))
    return products.reshape(ctx.x)


def _shares(y: Array, x: Array, updates: Array, ctx: ArgumentContext) -> Array:
    """Return 1 / n for each of n numbers that are the largest at their position, 0 for the others."""
    positions = _positions(ctx)
    largest, own = (x == y).astype(ctx.dtype), (updates == y[positions.runs]).astype(ctx.dtype)
    counts = largest.copy()
    run(added(own[None], positions, counts[None]))
    shares: Array = largest / counts if ctx.k == 0 else own / counts[positions.runs]
    return shares


def _reduced(k: int) -> Argument:
    """Return the rules of argument `k`: x or the updates."""

    def vjp(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        x_bar = y_bar.copy() if k == 0 else _taken(y_bar, _positions(ctx))
        x_bar *= _slopes(y, xs, ctx)
        return x_bar

    def jvp(x_dot: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        y_dot = x_dot * _slopes(y, xs, ctx)
        return y_dot if k == 0 else _written(y_dot, ctx)

    def values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        slopes = _slopes(y, xs, ctx).reshape(-1)
        return slopes if k == 0 else slopes[_positions(ctx).order]

    def values_floor(y: Array, xs: Arrays, out: Array, ctx: ArgumentContext) -> list[Call]:
        return [(lambda: np.copyto(out, values(y, xs, ctx)), ())]

    def floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        return [(lambda: np.copyto(x_bar, vjp(y_bar, y, xs, ctx)), ())]

    def scratch(ctx: ArgumentContext) -> int:
        return _slope_bytes(ctx) + (ctx.n_in * ctx.dtype.itemsize if k else 0)

    structure = DIAGONAL if k == 0 else patterns.written("entry placement, scaled", _positions)
    return Argument(
        vjp=vjp,
        jvp=jvp,
        jacobian=Jacobian(structure, values, values_floor, allocates=True, flops=_flops_of_slopes, scratch=scratch),
        floor=floor,
        residuals=(OUTPUT, 0, 1),
        flops=lambda ctx: _flops_of_slopes(ctx) + ctx.n_in,
        per_sample=_writes_per_sample if k else lambda _given, _attrs: True,
        scratch_once=lambda ctx: ctx.n_in * ctx.dtype.itemsize + _slope_bytes(ctx),
    )


def _flops_of_slopes(ctx: ArgumentContext) -> int:
    return ctx.n_out + 2 * _positions(ctx).n_kept


def _slope_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes that `_slopes` allocates and frees in addition to its result, about."""
    positions = _positions(ctx)
    if ctx.attrs["mode"] != "multiply":
        return (2 * ctx.n_out + positions.runs.size) * ctx.dtype.itemsize
    if ctx.k == 0:
        return 0 if positions.kept is None else positions.n_kept * ctx.dtype.itemsize
    return 0 if positions.distinct else 8 * positions.runs.size * ITEM


SCATTER_REDUCE = Op(
    name="scatter_reduce",
    forward=lambda xp, x, updates, positions, mode: xp.scattered(x, updates, positions, mode),
    shape=lambda given, _attrs: given[0],
    arguments=(_reduced(0), _reduced(1)),
    source="the product, maximum or minimum of x.flat[positions[…]] and updates[…]; numbers that are equally large share "
    "the derivative; Harris et al., Array programming with NumPy (2020)",
    example=partial(_scatter_example, "multiply"),
    flops=lambda ctx: _positions(ctx).n_kept,
    attrs={"positions": None, "mode": "multiply"},
    prepare=partial(_as_writes, modes=REDUCTIONS),
    is_general=True,
    like="scatter",
    floor=_scattered_floor,
)

OPS = (EMBEDDING, GATHER, SCATTER, SCATTER_REDUCE)
