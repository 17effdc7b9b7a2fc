"""Ops that only move entries: permutations, changes of shape and repetition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import NUMPY, in_c_order
from jacobench.graphs.calls import Call, no_calls
from jacobench.graphs.errors import BadInput, whole_numbers
from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import boxes
from jacobench.graphs.structures.sparsity import IDENTITY_MULTIPLE, Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Indices, Shape, Shapes

    Sources = Callable[[ArgumentContext, Any], Indices]


def take_into(x: Array, indices: Indices, axis: int, out: Array) -> list[Call]:
    """Return the call that gathers valid indices into `out`; without "clip" NumPy would write to a copy of `out` first."""
    return [(x.take, (indices, axis, out, "clip"))]


def along_last_axis(order: Indices, ctx: ArgumentContext, dtype: Any) -> Indices:
    """Return the flat position of each output's entry, if all vectors are reordered in the same way."""
    starts = np.arange(0, ctx.n_in, ctx.x[-1], dtype=dtype)
    positions: Indices = np.add.outer(starts, order.astype(dtype, copy=False)).reshape(-1)
    return positions


def selection(name: str, sources: Sources) -> Jacobian:
    """Return the Jacobian rule of an op whose outputs are entries of its argument.

    `name` is the structure's; ``sources(ctx, dtype)`` returns the flat position of each output's entry, shape (outputs,).
    """

    def index(ctx: ArgumentContext) -> tuple[Indices, Indices]:
        """Return the positions in the block of one sample; all samples have the same."""
        n_out = ctx.n_out // ctx.samples
        return np.arange(n_out), sources(ctx, np.intp)[:n_out]

    def fill(J: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> list[Call]:
        return [(J.__setitem__, ((slice(None), *index(ctx)), 1))]

    return Jacobian(
        Structure(
            name,
            extent=lambda ctx: (ctx.n_out,),
            columns=sources,
            view=lambda J, _ctx: J,
            index=index,
            scratch=lambda _ctx: 0,
        ),
        lambda y, _xs, _ctx: np.ones(1, y.dtype),
        fill=fill,
        fill_scratch=lambda ctx: np.dtype(np.intp).itemsize * (ctx.n_out + ctx.n_out // ctx.samples),
    )


@dataclass(frozen=True, eq=False)
class Order:
    """Permutation of 0 … n − 1 and its inverse, ``positions[inverse[i]] == i``, both of shape (n,)."""

    positions: NDArray[np.intp]
    inverse: NDArray[np.intp]


def _as_order(attrs: Attrs, _shapes: Shapes) -> Attrs:
    if isinstance(attrs["order"], Order):
        return attrs
    given = np.asarray(attrs["order"])
    n = given.size
    if given.ndim != 1 or given.dtype.kind not in "iu" or not np.array_equal(np.sort(given), np.arange(n)):
        raise BadInput(f"the order is {attrs['order']!r:.60}: expected each of 0 … n − 1 once")
    positions = given.astype(np.intp)
    inverse = np.empty_like(positions)
    inverse[positions] = np.arange(n)
    return {"order": Order(positions, inverse)}


PERMUTE = Op(
    name="permute",
    forward=lambda xp, x, order: xp.take_last(x, order.positions),
    shape=shapes.permute,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: y_bar.take(ctx.attrs["order"].inverse, axis=-1),
            jvp=lambda x_dot, _y, _xs, ctx: x_dot.take(ctx.attrs["order"].positions, axis=-1),
            jacobian=selection(
                "permutation", lambda ctx, dtype: along_last_axis(ctx.attrs["order"].positions, ctx, dtype)
            ),
            floor=lambda y_bar, _y, _xs, x_bar, ctx: take_into(y_bar, ctx.attrs["order"].inverse, -1, x_bar),
        ),
    ),
    floor=lambda xs, y, attrs: take_into(xs[0], attrs["order"].positions, -1, y),
    source="y[…, i] = x[…, order[i]]; Golub & Van Loan, Matrix Computations (2013), section 1.2",
    example=lambda g, batch=3, size=4: g.permute(
        g.input("x", (batch, size)), order=np.random.default_rng(0).permutation(size)
    ),
    attrs={"order": None},
    prepare=_as_order,
)

RESHAPE = Op(
    name="reshape",
    forward=lambda _xp, x, shape: x.reshape(shape),
    shape=shapes.reshape,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: y_bar.reshape(len(y_bar), *ctx.x),
            jvp=lambda x_dot, _y, _xs, ctx: x_dot.reshape(len(x_dot), *ctx.out),
            jacobian=Jacobian(IDENTITY_MULTIPLE, lambda y, _xs, _ctx: np.ones(1, y.dtype)),
            floor=no_calls,
            per_sample=lambda given, attrs: shapes.reshape(given, attrs)[:1] == given[0][:1],
            returns_cotangent=lambda _ctx: True,  # except for a part of a longer cotangent, which NumPy copies
        ),
    ),
    source="the same entries in C order in another shape, a view; one length may be −1, as in NumPy",
    example=lambda g, batch=3, size=4: g.reshape(g.input("x", (batch, size, 2)), shape=(batch, 2, size)),
    attrs={"shape": ()},
    prepare=lambda attrs, _shapes: {"shape": whole_numbers("the shape", attrs["shape"])},
    is_view=True,
    needs_order=True,
    floor=no_calls,
)


