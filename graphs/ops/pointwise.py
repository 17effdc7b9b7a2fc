"""Factory of elementwise ops: from the derivative by each argument to the rules for arguments that broadcast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.formulas import Formula, silently
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import Call
from jacobench.graphs.errors import BadInput, real_number, unknown
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op, never, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import broadcasting
from jacobench.graphs.structures.broadcasting import BROADCAST, DIAGONAL_OVER_AXES, stretch
from jacobench.graphs.structures.sparsity import DIAGONAL, IDENTITY_MULTIPLE

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.op import Count, Example, VjpFloor, VjpRule
    from jacobench.graphs.structures.sparsity import Structure

ProductCalls = Callable[["Array", "Array", "Arrays", "Array", "ArgumentContext"], list[Call]]
ValuesCalls = Callable[["Array", "Arrays", "Array", "ArgumentContext"], list[Call]]


Derivatives = tuple["Derivative | None", ...]


@dataclass(frozen=True)
class Derivative:
    """Derivative of an elementwise op by one argument.

    Attributes
    ----------
    product : callable
        (g, y, xs, ctx) → slope · g for g of shape (S, *out): a new array, or g itself if the slope `is_one`.
    product_calls : callable
        (g, y, xs, out, ctx) → calls that write the product to `out`, shape (S, *out).
    values : callable
        (y, xs, ctx) → slope, broadcastable to the output's shape.
    values_calls : callable or None
        (y, xs, values, ctx) → calls that write the slope; None if it is a constant or an argument.
    structure : Structure
        Structure for an argument of the output's shape.
    residuals, flops, scratch
        As of `Argument`; `flops` are those of the slope.
    other : int or None
        Argument that is the slope, if it is one.
    """

    product: VjpRule
    product_calls: ProductCalls
    values: Callable[[Array, Arrays, ArgumentContext], Array]
    structure: Structure
    values_calls: ValuesCalls | None = None
    residuals: tuple[int, ...] = ()
    flops: Count = zero
    scratch: Count = zero
    is_one: bool = False
    other: int | None = None


def constant(slope: float) -> Derivative:
    """Return the derivative of an op that is linear in this argument, with a fixed slope."""
    return Derivative(
        product=(lambda g, _y, _xs, _ctx: g) if slope == 1 else lambda g, _y, _xs, _ctx: g * slope,
        product_calls=lambda g, _y, _xs, out, _ctx: [] if slope == 1 else [(np.multiply, (g, slope, out))],
        values=lambda y, _xs, _ctx: np.full(1, slope, y.dtype),
        structure=IDENTITY_MULTIPLE,
        is_one=slope == 1,
    )


def factor(other: int) -> Derivative:
    """Return the derivative whose slope is another argument, or the output (`OUTPUT`)."""
    if other == OUTPUT:
        return Derivative(
            product=lambda g, y, _xs, _ctx: g * y,
            product_calls=lambda g, y, _xs, out, _ctx: [(np.multiply, (g, y, out))],
            values=lambda y, _xs, _ctx: y,
            structure=DIAGONAL,
            residuals=(OUTPUT,),
        )
    return Derivative(
        product=lambda g, _y, xs, _ctx: g * xs[other],
        product_calls=lambda g, _y, xs, out, _ctx: [(np.multiply, (g, xs[other], out))],
        values=lambda _y, xs, _ctx: xs[other],
        structure=DIAGONAL,
        residuals=(other,),
        other=other,
    )


def slope(formula: Callable[..., Any], n_arguments: int, attrs: Attrs) -> Derivative:
    """Return the derivative ``formula(xp, y, *xs, **attrs)``. What it reads with these attributes are the residuals."""
    compiled = Formula(formula, 1 + n_arguments)

    def product(g: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        result = np.empty(g.shape, g.dtype)
        last = compiled.program(ctx.attrs).run((y, *xs), result[-1, ...])
        if len(g) == 1:
            return np.multiply(g, result, result)
        np.multiply(g[:-1], last, result[:-1])
        np.multiply(g[-1, ...], last, last)
        return result

    def product_calls(g: Array, y: Array, xs: Arrays, out: Array, ctx: ArgumentContext) -> list[Call]:
        last = out[-1, ...]
        others: list[Call] = [(np.multiply, (g[:-1], last, out[:-1]))] if len(out) > 1 else []
        return [*values_calls(y, xs, last, ctx), *others, (np.multiply, (g[-1, ...], last, last))]

    def values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        return compiled.program(ctx.attrs).run((y, *xs), np.empty(ctx.out, ctx.dtype))

    def values_calls(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
        return compiled.program(ctx.attrs).calls((y, *xs), values)

    return Derivative(
        product,
        product_calls,
        values,
        DIAGONAL,
        values_calls,
        residuals=tuple(sorted(k - 1 for k in compiled.program(attrs).used)),
        flops=lambda ctx: compiled.program(ctx.attrs).n_steps * ctx.n_out,
        scratch=lambda ctx: compiled.program(ctx.attrs).n_scratch * ctx.n_out * ctx.dtype.itemsize,
    )


@dataclass(frozen=True)
class Rules:
    """Rules of an argument: of the output's shape, with other arguments that are stretched or not, and stretched itself.

    A stretched argument is the same for all samples (`shared`), or has entries for each sample (`stretched`).
    """

    same: Argument
    among_stretched: Argument
    stretched: Argument
    shared: Argument

    def at(self, x: Shape, out: Shape) -> Argument:
        """Return the rules of an argument of shape `x`, where not all arguments have the output's shape."""
        if x == out:
            return self.among_stretched
        return self.shared if broadcasting.is_shared(x, out) else self.stretched


