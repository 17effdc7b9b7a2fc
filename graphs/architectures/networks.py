"""Published networks: each function adds inputs and layers to a builder and returns the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.generators.attention import attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.builder import GraphBuilder, Value


def _layer(g: GraphBuilder, x: Value, number: int, n_out: int, fan_in: int | None = None) -> Value:
    weight = g.parameter(f"W{number}", (n_out, x.shape[-1]), fan_in=fan_in)
    return g.affine(x, weight, g.parameter(f"b{number}", (n_out,)))


def _stack(
    g: GraphBuilder, x: Value, widths: Sequence[int], activations: Sequence[str | None], first: int = 1
) -> Value:
    for number, (n_out, activation) in enumerate(zip(widths, activations, strict=True), start=first):
        x = _layer(g, x, number, n_out)
        if activation is not None:
            x = getattr(g, activation)(x)
    return x


def perceptron(
    g: GraphBuilder, batch: int, *, widths: Sequence[int], activation: str, last: str | None = None
) -> Value:
    """Chain layers; `widths` begins with the input's. `activation` follows each layer but the last, which has `last`."""
    hidden = [activation] * (len(widths) - 2)
    return _stack(g, g.input("x", (batch, widths[0])), widths[1:], [*hidden, last])


def autoencoder(g: GraphBuilder, batch: int) -> Value:
    """Chain logistic layers 784-1000-500-250-30-250-500-1000-784; the code of 30 is linear."""
    code_is_linear = [*["sigmoid"] * 3, None, *["sigmoid"] * 4]
    return _stack(g, g.input("x", (batch, 784)), (1000, 500, 250, 30, 250, 500, 1000, 784), code_is_linear)


def feed_forward(
    g: GraphBuilder, batch: int, *, width: int, hidden: int, axes: Sequence[int] = (), norm: str = "none"
) -> Value:
    """Apply two layers along the last axis and add the input; normalize ``"before"`` or ``"after"`` that."""
    x = g.input("x", (batch, *axes, width))
    h = g.layer_norm(x) if norm == "before" else x
    y = g.add(x, _stack(g, h, (hidden, width), ("gelu", None)))
    return g.layer_norm(y) if norm == "after" else y


def nerf(g: GraphBuilder, batch: int) -> Value:
    """Chain eight layers; the position is joined to the fifth's output, and the direction feeds the colour only."""
    position = g.input("x", (batch, 60))
    direction = g.input("direction", (batch, 24))
    h = _stack(g, position, [256] * 5, ["relu"] * 5)
    h = _stack(g, g.concat(position, h), [256] * 3, ["relu"] * 3, first=6)
    density = _layer(g, h, 9, 1)
    feature = _layer(g, h, 10, 256)
    rgb = _stack(g, g.concat(feature, direction), (128, 3), ("relu", "sigmoid"), first=11)
    return g.concat(rgb, density)


def siren(g: GraphBuilder, batch: int) -> Value:
    """Chain layers sin(ω₀(Wx + b)); the last is linear."""
    omega = 30  # ω₀ of §3.2
    x = g.input("x", (batch, 2))
    for number, n_out in enumerate((256, 256, 256, 256, 1), start=1):
        n_in = x.shape[-1]
        # §3.2: weights from U(−1/n, 1/n) in the first layer, else U(−√(6/n)/ω₀, √(6/n)/ω₀), to avoid saturated sines.
        x = _layer(g, x, number, n_out, fan_in=n_in**2 if number == 1 else n_in * omega**2 // 6)
        if number < 5:
            x = g.sin(g.scale(x, factor=float(omega)))
    return x


def lenet5(g: GraphBuilder, batch: int) -> Value:
    """Chain two 5×5 convolutions with 2×2 average pooling, then layers of 120, 84 and 10."""
    h = g.input("x", (batch, 1, 32, 32))
    for name, channels in (("1", 6), ("3", 16)):
        kernel = g.parameter(f"K{name}", (channels, h.shape[1], 5, 5))
        h = g.channel_bias(g.conv2d(h, kernel), g.parameter(f"c{name}", (channels,)))
        h = g.avg_pool(g.tanh(h), window=(2, 2))
    return _stack(g, g.reshape(h, shape=(batch, 400)), (120, 84, 10), ("tanh", "tanh", None))


def self_attention(g: GraphBuilder, batch: int, *, tokens: int, width: int, heads: int) -> Value:
    """Apply multi-head self-attention, add the input, then normalize."""
    x = g.input("x", (batch, tokens, width))
    parts = []
    for number in (1, 2, 3):
        split = g.reshape(_layer(g, x, number, width), shape=(batch, tokens, heads, width // heads))
        parts.append(g.transpose(split, axes=(0, 2, 1, 3)))
    joined = g.transpose(attention(g, *parts), axes=(0, 2, 1, 3))
    return g.layer_norm(g.add(x, _layer(g, g.reshape(joined, shape=x.shape), 4, width)))


def pointnet(g: GraphBuilder, batch: int) -> Value:
    """Apply five layers to each of 1024 points with three coordinates."""
    return _stack(g, g.input("x", (batch, 1024, 3)), (64, 64, 64, 128, 1024), ["relu"] * 5)
