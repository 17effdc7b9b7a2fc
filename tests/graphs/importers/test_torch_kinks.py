"""At kinks and ties, derivatives of imported torch functions are torch's own."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.graphs.importers.from_torch import from_torch
from jacobench.strategies.registry import load

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

pytestmark = pytest.mark.models

AT_KINKS = {
    "relu": (torch.relu, [0.0]),
    "relu6": (F.relu6, [0.0, 6.0]),
    "hardtanh": (F.hardtanh, [-1.0, 1.0]),
    "hardsigmoid": (F.hardsigmoid, [-3.0, 3.0]),
    "hardswish": (F.hardswish, [-3.0, 3.0]),
    "leaky_relu": (F.leaky_relu, [0.0]),
    "elu": (lambda x: F.elu(x, 1.5), [0.0]),
    "selu": (F.selu, [0.0]),
    "celu": (lambda x: F.celu(x, 0.5), [0.0]),
    "prelu": (lambda x: F.prelu(x, torch.full((1,), 0.3, dtype=x.dtype)), [0.0]),
    "softshrink": (F.softshrink, [-0.5, 0.5]),
    "hardshrink": (F.hardshrink, [-0.5, 0.5]),
    "threshold": (lambda x: F.threshold(x, 0.5, 2.0), [0.5]),
    "softplus": (lambda x: F.softplus(x, 1.0, 2.0), [2.0, 2.1]),
    "clamp": (lambda x: x.clamp(-1, 2), [-1.0, 2.0, 3.0]),
    "clamp below": (lambda x: x.clamp(min=0), [0.0, -1.0]),
    "abs": (torch.abs, [0.0]),
    "sign": (lambda x: x.sign() * x, [0.0, 2.0]),
    "floor": (lambda x: x.floor() * x, [1.0, 1.5]),
    "norm": (lambda x: x.norm().reshape(1), [0.0, 0.0]),
    "norm of order 1": (lambda x: x.norm(1).reshape(1), [0.0, 1.0]),
    "norm of order inf": (lambda x: x.norm(float("inf")).reshape(1), [-1.0, 1.0, 0.5]),
    "amax": (lambda x: x.amax(0, keepdim=True), [1.0, 2.0, 2.0]),
    "amin": (lambda x: x.amin(0, keepdim=True), [1.0, 1.0, 2.0]),
    "max of all": (lambda x: x.max().reshape(1), [2.0, 1.0, 2.0]),
    "max along an axis": (lambda x: x.max(0, keepdim=True)[0], [1.0, 2.0, 2.0]),
    "min along an axis": (lambda x: x.min(0, keepdim=True)[0], [1.0, 1.0, 2.0]),
    "max_pool": (lambda x: F.max_pool1d(x[None], 3, 1, 1)[0], [1.0, 2.0, 2.0, 1.0]),
    "adaptive_max_pool": (lambda x: F.adaptive_max_pool1d(x[None], 2)[0], [2.0, 2.0, 2.0]),
    "maximum": (lambda x: torch.maximum(x[:2], x[2:]), [1.0, 2.0, 1.0, 3.0]),
    "minimum": (lambda x: torch.minimum(x[:2], x[2:]), [1.0, 2.0, 1.0, 3.0]),
    "fmax": (lambda x: torch.fmax(x[:2], x[2:]), [1.0, 2.0, 1.0, 3.0]),
    "clamp with tensors": (lambda x: x[:2].clamp(x[2:4], x[4:]), [1.0, 2.0, 1.0, 0.0, 3.0, 2.0]),
    "where": (lambda x: torch.where(x > 0, x, -3 * x), [0.0, 1.0]),
    "power": (lambda x: x**3 + x**1 + x**0, [0.0, -2.0]),
    "square root of a safe value": (lambda x: torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0.0), [0.0, 4.0]),
    "remainder": (lambda x: x.remainder(2.0), [2.0, -1.0]),
    "prod": (lambda x: x.prod().reshape(1), [0.0, 2.0, 3.0]),
    "cumprod": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0]),
    "logsumexp": (lambda x: x.logsumexp(0, keepdim=True), [1.0, 1000.0]),
    "std": (lambda x: x.var(0, keepdim=True), [1.0, 1.0]),
}


class OfAll(nn.Module):
    """All functions at once, each of its own input; one export takes as long as one function alone."""

    def forward(self, *xs):
        return torch.cat([function(x) for (function, _), x in zip(AT_KINKS.values(), xs, strict=True)])


@pytest.fixture(scope="module")
def derivatives():
    """Return the derivatives of the sum of each function: found, and torch's."""
    inputs = [torch.tensor(points, dtype=torch.float64, requires_grad=True) for _, points in AT_KINKS.values()]
    output = OfAll()(*inputs)
    seed = torch.arange(1.0, len(output) + 1, dtype=torch.float64)
    expected = [bar.numpy() for bar in torch.autograd.grad(output, inputs, seed)]
    graph, leaves = from_torch(OfAll(), *inputs, wrt="inputs")
    linearization = load("vjp").prepare(graph).linearize(leaves)
    np.testing.assert_allclose(linearization.output, output.detach().numpy(), rtol=1e-12)
    found = [bar[0] for bar in linearization.pullback(seed.numpy()[None]).values()]
    return dict(zip(AT_KINKS, zip(found, expected, strict=True), strict=True))


@pytest.mark.parametrize("name", AT_KINKS)
def test_the_derivative_is_torchs(name, derivatives):
    found, expected = derivatives[name]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
