"""Rules of aten ops of layers: products of matrices, convolutions, pooling, normalization."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.importers.adaptive_pooling import adaptive_avg_pool, adaptive_max_pool
from jacobench.graphs.importers.torch_elementwise import scaled
from jacobench.graphs.importers.torch_reductions import along
from jacobench.graphs.importers.transposed_convolution import conv_transposed, convolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.builder import Value
    from jacobench.graphs.importers.torch_conversion import TorchConversion


def _linear(c: TorchConversion, x: Any, W: Any, b: Any = None) -> Value:
    """X Wᵀ + b for any number of leading axes."""
    x, W = c.value(x), c.value(W)
    bias = c.value(c.torch.zeros(W.shape[0], dtype=c.torch.float64) if b is None else b)
    if len(x.shape) == 1:
        return c.g.reshape(c.g.affine(c.g.reshape(x, shape=(1, -1)), W, bias), shape=c.shape)
    return c.g.affine(x, W, bias)


def _einsum_of(c: TorchConversion, subscripts: str, x: Any, y: Any) -> Value:
    return c.g.einsum(c.value(x), c.value(y), subscripts=subscripts)


def _product(c: TorchConversion, x: Any, y: Any) -> Value:
    """Matrix product with any leading axes, which are broadcast."""
    x, y = c.value(x), c.value(y)
    rows, columns = ("i" if len(x.shape) > 1 else ""), ("k" if len(y.shape) > 1 else "")
    x, of_x, y, of_y, batch = _leading(c, x, len(rows) + 1, y, len(columns) + 1)
    return _einsum_of(c, f"{of_x}{rows}j,{of_y}j{columns}->{batch}{rows}{columns}", x, y)


def _leading(c: TorchConversion, x: Value, n_x: int, y: Value, n_y: int) -> tuple[Value, str, Value, str, str]:
    """Name the leading axes of two arrays, without those of length 1 where the other is longer."""
    lead_x, lead_y = x.shape[: len(x.shape) - n_x], y.shape[: len(y.shape) - n_y]
    n = max(len(lead_x), len(lead_y))
    names = "abcdefgh"[:n]
    long_x, long_y = ((1,) * (n - len(lead)) + lead for lead in (lead_x, lead_y))
    kept_x = [k >= n - len(lead_x) and not (long_x[k] == 1 < long_y[k]) for k in range(n)]
    kept_y = [k >= n - len(lead_y) and not (long_y[k] == 1 < long_x[k]) for k in range(n)]
    x, y = _without(c, x, kept_x[n - len(lead_x) :]), _without(c, y, kept_y[n - len(lead_y) :])
    of_x, of_y = ("".join(name for name, keep in zip(names, kept, strict=True) if keep) for kept in (kept_x, kept_y))
    return x, of_x, y, of_y, names


def _without(c: TorchConversion, x: Value, kept: Sequence[bool]) -> Value:
    if all(kept):
        return x
    lengths = [length for length, keep in zip(x.shape, kept, strict=False) if keep]
    return c.g.reshape(x, shape=(*lengths, *x.shape[len(kept) :]))


def _add_product(c: TorchConversion, b: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    product = scaled(c, _product(c, x, y), alpha)
    return c.g.add(scaled(c, b, beta), product) if beta else product


def _bilinear(c: TorchConversion, x: Any, y: Any, W: Any, b: Any = None) -> Value:
    """Σ x[…, i] W[o, i, j] y[…, j] + b[o]."""
    lead = "abcdefgh"[: len(c.shape) - 1]
    left = _einsum_of(c, f"{lead}i,oij->{lead}oj", x, W)
    return _normalized(c, _einsum_of(c, f"{lead}oj,{lead}j->{lead}o", left, y), None, b)


def _cross(c: TorchConversion, x: Any, y: Any, *, dim: int = -1) -> Value:
    values = [c.value(each) for each in (x, y)]
    values = [each if each.shape == c.shape else c.g.broadcast(each, shape=c.shape) for each in values]
    axes = list(range(len(c.shape)))
    axes[dim], axes[-1] = axes[-1], axes[dim]
    if dim % len(axes) == len(axes) - 1:
        return c.g.cross(*values)
    return c.g.transpose(c.g.cross(*(c.g.transpose(each, axes=tuple(axes)) for each in values)), axes=tuple(axes))


def _per_channel(c: TorchConversion, x: Value, vector: Any) -> Value:
    """Shape a vector of channels so that it broadcasts along axis 1 of `x`."""
    return c.g.reshape(c.value(vector), shape=(-1, *(1,) * (len(x.shape) - 2)))


def _convolution(
    c: TorchConversion,
    x: Any,
    W: Any,
    b: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    x, W = c.value(x), c.value(W)
    if len(x.shape) < len(W.shape):  # one sample without a batch
        x = c.g.reshape(x, shape=(1, *x.shape))
    if transposed:
        y = conv_transposed(
            c.g,
            x,
            W,
            stride=tuple(stride),
            padding=tuple(padding),
            output_padding=tuple(output_padding),
            dilation=tuple(dilation),
            groups=groups,
        )
    else:
        pairs = tuple((each, each) for each in padding)
        y = convolution(c.g, x, W, stride=tuple(stride), padding=pairs, dilation=tuple(dilation), groups=groups)
    y = y if b is None else c.g.channel_bias(y, c.value(b))
    return y if y.shape == c.shape else c.g.reshape(y, shape=c.shape)


def _normalized(c: TorchConversion, y: Value, gain: Any, bias: Any) -> Value:
    """Multiply by a gain and add a bias, which broadcast; either may be None."""
    if gain is not None:
        y = c.g.multiply(y, c.value(gain))
    return y if bias is None else c.g.add(y, c.value(bias))


def _layer_norm(
    c: TorchConversion, x: Any, shape: Sequence[int], W: Any, b: Any, eps: float
) -> tuple[Value, None, None]:
    x = c.value(x)
    axes = tuple(range(len(x.shape) - len(shape), len(x.shape)))
    return _normalized(c, c.g.layer_norm(x, axes=axes, eps=eps), W, b), None, None


def _rms_norm(c: TorchConversion, x: Any, shape: Sequence[int], W: Any = None, eps: float | None = None) -> Value:
    x = c.value(x)
    axes = tuple(range(len(x.shape) - len(shape), len(x.shape)))
    eps = c.torch.finfo(getattr(c.torch, c.dtype.name)).eps if eps is None else eps
    return _normalized(c, c.g.rms_norm(x, axes=axes, eps=eps), W, None)


def _group_norm(
    c: TorchConversion, x: Any, W: Any, b: Any, N: int, C: int, _n: int, groups: int, eps: float
) -> tuple[Value, None, None]:
    x = c.value(x)
    grouped = c.g.reshape(x, shape=(N, groups, C // groups, *x.shape[2:]))
    y = c.g.layer_norm(grouped, axes=tuple(range(2, len(x.shape) + 1)), eps=eps)
    y = c.g.reshape(y, shape=x.shape)
    return _normalized(c, y, *(each if each is None else _per_channel(c, x, each) for each in (W, b))), None, None


def _batch_norm_of_input(
    c: TorchConversion, x: Any, W: Any, b: Any, _training: bool, _momentum: float, eps: float
) -> tuple[Value, None, None]:
    """Normalize with the mean and variance of the input, per channel; also the instance norm."""
    x = c.value(x)
    axes = (0, *range(2, len(x.shape)))
    y = c.g.layer_norm(x, axes=axes, eps=eps)
    return _normalized(c, y, *(each if each is None else _per_channel(c, x, each) for each in (W, b))), None, None


def _batch_norm(
    c: TorchConversion, x: Any, W: Any, b: Any, mean: Any, variance: Any, _momentum: float, eps: float
) -> tuple[Value, None, None]:
    """Normalize with constant statistics: x · s + (b − mean · s) with s = W / √(variance + eps)."""
    x = c.value(x)
    inverse = (variance.double() + eps).rsqrt()
    factor = inverse if W is None else c.g.multiply(c.value(W), c.value(inverse))
    shift = c.g.multiply(c.value(factor), c.value(-mean.double()))
    shift = shift if b is None else c.g.add(c.value(b), shift)
    return _normalized(c, x, _per_channel(c, x, factor), _per_channel(c, x, shift)), None, None


def _batch_norm_in_eval_mode(
    c: TorchConversion,
    x: Any,
    W: Any,
    b: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    eps: float,
    *_cudnn: Any,
) -> Value:
    if training or mean is None:
        return _batch_norm_of_input(c, x, W, b, training, momentum, eps)[0]
    return _batch_norm(c, x, W, b, mean, variance, momentum, eps)[0]


def _layer_norm_of(
    c: TorchConversion, x: Any, shape: Any, W: Any = None, b: Any = None, eps: float = 1e-5, *_: Any
) -> Value:
    return _layer_norm(c, x, shape, W, b, eps)[0]


def _group_norm_of(
    c: TorchConversion, x: Any, groups: int, W: Any = None, b: Any = None, eps: float = 1e-5, *_: Any
) -> Value:
    return _group_norm(c, x, W, b, x.shape[0], x.shape[1], 0, groups, eps)[0]


def _attention(
    c: TorchConversion,
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Softmax of q kᵀ · scale, times v. Rows that a constant mask hides are 0, as in torch."""
    q, k, v = map(c.value, (q, k, v))
    if dropout:
        raise c.rejected(" with dropout")
    if enable_gqa:
        k, v = (_repeated_heads(c, each, q.shape[-3]) for each in (k, v))
    axes = (*range(len(k.shape) - 2), len(k.shape) - 1, len(k.shape) - 2)
    scores = scaled(c, _product(c, q, c.g.transpose(k, axes=axes)), q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        mask = c.torch.ones(scores.shape[-2:], dtype=c.torch.bool).tril()
    return _product(c, _masked_softmax(c, scores, mask), v)


def _masked_softmax(c: TorchConversion, scores: Value, mask: Any) -> Value:
    """Softmax over the last axis, of scores plus a mask, or of those that a boolean mask selects."""
    if mask is None:
        return along("softmax", c, scores, -1)
    shown = None
    if c.torch.is_tensor(mask):
        shown = mask if mask.dtype == c.torch.bool else ~mask.isneginf()
    if mask.dtype in {c.torch.bool, np.dtype(bool)}:
        scores = c.g.where(c.condition(mask), scores, c.any_value(-inf))
    else:
        scores = c.g.add(scores, c.value(mask))
    hidden = None if shown is None else ~shown.any(-1, keepdim=True)
    if hidden is None or not hidden.any():
        return along("softmax", c, scores, -1)
    nought, rows = c.any_value(0.0), c.any_value(hidden)
    return c.g.where(rows, nought, along("softmax", c, c.g.where(rows, nought, scores), -1))


def _repeated_heads(c: TorchConversion, x: Value, n_heads: int) -> Value:
    """Repeat each head of keys or values, axis −3, for its group of query heads."""
    *lead, heads, length, width = x.shape
    apart = c.g.reshape(x, shape=(*lead, heads, 1, length, width))
    wide = c.g.broadcast(apart, shape=(*lead, heads, n_heads // heads, length, width))
    return c.g.reshape(wide, shape=(*lead, n_heads, length, width))


def _dropout(c: TorchConversion, x: Any, _p: float, training: bool) -> Any:
    if training:
        raise c.rejected(" in training mode")
    return x


def _plain_convolution(
    n: int,
    c: TorchConversion,
    x: Any,
    W: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    stride, padding, dilation = (_spatial(n, each) for each in (stride, padding, dilation))
    return _convolution(c, x, W, b, stride, padding, dilation, False, (0,) * n, groups)


def _pool(op: str, c: TorchConversion, x: Any, window: Any, padding: Sequence[tuple[int, int]], **attrs: Any) -> Value:
    return c.op(op, c.value(x), window=tuple(window), padding=tuple(padding), **attrs)


def _spatial(n: int, given: Sequence[int] | int, default: Sequence[int] = ()) -> tuple[int, ...]:
    """Return one number per spatial axis; torch accepts one for all, and none for the default."""
    numbers = (given,) if isinstance(given, int) else tuple(given)
    return tuple(default) if not numbers else numbers * (n // len(numbers))


def _padding_to(
    lengths: Sequence[int],
    outputs: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Return the padding (before, after) for outputs of these lengths, with `ceil_mode` more than the given one."""
    spans = [(out - 1) * s + d * (w - 1) + 1 for out, s, d, w in zip(outputs, stride, dilation, window, strict=True)]
    return tuple((p, max(span - n - p, 0)) for n, p, span in zip(lengths, padding, spans, strict=True))


def _max_pool(
    n: int,
    c: TorchConversion,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    _ceil: bool = False,
) -> Value:
    x = c.value(x)
    window = _spatial(n, kernel)
    stride, padding, dilation = _spatial(n, stride, window), _spatial(n, padding), _spatial(n, dilation)
    out = c.node.meta["val"][0] if c.node.meta["val"].__class__ is tuple else c.node.meta["val"]
    pairs = _padding_to(x.shape[-n:], tuple(out.shape[-n:]), window, stride, padding, dilation)
    return _pool("max_pool", c, x, window, pairs, stride=stride, dilation=dilation)


def _max_pool_with_indices(n: int, c: TorchConversion, *args: Any, **kwargs: Any) -> tuple[Value, None]:
    return _max_pool(n, c, *args, **kwargs), None


def _avg_pool(
    n: int,
    c: TorchConversion,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    _ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> Value:
    """Mean of each window. Entries that `ceil_mode` adds after the padding do not count."""
    x = c.value(x)
    window = _spatial(n, kernel)
    stride, padding = _spatial(n, stride, window), _spatial(n, padding)
    pairs = _padding_to(x.shape[-n:], c.shape[-n:], window, stride, padding, (1,) * n)
    if divisor is not None:
        return scaled(c, _pool("sum_pool", c, x, window, pairs, stride=stride), 1 / divisor)
    extra = tuple((0, max(after - before, 0)) for before, after in pairs)
    if count_padding and any(map(any, extra)):
        padded = c.g.pad(x, pairs=((0, 0),) * (len(x.shape) - n) + tuple((p, p) for p in padding))
        return _pool("avg_pool", c, padded, window, extra, stride=stride, count_padding=False)
    return _pool("avg_pool", c, x, window, pairs, stride=stride, count_padding=count_padding)


def _adaptive(pool: Callable[..., Value], c: TorchConversion, x: Any, sizes: Any) -> Value:
    return pool(c.g, c.value(x), sizes)


def _adaptive_max_pool(c: TorchConversion, x: Any, sizes: Any) -> tuple[Value, None]:
    return adaptive_max_pool(c.g, c.value(x), sizes), None


def _linear_upsampling(c: TorchConversion, x: Any, _sizes: Any, align_corners: bool, scales: Any) -> Value:
    """Linear interpolation along the last axes, as a product with a constant matrix for each."""
    y = c.value(x)
    n = len(y.shape) - 2
    names = "abcd"[: n + 2]
    for axis, scale in zip(range(2, n + 2), scales or (None,) * n, strict=True):
        unit = c.torch.eye(y.shape[axis], dtype=c.torch.float64)[None]
        weights = c.torch.ops.aten.upsample_linear1d(unit, [c.shape[axis]], align_corners, scale)[0]
        y = _einsum_of(c, f"{names},{names[axis]}z->{names.replace(names[axis], 'z')}", y, weights)
    return y


LAYERS: Mapping[str, Callable[..., Any]] = {
    "aten.linear": _linear,
    "aten.matmul": _product,
    "aten.mm": _product,
    "aten.bmm": _product,
    "aten.mv": _product,
    "aten.dot": _product,
    "aten.addmm": _add_product,
    "aten.addmv": _add_product,
    "aten.baddbmm": _add_product,
    "aten.bilinear": _bilinear,
    "aten.linalg_cross": _cross,
    "aten.convolution": _convolution,
    "aten.conv1d.default": partial(_plain_convolution, 1),
    "aten.conv2d.default": partial(_plain_convolution, 2),
    "aten.conv3d.default": partial(_plain_convolution, 3),
    "aten.scaled_dot_product_attention": _attention,
    "aten.dropout": _dropout,
    "aten.batch_norm": _batch_norm_in_eval_mode,
    "aten.layer_norm": _layer_norm_of,
    "aten.group_norm": _group_norm_of,
    "aten.native_layer_norm": _layer_norm,
    "aten.rms_norm": _rms_norm,
    "aten.native_group_norm": _group_norm,
    "aten._native_batch_norm_legit.no_stats": _batch_norm_of_input,
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "aten.max_pool1d": partial(_max_pool, 1),
    "aten.max_pool2d": partial(_max_pool, 2),
    "aten.max_pool2d_with_indices": partial(_max_pool_with_indices, 2),
    "aten.max_pool3d": partial(_max_pool, 3),
    "aten.max_pool3d_with_indices": partial(_max_pool_with_indices, 3),
    "aten.avg_pool3d": partial(_avg_pool, 3),
    "aten.avg_pool1d": partial(_avg_pool, 1),
    "aten.avg_pool2d": partial(_avg_pool, 2),
    "aten.adaptive_avg_pool1d": partial(_adaptive, adaptive_avg_pool),
    "aten.adaptive_avg_pool2d": partial(_adaptive, adaptive_avg_pool),
    "aten._adaptive_avg_pool2d": partial(_adaptive, adaptive_avg_pool),
    "aten.adaptive_avg_pool3d": partial(_adaptive, adaptive_avg_pool),
    "aten._adaptive_avg_pool3d": partial(_adaptive, adaptive_avg_pool),
    "aten.adaptive_max_pool3d": _adaptive_max_pool,
    "aten.adaptive_max_pool1d": _adaptive_max_pool,
    "aten.adaptive_max_pool2d": _adaptive_max_pool,
    "aten.upsample_linear1d.vec": _linear_upsampling,
    "aten.upsample_bilinear2d.vec": _linear_upsampling,
}