STOP_GRADIENT = Op(
    name="stop_gradient",
    forward=lambda xp, x: xp.stop_gradient(x),
    shape=shapes.same,
    arguments=(None,),
    source="x, as a value without a derivative; jax.lax.stop_gradient, torch.Tensor.detach",
    example=lambda g, batch=3, size=4: g.multiply(x := g.input("x", (batch, size)), g.stop_gradient(x)),
    is_view=True,
    is_piecewise_constant=True,
    floor=no_calls,
)


def _as_axes(attrs: Attrs, _shapes: Shapes) -> Attrs:
    axes = whole_numbers("the axes", attrs["axes"])
    if sorted(axes) != list(range(len(axes))):
        raise BadInput(f"the axes are {axes}: expected each of 0 … {len(axes) - 1} once")
    return {"axes": axes}


def _transposed(ctx: ArgumentContext, dtype: Any) -> Indices:
    return np.arange(ctx.n_in, dtype=dtype).reshape(ctx.x).transpose(ctx.attrs["axes"]).reshape(-1)


def _transposed_back(y_bar: Array, ctx: ArgumentContext) -> Array:
    return y_bar.transpose(0, *(1 + ctx.attrs["axes"].index(axis) for axis in range(len(ctx.x))))


TRANSPOSE = Op(
    name="transpose",
    forward=lambda xp, x, axes: xp.transposed(x, axes),
    shape=shapes.transpose,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: in_c_order(_transposed_back(y_bar, ctx)),
            jvp=lambda x_dot, _y, _xs, ctx: in_c_order(x_dot.transpose(0, *(1 + axis for axis in ctx.attrs["axes"]))),
            jacobian=selection("permutation", _transposed),
            floor=lambda y_bar, _y, _xs, x_bar, ctx: [(in_c_order, (_transposed_back(y_bar, ctx), x_bar))],
            per_sample=lambda _shapes, attrs: attrs["axes"][:1] == (0,),
        ),
    ),
    source="axis k of y is axis axes[k] of x; Magnus & Neudecker, The commutation matrix (1979)",
    example=lambda g, batch=3, size=4: g.transpose(g.input("x", (batch, size, 2)), axes=(0, 2, 1)),
    attrs={"axes": ()},
    prepare=_as_axes,
    floor=lambda xs, y, attrs: [(in_c_order, (xs[0].transpose(attrs["axes"]), y))],
)


def _as_broadcast(attrs: Attrs, given: Shapes) -> Attrs:
    """Return the axis of the output for each axis of the argument; by default the last axes."""
    (x,), shape = given, whole_numbers("the shape", attrs["shape"])
    last = tuple(range(len(shape) - len(x), len(shape)))
    axes = last if attrs["axes"] is None else whole_numbers("the axes", attrs["axes"])
    ordered = list(axes) == sorted(set(axes) & set(range(len(shape))))
    if not ordered or len(axes) != len(x) or any(n not in (1, shape[axis]) for n, axis in zip(x, axes, strict=True)):
        raise BadInput(f"the argument has shape {x}: expected one that broadcasts to {shape}, axes {attrs['axes']}")
    if min(shape, default=1) < 1:
        raise BadInput(f"the shape is {shape}: expected lengths of 1 or more")
    return {"shape": shape, "axes": axes}


@lru_cache(maxsize=4096)
def _among_ones(x: Shape, shape: Shape, axes: tuple[int, ...]) -> Shape:
    """Return the argument's lengths on `axes` of the output, 1 on its other axes."""
    lengths = dict(zip(axes, x, strict=True))
    return tuple(lengths.get(axis, 1) for axis in range(len(shape)))


