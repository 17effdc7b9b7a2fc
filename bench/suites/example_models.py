"""Models of the suite ``models``, one factory each: a classifier, networks of torch and ONNX, and functions of JAX.

They need the extra ``models``, and no files or downloads.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def digits() -> tuple[Any, Any]:
    """Return a classifier of handwritten digits, trained within seconds, and 32 images of 8 x 8 pixels."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images, labels = load_digits(return_X_y=True)
    network = MLPClassifier(hidden_layer_sizes=(64, 32), max_iter=60, early_stopping=True, random_state=0)
    return make_pipeline(StandardScaler(), network).fit(images, labels), images[:32]


def convolutions(batch: int = 8) -> tuple[Any, Any]:
    """Return a small convolutional network of torch with batch normalization, and images of 3 x 16 x 16 pixels."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    return network, (torch.randn(batch, 3, 16, 16),)


def transformer(batch: int = 2) -> tuple[Any, Any]:
    """Return one encoder layer of a transformer of torch, and sequences of 16 vectors of length 32."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, activation="gelu", batch_first=True)
    return layer, (torch.randn(batch, 16, 32),)


def perceptron(batch: int = 16) -> Any:
    """Return a perceptron as an ONNX model with a batch of its own."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    widths = (32, 64, 10)
    weights = {f"W{k}": rng.normal(0, 0.2, (widths[k], widths[k + 1])) for k in range(2)}
    weights |= {f"b{k}": np.zeros(widths[k + 1]) for k in range(2)}
    nodes = [
        helper.make_node("Gemm", ["x", "W0", "b0"], ["t0"]),
        helper.make_node("Tanh", ["t0"], ["z0"]),
        helper.make_node("Gemm", ["z0", "W1", "b1"], ["t1"]),
        helper.make_node("Softmax", ["t1"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, widths[0]))],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, (batch, widths[-1]))],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def burgers(points: int = 64) -> Any:
    """Return the residual of one implicit Euler step of Burgers' equation on a periodic grid, as a graph with leaves.

    Its Jacobian by the new state has three entries per row. Source: J. M. Burgers, A mathematical model illustrating the
    theory of turbulence (1948); central differences, viscosity 0.01.
    """
    import jax.numpy as jnp

    from jacobench.graphs.importers.from_jax import from_jax

    def residual(state: Any, previous: Any) -> Any:
        left, right = jnp.roll(state, 1), jnp.roll(state, -1)
        advection = state * (right - left) * (0.5 * points)
        diffusion = 0.01 * points**2 * (left - 2 * state + right)
        return state - previous + 0.001 * (advection - diffusion)

    wave = np.sin(2 * np.pi * np.arange(points) / points)
    return from_jax(residual, 0.9 * wave, wave)


def laplacian(side: int = 8) -> Any:
    """Return the residual of u³ - Δu = 1 on a square grid of `side` x `side` points, as a graph with leaves.

    u is zero outside of the grid. Its Jacobian has five entries per row.
    """
    import jax.numpy as jnp

    from jacobench.graphs.importers.from_jax import from_jax

    def residual(u: Any) -> Any:
        padded = jnp.pad(u, 1)
        neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        return u**3 - (neighbours - 4 * u) * side**2 - 1

    return from_jax(residual, np.random.default_rng(0).uniform(-1, 1, (side, side)))
