"""Rules of aten ops that act on each entry: arithmetic, functions, activations, comparisons, conversions of dtype."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.builder import Value
    from jacobench.graphs.importers.torch_conversion import TorchConversion

SAME_NAME = """
    neg abs exp expm1 log log1p sqrt rsqrt reciprocal square sin cos tan sinh cosh tanh erf erfc sigmoid relu silu mish
    hardswish sign floor ceil round trunc
"""
"""Functions whose op has the same name."""

OTHER_NAME = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "log_sigmoid": "log_sigmoid",
    "sgn": "sign",
    "fix": "trunc",
}

COMPARISONS = {
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "ne": "not_equal",
}


def _function(name: str, c: TorchConversion, x: Value) -> Value:
    return c.op(name, c.value(x))


def _pair(name: str, c: TorchConversion, x: Any, y: Any, **attrs: Any) -> Value:
    return c.op(name, c.value(x), c.value(y), **attrs)


def _comparison(name: str, c: TorchConversion, x: Any, y: Any) -> Value:
    return c.op(name, c.value(x), c.value(y))


def _logical(name: str, c: TorchConversion, *args: Any) -> Value:
    return c.op(name, *map(c.condition, args))


def scaled(c: TorchConversion, x: Any, factor: float) -> Value:
    """Return factor · x."""
    return c.value(x) if factor == 1 else c.g.scale(c.value(x), factor=float(factor))


def _add(c: TorchConversion, x: Any, y: Any, alpha: float = 1) -> Value:
    return c.g.add(c.value(x), scaled(c, y, alpha))


def _subtract(c: TorchConversion, x: Any, y: Any, alpha: float = 1) -> Value:
    return c.g.subtract(c.value(x), scaled(c, y, alpha))


def _reverse_subtract(c: TorchConversion, x: Any, y: Any, alpha: float = 1) -> Value:
    return _subtract(c, y, x, alpha)


def _multiply(c: TorchConversion, x: Any, y: Any) -> Value:
    for number, other in ((c.number(x), y), (c.number(y), x)):
        if number is not None and math.isfinite(number):
            return scaled(c, other, number)
    return c.g.multiply(c.value(x), c.value(y))


def _divide(c: TorchConversion, x: Any, y: Any, rounding_mode: str | None = None) -> Value:
    divisor = c.number(y)
    if rounding_mode is None and divisor and math.isfinite(1 / divisor):
        return c.g.scale(c.value(x), factor=1 / divisor)
    quotient = c.g.divide(c.value(x), c.value(y))
    return quotient if rounding_mode is None else c.op(rounding_mode, quotient)


def _power(c: TorchConversion, x: Any, y: Any) -> Value:
    exponent = c.number(y)
    if exponent is None:
        return c.g.power(c.value(x), c.value(y))
    if exponent == 2:
        return c.g.square(c.value(x))
    return c.g.power_of(c.value(x), exponent=exponent)


def _clamp(c: TorchConversion, x: Value, low: Any = None, high: Any = None) -> Value:
    if all(bound is None or c.number(bound) is not None for bound in (low, high)):
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        return c.g.clamp(c.value(x), low=low, high=high, ends=1.0)
    y = c.value(x)
    if low is not None:
        y = c.g.maximum(y, c.value(low), ties="first")
    return y if high is None else c.g.minimum(y, c.value(high), ties="first")


def _hardtanh(c: TorchConversion, x: Value, low: float = -1, high: float = 1) -> Value:
    return c.g.clamp(c.value(x), low=float(low), high=float(high), ends=0.0)


def _where(c: TorchConversion, condition: Any, x: Any, y: Any) -> Value:
    return c.g.where(c.condition(condition), c.value(x), c.value(y))


def _masked_fill(c: TorchConversion, x: Any, mask: Any, value: Any) -> Value:
    return c.g.where(c.condition(mask), c.value(value), c.value(x))


def _logarithm(base: float, c: TorchConversion, x: Value) -> Value:
    return c.g.scale(c.g.log(c.value(x)), factor=1 / math.log(base))


def _softplus(c: TorchConversion, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    return c.g.softplus(c.value(x), beta=float(beta), threshold=float(threshold))


def _elu(c: TorchConversion, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    return c.g.elu(c.value(x), alpha=float(alpha), scale=float(scale), input_scale=float(input_scale))


def _celu(c: TorchConversion, x: Value, alpha: float = 1) -> Value:
    return _elu(c, x, alpha, 1, 1 / alpha)


def _selu(c: TorchConversion, x: Value) -> Value:
    return _elu(c, x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def _gelu(c: TorchConversion, x: Value, approximate: str = "none") -> Value:
    return c.g.gelu(c.value(x)) if approximate == "none" else c.g.tanh_gelu(c.value(x))


def _leaky_relu(c: TorchConversion, x: Value, slope: float = 0.01) -> Value:
    return c.g.leaky_relu(c.value(x), slope=float(slope))


def _prelu(c: TorchConversion, x: Value, slope: Any) -> Value:
    """PReLU: a slope per channel, which is axis 1."""
    x, slope = c.value(x), c.value(slope)
    n_after = max(len(x.shape) - 2, 0)
    n_channels = slope.shape[0] if slope.shape else 1
    return c.g.prelu(x, c.g.reshape(slope, shape=(n_channels,) + (1,) * n_after) if slope.shape[:1] != (1,) else slope)


def _randomized_leaky_relu(
    c: TorchConversion, x: Value, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, *_: Any
) -> Value:
    if training:
        raise c.rejected(" in training mode")
    return _leaky_relu(c, x, (lower + upper) / 2)


def _hypotenuse(c: TorchConversion, x: Any, y: Any) -> Value:
    return c.g.sqrt(c.g.add(c.g.square(c.value(x)), c.g.square(c.value(y))))


def _threshold(c: TorchConversion, x: Value, threshold: float, value: float) -> Value:
    return c.g.threshold(c.value(x), threshold=float(threshold), value=float(value))


def _shrink(name: str, c: TorchConversion, x: Value, lambd: float = 0.5) -> Value:
    return c.op(name, c.value(x), lambd=float(lambd))


def _modulo(kind: str, c: TorchConversion, x: Any, y: Any) -> Value:
    return c.g.mod(c.value(x), c.value(y), kind=kind)


def _cast(c: TorchConversion, x: Value, *_args: Any, **_kwargs: Any) -> Value:
    """Change a dtype; a boolean becomes 0 or 1. Other floating-point dtypes are the graph's."""
    return x if c.node.meta["val"].dtype == c.torch.bool and x.dtype == bool else c.value(x)


