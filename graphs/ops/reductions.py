"""Reductions over any axes: each output is a function of the entries of one vector along these axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import add_reduce, max_reduce
from jacobench.graphs.calls import run, vjp_of
from jacobench.graphs.errors import BadInput, real_number, unknown, whole_number
from jacobench.graphs.op import OUTPUT, Argument, Count, Jacobian, Op, arrays, output_size, zero
from jacobench.graphs.ops.axes import Axes, as_axes, axes_of, keeps_samples
from jacobench.graphs.structures.labels import labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call

REDUCTION = labelled("reduction", lambda ctx: axes_of(ctx).reduced)
TIES = ("share", "first")
ORDERS = (1, 2, inf)


def _prepared(attrs: Attrs, shapes: Shapes) -> dict[str, Any]:
    if not isinstance(attrs["keepdims"], bool):
        raise BadInput(f"keepdims is {attrs['keepdims']!r}: expected True or False")
    return {**attrs, "axes": as_axes(attrs["axes"], shapes[0])}


def _shape(_shapes: Shapes, attrs: Attrs) -> Shape:
    axes: Axes = attrs["axes"]
    return axes.reduced_shape(keepdims=attrs["keepdims"])


def _reduced(
    name: str,
    forward: Callable[..., Any],
    floor: Callable[[Arrays, Array, Attrs], list[Call]],
    argument: Argument,
    *,
    source: str,
    attrs: Mapping[str, Any] | None = None,
    prepare: Callable[[Attrs, Shapes], Attrs] = _prepared,
    flops: int = 1,
    scratch: Count = zero,
    like: str | None = None,
) -> Op:
    """Return a reduction; ``floor(xs, y, attrs)`` writes to y, which keeps the reduced axes with length 1."""
    return Op(
        name=name,
        forward=forward,
        shape=_shape,
        arguments=(argument,),
        source=source,
        attrs={"axes": (-1,), "keepdims": False} | dict(attrs or {}),
        prepare=prepare,
        flops=lambda ctx: flops * ctx.n_in,
        scratch=scratch,
        example=lambda g, batch=3, size=4: getattr(g, name)(g.input("x", (batch, size))),
        floor=lambda xs, y, attrs: floor(xs, y.reshape(attrs["axes"].ones), attrs),
        like=like,
    )


def _spread(y_bar: Array, ctx: ArgumentContext) -> Array:
    """Return each cotangent at all entries of its vector."""
    x_bar = np.empty((len(y_bar), *ctx.x), y_bar.dtype)
    x_bar[...] = y_bar.reshape(len(y_bar), *ctx.attrs["axes"].ones)  # two calls less than `_kept`: 0.2 of 1.2 µs
    return x_bar


def _kept(y_bar: Array, ctx: ArgumentContext) -> Array:
    """View cotangents with the reduced axes of length 1."""
    return y_bar.reshape(len(y_bar), *axes_of(ctx).ones)


def _sum_dot(x_dot: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    y_dot: Array = add_reduce(x_dot, axes_of(ctx).from_end)
    return y_dot.reshape(len(x_dot), *ctx.out)


def _sum_into(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    return [(add_reduce, (xs[0], attrs["axes"].from_end, None, y, True))]


SUM = _reduced(
    "sum",
    lambda xp, x, axes, keepdims: xp.summed(x, axes.from_end, keepdims),
    _sum_into,
    Argument(
        vjp=lambda y_bar, _y, _xs, ctx: _spread(y_bar, ctx),
        jvp=_sum_dot,
        jacobian=Jacobian(REDUCTION, lambda y, _xs, _ctx: np.ones(1, y.dtype)),
        floor=lambda y_bar, _y, _xs, x_bar, ctx: [(np.copyto, (x_bar, _kept(y_bar, ctx)))],
        per_sample=keeps_samples,
    ),
    source="Σ x over the axes, by default the last; None for all",
)


def _mean_into(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    return [*_sum_into(xs, y, attrs), (np.multiply, (y, y.dtype.type(1 / attrs["axes"].n), y))]


def _mean_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    shares = np.empty_like(y_bar)
    return [
        (np.multiply, (y_bar, y_bar.dtype.type(1 / axes_of(ctx).n), shares)),
        (np.copyto, (x_bar, _kept(shares, ctx))),
    ]


MEAN = _reduced(
    "mean",
    lambda xp, x, axes, keepdims: xp.summed(x, axes.from_end, keepdims) / axes.n,
    _mean_into,
    Argument(
        vjp=lambda y_bar, _y, _xs, ctx: _spread(y_bar / axes_of(ctx).n, ctx),
        jvp=lambda x_dot, y, xs, ctx: _sum_dot(x_dot, y, xs, ctx) / axes_of(ctx).n,
        jacobian=Jacobian(REDUCTION, lambda y, _xs, ctx: np.full(1, 1 / axes_of(ctx).n, y.dtype)),
        floor=_mean_floor,
        flops=output_size,
        per_sample=keeps_samples,
    ),
    source="Σ x / n over the axes, by default the last, of n entries",
    scratch=lambda ctx: ctx.n_out * ctx.dtype.itemsize,
)


@dataclass(frozen=True)
class Slope:
    """Derivative of each output by the entries of its vector.

    - `into`: (y, x, out, attrs) → writes it to `out`, of x's shape in any order in memory; y keeps the reduced axes.
    - `residuals`: primals that it reads, of the output and the argument.
    - `flops`: operations per entry.
    - `scratch`: ctx → bytes that it allocates and frees.
    """

    into: Callable[[Any, Array, Array, Attrs], None]
    residuals: tuple[int, ...]
    flops: int
    scratch: Count = zero


def _by_slope(slope: Slope) -> Argument:
    """Return the rules of a reduction that is not linear."""

    def write(y: Array, xs: Arrays, out: Array, ctx: ArgumentContext) -> Call:
        kept = y.reshape(axes_of(ctx).ones) if OUTPUT in slope.residuals else None
        return (slope.into, (kept, xs[0], out, ctx.attrs))

    def floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        """Write the slope to the cotangent of the last seed, and multiply."""
        last, g = x_bar[-1, ...], _kept(y_bar, ctx)
        others: list[Call] = [(np.multiply, (g[:-1], last, x_bar[:-1]))] if len(x_bar) > 1 else []
        return [write(y, xs, last, ctx), *others, (np.multiply, (g[-1], last, last))]

    def jvp(x_dot: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        products = np.empty_like(x_dot, order="C")
        run([write(y, xs, products[-1, ...], ctx)])
        np.multiply(x_dot[:-1], products[-1], products[:-1])
        np.multiply(x_dot[-1], products[-1], products[-1, ...])
        return _sum_dot(products, y, xs, ctx)

    def values_floor(y: Array, xs: Arrays, entries: Array, ctx: ArgumentContext) -> list[Call]:
        return [write(y, xs, axes_of(ctx).back(entries), ctx)]

    def values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        entries = np.empty(REDUCTION.extent(ctx), ctx.dtype)
        run(values_floor(y, xs, entries, ctx))
        return entries

    return Argument(
        vjp=vjp_of(floor),
        jvp=jvp,
        jacobian=Jacobian(
            REDUCTION,
            values,
            values_floor,
            allocates=True,
            flops=lambda ctx: slope.flops * ctx.n_in,
            scratch=slope.scratch,
        ),
        floor=floor,
        residuals=slope.residuals,
        flops=lambda ctx: (slope.flops + 1) * ctx.n_in,
        scratch_once=slope.scratch,
        per_sample=keeps_samples,
    )


def _as_ties(attrs: Attrs, shapes: Shapes) -> Attrs:
    if attrs["ties"] not in TIES:
        raise unknown("convention of ties", attrs["ties"], TIES)
    return _prepared(attrs, shapes)


def _at_extreme(argument_of: Any, y: Array, x: Array, out: Array, attrs: Attrs) -> None:
    """Write 1 at the extreme entry of each vector; at equal ones, their number's inverse, or 1 at the first and 0."""
    axes: Axes = attrs["axes"]
    if attrs["ties"] == "share" or axes.n == 1:
        np.equal(x, y, out)
        np.divide(out, add_reduce(out, axes.from_end, None, None, True), out)
        return
    vectors, moved = axes.last(x), out.transpose(*axes.kept, *axes.numbers)
    positions = argument_of(vectors, 1) + axes.n * np.arange(axes.n_vectors)
    moved.fill(0)
    moved[np.unravel_index(positions, moved.shape)] = 1


