"""ONNX operators that act on each entry: arithmetic, comparisons, activations."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import Unsupported
from jacobench.graphs.importers.onnx_nodes.node_call import NodeCall, NodeRule, dtype_name, op

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.builder import Value


def number(value: Value, other: Value) -> float | None:
    """Return a constant with one entry that does not broadcast `other` to more axes, as a number; otherwise None."""
    array = value.constant
    if array is None or array.size != 1 or array.ndim > len(other.shape):
        return None
    return float(array.item())


def _multiply(call: NodeCall) -> Value:
    x, y = call.values
    for one, other in ((x, y), (y, x)):
        factor = number(one, other)
        if factor is not None:
            return call.g.scale(other, factor=factor)
    return call.g.multiply(x, y)


def _divide(call: NodeCall) -> Value:
    x, y = call.values
    divisor = number(y, x)
    return call.g.divide(x, y) if not divisor else call.g.scale(x, factor=1 / divisor)


def _power(call: NodeCall) -> Value:
    """Return x^y; y may be of another dtype."""
    x, y = call.value(0), call.any_value(1)
    exponent = number(y, x)
    if exponent is not None:
        return call.g.square(x) if exponent == 2 else call.g.power_of(x, exponent=exponent)
    if y.constant is not None:
        y = call.g.constant(y.constant.astype(x.dtype))
    return call.g.power(x, y)


def folded(name: str, **attrs: Any) -> NodeRule:
    """Return the rule of an operator with any number of arguments, as repeated ops of two."""
    return NodeRule(lambda call: reduce(lambda x, y: getattr(call.g, name)(x, y, **attrs), call.values))


def _mean(call: NodeCall) -> Value:
    total = reduce(call.g.add, call.values)
    return call.g.scale(total, factor=1 / len(call.values))


def _comparison(name: str, n_args: int = 2) -> NodeRule:
    return NodeRule(lambda call: getattr(call.g, name)(*map(call.any_value, range(n_args))))


def _where(call: NodeCall) -> Value:
    return call.g.where(call.any_value(0), call.value(1), call.value(2))


LARGEST = float(np.finfo(np.float32).max)
"""Default bounds of Clip before opset 11: none."""


def _clip(call: NodeCall) -> Value:
    """Clip to bounds that are attributes (before opset 11), constants or leaves."""
    x = call.value(0)
    if call.opset < 11:
        bounds = (call.attrs["min"], call.attrs["max"])
        low, high = (None if abs(bound) >= LARGEST else bound for bound in bounds)
        return call.g.clamp(x, low=low, high=high)
    low, high = (None if call.given(k) is None else call.value(k) for k in (1, 2))
    numbers = [None if bound is None else number(bound, x) for bound in (low, high)]
    if all(bound is None or found is not None for bound, found in zip((low, high), numbers, strict=True)):
        return call.g.clamp(x, low=numbers[0], high=numbers[1]) if low or high else x
    x = x if low is None else call.g.maximum(x, low, ties="first")
    return x if high is None else call.g.minimum(x, high, ties="first")


FLOATS = {"FLOAT", "DOUBLE"}


def _cannot_cast(attrs: Mapping[str, Any]) -> str:
    name = dtype_name(attrs["to"])
    return "" if name in {*FLOATS, "BOOL"} else f"to {name}"


def _cast(call: NodeCall) -> Value:
    return _as_kind(call, "b" if dtype_name(call.attrs["to"]) == "BOOL" else "f")


def _cast_like(call: NodeCall) -> Value:
    dtype = call.any_value(1).dtype
    if dtype.kind not in "fb":
        raise Unsupported(f"CastLike to {dtype}")
    return _as_kind(call, dtype.kind)


def _as_kind(call: NodeCall, kind: str) -> Value:
    """Return the same floating-point numbers, 1 and 0 for a condition, or whether numbers are not 0."""
    x = call.any_value(0)
    if x.dtype.kind == kind:
        return x
    zero, one = call.g.constant(0.0), call.g.constant(1.0)
    return call.g.where(x, one, zero) if kind == "f" else call.g.not_equal(call.value(0), zero)


def _leaky_relu(call: NodeCall) -> Value:
    x, slope = call.value(0), call.attrs["alpha"]
    return call.g.leaky_relu(x, slope=slope) if slope >= 0 else call.g.prelu(x, call.g.constant(slope))


def _celu(call: NodeCall) -> Value:
    alpha = call.attrs["alpha"]
    return call.g.elu(call.value(0), alpha=alpha, input_scale=1 / alpha)


def _gelu(call: NodeCall) -> Value:
    x = call.value(0)
    return call.g.tanh_gelu(x) if call.attrs.get("approximate") == "tanh" else call.g.gelu(x)


def _thresholded_relu(call: NodeCall) -> Value:
    return call.g.threshold(call.value(0), threshold=call.attrs["alpha"], value=0.0)


def _swish(call: NodeCall) -> Value:
    x, alpha = call.value(0), call.attrs["alpha"]
    return call.g.silu(x) if alpha == 1 else call.g.multiply(x, call.g.sigmoid(call.g.scale(x, factor=alpha)))


def _shrink(call: NodeCall) -> Value:
    """Return x + bias below −lambd, x − bias above lambd, otherwise 0."""
    x, bias, lambd = call.value(0), call.attrs["bias"], call.attrs["lambd"]
    if bias == lambd:
        return call.g.softshrink(x, lambd=lambd)
    kept = call.g.hardshrink(x, lambd=lambd)
    if bias == 0:
        return kept
    return call.g.subtract(kept, call.g.scale(call.g.sign(kept), factor=bias))


def _mod(call: NodeCall) -> Value:
    return call.g.mod(*call.values, kind="trunc" if call.attrs["fmod"] else "floor")


UNARY = {
    "Abs": "abs",
    "Neg": "neg",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Asin": "arcsin",
    "Acos": "arccos",
    "Atan": "arctan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Asinh": "arcsinh",
    "Acosh": "arccosh",
    "Atanh": "arctanh",
    "Erf": "erf",
    "Sign": "sign",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSwish": "hardswish",
    "Mish": "mish",
}
"""ONNX operator → op, of one argument and without attributes."""

COMPARISONS = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
}
"""ONNX operator → op, of two arguments of any dtype."""

RULES = {
    **{name: op(ours) for name, ours in UNARY.items()},
    **{name: _comparison(ours) for name, ours in COMPARISONS.items()},
    "Not": _comparison("logical_not", 1),
    "Add": op("add", 2),
    "Sub": op("subtract", 2),
    "Mul": NodeRule(_multiply),
    "Div": NodeRule(_divide),
    "Pow": NodeRule(_power),
    "Mod": NodeRule(_mod),
    "Sum": folded("add"),
    "Mean": NodeRule(_mean),
    "Max": folded("maximum", ties="first"),
    "Min": folded("minimum", ties="first"),
    "Where": NodeRule(_where),
    "Clip": NodeRule(_clip),
    "Cast": NodeRule(_cast, refused=_cannot_cast),
    "CastLike": NodeRule(_cast_like),
    "LeakyRelu": NodeRule(_leaky_relu),
    "PRelu": op("prelu", 2),
    "Elu": op("elu", alpha="alpha"),
    "Selu": op("elu", alpha="alpha", scale="gamma"),
    "Celu": NodeRule(_celu),
    "Gelu": NodeRule(_gelu),
    "HardSigmoid": op("hardsigmoid", alpha="alpha", beta="beta"),
    "ThresholdedRelu": NodeRule(_thresholded_relu),
    "Shrink": NodeRule(_shrink),
    "Swish": NodeRule(_swish),
}
