"""Table of JAX's primitives: (builder, parameters of the equation, operands) → its result, or several.

At kinks and ties the rules follow JAX: equal numbers share the derivative of `max`, `min` and their reductions, and the slope
of `clamp` is 0 at its bounds.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.importers.jax_movement import MOVEMENT, Parameters, section
from jacobench.graphs.importers.jax_operands import NotExpressible, Operand, OperandBuilder, is_bool, is_value
from jacobench.graphs.importers.transposed_convolution import conv_over_batch_groups, convolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _elementwise(op: str, **attrs: Any) -> Any:
    return lambda g, _p, *xs: g.elementwise(op, *xs, **attrs)


def _logical(op: str, of_integers: str) -> Any:
    """Return the rule of an operation on booleans, which JAX also has for the bits of integers."""

    def rule(g: OperandBuilder, _p: Parameters, *xs: Operand) -> Operand:
        if not all(map(is_bool, xs)):
            raise NotExpressible(f"{of_integers} of integers")
        return g.elementwise(op, *xs)

    return rule


def _power(g: OperandBuilder, _p: Parameters, x: Operand, y: Operand) -> Operand:
    if not is_value(y) and np.ndim(y) == 0:
        return _integer_power(g, {"y": float(y)}, x)
    return g.elementwise("power", x, y if is_value(y) else np.asarray(y, np.float64))


def _integer_power(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    return g.apply("power_of", x, exponent=p["y"]) if p["y"] else np.ones(x.shape)


def _cube_root(g: OperandBuilder, _p: Parameters, x: Operand) -> Operand:
    root = g.apply("power_of", g.apply("abs", x), exponent=1 / 3)
    return g.apply("multiply", g.apply("sign", x), root)


def _round(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    if int(p["rounding_method"]) == 1:
        return g.apply("round", x)
    whole = g.apply("trunc", x)  # halves away from zero: the fraction and its double are exact
    fraction = g.apply("subtract", x, whole)
    return g.apply("add", whole, g.apply("trunc", g.apply("add", fraction, fraction)))


def _clamp(g: OperandBuilder, _p: Parameters, low: Operand, x: Operand, high: Operand) -> Operand:
    if not (is_value(low) or is_value(high)) and np.ndim(low) == np.ndim(high) == 0:
        return g.apply("clamp", x, low=float(low), high=float(high), ends=0.0)
    inside = g.elementwise("logical_and", g.elementwise("greater", x, low), g.elementwise("less", x, high))
    kept = g.elementwise("where", inside, x, g.apply("stop_gradient", x) if is_value(x) else x)
    raised = g.elementwise("where", g.elementwise("greater", low, x), low, kept)
    return g.elementwise("where", g.elementwise("less", high, raised), high, raised)


def _select(g: OperandBuilder, _p: Parameters, which: Operand, *cases: Operand) -> Operand:
    """Return ``cases[which]``, entry by entry."""
    if len(cases) == 1:
        return cases[0]
    if not is_bool(which):
        return _select_by_number(g, which, cases)
    no, yes = cases
    if is_bool(no):
        chosen = g.elementwise("logical_and", which, yes)
        other = g.elementwise("logical_and", g.elementwise("logical_not", which), no)
        return g.elementwise("logical_or", chosen, other)
    chosen = g.elementwise("where", which, yes, no)
    shape = max((x.shape for x in cases), key=len)
    return chosen if chosen.shape == shape else g.apply("broadcast", chosen, shape=shape)


def _select_by_number(g: OperandBuilder, which: Operand, cases: Sequence[Operand]) -> Operand:
    chosen = cases[0]
    for k, case in enumerate(cases[1:], 1):
        is_k = g.elementwise("equal", which, np.float64(k)) if is_value(which) else np.asarray(which) == k
        chosen = g.elementwise("where", is_k, case, chosen)
    return chosen


def _convert(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    """Convert to another dtype. Numbers stay in the dtype of the graph, unless the model rounds them to a shorter one.

    So do the integers 0 and 1 of booleans, and sums of them.
    """
    new = np.dtype(p["new_dtype"])
    if new == np.bool_:
        return x if is_bool(x) else g.as_booleans(x)
    if is_bool(x) and new.kind in "fiu":
        return g.as_numbers(x)
    if new.kind != "f" or new.itemsize < g.shortest_float:
        raise NotExpressible(f"convert_element_type to {new.name}")
    return x


def _same(_g: OperandBuilder, _p: Parameters, *xs: Operand) -> list[Operand]:
    return list(xs)


def _reduce_precision(_g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    if p["mantissa_bits"] < np.finfo(x.dtype).nmant:
        raise NotExpressible("reduce_precision")
    return x


def _reduction(op: str, **attrs: Any) -> Any:
    def rule(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
        return g.apply(op, x, axes=tuple(p["axes"]), **attrs) if p["axes"] else x

    return rule


def _any(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    return g.as_booleans(_reduction("max")(g, p, g.as_numbers(x)))


def _all(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    return g.as_booleans(_reduction("min")(g, p, g.as_numbers(x)))


def _first_true(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    """Return the first position along an axis at which booleans are true, 0 if there is none."""
    if not is_bool(x):
        raise NotExpressible("argmax")
    (axis,) = p["axes"]
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    first: Operand = np.float64(0)
    for k in reversed(range(x.shape[axis])):
        first = g.elementwise("where", g.reshaped(section(g, x, axis, k, 1), shape), np.float64(k), first)
    return first


def _cumulative(op: str) -> Any:
    def rule(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
        if not p["reverse"]:
            return g.apply(op, x, axis=p["axis"])
        return _flipped(g, g.apply(op, _flipped(g, x, p["axis"]), axis=p["axis"]), p["axis"])

    return rule


def _flipped(g: OperandBuilder, x: Operand, axis: int) -> Operand:
    return g.moved("flip", x, axes=(axis,))


def _cumlogsumexp(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
    """Return the running logsumexp, entry by entry, so that nothing overflows."""
    axis = p["axis"]
    numbers = range(x.shape[axis])
    parts = [section(g, x, axis, k, 1) for k in (reversed(numbers) if p["reverse"] else numbers)]
    running = [parts[0]]
    for part in parts[1:]:
        running.append(g.apply("logaddexp", running[-1], part))
    return g.joined(running[::-1] if p["reverse"] else running, axis)


def _contraction(g: OperandBuilder, p: Parameters, x: Operand, y: Operand) -> Operand:
    (x_axes, y_axes), (x_batch, y_batch) = p["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    of_x = [next(letters) for _ in x.shape]
    of_y = dict(zip((*y_axes, *y_batch), (of_x[axis] for axis in (*x_axes, *x_batch)), strict=True))
    second = [of_y.get(axis) or next(letters) for axis in range(len(y.shape))]
    batch = [of_x[axis] for axis in x_batch]
    rest = [letter for axis, letter in enumerate(of_x) if axis not in (*x_axes, *x_batch)]
    rest += [letter for axis, letter in enumerate(second) if axis not in of_y]
    return g.apply("einsum", x, y, subscripts=f"{''.join(of_x)},{''.join(second)}->{''.join(batch + rest)}")


def _convolution(g: OperandBuilder, p: Parameters, x: Operand, W: Operand) -> Operand:
    of_x, of_W, of_out = p["dimension_numbers"]
    attrs: dict[str, Any] = {
        "stride": tuple(p["window_strides"]),
        "padding": tuple(map(tuple, p["padding"])),
        "dilation": tuple(p["rhs_dilation"]),
        "input_dilation": tuple(p["lhs_dilation"]),
    }
    operands = g.value(g.transposed(x, of_x)), g.value(g.transposed(W, of_W))
    if p["batch_group_count"] != 1:
        conv = conv_over_batch_groups(g.g, *operands, p["batch_group_count"], **attrs)
    else:
        conv = convolution(g.g, *operands, groups=p["feature_group_count"], **attrs)
    return g.transposed(conv, np.argsort(of_out).tolist())


def _windowed(op: str, *, negated: bool = False) -> Any:
    """Return the rule of a reduction over windows. Axes with windows become the trailing ones."""

    def rule(g: OperandBuilder, p: Parameters, x: Operand) -> Operand:
        if set(p["base_dilation"]) - {1}:
            raise NotExpressible(f"reduce_window of an operand with base_dilation {tuple(p['base_dilation'])}")
        keys = ("window_dimensions", "window_strides", "padding", "window_dilation")
        by_axis = list(zip(*(p[key] for key in keys), strict=True))
        windowed = [k for k, (window, stride, pair, _) in enumerate(by_axis) if (window, stride, *pair) != (1, 1, 0, 0)]
        if not windowed:
            return x
        order = [*(k for k in range(len(by_axis)) if k not in windowed), *windowed]
        window, stride, padding, dilation = zip(*(by_axis[k] for k in windowed), strict=True)
        x = g.transposed(g.apply("neg", x) if negated else x, order)
        y = g.apply(op, x, window=window, stride=stride, padding=tuple(map(tuple, padding)), dilation=dilation)
        y = g.transposed(y, np.argsort(order).tolist())
        return g.apply("neg", y) if negated else y

    return rule


def _add(g: OperandBuilder, _p: Parameters, *xs: Operand) -> Operand:
    return reduce(lambda x, y: g.elementwise("add", x, y), xs)


OF_INTEGERS = {
    *("add", "sub", "mul", "neg", "abs", "max", "min", "clamp", "eq", "ne", "lt", "le", "gt", "ge", "select_n"),
    *("convert_element_type", "copy", "stop_gradient", "broadcast_in_dim", "reshape", "squeeze", "transpose", "slice"),
    *("concatenate", "reduce_sum", "reduce_max", "reduce_min", "cumsum"),
}
"""Primitives that computed integers may be operands of: floating-point numbers give the same results."""

PRIMITIVES: Mapping[str, Any] = {
    **{
        name: _elementwise(op)
        for name, op in {
            "sub": "subtract",
            "mul": "multiply",
            "div": "divide",
            "neg": "neg",
            "sign": "sign",
            "floor": "floor",
            "ceil": "ceil",
            "exp": "exp",
            "expm1": "expm1",
            "log": "log",
            "log1p": "log1p",
            "sqrt": "sqrt",
            "rsqrt": "rsqrt",
            "square": "square",
            "sin": "sin",
            "cos": "cos",
            "tan": "tan",
            "asin": "arcsin",
            "acos": "arccos",
            "atan": "arctan",
            "sinh": "sinh",
            "cosh": "cosh",
            "tanh": "tanh",
            "asinh": "arcsinh",
            "acosh": "arccosh",
            "atanh": "arctanh",
            "logistic": "sigmoid",
            "erf": "erf",
            "erfc": "erfc",
            "gt": "greater",
            "ge": "greater_equal",
            "lt": "less",
            "le": "less_equal",
            "eq": "equal",
            "ne": "not_equal",
            "is_finite": "is_finite",
            "stop_gradient": "stop_gradient",
        }.items()
    },
    "abs": _elementwise("abs", at_zero=1),
    "atan2": _elementwise("atan2", origin="nan"),
    "add": _add,
    "add_any": _add,
    "max": _elementwise("maximum", ties="share"),
    "min": _elementwise("minimum", ties="share"),
    "rem": _elementwise("mod", kind="trunc"),
    "pow": _power,
    "integer_pow": _integer_power,
    "exp2": lambda g, _p, x: g.elementwise("power", np.float64(2), x),
    "cbrt": _cube_root,
    "round": _round,
    "clamp": _clamp,
    "and": _logical("logical_and", "and"),
    "or": _logical("logical_or", "or"),
    "xor": _logical("logical_xor", "xor"),
    "not": _logical("logical_not", "not"),
    "select_n": _select,
    "convert_element_type": _convert,
    "reduce_precision": _reduce_precision,
    "copy": _same,
    "pvary": _same,
    "optimization_barrier": _same,
    **MOVEMENT,
    "reduce_sum": _reduction("sum"),
    "reduce_max": _reduction("max", ties="share"),
    "reduce_min": _reduction("min", ties="share"),
    "reduce_prod": _reduction("prod"),
    "reduce_or": _any,
    "reduce_and": _all,
    "argmax": _first_true,
    "cumsum": lambda g, p, x: g.apply("cumsum", x, axis=p["axis"], reverse=p["reverse"]),
    "cumprod": _cumulative("cumprod"),
    "cumlogsumexp": _cumlogsumexp,
    "dot_general": _contraction,
    "conv_general_dilated": _convolution,
    "reduce_window_sum": _windowed("sum_pool"),
    "reduce_window_max": _windowed("max_pool"),
    "reduce_window_min": _windowed("max_pool", negated=True),
}