def rules_of(derivative: Derivative) -> Rules:
    """Return all rules of an argument."""
    structure = derivative.structure
    among = structure if derivative.values_calls or structure is IDENTITY_MULTIPLE else DIAGONAL_OVER_AXES
    stretched = _stretched(derivative)
    return Rules(
        _unstretched(derivative, structure), _unstretched(derivative, among), stretched, _shared(stretched, derivative)
    )


def _jacobian(derivative: Derivative, structure: Structure) -> Jacobian:
    """Return the Jacobian rule: the slopes in the shape of the structure's extent, or a constant or an argument as it is."""
    is_flat = structure is DIAGONAL
    calls = derivative.values_calls
    if calls is None and not is_flat:
        return Jacobian(structure, derivative.values)
    if calls is None:
        return Jacobian(structure, lambda y, xs, ctx: derivative.values(y, xs, ctx).reshape(-1), _copied(derivative))
    return Jacobian(
        structure,
        lambda y, xs, ctx: derivative.values(y, xs, ctx).reshape(structure.extent(ctx)),
        lambda y, xs, values, ctx: calls(y, xs, values.reshape(ctx.out), ctx),
        allocates=True,
        flops=derivative.flops,
        scratch=derivative.scratch,
    )


def _copied(derivative: Derivative) -> Callable[..., list[Call]]:
    """Return the floor of slopes that are an argument: none, or a copy, if the argument is not contiguous."""

    def calls(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
        given = derivative.values(y, xs, ctx)
        return [] if np.may_share_memory(values, given) else [(np.copyto, (values.reshape(ctx.out), given))]

    return calls


def _unstretched(derivative: Derivative, structure: Structure) -> Argument:
    return Argument(
        vjp=derivative.product,
        jvp=derivative.product,
        jacobian=_jacobian(derivative, structure),
        floor=derivative.product_calls,
        residuals=derivative.residuals,
        flops=lambda ctx: 0 if derivative.is_one else derivative.flops(ctx) + ctx.n_out,
        scratch_once=derivative.scratch,
        returns_cotangent=lambda _ctx: derivative.is_one,
    )


def _stretched(derivative: Derivative) -> Argument:
    return Argument(
        vjp=_summed(derivative, broadcasting.sum_stretched, broadcasting.sum_products),
        jvp=lambda x_dot, y, xs, ctx: derivative.product(stretch(x_dot, ctx), y, xs, ctx),
        jacobian=_jacobian(derivative, BROADCAST),
        floor=_summed_calls(derivative, broadcasting.sum_stretched, broadcasting.sum_products),
        residuals=derivative.residuals,
        flops=lambda ctx: derivative.flops(ctx) + (1 if derivative.is_one else 2) * ctx.n_out,
        scratch=zero if derivative.is_one or derivative.other is not None else _output_bytes,
        scratch_once=derivative.scratch,
    )


def _shared(stretched: Argument, derivative: Derivative) -> Argument:
    sums = (broadcasting.sum_stretched_each, broadcasting.sum_products_each)
    return replace(
        stretched,
        per_sample=never,
        per_sample_vjp=_summed(derivative, *sums),
        per_sample_floor=_summed_calls(derivative, *sums),
    )


def _output_bytes(ctx: ArgumentContext) -> int:
    return ctx.n_out * ctx.dtype.itemsize


def _summed(derivative: Derivative, of_products: Callable[..., Array], of_factors: Callable[..., Array]) -> VjpRule:
    """Return the vjp rule that sums products over the stretched axes."""
    other = derivative.other
    if other is not None:
        return lambda y_bar, _y, xs, ctx: of_factors(y_bar, xs[other], ctx)
    return lambda y_bar, y, xs, ctx: of_products(derivative.product(y_bar, y, xs, ctx), ctx)


def _summed_calls(
    derivative: Derivative, of_products: Callable[..., Array], of_factors: Callable[..., Array]
) -> VjpFloor:
    """Return the floor of `_summed`."""

    def floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        if derivative.other is not None:
            return [(of_factors, (y_bar, xs[derivative.other], ctx, x_bar))]
        if derivative.is_one:
            return [(of_products, (y_bar, ctx, x_bar))]
        products = np.empty(y_bar.shape, y_bar.dtype)
        return [*derivative.product_calls(y_bar, y, xs, products, ctx), (of_products, (products, ctx, x_bar))]

    return floor


def broadcasting_rules(
    derivatives: Derivatives, special: tuple[Callable[[Attrs], bool], Derivatives] | None = None
) -> dict[str, Any]:
    """Return `Op.arguments` and `Op.rules` of an op with these derivatives, or others where the attributes are special."""
    usual = _all_rules(derivatives)
    arguments = tuple(None if each is None else each.same for each in usual)
    is_special, others = (lambda _attrs: False, usual) if special is None else (special[0], _all_rules(special[1]))

    def rules(given: Shapes, out: Shape, attrs: Attrs) -> tuple[Argument | None, ...]:
        chosen = others if is_special(attrs) else usual
        if chosen is usual and all(shape == out for shape in given):
            return arguments
        return tuple(None if each is None else each.at(x, out) for each, x in zip(chosen, given, strict=True))

    return {"arguments": arguments, "rules": rules}


def _all_rules(derivatives: Derivatives) -> tuple[Rules | None, ...]:
    return tuple(None if derivative is None else rules_of(derivative) for derivative in derivatives)


def checked(defaults: Attrs, choices: Attrs) -> Callable[[Attrs, Shapes], Attrs]:
    """Return the function that checks attributes: finite numbers, also where the default is None, and one of some words."""

    def value(name: str, given: Any) -> Any:
        if name in choices:
            if given not in choices[name]:
                raise unknown(name, given, choices[name])
            return given
        if given is None and defaults[name] is None:
            return None
        number = real_number(name, given)
        if not isfinite(number):
            raise BadInput(f"{name} is {given}: expected a finite number")
        return number

    return lambda attrs, _shapes: {name: value(name, attrs[name]) for name in defaults}


def pointwise(
    name: str,
    forward: Callable[..., Any],
    derivatives: tuple[Callable[..., Any] | Derivative | None, ...],
    source: str,
    *,
    in_numpy: Callable[..., Any] | None = None,
    attrs: Attrs | None = None,
    choices: Attrs | None = None,
    sample: Attrs | None = None,
    special: tuple[Callable[[Attrs], bool], tuple[Callable[..., Any], ...]] | None = None,
    positive: str = "",
    like: str | None = None,
    **more: Any,
) -> Op:
    """Return an elementwise op; its arguments broadcast.

    Parameters
    ----------
    name, source, attrs, like, more
        As of `Op`.
    forward : callable
        (xp, *xs, **attrs) → y, in functions of any library.
    derivatives : tuple of (callable, Derivative or None)
        By argument: a formula of the slope, (xp, y, *xs, **attrs), in NumPy's ufuncs; or a derivative; None if there is none.
    in_numpy : callable, optional
        The formula of `forward` in NumPy's ufuncs, if it differs.
    choices : mapping, optional
        Words that an attribute may be; others are finite numbers.
    sample : mapping, optional
        Attributes of the example that are not the defaults.
    special : tuple of (callable, derivatives), optional
        Derivatives that read other primals, for attributes for which the first returns true.
    positive : str
        Names of the example's leaves that are positive; they are called x, y, ….
    """
    attrs, dtype = attrs or {}, bool if more.get("result") == "bool" else None
    compiled = Formula(in_numpy or forward, len(derivatives))
    usual = compiled.program(typical := {**attrs, **(sample or {})})
    n = len(derivatives)
    rules = broadcasting_rules(
        _derivatives(derivatives, n, typical),
        special and (special[0], _derivatives(special[1], n, typical)),
    )
    given: dict[str, Any] = {
        "forward": _by_library(forward, compiled, dtype),
        "example": _example(name, len(derivatives), positive, sample or {}),
        "prepare": checked(attrs, choices or {}),
    }
    if in_numpy is None and usual.n_steps == 1 and not attrs:
        given["forward"] = _silent(forward) if usual.may_warn else forward
    return Op(
        name=name,
        shape=shapes.broadcast,
        **rules,
        flops=lambda ctx: compiled.program(ctx.attrs).n_steps * ctx.n_out,
        scratch=lambda ctx: compiled.program(ctx.attrs).n_scratch * ctx.n_out * ctx.dtype.itemsize,
        floor=lambda xs, y, given: compiled.program(given).calls(xs, y),
        source=source,
        attrs=attrs,
        like=like,
        **(given | more),
    )


def _derivatives(
    given: tuple[Callable[..., Any] | Derivative | None, ...], n_arguments: int, attrs: Attrs
) -> Derivatives:
    return tuple(slope(each, n_arguments, attrs) if callable(each) else each for each in given)


def _by_library(forward: Callable[..., Any], compiled: Formula, dtype: type | None) -> Callable[..., Any]:
    """Return the forward rule that runs the formula in NumPy, and the given rule in other libraries."""

    @wraps(forward)
    def by_library(xp: Any, *xs: Any, **attrs: Any) -> Any:
        return compiled.new(xs, attrs, dtype) if xp is NUMPY else forward(xp, *xs, **attrs)

    return by_library


def _silent(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return the forward rule of one step, without warnings of NumPy."""

    @wraps(forward)
    def silent(xp: Any, *xs: Any) -> Any:
        return silently(forward, xp, *xs) if xp is NUMPY else forward(xp, *xs)

    return silent


def _example(name: str, n_arguments: int, positive: str, attrs: Attrs) -> Example:
    def example(g: Any, batch: int = 3, size: int = 4) -> Any:
        kind = {True: "positive", False: "uniform"}
        leaves = [g.input(leaf, (batch, size), distribution=kind[leaf in positive]) for leaf in "xyz"[:n_arguments]]
        return getattr(g, name)(*leaves, **attrs)

    return example
