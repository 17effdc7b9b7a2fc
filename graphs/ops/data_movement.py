"""Ops that only move entries: permutations, changes of shape, padding and look-ups."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse._sparsetools import csc_matvecs

from jacobench.graphs.arrays.namespaces import in_c_order
from jacobench.graphs.calls import Call, no_calls, vjp_of, zeroed
from jacobench.graphs.errors import BadInput, check_least, whole_number, whole_numbers
from jacobench.graphs.op import Argument, Jacobian, Op, never, output_size
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import IDENTITY_MULTIPLE, Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Indices, Shapes

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


def copied_to_part(part: Callable[[ArgumentContext], slice]) -> Argument:
    """Return the rules of an argument that the op copies to the slice ``part(ctx)`` of a longer last axis."""

    def rows(ctx: ArgumentContext) -> Indices:
        filled = np.zeros((ctx.n_vectors, ctx.out[-1]), np.int32)
        filled[:, part(ctx)] = 1
        return filled.reshape(-1)

    def view(J: Array, ctx: ArgumentContext) -> Array:
        vectors = ctx.n_vectors // ctx.samples
        split = J.reshape(ctx.samples, vectors, ctx.out[-1], vectors, ctx.x[-1])
        found: Array = np.einsum("bpipi->bpi", split[:, :, part(ctx)])
        return found

    structure = Structure(
        "identity between empty rows",
        extent=lambda ctx: (ctx.n_in,),
        columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
        view=view,
        per_row=rows,
        scratch=lambda ctx: ctx.n_out,
    )
    return Argument(
        vjp=lambda y_bar, _y, _xs, ctx: y_bar[..., part(ctx)],
        jacobian=Jacobian(structure, lambda y, _xs, _ctx: np.ones(1, y.dtype)),
        floor=no_calls,
        returns_cotangent=lambda _ctx: True,
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

FLIP = Op(
    name="flip",
    forward=lambda xp, x: xp.flip_last(x),
    shape=shapes.vectors,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, _ctx: y_bar[..., ::-1].copy(),
            jacobian=selection(
                "exchange permutation",
                lambda ctx, dtype: along_last_axis(np.arange(ctx.x[-1] - 1, -1, -1, dtype=dtype), ctx, dtype),
            ),
            floor=lambda y_bar, _y, _xs, x_bar, _ctx: [(np.copyto, (x_bar, y_bar[..., ::-1]))],
        ),
    ),
    floor=lambda xs, y, _attrs: [(np.copyto, (y, xs[0][..., ::-1]))],
    source="y[…, i] = x[…, n − 1 − i]; Golub & Van Loan, Matrix Computations (2013), section 1.2",
    example=lambda g, batch=3, size=4: g.flip(g.input("x", (batch, size))),
)


RESHAPE = Op(
    name="reshape",
    forward=lambda _xp, x, shape: x.reshape(shape),
    shape=shapes.reshape,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, ctx: y_bar.reshape(len(y_bar), *ctx.x),
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


def _as_margins(attrs: Attrs, _shapes: Shapes) -> Attrs:
    check_least(0, **attrs)
    return {side: whole_number(side, attrs[side]) for side in ("before", "after")}


def _pad_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    before, after = attrs["before"], y.shape[-1] - attrs["after"]
    return [(y[..., :before].fill, (0,)), (y[..., after:].fill, (0,)), (np.copyto, (y[..., before:after], xs[0]))]


PAD = Op(
    name="pad",
    forward=lambda xp, x, before, after: xp.pad_last(x, before, after),
    shape=shapes.pad,
    arguments=(copied_to_part(lambda ctx: slice(ctx.attrs["before"], ctx.attrs["before"] + ctx.x[-1])),),
    source="zeros before and after, along the last axis; Goodfellow et al., Deep Learning (2016), section 9.5",
    example=lambda g, batch=3, size=4: g.pad(g.input("x", (batch, size)), before=1, after=2),
    attrs={"before": 0, "after": 0},
    prepare=_as_margins,
    floor=_pad_floor,
)


def _as_indices(attrs: Attrs, _shapes: Shapes) -> Attrs:
    given = np.asarray(attrs["indices"])
    if given.dtype.kind not in "iu" or not given.size or given.min() < 0:
        raise BadInput(f"the indices are {attrs['indices']!r:.60}: expected whole numbers, each 0 or more")
    return {"indices": given.astype(np.intp)}


def _rows_of_table(ctx: ArgumentContext, dtype: Any) -> Indices:
    width = ctx.x[1]
    starts = ctx.attrs["indices"].reshape(-1).astype(dtype) * dtype(width)
    positions: Indices = np.add.outer(starts, np.arange(width, dtype=dtype)).reshape(-1)
    return positions


def _adding_rows(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    """Return the calls that add each cotangent to its row of the table: products with the transposed selection of rows."""
    indices = ctx.attrs["indices"].reshape(-1)
    starts, ones = np.arange(indices.size + 1), np.ones(indices.size, ctx.dtype)
    g = y_bar.reshape(len(y_bar), -1)
    products: list[Call] = [
        (csc_matvecs, (ctx.x[0], indices.size, ctx.x[1], starts, indices, ones, gradient, bar.reshape(-1)))
        for gradient, bar in zip(g, x_bar, strict=True)
    ]
    return [zeroed(x_bar), *products]


def _embedding_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    indices = np.random.default_rng(0).integers(size + 1, size=(batch, 2))
    return g.embedding(g.parameter("table", (size + 1, size)), indices=indices)


EMBEDDING = Op(
    name="embedding",
    forward=lambda xp, table, indices: xp.take_rows(table, indices),
    shape=shapes.embedding,
    arguments=(
        Argument(
            vjp=vjp_of(_adding_rows),
            jacobian=selection("row selection", _rows_of_table),
            floor=_adding_rows,
            flops=output_size,
            per_sample=never,
            scratch_once=lambda ctx: prod(ctx.attrs["indices"].shape) * (ctx.dtype.itemsize + 8),
        ),
    ),
    source="y[…, :] = table[indices[…], :]; Bengio et al., A Neural Probabilistic Language Model (2003), section 2",
    example=_embedding_example,
    attrs={"indices": ()},
    prepare=_as_indices,
    floor=lambda xs, y, attrs: take_into(xs[0], attrs["indices"], 0, y),
)

OPS = (PERMUTE, FLIP, RESHAPE, TRANSPOSE, PAD, EMBEDDING)
