"""Activations that need no rules of their own, and bounds; slopes at kinks are those of torch unless an attribute chooses."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.graphs.ops.pointwise import checked, pointwise

if TYPE_CHECKING:
    from jacobench.graphs.array_types import Attrs, Shapes


def _clamp(xp: Any, x: Any, low: float | None, high: float | None, ends: float) -> Any:
    """Return x between two bounds, by choices whose slope at a bound is `ends`."""
    if ends not in (0.0, 1.0):
        return 0.5 * (_clamp(xp, x, low, high, 0.0) + _clamp(xp, x, low, high, 1.0))
    if low is not None:
        x = xp.where(x < low if ends else x <= low, low, x)
    return x if high is None else xp.where(x > high if ends else x >= high, high, x)


def _clamp_in_numpy(xp: Any, x: Any, low: float | None, high: float | None, **_attrs: Any) -> Any:
    if low is not None:
        x = xp.maximum(x, low)
    return x if high is None else xp.minimum(x, high)


def _side(strict: Any, loose: Any, ends: float) -> Any:
    """Return the slope of one bound from comparisons without and with equality; either is a function."""
    if ends in {0.0, 1.0}:
        return loose() if ends else strict()
    return (strict() + loose()) * 0.5


def _clamp_slope(_xp: Any, _y: Any, x: Any, low: float | None, high: float | None, ends: float) -> Any:
    above = None if low is None else _side(lambda: x > low, lambda: x >= low, ends)
    below = None if high is None else _side(lambda: x < high, lambda: x <= high, ends)
    if above is None or below is None:
        return below if above is None else above
    return above * below


CLAMP_ATTRS = {"low": None, "high": None, "ends": 1.0}


def _bounds(attrs: Attrs, shapes: Shapes) -> Attrs:
    found = checked(CLAMP_ATTRS, {"ends": (0.0, 0.5, 1.0)})(attrs, shapes)
    low, high = found["low"], found["high"]
    if low is None and high is None:
        raise BadInput("low and high are None: expected at least one bound")
    if low is not None and high is not None and low > high:
        raise BadInput(f"low is {low}, high is {high}: expected low ≤ high")
    return found


def _elu(xp: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    negative = alpha * xp.expm1(input_scale * xp.where(x > 0, 0.0, x))
    return scale * xp.where(x > 0, x, negative)


def _elu_in_numpy(xp: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    negative = xp.expm1(xp.minimum(x, 0.0) * input_scale) * (alpha * scale)
    return negative + xp.maximum(x, 0.0) * scale


def _elu_slope(xp: Any, _y: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    """Return α s c exp(c x) where x ≤ 0, else s, for a scale s and an input scale c."""
    factor = alpha * scale * input_scale
    return xp.exp(xp.minimum(x, 0.0) * input_scale) * factor + (x > 0.0) * (scale - factor)


FAR = 20.0
"""Input from which tanh(softplus x) is 1 in float64. Beyond it the formula of mish would overflow."""


def _mish_ratio(xp: Any, x: Any) -> tuple[Any, Any]:
    """Return exp x, and tanh(softplus x) = n / (n + 2) with n = exp x (exp x + 2)."""
    e = xp.exp(xp.minimum(x, FAR))
    n = (e + 2.0) * e
    return e, n / (n + 2.0)


def _mish_in_numpy(xp: Any, x: Any) -> Any:
    return _mish_ratio(xp, x)[1] * x


def _mish_slope(xp: Any, _y: Any, x: Any) -> Any:
    """Return t + x σ(x) (1 − t²) with t = tanh(softplus x)."""
    e, t = _mish_ratio(xp, x)
    return e / (e + 1.0) * x * (1.0 - t * t) + t


def _hardswish_slope(_xp: Any, _y: Any, x: Any) -> Any:
    return (x / 3.0 + 0.5) * (x > -3.0) * (x < 3.0) + (x >= 3.0)


GELU_SCALE, GELU_CUBE = sqrt(2 / pi), 0.044715


def _tanh_gelu(xp: Any, x: Any) -> Any:
    return (xp.tanh((x * x * GELU_CUBE + 1.0) * x * GELU_SCALE) + 1.0) * x * 0.5


def _tanh_gelu_slope(xp: Any, _y: Any, x: Any) -> Any:
    square = x * x
    t = xp.tanh((square * GELU_CUBE + 1.0) * x * GELU_SCALE)
    inner = (square * (3 * GELU_CUBE) + 1.0) * x * GELU_SCALE
    return ((1.0 - t * t) * inner + (t + 1.0)) * 0.5


def _softshrink(xp: Any, x: Any, lambd: float) -> Any:
    return xp.where(x > lambd, x - lambd, xp.where(x < -lambd, x + lambd, 0.0 * x))


def _outside(xp: Any, _y: Any, x: Any, lambd: float) -> Any:
    return xp.greater(xp.abs(x), lambd)


def _prelu_slope(_xp: Any, _y: Any, x: Any, slope: Any) -> Any:
    return (x <= 0.0) * slope + (x > 0.0)


def _log_sigmoid_in_numpy(xp: Any, x: Any) -> Any:
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def _leaky_in_numpy(xp: Any, x: Any, slope: float) -> Any:
    """Return the larger of x and slope · x, for a slope up to 1: half the time of np.where."""
    return (xp.maximum if slope <= 1 else xp.minimum)(x, x * slope)


def _leaky_slope(xp: Any, y: Any, _x: Any, slope: float) -> Any:
    """Return 1 where y > 0, and so x > 0, else the slope."""
    return xp.maximum(y > 0.0, slope) if slope <= 1 else (y <= 0.0) * slope + (y > 0.0)


def _negative_leaky_slope(_xp: Any, _y: Any, x: Any, slope: float) -> Any:
    return (x <= 0.0) * slope + (x > 0.0)


def _softplus(xp: Any, x: Any, beta: float, threshold: float | None) -> Any:
    if beta == 1 and threshold is None:
        return xp.softplus(x)
    y = xp.softplus(beta * x) / beta
    return y if threshold is None else xp.where(beta * x > threshold, x, y)


def _softplus_in_numpy(xp: Any, x: Any, beta: float, threshold: float | None) -> Any:
    """Return max(z, 0) + log(1 + exp(−|z|)) for z = β x, over β: 2.5 ns an entry, where np.logaddexp takes 18."""
    z = x if beta == 1 else x * beta
    rest = xp.log1p(xp.exp(-xp.abs(z)))
    if threshold is not None:
        rest = rest * (z <= threshold)
    y = rest + xp.maximum(z, 0.0)
    return y if beta == 1 else y / beta


def _softplus_slope(xp: Any, y: Any, _x: Any, beta: float, threshold: float | None) -> Any:  # noqa: ARG001
    """Return 1 − exp(−β y), the logistic function of β x, without cancellation where y is tiny."""
    return -xp.expm1(-y if beta == 1 else y * -beta)


def _bounded_softplus_slope(xp: Any, _y: Any, x: Any, beta: float, threshold: float | None) -> Any:
    z = x * beta
    logistic = xp.sigmoid(z)
    return logistic if threshold is None else xp.maximum(logistic, z > threshold)


OPS = (
    pointwise(
        "leaky_relu",
        lambda xp, x, slope: xp.leaky_relu(x, slope),
        (_leaky_slope,),
        "x where x > 0, else slope · x; Maas et al., Rectifier Nonlinearities (2013), section 2; slope from below at 0",
        in_numpy=_leaky_in_numpy,
        attrs={"slope": 0.01},
        special=(lambda attrs: attrs["slope"] < 0, (_negative_leaky_slope,)),
    ),
    pointwise(
        "softplus",
        _softplus,
        (_softplus_slope,),
        "log(1 + exp(β x)) / β; Dugas et al., Incorporating Second-Order Functional Knowledge (2001); x where β x > threshold, "
        "if there is one, as in torch",
        in_numpy=_softplus_in_numpy,
        attrs={"beta": 1.0, "threshold": None},
        special=(lambda attrs: attrs["threshold"] is not None, (_bounded_softplus_slope,)),
    ),
    pointwise(
        "clamp",
        _clamp,
        (_clamp_slope,),
        "x between the bounds `low` and `high`; slope at a bound `ends`: 1 as torch.clamp, 0 as lax.clamp, hardtanh and relu6, "
        "1/2 as jnp.clip",
        in_numpy=_clamp_in_numpy,
        attrs=CLAMP_ATTRS,
        prepare=_bounds,
        sample={"low": -0.5, "high": 0.4},
        like="square",
    ),
    pointwise(
        "elu",
        _elu,
        (_elu_slope,),
        "s x where x > 0, else s α (exp(c x) − 1), s the scale, c the input scale; Clevert et al., Exponential Linear Units "
        "(2016); selu: Klambauer et al., Self-Normalizing Neural Networks (2017); celu has c = 1 / α; at 0 the slope from below",
        in_numpy=_elu_in_numpy,
        attrs={"alpha": 1.0, "scale": 1.0, "input_scale": 1.0},
        sample={"alpha": 1.5},
        like="erf",
    ),
    pointwise(
        "mish",
        lambda xp, x: x * xp.tanh(xp.softplus(x)),
        (_mish_slope,),
        "x tanh(log(1 + exp x)); Misra, Mish (2020)",
        in_numpy=_mish_in_numpy,
        like="erf",
    ),
    pointwise(
        "hardswish",
        lambda xp, x: x * _clamp(xp, x + 3.0, 0.0, 6.0, 0.0) / 6.0,
        (_hardswish_slope,),
        "x min(max(x + 3, 0), 6) / 6; Howard et al., Searching for MobileNetV3 (2019), section 5.2; slopes 0 at −3 and 1 at 3",
        in_numpy=lambda xp, x: xp.minimum(xp.maximum(x + 3.0, 0.0), 6.0) * x / 6.0,
        like="square",
    ),
    pointwise(
        "hardsigmoid",
        lambda xp, x, alpha, beta: _clamp(xp, alpha * x + beta, 0.0, 1.0, 0.0),
        (lambda _xp, y, _x, alpha, beta: (y > 0.0) * (y < 1.0) * alpha,),  # noqa: ARG005  (the rule gets all attributes)
        "min(max(α x + β, 0), 1); Courbariaux et al., BinaryConnect (2015), section 2.2; slope 0 at both kinks",
        in_numpy=lambda xp, x, alpha, beta: xp.minimum(xp.maximum(x * alpha + beta, 0.0), 1.0),
        attrs={"alpha": 1 / 6, "beta": 0.5},
        like="square",
    ),
    pointwise(
        "softsign",
        lambda xp, x: x / (xp.abs(x) + 1.0),
        (lambda xp, _y, x: xp.reciprocal(xp.square(xp.abs(x) + 1.0)),),
        "x / (1 + |x|); Glorot & Bengio, Understanding the Difficulty of Training (2010), section 3",
        like="square",
    ),
    pointwise(
        "log_sigmoid",
        lambda xp, x: -xp.softplus(-x),
        (lambda xp, y, _x: -xp.expm1(y),),
        "−log(1 + exp(−x)), the logarithm of the logistic function",
        in_numpy=_log_sigmoid_in_numpy,
        like="erf",
    ),
    pointwise(
        "tanh_gelu",
        _tanh_gelu,
        (_tanh_gelu_slope,),
        "x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2; Hendrycks & Gimpel, Gaussian Error Linear Units (2016), section 2",
        like="erf",
    ),
    pointwise(
        "softshrink",
        _softshrink,
        (_outside,),
        "x moved towards 0 by λ, and 0 where |x| ≤ λ, slope 0 included; Donoho, De-Noising by Soft-Thresholding (1995)",
        in_numpy=lambda xp, x, lambd: x - xp.minimum(xp.maximum(x, -lambd), lambd),
        attrs={"lambd": 0.5},
        like="square",
    ),
    pointwise(
        "hardshrink",
        lambda xp, x, lambd: xp.where(xp.abs(x) > lambd, x, 0.0 * x),
        (_outside,),
        "x where |x| > λ, else 0, slope 0 included; Donoho & Johnstone, Ideal Spatial Adaptation (1994), hard thresholding",
        in_numpy=lambda xp, x, lambd: xp.greater(xp.abs(x), lambd) * x,
        attrs={"lambd": 0.5},
        like="square",
    ),
    pointwise(
        "tanhshrink",
        lambda xp, x: x - xp.tanh(x),
        (lambda xp, _y, x: xp.square(xp.tanh(x)),),
        "x − tanh x",
        like="erf",
    ),
    pointwise(
        "threshold",
        lambda xp, x, threshold, value: xp.where(x > threshold, x, 0.0 * x + value),
        (lambda xp, _y, x, threshold, value: xp.greater(x, threshold),),  # noqa: ARG005
        "x where x > threshold, else value, slope 0 included; Konda et al., Zero-Bias Autoencoders (2015), section 3",
        in_numpy=lambda xp, x, threshold, value: (x <= threshold) * value + xp.greater(x, threshold) * x,
        attrs={"threshold": 0.0, "value": 0.0},
        sample={"threshold": 0.1, "value": 0.3},
        like="square",
    ),
    pointwise(
        "prelu",
        lambda xp, x, slope: xp.where(x > 0, x, slope * x),
        (_prelu_slope, lambda xp, _y, x, _slope: xp.minimum(x, 0.0)),
        "x where x > 0, else slope · x; He et al., Delving Deep into Rectifiers (2015), section 2.1; at 0 the slope from below",
        in_numpy=lambda xp, x, slope: xp.minimum(x, 0.0) * slope + xp.maximum(x, 0.0),
        like="divide",
    ),
)
