"""Softmax, its logarithm, and normalizations, over any axes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import add_reduce, max_reduce
from jacobench.graphs.calls import run
from jacobench.graphs.errors import BadInput, real_number
from jacobench.graphs.op import OUTPUT, Argument, Count, Jacobian, Op, arrays, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.axes import Axes, as_axes, axes_of, keeps_samples
from jacobench.graphs.structures.labels import labelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shapes
    from jacobench.graphs.calls import Call

    BlockCalls = Callable[[Array, Array, Array, ArgumentContext], list[Call]]
    """(y, x, blocks, ctx) → calls that write the blocks (vectors, n, n), for vectors y and x (vectors, n)."""

BLOCKS = labelled("block diagonal", lambda ctx: axes_of(ctx).blocks)

LAST = -1
"""The axis of a loss."""


def per_vector(array: Array, axis: int | tuple[int, ...] = LAST) -> Array:
    """Allocate one number for each vector along an axis, counted from the end, or some axes."""
    shape = list(array.shape)
    for each in (axis,) if isinstance(axis, int) else axis:
        shape[each] = 1
    return np.empty(shape, array.dtype)


def _blocks(write: BlockCalls, flops: Callable[[int], int], n_arrays: int) -> Jacobian:
    """Return the rule of a Jacobian with one block of n × n entries for each vector.

    ``flops(n)`` are those of a row. `write` allocates `n_arrays` of the argument's size.
    """

    def floor(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
        axes = axes_of(ctx)
        shape = (axes.n_vectors, axes.n, axes.n)
        blocks = values.reshape(shape) if axes.are_last else np.empty(shape, ctx.dtype)
        calls = write(axes.last(y), axes.last(xs[0]), blocks, ctx)
        if axes.are_last:
            return calls
        view = axes.by_vector(values)
        return [*calls, (np.copyto, (view, blocks.reshape(view.shape)))]

    def values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        entries = np.empty(BLOCKS.extent(ctx), ctx.dtype)
        run(floor(y, xs, entries, ctx))
        return entries

    def scratch(ctx: ArgumentContext) -> int:
        """Count the arrays of `write`, and copies of y, x and the blocks unless the axes are the last."""
        axes = axes_of(ctx)
        return (n_arrays + (0 if axes.are_last else 2 + axes.n)) * ctx.n_in * ctx.dtype.itemsize

    return Jacobian(
        BLOCKS,
        values,
        floor,
        allocates=True,
        flops=lambda ctx: ctx.n_out * flops(axes_of(ctx).n),
        scratch=scratch,
    )


def _as_axis(attrs: Attrs, given: Shapes) -> Attrs:
    axis = attrs["axis"]
    return {"axis": axis if isinstance(axis, Axes) else as_axes((axis,) if given[0] else None, given[0])}


def _softmax(xp: Any, x: Any, axis: Axes) -> Any:
    e = xp.exp(x - xp.max(x, axis=axis.from_end, keepdims=True))
    return e / xp.sum(e, axis=axis.from_end, keepdims=True)


def softmax_into(x: Array, y: Array, total: Array, axis: int | tuple[int, ...] = LAST) -> None:
    """Write the softmax of x to y; `total`, one number for each vector, is overwritten."""
    max_reduce(x, axis, None, total, True)
    np.subtract(x, total, y)
    np.exp(y, y)
    add_reduce(y, axis, None, total, True)
    np.divide(y, total, y)


def _softmax_vjp(
    y_bar: Array, y: Array, axis: int | tuple[int, ...], x_bar: Array | None = None, total: Array | None = None
) -> Array:
    """Return y ⊙ (y_bar − Σ y_bar ⊙ y), in arrays that are given or new."""
    x_bar = np.multiply(y_bar, y, x_bar)
    total = add_reduce(x_bar, axis, None, total, True)
    np.subtract(y_bar, total, x_bar)
    return np.multiply(x_bar, y, x_bar)


def _softmax_blocks(y: Array, _x: Array, blocks: Array, _ctx: ArgumentContext) -> list[Call]:
    """Write diag(y) − y yᵀ."""
    negated, diagonals = np.empty_like(y), np.einsum("rii->ri", blocks)
    return [
        (np.negative, (y, negated)),
        (np.multiply, (y[:, :, None], negated[:, None, :], blocks)),
        (np.add, (diagonals, y, diagonals)),
    ]


def _softmax_floor(y_bar: Array, y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    axis = axes_of(ctx).from_end
    return [(_softmax_vjp, (y_bar, y, axis, x_bar, per_vector(y_bar, axis)))]


SOFTMAX = Op(
    name="softmax",
    forward=_softmax,
    shape=shapes.vectors,
    arguments=(
        Argument(
            vjp=lambda y_bar, y, _xs, ctx: _softmax_vjp(y_bar, y, ctx.attrs["axis"].from_end),
            jvp=lambda x_dot, y, _xs, ctx: _softmax_vjp(
                x_dot, y, ctx.attrs["axis"].from_end
            ),  # the Jacobian is symmetric
            jacobian=_blocks(_softmax_blocks, lambda n: n + 2, n_arrays=1),
            residuals=(OUTPUT,),
            flops=lambda ctx: 4 * ctx.n_out,
            floor=_softmax_floor,
            per_sample=keeps_samples,
        ),
    ),
    flops=lambda ctx: 5 * ctx.n_out,
    source="exp x / Σ exp x over an axis; Bridle, Probabilistic Interpretation (1990)",
    example=lambda g, batch=3, size=4: g.softmax(g.input("x", (batch, size))),
    attrs={"axis": LAST},
    prepare=_as_axis,
    scratch=arrays(1),
    floor=lambda xs, y, attrs: [
        (softmax_into, (xs[0], y, per_vector(y, attrs["axis"].from_end), attrs["axis"].from_end))
    ],
)


def _log_softmax(xp: Any, x: Any, axis: Axes) -> Any:
    shifted = x - xp.max(x, axis=axis.from_end, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis.from_end, keepdims=True))


def log_softmax_negated(
    x: Array, out: Array, e: Array, largest: Array, total: Array, axis: int | tuple[int, ...] = LAST
) -> None:
    """Write −log softmax x to `out`; `e`, of x's shape, and two numbers for each vector are overwritten."""
    max_reduce(x, axis, None, largest, True)
    np.subtract(x, largest, out)
    np.exp(out, e)
    add_reduce(e, axis, None, total, True)
    np.log(total, total)
    np.subtract(total, out, out)


