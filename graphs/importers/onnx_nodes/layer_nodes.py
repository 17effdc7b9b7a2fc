"""ONNX operators that are layers of a network: convolutions, pooling, normalizations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers.onnx_nodes.node_call import NodeCall, NodeRule, along
from jacobench.graphs.importers.onnx_nodes.reduction_nodes import power_sum
from jacobench.graphs.importers.transposed_convolution import conv_transposed, convolution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import Shape
    from jacobench.graphs.builder import GraphBuilder, Value

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class WindowSteps:
    """Windows of a convolution or pool, per spatial axis; `extra` is what rounding up adds after the padding."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: Pairs
    extra: Shape

    @property
    def whole_padding(self) -> Pairs:
        """Padding before and after, with what rounding up adds."""
        return tuple((a, b + extra) for (a, b), extra in zip(self.padding, self.extra, strict=True))


def windows(call: NodeCall, lengths: Shape, kernel: Shape) -> WindowSteps:
    """Return the windows of a node over axes of these lengths."""
    n = len(kernel)
    stride = call.whole_numbers("strides") or (1,) * n
    dilation = call.whole_numbers("dilations") or (1,) * n
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    padding = _padding(call, lengths, spans, stride)
    extra = (0,) * n
    if call.attrs.get("ceil_mode"):
        extra = tuple(map(_rounded_up, lengths, padding, spans, stride))
    return WindowSteps(kernel, stride, dilation, padding, extra)