@lru_cache(maxsize=4096)
def _repeated(x: Shape, shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of the output along which the argument is repeated."""
    among = _among_ones(x, shape, axes)
    return tuple(axis for axis, (n, length) in enumerate(zip(among, shape, strict=True)) if n != length)


@lru_cache(maxsize=4096)
def _summed(x: Shape, shape: Shape, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return these axes of an array with an axis for seeds before the others."""
    return tuple(1 + axis for axis in _repeated(x, shape, axes))


def _broadcast(xp: Any, x: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    return xp.broadcast_to(x.reshape(_among_ones(tuple(x.shape), shape, axes)), shape)


def _sum_repeated(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    axes = _summed(ctx.x, ctx.out, ctx.attrs["axes"])
    sums = np.add.reduce(y_bar, axis=axes) if axes else y_bar
    return sums.reshape(len(y_bar), *ctx.x)


def _sum_repeated_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    among = x_bar.reshape(len(y_bar), *_among_ones(ctx.x, ctx.out, ctx.attrs["axes"]))
    return [(np.add.reduce, (y_bar, _summed(ctx.x, ctx.out, ctx.attrs["axes"]), None, among, True))]


def _repeat_tangents(x_dot: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    among = x_dot.reshape(len(x_dot), *_among_ones(ctx.x, ctx.out, ctx.attrs["axes"]))
    return np.broadcast_to(among, (len(x_dot), *ctx.out))


def _repeated_positions(ctx: ArgumentContext, dtype: Any) -> Indices:
    among = np.arange(ctx.n_in, dtype=dtype).reshape(_among_ones(ctx.x, ctx.out, ctx.attrs["axes"]))
    return np.broadcast_to(among, ctx.out).reshape(-1)


BROADCAST = Op(
    name="broadcast",
    forward=_broadcast,
    shape=lambda _given, attrs: attrs["shape"],
    arguments=(
        Argument(
            vjp=_sum_repeated,
            jvp=_repeat_tangents,
            jacobian=selection("stacked identity, repeated", _repeated_positions),
            floor=_sum_repeated_floor,
            flops=lambda ctx: ctx.n_out if _repeated(ctx.x, ctx.out, ctx.attrs["axes"]) else 0,
            per_sample=lambda given, attrs: attrs["axes"][:1] == (0,) and given[0][0] == attrs["shape"][0],
            returns_cotangent=lambda ctx: not _repeated(ctx.x, ctx.out, ctx.attrs["axes"]),
        ),
    ),
    source="entries repeated along new axes and axes of length 1, a view; `axes`: the axis of y for each axis of x, "
    "by default the last ones; Harris et al., Array programming with NumPy (2020)",
    example=lambda g, batch=3, size=4: g.broadcast(g.input("x", (batch, size)), shape=(batch, 2, size), axes=(0, 2)),
    attrs={"shape": (), "axes": None},
    prepare=_as_broadcast,
    is_view=True,
    floor=no_calls,
)


def _as_shifts(attrs: Attrs, given: Shapes) -> Attrs:
    """Return each axis that is shifted once, in order, with a shift from 1 to its length − 1."""
    (x,) = given
    axes = [shapes.as_axis(axis, len(x)) for axis in whole_numbers("the axes", attrs["axes"])]
    shifts = whole_numbers("the shifts", attrs["shifts"])
    if len(axes) != len(shifts):
        raise BadInput(f"the shifts are {shifts}, the axes {tuple(axes)}: expected a shift for each axis")
    totals = [sum(shift for shift, one in zip(shifts, axes, strict=True) if one == axis) for axis in range(len(x))]
    found = {axis: total % n for axis, (total, n) in enumerate(zip(totals, x, strict=True)) if total % n}
    return {"shifts": tuple(found.values()), "axes": tuple(found)}


def _pieces(xs: Arrays, y: Array, shifts: tuple[int, ...], axes: tuple[int, ...]) -> list[Call]:
    return [(np.copyto, (y[target], xs[0][source])) for target, source in boxes.rolled(y.shape, shifts, axes)]


def _shifts(ctx: ArgumentContext, sign: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shifts, or with −1 those back, and the axes of an array with an axis for seeds before the argument's."""
    axes = ctx.attrs["axes"]
    shifts = tuple(sign * shift % ctx.x[axis] for shift, axis in zip(ctx.attrs["shifts"], axes, strict=True))
    return shifts, tuple(1 + axis for axis in axes)


def _rolled_positions(ctx: ArgumentContext, dtype: Any) -> Indices:
    positions = np.arange(ctx.n_in, dtype=dtype).reshape(ctx.x)
    rolled: Indices = NUMPY.rolled(positions, ctx.attrs["shifts"], ctx.attrs["axes"]).reshape(-1)
    return rolled


ROLL = Op(
    name="roll",
    forward=lambda xp, x, shifts, axes: xp.rolled(x, shifts, axes),
    shape=shapes.same,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: NUMPY.rolled(y_bar, *_shifts(ctx, -1)),
            jvp=lambda x_dot, _y, _xs, ctx: NUMPY.rolled(x_dot, *_shifts(ctx, 1)),
            jacobian=selection("permutation", _rolled_positions),
            floor=lambda y_bar, _y, _xs, x_bar, ctx: _pieces((y_bar,), x_bar, *_shifts(ctx, -1)),
            per_sample=lambda _given, attrs: 0 not in attrs["axes"],
        ),
    ),
    source="y[…, (i + shift) mod n] = x[…, i] along each of the axes; Golub & Van Loan, Matrix Computations (2013), "
    "section 4.8",
    example=lambda g, batch=3, size=4: g.roll(g.input("x", (batch, size)), shifts=(1,), axes=(-1,)),
    attrs={"shifts": (), "axes": ()},
    prepare=_as_shifts,
    like="flip",
    floor=lambda xs, y, attrs: _pieces(xs, y, attrs["shifts"], attrs["axes"]),
)


OPS = (PERMUTE, RESHAPE, STOP_GRADIENT, TRANSPOSE, BROADCAST, ROLL)