def _log_softmax_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    axis = attrs["axis"].from_end
    scratch = (np.empty_like(y), per_vector(y, axis), per_vector(y, axis))
    return [(log_softmax_negated, (xs[0], y, *scratch, axis)), (np.negative, (y, y))]


def _log_softmax_vjp(y_bar: Array, y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return y_bar − exp(y) Σ y_bar."""
    x_bar: Array = np.multiply(np.exp(y)[None], add_reduce(y_bar, axes_of(ctx).from_end, None, None, True))
    return np.subtract(y_bar, x_bar, x_bar)


def _log_softmax_vjp_floor(y_bar: Array, y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    axis = axes_of(ctx).from_end
    e, total = np.empty_like(y), per_vector(y_bar, axis)
    return [
        (np.exp, (y, e)),
        (add_reduce, (y_bar, axis, None, total, True)),
        (np.multiply, (e[None], total, x_bar)),
        (np.subtract, (y_bar, x_bar, x_bar)),
    ]


def _log_softmax_jvp(x_dot: Array, y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return x_dot − Σ exp(y) x_dot."""
    y_dot: Array = np.multiply(np.exp(y)[None], x_dot)
    np.subtract(x_dot, add_reduce(y_dot, axes_of(ctx).from_end, None, None, True), y_dot)
    return y_dot


def _log_softmax_blocks(y: Array, _x: Array, blocks: Array, _ctx: ArgumentContext) -> list[Call]:
    """Write I − 1 exp(y)ᵀ."""
    negated, diagonals = np.empty_like(y), np.einsum("rii->ri", blocks)
    return [
        (np.exp, (y, negated)),
        (np.negative, (negated, negated)),
        (np.copyto, (blocks, negated[:, None, :])),
        (np.add, (diagonals, y.dtype.type(1), diagonals)),
    ]


LOG_SOFTMAX = Op(
    name="log_softmax",
    forward=_log_softmax,
    shape=shapes.vectors,
    arguments=(
        Argument(
            vjp=_log_softmax_vjp,
            jvp=_log_softmax_jvp,
            jacobian=_blocks(_log_softmax_blocks, lambda _n: 3, n_arrays=1),
            residuals=(OUTPUT,),
            flops=lambda ctx: 4 * ctx.n_out,
            scratch_once=arrays(1),
            floor=_log_softmax_vjp_floor,
            per_sample=keeps_samples,
        ),
    ),
    flops=lambda ctx: 5 * ctx.n_out,
    source="x − log Σ exp x over an axis; Bishop, Pattern Recognition (2006), section 4.3.4",
    example=lambda g, batch=3, size=4: g.log_softmax(g.input("x", (batch, size))),
    attrs={"axis": LAST},
    prepare=_as_axis,
    scratch=arrays(1),
    floor=_log_softmax_floor,
    like="softmax",
)


def _as_normalization(attrs: Attrs, given: Shapes) -> Attrs:
    eps = real_number("eps", attrs["eps"])
    if not 0 <= eps < float("inf"):
        raise BadInput(f"eps is {eps}: expected a finite number, 0 or more")
    return {"axes": as_axes(attrs["axes"] if given[0] else None, given[0]), "eps": eps}


def _layer_norm(xp: Any, x: Any, axes: Axes, eps: float) -> Any:
    centred = x - xp.mean(x, axis=axes.from_end, keepdims=True)
    variance = xp.mean(centred * centred, axis=axes.from_end, keepdims=True)
    return centred / xp.sqrt(variance + eps)


def _rms_norm(xp: Any, x: Any, axes: Axes, eps: float) -> Any:
    return x / xp.sqrt(xp.mean(x * x, axis=axes.from_end, keepdims=True) + eps)


def _deviation_inverse(
    x: Array,
    attrs: Attrs,
    centred: Array | None = None,
    square: Array | None = None,
    inverse: Array | None = None,
    *,
    centres: bool,
) -> Array:
    """Return 1 / √(mean x² + ε) for each vector, in arrays that are given or new.

    If the normalization `centres`, x is replaced by x − mean, which is left in `centred`. ``np.add.reduce`` takes a third of
    the time of np.mean for short vectors.
    """
    axis, share = attrs["axes"].from_end, x.dtype.type(1 / attrs["axes"].n)
    if centres:
        inverse = add_reduce(x, axis, None, inverse, True)
        np.multiply(inverse, share, inverse)
        x = np.subtract(x, inverse, centred)
    square = np.multiply(x, x, square)
    inverse = add_reduce(square, axis, None, inverse, True)
    np.multiply(inverse, share, inverse)
    np.add(inverse, x.dtype.type(attrs["eps"]), inverse)
    np.sqrt(inverse, inverse)
    return np.reciprocal(inverse, inverse)


def _normalized_into(x: Array, y: Array, square: Array, inverse: Array, attrs: Attrs, *, centres: bool) -> None:
    _deviation_inverse(x, attrs, y, square, inverse, centres=centres)
    np.multiply(y if centres else x, inverse, y)


def _normalized_vjp(
    y_bar: Array, y: Array, x: Array, attrs: Attrs, x_bar: Array | None = None, *scratch: Array, centres: bool
) -> Array:
    """Return (y_bar − mean(y_bar) − y mean(y_bar ⊙ y)) / deviation, in arrays that are given or new.

    Without mean(y_bar) unless the normalization `centres`. The deviation is computed again because it is not among the
    residuals.
    """
    along, mean, *others = scratch or (None, None)
    axis, share = attrs["axes"].from_end, y.dtype.type(1 / attrs["axes"].n)
    x_bar = np.multiply(y_bar, y, x_bar)
    along = add_reduce(x_bar, axis, None, along, True)
    np.multiply(along, share, along)
    np.multiply(y, along, x_bar)
    np.subtract(y_bar, x_bar, x_bar)
    if centres:
        mean = add_reduce(y_bar, axis, None, mean, True)
        np.multiply(mean, share, mean)
        np.subtract(x_bar, mean, x_bar)
    return np.multiply(x_bar, _deviation_inverse(x, attrs, *others, centres=centres), x_bar)


def _normalized_blocks(y: Array, x: Array, blocks: Array, ctx: ArgumentContext, *, centres: bool) -> list[Call]:
    """Write (I − 1/n − y yᵀ/n) / deviation, without 1/n unless the normalization `centres`."""
    vectors = {"axes": as_axes((LAST,), x.shape), "eps": ctx.attrs["eps"]}
    centred, scaled, inverse, share = np.empty_like(x), np.empty_like(x), per_vector(x), per_vector(x)
    diagonals = np.einsum("rii->ri", blocks)
    mean: list[Call] = [(np.add, (blocks, share[:, :, None], blocks))] if centres else []
    return [
        (partial(_deviation_inverse, centres=centres), (x, vectors, centred, scaled, inverse)),
        (np.multiply, (inverse, x.dtype.type(-1 / x.shape[-1]), share)),
        (np.multiply, (y, share, scaled)),
        (np.multiply, (y[:, :, None], scaled[:, None, :], blocks)),
        *mean,
        (np.add, (diagonals, inverse, diagonals)),
    ]


def _normalization(
    name: str,
    forward: Callable[..., Any],
    *,
    centres: bool,
    flops: tuple[int, int, Callable[[int], int]],
    scratch: Count = zero,
    source: str,
    like: str | None = None,
) -> Op:
    """Return a normalization; `flops` are those of the forward and the vjp rule per entry, and of a row of a block."""
    into = partial(_normalized_into, centres=centres)
    vjp = partial(_normalized_vjp, centres=centres)

    def vjp_floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        axis = axes_of(ctx).from_end
        entries = (np.empty_like(y), np.empty_like(y), per_vector(y, axis))
        return [(vjp, (y_bar, y, xs[0], ctx.attrs, x_bar, per_vector(y_bar, axis), per_vector(y_bar, axis), *entries))]

    return Op(
        name=name,
        forward=forward,
        shape=shapes.vectors,
        arguments=(
            Argument(
                vjp=lambda y_bar, y, xs, ctx: vjp(y_bar, y, xs[0], ctx.attrs),
                jvp=lambda x_dot, y, xs, ctx: vjp(x_dot, y, xs[0], ctx.attrs),  # the Jacobian is symmetric
                jacobian=_blocks(partial(_normalized_blocks, centres=centres), flops[2], n_arrays=2),
                residuals=(OUTPUT, 0),
                flops=lambda ctx: flops[1] * ctx.n_out,
                scratch_once=scratch,
                floor=vjp_floor,
                per_sample=keeps_samples,
            ),
        ),
        flops=lambda ctx: flops[0] * ctx.n_out,
        source=source,
        example=lambda g, batch=3, size=4: getattr(g, name)(g.input("x", (batch, size))),
        attrs={"axes": (LAST,), "eps": 1e-5},
        prepare=_as_normalization,
        scratch=arrays(1),
        floor=lambda xs, y, attrs: [(into, (xs[0], y, np.empty_like(y), per_vector(y, attrs["axes"].from_end), attrs))],
        like=like,
    )


OPS = (
    SOFTMAX,
    LOG_SOFTMAX,
    _normalization(
        "layer_norm",
        _layer_norm,
        centres=True,
        flops=(6, 11, lambda n: 2 * n + 6),
        scratch=arrays(2),
        source="(x − mean) / √(variance + eps) over the axes, no gain or bias; Ba et al., Layer Normalization (2016)",
    ),
    _normalization(
        "rms_norm",
        _rms_norm,
        centres=False,
        flops=(4, 8, lambda n: n + 5),
        scratch=arrays(1),
        source="x / √(mean x² + eps) over the axes, no gain; Zhang & Sennrich, Root Mean Square Layer Normalization (2019)",
        like="layer_norm",
    ),
)