def _extreme_scratch(ctx: ArgumentContext) -> int:
    """Return the bytes of positions, their indices, and a copy unless the axes are the last."""
    axes = axes_of(ctx)
    if ctx.attrs["ties"] == "share" or axes.n == 1:
        return 0
    moved = 0 if axes.are_last else ctx.n_in * ctx.dtype.itemsize
    return moved + axes.n_vectors * np.dtype(np.intp).itemsize * (1 + len(ctx.x))


def _extreme(name: str, reduce: np.ufunc, argument_of: Any, symbol: str, like: str | None) -> Op:
    def forward(xp: Any, x: Any, axes: Axes, keepdims: bool, ties: str) -> Any:
        if ties == "share":
            return getattr(xp, name)(x, axis=axes.numbers, keepdims=keepdims)
        return xp.first_extreme(name, x, axes.kept, axes.numbers).reshape(axes.reduced_shape(keepdims=keepdims))

    return _reduced(
        name,
        forward,
        lambda xs, y, attrs: [(reduce.reduce, (xs[0], attrs["axes"].from_end, None, y, True))],
        _by_slope(Slope(partial(_at_extreme, argument_of), (OUTPUT, 0), 2, _extreme_scratch)),
        source=f"{symbol} x over the axes; equal extremes share the slope equally, as in JAX, or the first has it",
        attrs={"ties": "share"},
        prepare=_as_ties,
        like=like,
    )