def _detach(c: TorchConversion, x: Value) -> Value:
    return c.g.stop_gradient(c.value(x))


def _alias(c: TorchConversion, x: Value) -> Value:
    """Return the same value; `detach` becomes an alias in a decomposed graph."""
    return _detach(c, x) if "detach" in str(c.node.meta.get("original_aten")) else x


def _same(_c: TorchConversion, x: Value, *_args: Any, **_kwargs: Any) -> Value:
    return x


def _is_nan(c: TorchConversion, x: Value) -> Value:
    return c.g.not_equal(x, x)


def _is_infinite(c: TorchConversion, x: Value) -> Value:
    return c.g.equal(c.g.abs(c.value(x)), c.any_value(math.inf))


def _constant_like(c: TorchConversion, x: Value, *args: Any, **kwargs: Any) -> Any:
    """Evaluate a function of the shape of `x` alone."""
    return c.node.target(c.torch.zeros(x.shape, dtype=getattr(c.torch, c.dtype.name)), *args, **kwargs)


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **{f"aten.{name}": partial(_function, name) for name in SAME_NAME.split()},
    **{f"aten.{name}": partial(_function, op) for name, op in OTHER_NAME.items()},
    **{f"aten.{name}": partial(_comparison, op) for name, op in COMPARISONS.items()},
    **{f"aten.logical_{word}": partial(_logical, f"logical_{word}") for word in ("and", "or", "xor", "not")},
    **{f"aten.bitwise_{word}": partial(_logical, f"logical_{word}") for word in ("and", "or", "xor", "not")},
    "aten.add": _add,
    "aten.sub": _subtract,
    "aten.rsub": _reverse_subtract,
    "aten.mul": _multiply,
    "aten.div": _divide,
    "aten.pow": _power,
    "aten.maximum": partial(_pair, "maximum", ties="share"),
    "aten.minimum": partial(_pair, "minimum", ties="share"),
    "aten.fmax": partial(_pair, "maximum", ties="first"),
    "aten.fmin": partial(_pair, "minimum", ties="first"),
    "aten.atan2": partial(_pair, "atan2", origin="zero"),
    "aten.logaddexp": partial(_pair, "logaddexp"),
    "aten.remainder": partial(_modulo, "floor"),
    "aten.fmod": partial(_modulo, "trunc"),
    "aten.where": _where,
    "aten.masked_fill": _masked_fill,
    "aten.clamp": _clamp,
    "aten.hardtanh": _hardtanh,
    "aten.log2": partial(_logarithm, 2),
    "aten.log10": partial(_logarithm, 10),
    "aten.softplus": _softplus,
    "aten.elu": _elu,
    "aten.celu": _celu,
    "aten.selu": _selu,
    "aten.gelu": _gelu,
    "aten.leaky_relu": _leaky_relu,
    "aten.prelu": _prelu,
    "aten.rrelu": _randomized_leaky_relu,
    "aten.hypot": _hypotenuse,
    "aten.hardsigmoid": partial(_function, "hardsigmoid"),
    "aten.softshrink": partial(_shrink, "softshrink"),
    "aten.hardshrink": partial(_shrink, "hardshrink"),
    "aten.threshold": _threshold,
    "aten.isnan": _is_nan,
    "aten.isinf": _is_infinite,
    "aten.isfinite": partial(_function, "is_finite"),
    "aten._to_copy": _cast,
    "aten.to": _cast,
    "aten.alias": _alias,
    "aten.detach": _detach,
    "aten.clone": _same,
    "aten.contiguous": _same,
    "aten.relu6": lambda c, x: _hardtanh(c, x, 0, 6),
    "aten.full_like": _constant_like,
    "aten.zeros_like": _constant_like,
    "aten.ones_like": _constant_like,
    "aten.empty_like": _constant_like,
    "aten.new_zeros": _constant_like,
    "aten.new_ones": _constant_like,
    "aten.new_full": _constant_like,
    "aten.new_empty": _constant_like,
}
