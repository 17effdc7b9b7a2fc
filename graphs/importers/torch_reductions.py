"""Rules of aten ops that reduce axes or act along an axis: sums, extrema, norms, softmax, cumulative sums."""

from __future__ import annotations

from functools import partial
from math import inf, prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.builder import Value
    from jacobench.graphs.importers.torch_conversion import TorchConversion


def axes_of(x: Value, dim: Any) -> tuple[int, ...]:
    """Return the axes that `dim` selects, counted from 0: one, several, or all if it is None or empty."""
    n = len(x.shape)
    if dim is None or dim == []:
        return tuple(range(n))
    return tuple(sorted({d % n for d in ([dim] if isinstance(dim, int) else dim)})) if n else ()


def reduce(c: TorchConversion, op: str, x: Any, dim: Any = None, keepdim: bool = False, **attrs: Any) -> Value:
    """Apply a reduction over the axes `dim`."""
    x = c.value(x)
    axes = axes_of(x, dim)
    return c.op(op, x, axes=axes, keepdims=keepdim, **attrs)


def _sum(op: str, c: TorchConversion, x: Any, dim: Any = None, keepdim: bool = False, **_dtype: Any) -> Value:
    x = c.value(x)
    return reduce(c, op, x, dim, keepdim) if x.shape else x


def _extremum(op: str, c: TorchConversion, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Largest or smallest entry; equal entries share the derivative."""
    return reduce(c, op, x, dim, keepdim, ties="share") if x.shape else x


def _first_extremum(op: str, c: TorchConversion, x: Value, dim: int, keepdim: bool = False) -> tuple[Any, None]:
    """Largest or smallest entry and its index; the first of equal entries has the derivative."""
    return (reduce(c, op, x, dim, keepdim, ties="first") if x.shape else x), None


def _truth(op: str, c: TorchConversion, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Return whether any or all entries are True: the largest or smallest of 0 and 1."""
    return c.g.greater(reduce(c, op, c.condition(x), dim, keepdim, ties="share"), c.any_value(0.5))


def _variance(
    c: TorchConversion, x: Value, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    n = prod(c.value(x).shape[axis] for axis in axes_of(x, dim))
    correction = 1 if correction is None else correction
    biased = reduce(c, "var", x, dim, keepdim, correction=0)
    return c.g.scale(biased, factor=n / max(n - correction, 0)) if correction else biased


def _variance_and_mean(
    c: TorchConversion, x: Value, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    return _variance(c, x, dim, correction=correction, keepdim=keepdim), reduce(c, "mean", x, dim, keepdim)


def _vector_norm(
    c: TorchConversion, x: Value, order: float = 2, dim: Any = None, keepdim: bool = False, **_dtype: Any
) -> Value:
    if order in {1, 2, inf}:
        return reduce(c, "norm", x, dim, keepdim, order=order)
    if order in {0, -inf}:
        raise c.rejected(f" of order {order}")
    total = reduce(c, "sum", c.g.power_of(c.g.abs(c.value(x)), exponent=float(order)), dim, keepdim)
    return c.g.power_of(total, exponent=1 / order)


def along(op: str, c: TorchConversion, x: Value, dim: int, *_dtype: Any, **_kwargs: Any) -> Value:
    """Apply an op along one axis."""
    x = c.value(x)
    return c.op(op, x, axis=dim % len(x.shape)) if x.shape else x


REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "aten.sum": partial(_sum, "sum"),
    "aten.mean": partial(_sum, "mean"),
    "aten.prod": partial(_sum, "prod"),
    "aten.logsumexp": partial(_sum, "logsumexp"),
    "aten.amax": partial(_extremum, "max"),
    "aten.amin": partial(_extremum, "min"),
    "aten.any": partial(_truth, "max"),
    "aten.all": partial(_truth, "min"),
    "aten.max.default": partial(_extremum, "max"),
    "aten.min.default": partial(_extremum, "min"),
    "aten.max.dim": partial(_first_extremum, "max"),
    "aten.min.dim": partial(_first_extremum, "min"),
    "aten.var.correction": _variance,
    "aten.var_mean.correction": _variance_and_mean,
    "aten.linalg_vector_norm": _vector_norm,
    "aten._softmax": partial(along, "softmax"),
    "aten._log_softmax": partial(along, "log_softmax"),
    "aten.softmax.int": partial(along, "softmax"),
    "aten.log_softmax.int": partial(along, "log_softmax"),
    "aten.cumsum": partial(along, "cumsum"),
    "aten.cumprod": partial(along, "cumprod"),
}