def _product_of_others(_y: Any, x: Array, out: Array, attrs: Attrs) -> None:
    """Write the product of the other entries of each vector, of those before and those behind: also right at zeros."""
    axes: Axes = attrs["axes"]
    vectors = axes.last(x)
    before, behind = np.ones_like(vectors), np.ones_like(vectors)
    np.multiply.accumulate(vectors[:, :-1], 1, None, before[:, 1:])
    np.multiply.accumulate(vectors[:, :0:-1], 1, None, behind[:, -2::-1])
    np.multiply(before, behind, before)
    moved = out.transpose(*axes.kept, *axes.numbers)
    moved[...] = before.reshape(moved.shape)


def _product_scratch(ctx: ArgumentContext) -> int:
    return ctx.n_in * ctx.dtype.itemsize * (2 if axes_of(ctx).are_last else 3)


PROD = _reduced(
    "prod",
    lambda xp, x, axes, keepdims: xp.product(x, axes.kept, axes.numbers).reshape(axes.reduced_shape(keepdims=keepdims)),
    lambda xs, y, attrs: [(np.multiply.reduce, (xs[0], attrs["axes"].from_end, None, y, True))],
    _by_slope(Slope(_product_of_others, (0,), 3, _product_scratch)),
    source="Π x over the axes; its slope is the product of the other entries, also at zeros",
)


def _logsumexp(xp: Any, x: Any, axes: Axes, keepdims: bool) -> Any:
    largest = xp.max(x, axis=axes.numbers, keepdims=True)
    total = xp.sum(xp.exp(x - largest), axis=axes.numbers, keepdims=True)
    return (xp.log(total) + largest).reshape(axes.reduced_shape(keepdims=keepdims))


def _logsumexp_into(x: Array, y: Array, e: Array, largest: Array, axes: Axes) -> None:
    max_reduce(x, axes.from_end, None, largest, True)
    np.subtract(x, largest, e)
    np.exp(e, e)
    add_reduce(e, axes.from_end, None, y, True)
    np.log(y, y)
    np.add(y, largest, y)


def _softmax_slope(y: Array, x: Array, out: Array, _attrs: Attrs) -> None:
    np.subtract(x, y, out)
    np.exp(out, out)


LOGSUMEXP = _reduced(
    "logsumexp",
    _logsumexp,
    lambda xs, y, attrs: [(_logsumexp_into, (xs[0], y, np.empty_like(xs[0]), np.empty_like(y), attrs["axes"]))],
    _by_slope(Slope(_softmax_slope, (OUTPUT, 0), 2)),
    source="log Σ exp x over the axes; Blanchard et al., Accurately Computing the Log-Sum-Exp (2021)",
    flops=4,
    scratch=arrays(2),
)


def _as_correction(attrs: Attrs, shapes: Shapes) -> Attrs:
    prepared = _prepared(attrs, shapes)
    n, correction = prepared["axes"].n, whole_number("the correction", attrs["correction"])
    if not 0 <= correction < n:
        raise BadInput(f"the correction is {correction}: expected a number from 0 to {n - 1} for {n} entries")
    return prepared


def _var(xp: Any, x: Any, axes: Axes, keepdims: bool, correction: int) -> Any:
    centred = x - xp.mean(x, axis=axes.numbers, keepdims=True)
    return xp.sum(centred * centred, axis=axes.numbers, keepdims=keepdims) / (axes.n - correction)


