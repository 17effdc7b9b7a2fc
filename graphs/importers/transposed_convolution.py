"""Convolutions that importers compose of several ops: transposed, over three axes, and over groups of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput
from jacobench.graphs.ops.convolution import STEPS, padding_per_axis, per_axis
from jacobench.graphs.structures.windows import windows_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.builder import GraphBuilder, Value

    PerAxis = int | Sequence[int]


def conv_transposed(
    g: GraphBuilder,
    x: Value,
    W: Value,
    *,
    stride: PerAxis = 1,
    padding: PerAxis | Sequence[Sequence[int]] = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Value:
    """Add a transposed convolution as PyTorch (``ConvTranspose2d``) and ONNX (``ConvTranspose``) define it.

    It is the op ``conv`` with an input dilation, and a weight that is flipped and has its first two axes exchanged in each
    group: Dumoulin & Visin, A Guide to Convolution Arithmetic for Deep Learning (2016), chapter 4.

    Parameters
    ----------
    g : GraphBuilder
        Builder of the graph.
    x : Value
        Argument, shape (B, C_in, *lengths), over one, two or three axes.
    W : Value
        Weight, shape (C_in, C_out / groups, *kernel).
    stride, dilation, output_padding : int or sequence of int
        One number for all axes or one for each.
    padding : int, sequence of int, or sequence of pairs
        What the output is cropped by: one number, one for each axis, or one before and one after each axis.
    groups : int
        Groups of channels.

    Returns
    -------
    Value
        Shape (B, C_out, *out), out = (length − 1) · stride − before − after + dilation · (kernel − 1) + output_padding + 1.
    """
    kernel = W.shape[2:]
    dilations = per_axis("the dilation", dilation, len(kernel), 1)
    extra = per_axis("the output padding", output_padding, len(kernel), 0)
    reach = [(taps - 1) * step for taps, step in zip(kernel, dilations, strict=True)]
    pairs = zip(reach, padding_per_axis(padding, len(kernel)), extra, strict=True)
    return convolution(
        g,
        x,
        _transposed(g, W, groups),
        padding=tuple((far - before, far - after + more) for far, (before, after), more in pairs),
        dilation=dilations,
        input_dilation=per_axis("the stride", stride, len(kernel), 1),
        groups=groups,
    )


def _transposed(g: GraphBuilder, W: Value, groups: int) -> Value:
    """Exchange inputs and outputs in each group of W (C_in, C_out / groups, *kernel), and flip the kernel."""
    inputs, outputs, *kernel = W.shape
    if any(taps > 1 for taps in kernel):
        W = g.flip(W, axes=tuple(range(2, len(W.shape))))
    if groups == 1:
        return g.transpose(W, axes=(1, 0, *range(2, len(W.shape))))
    if inputs == groups == inputs * outputs:  # one channel and one output in each group
        return W
    by_group = g.reshape(W, shape=(groups, inputs // groups, outputs, *kernel))
    exchanged = g.transpose(by_group, axes=(0, 2, 1, *range(3, len(by_group.shape))))
    return g.reshape(exchanged, shape=(groups * outputs, inputs // groups, *kernel))


def conv_over_batch_groups(g: GraphBuilder, x: Value, W: Value, n: int, **steps: Any) -> Value:
    """Add a convolution whose outputs are in n groups, each of which sees its own samples: JAX's ``batch_group_count``.

    `x` has shape (n · B, C, *lengths), `W` (O, C, *kernel), the output (B, O, *out). `steps` are attributes of ``conv``.
    """
    batch, channels, *lengths = x.shape
    grouped = g.reshape(x, shape=(n, batch // n, channels, *lengths))
    moved = g.transpose(grouped, axes=(1, 0, *range(2, len(grouped.shape))))
    return convolution(g, g.reshape(moved, shape=(batch // n, n * channels, *lengths)), W, groups=n, **steps)


def convolution(g: GraphBuilder, x: Value, W: Value, **attrs: Any) -> Value:
    """Add the op ``conv`` with these attributes, also over three axes: images at all taps of the first become channels.

    `x` has shape (B, C, *lengths), `W` (O, C / groups, *kernel), the output (B, O, *out).
    """
    if len(W.shape) != 5 or len(x.shape) != 5:
        return g.conv(x, W, **attrs)
    (batch, channels, depth, *lengths), (outputs, per_group, taps, *kernel) = x.shape, W.shape
    steps = {name: per_axis(f"the {name.replace('_', ' ')}", attrs.pop(name, 1), 3, 1) for name in STEPS}
    first, *others = padding_per_axis(attrs.pop("padding", 0), 3)
    stride, dilation, spread = (steps[name][:1] for name in ("stride", "dilation", "input_dilation"))
    windows = windows_over((depth,), (taps,), stride, (first,), dilation, spread)
    (n_out,) = windows.out
    if n_out < 1:
        raise BadInput(
            f"conv: a kernel {W.shape[2:]} does not fit into {x.shape[2:]} with a padding of {first} in front"
        )
    seen = np.where(windows.valid(), windows.positions(), -1)[:, None, :, None, None]
    images = np.arange(batch * channels).reshape(batch, 1, channels, 1, 1, 1) * depth
    within = np.arange(lengths[0] * lengths[1]).reshape(lengths)
    positions = np.where(seen < 0, -1, (images + seen) * within.size + within)
    y = g.conv(
        g.gather(x, positions=positions.reshape(batch * n_out, channels * taps, *lengths)),
        g.reshape(W, shape=(outputs, per_group * taps, *kernel)),
        padding=tuple(others),
        **{name: step[1:] for name, step in steps.items()},
        **attrs,
    )
    by_sample = g.reshape(y, shape=(batch, n_out, *y.shape[1:]))
    return g.transpose(by_sample, axes=(0, 2, 1, 3, 4))