def _padding(call: NodeCall, lengths: Shape, spans: Shape, stride: Shape) -> Pairs:
    auto = call.attrs["auto_pad"]
    if auto.startswith("SAME"):
        totals = [
            max((-(-length // s) - 1) * s + span - length, 0)
            for length, span, s in zip(lengths, spans, stride, strict=True)
        ]
        return tuple(_halves(total, auto == "SAME_UPPER") for total in totals)
    return _given_pads(call, len(lengths))


def _halves(total: int, more_after: bool) -> tuple[int, int]:
    less = total // 2
    return (less, total - less) if more_after else (total - less, less)


def _given_pads(call: NodeCall, n: int) -> Pairs:
    pads = call.whole_numbers("pads") if call.attrs["auto_pad"] == "NOTSET" else None
    return tuple(zip(pads[:n], pads[n:], strict=True)) if pads else ((0, 0),) * n


def _rounded_up(length: int, pads: tuple[int, int], span: int, stride: int) -> int:
    """Return the padding of a last, incomplete window; there is none if it would start after the entries."""
    count = -(-(length + sum(pads) - span) // stride) + 1
    count -= (count - 1) * stride >= length + pads[0]
    return max((count - 1) * stride + span - length - sum(pads), 0)


def _spatial(x: Value) -> Shape:
    """Return the lengths after batch and channels. Raises Unsupported for more axes than the ops have."""
    lengths = x.shape[2:]
    if not 1 <= len(lengths) <= 3:
        raise Unsupported(f"{len(lengths)} spatial axes: expected 1 to 3")
    return lengths


def _with_bias(call: NodeCall, y: Value) -> Value:
    return y if call.given(2) is None else call.g.channel_bias(y, call.value(2))


def _conv(call: NodeCall) -> Value:
    x, W = call.value(0), call.value(1)
    steps = windows(call, _spatial(x), W.shape[2:])
    y = convolution(
        call.g, x, W, stride=steps.stride, padding=steps.padding, dilation=steps.dilation, groups=call.attrs["group"]
    )
    return _with_bias(call, y)


def _conv_transpose(call: NodeCall) -> Value:
    """Return a transposed convolution; its padding removes entries of the output."""
    x, W = call.value(0), call.value(1)
    lengths, n = _spatial(x), len(W.shape) - 2
    stride = call.whole_numbers("strides") or (1,) * n
    dilation = call.whole_numbers("dilations") or (1,) * n
    added = call.whole_numbers("output_padding") or (0,) * n
    full = tuple(
        s * (length - 1) + d * (k - 1) + 1 + a
        for s, length, d, k, a in zip(stride, lengths, dilation, W.shape[2:], added, strict=True)
    )
    cropped = _cropped(call, lengths, full, stride)
    y = conv_transposed(
        call.g,
        x,
        W,
        stride=stride,
        padding=cropped,
        output_padding=added,
        dilation=dilation,
        groups=call.attrs["group"],
    )
    return _with_bias(call, y)


def _cropped(call: NodeCall, lengths: Shape, full: Shape, stride: Shape) -> Pairs:
    """Return what is removed before and after: given, or what is too much for the wanted lengths."""
    wanted, auto = call.whole_numbers("output_shape"), call.attrs["auto_pad"]
    if wanted is None and not auto.startswith("SAME"):
        return _given_pads(call, len(full))
    out = wanted[-len(full) :] if wanted else tuple(n * s for n, s in zip(lengths, stride, strict=True))
    totals = [n - m for n, m in zip(full, out, strict=True)]
    return tuple(_halves(total, auto == "SAME_UPPER") for total in totals)


def _max_pool(call: NodeCall) -> Value:
    x = call.value(0)
    steps = windows(call, _spatial(x), call.whole_numbers("kernel_shape") or ())
    return call.g.max_pool(
        x, window=steps.kernel, stride=steps.stride, padding=steps.whole_padding, dilation=steps.dilation
    )


def _average_pool(call: NodeCall) -> Value:
    """Divide by the number of entries in the window, or also of the padding, but not of what rounding up adds."""
    x = call.value(0)
    steps = windows(call, _spatial(x), call.whole_numbers("kernel_shape") or ())
    padding, count = steps.whole_padding, bool(call.attrs.get("count_include_pad"))
    if count and any(steps.extra):
        x = call.g.pad(x, pairs=((0, 0), (0, 0), *steps.padding))
        padding, count = tuple((0, extra) for extra in steps.extra), False
    return call.g.avg_pool(
        x, window=steps.kernel, stride=steps.stride, padding=padding, dilation=steps.dilation, count_padding=count
    )


def _lp_pool(call: NodeCall) -> Value:
    x = call.value(0)
    steps = windows(call, _spatial(x), call.whole_numbers("kernel_shape") or ())
    total = partial(
        call.g.sum_pool,
        window=steps.kernel,
        stride=steps.stride,
        padding=steps.whole_padding,
        dilation=steps.dilation,
    )
    return power_sum(call.g, x, call.attrs["p"], total)


def per_channel(g: GraphBuilder, vector: Value, like: Value) -> Value:
    """Return a vector with an axis of length 1 for each spatial axis, so that it broadcasts along channels."""
    return g.reshape(vector, shape=(*vector.shape, *(1,) * (len(like.shape) - 2)))


def _scaled(g: GraphBuilder, x: Value, scale: Value, shift: Value) -> Value:
    """Return x · scale + shift, with one number of each per channel."""
    return g.channel_bias(g.multiply(x, per_channel(g, scale, x)), shift)


def _refused_batch_normalization(attrs: Mapping[str, Any]) -> str:
    return (
        "with training_mode 1" if attrs.get("training_mode") else "with spatial 0" if attrs.get("spatial") == 0 else ""
    )


def _batch_normalization(call: NodeCall) -> Value:
    """Return (x − mean) / √(var + ε) · scale + B, as one factor and one summand per channel."""
    x, scale, shift, mean, variance = call.values
    g = call.g
    deviation = g.sqrt(g.add(variance, g.constant(call.attrs["epsilon"])))
    factor = g.divide(scale, deviation)
    return _scaled(g, x, factor, g.subtract(shift, g.multiply(mean, factor)))


def _instance_normalization(call: NodeCall) -> Value:
    x = call.value(0)
    y = call.g.layer_norm(x, axes=tuple(range(2, len(x.shape))), eps=call.attrs["epsilon"])
    return _scaled(call.g, y, call.value(1), call.value(2))


def _group_normalization(call: NodeCall) -> Value:
    """Normalize each group of channels. Scale and bias are per group before opset 21, then per channel."""
    x, g = call.value(0), call.g
    n, channels = x.shape[:2]
    n_groups = call.attrs["num_groups"]
    if channels % n_groups:
        raise BadInput(f"{channels} channels in {n_groups} groups: expected a multiple")
    y = g.layer_norm(g.reshape(x, shape=(n, n_groups, prod(x.shape[1:]) // n_groups)), eps=call.attrs["epsilon"])
    if call.opset >= 21:
        return _scaled(g, g.reshape(y, shape=x.shape), call.value(1), call.value(2))
    return g.reshape(_scaled(g, y, call.value(1), call.value(2)), shape=x.shape)


def _normalization(name: str) -> NodeRule:
    """Return the rule of a normalization over all axes from `axis` on, with a scale and maybe a shift."""

    def convert(call: NodeCall) -> Value:
        x = call.value(0)
        axes = tuple(range(along(len(x.shape), call.attrs["axis"]), len(x.shape)))
        y = getattr(call.g, name)(x, axes=axes, eps=call.attrs["epsilon"])
        y = call.g.multiply(y, call.value(1))
        return y if call.given(2) is None else call.g.add(y, call.value(2))

    return NodeRule(convert)


def _mean_variance_normalization(call: NodeCall) -> Value:
    """Return (x − mean) / (√var + 1e-9)."""
    x, g = call.value(0), call.g
    axes = tuple(along(len(x.shape), axis) for axis in call.attrs["axes"])
    centred = g.subtract(x, g.mean(x, axes=axes, keepdims=True))
    deviation = g.sqrt(g.mean(g.square(centred), axes=axes, keepdims=True))
    return g.divide(centred, g.add(deviation, g.constant(1e-9)))


def _local_response(call: NodeCall) -> Value:
    """Divide by (bias + α/size Σ x²)^β, the sum over the channels in a window around each one."""
    x, g, size = call.value(0), call.g, call.attrs["size"]
    channels = x.shape[1]
    squares = g.reshape(g.square(x), shape=(x.shape[0], channels, prod(x.shape[2:])))
    last = g.transpose(squares, axes=(0, 2, 1))
    total = g.sum_pool(last, window=(size,), stride=(1,), padding=(((size - 1) // 2, size // 2),))
    back = g.reshape(g.transpose(total, axes=(0, 2, 1)), shape=x.shape)
    inside = g.add(g.scale(back, factor=call.attrs["alpha"] / size), g.constant(call.attrs["bias"]))
    return g.multiply(x, g.power_of(inside, exponent=-call.attrs["beta"]))


RULES = {
    "Conv": NodeRule(_conv),
    "ConvTranspose": NodeRule(_conv_transpose),
    "MaxPool": NodeRule(_max_pool),
    "AveragePool": NodeRule(_average_pool),
    "LpPool": NodeRule(_lp_pool),
    "BatchNormalization": NodeRule(_batch_normalization, refused=_refused_batch_normalization),
    "InstanceNormalization": NodeRule(_instance_normalization),
    "GroupNormalization": NodeRule(_group_normalization),
    "LayerNormalization": _normalization("layer_norm"),
    "RMSNormalization": _normalization("rms_norm"),
    "MeanVarianceNormalization": NodeRule(_mean_variance_normalization),
    "LRN": NodeRule(_local_response),
}