def _var_into(x: Array, y: Array, square: Array, attrs: Attrs) -> None:
    axes: Axes = attrs["axes"]
    add_reduce(x, axes.from_end, None, y, True)
    np.multiply(y, x.dtype.type(1 / axes.n), y)
    np.subtract(x, y, square)
    np.multiply(square, square, square)
    add_reduce(square, axes.from_end, None, y, True)
    np.multiply(y, x.dtype.type(1 / (axes.n - attrs["correction"])), y)


def _var_slope(_y: Any, x: Array, out: Array, attrs: Attrs) -> None:
    """Write 2 (x − mean) / (n − correction)."""
    axes: Axes = attrs["axes"]
    mean = add_reduce(x, axes.from_end, None, None, True) * x.dtype.type(1 / axes.n)
    np.subtract(x, mean, out)
    np.multiply(out, x.dtype.type(2 / (axes.n - attrs["correction"])), out)


VAR = _reduced(
    "var",
    _var,
    lambda xs, y, attrs: [(_var_into, (xs[0], y, np.empty_like(xs[0]), attrs))],
    _by_slope(Slope(_var_slope, (0,), 3)),
    source="Σ (x − mean)² / (n − correction) over the axes, of n entries; Chan et al., Algorithms for Computing the "
    "Sample Variance (1983)",
    attrs={"correction": 0},
    prepare=_as_correction,
    flops=4,
    scratch=arrays(2),
    like="logsumexp",
)


def _as_order(attrs: Attrs, shapes: Shapes) -> Attrs:
    order, at_zero = attrs["order"], real_number("at_zero", attrs["at_zero"])
    if order not in ORDERS:
        raise BadInput(f"the order is {order!r}: expected 1, 2 or infinity")
    if at_zero != 0 and not isnan(at_zero):
        raise BadInput(f"at_zero is {at_zero}: expected 0 or nan")
    return _prepared(attrs, shapes)


def _norm(xp: Any, x: Any, axes: Axes, keepdims: bool, order: float, at_zero: float) -> Any:  # noqa: ARG001 (the slope reads at_zero)
    over = {"axis": axes.numbers, "keepdims": keepdims}
    if order == 2:
        return xp.sqrt(xp.sum(x * x, **over))
    return xp.sum(xp.abs(x), **over) if order == 1 else xp.max(xp.abs(x), **over)


def _norm_into(x: Array, y: Array, entries: Array, attrs: Attrs) -> None:
    axis, order = attrs["axes"].from_end, attrs["order"]
    if order == 2:
        add_reduce(np.multiply(x, x, entries), axis, None, y, True)
        np.sqrt(y, y)
    else:
        reduce = add_reduce if order == 1 else max_reduce
        reduce(np.abs(x, entries), axis, None, y, True)


def _norm_slope(y: Array, x: Array, out: Array, attrs: Attrs) -> None:
    """Write x / y, the sign of x, or the sign of the largest, which equal ones share."""
    if attrs["order"] == 2:
        out.fill(attrs["at_zero"])
        np.divide(x, y, out, where=y != 0)
        return
    np.sign(x, out)
    if attrs["order"] == inf:
        largest = np.equal(np.abs(x), y)
        np.multiply(out, largest, out)
        np.divide(out, add_reduce(largest, attrs["axes"].from_end, x.dtype, None, True), out)


def _norm_scratch(ctx: ArgumentContext) -> int:
    return ctx.n_in * (ctx.dtype.itemsize + 1) if ctx.attrs["order"] == inf else 0


NORM = _reduced(
    "norm",
    _norm,
    lambda xs, y, attrs: [(_norm_into, (xs[0], y, np.empty_like(xs[0]), attrs))],
    _by_slope(Slope(_norm_slope, (OUTPUT, 0), 2, _norm_scratch)),
    source="√Σ x², Σ |x| or max |x| over the axes, for the orders 2, 1 and infinity; the slope of order 2 at 0 is `at_zero`, "
    "0 as in torch or nan as in JAX; Golub & Van Loan, Matrix Computations (2013), section 2.2",
    attrs={"order": 2, "at_zero": 0.0},
    prepare=_as_order,
    flops=2,
    scratch=arrays(1),
    like="logsumexp",
)

OPS = (
    SUM,
    MEAN,
    _extreme("max", np.maximum, np.argmax, "max", None),
    _extreme("min", np.minimum, np.argmin, "min", "max"),
    PROD,
    LOGSUMEXP,
    VAR,
    NORM,
)
