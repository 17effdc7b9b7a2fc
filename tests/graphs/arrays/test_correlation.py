"""Convolutions in parts: any windows, few rows or a band of one row at a time."""

from itertools import product

import numpy as np
import pytest

from jacobench.graphs.arrays import correlation
from jacobench.graphs.calls import written
from jacobench.graphs.structures.windows import windows_over


def by_definition(x, W, windows):
    wide = np.pad(x, [(0, 0), (0, 0), *((n, n) for n in windows.padding)])
    y = np.zeros((len(x), len(W), *windows.out))
    for tap in product(*map(range, windows.kernel)):
        seen = [slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(tap, windows.out, windows.stride, strict=True)]
        y += np.einsum("bc...,oc->bo...", wide[:, :, *seen], W[:, :, *tap])
    return y


def drawn_windows(rng, n_axes):
    while True:
        lengths, kernel, stride = (tuple(map(int, rng.integers(1, most, n_axes))) for most in (8, 5, 4))
        windows = windows_over(lengths, kernel, stride, tuple(map(int, rng.integers(0, 5, n_axes))))
        if min(windows.out) > 0:
            return windows


def along(a, b, n_axes):
    return np.sum(a * b, axis=tuple(range(-n_axes, 0)))


@pytest.mark.parametrize("part_bytes", [8, 500, 2000, 2**20])
@pytest.mark.parametrize("n_axes", [1, 2])
def test_parts_give_the_whole(n_axes, part_bytes, monkeypatch):
    monkeypatch.setattr(correlation, "PART_BYTES", part_bytes)
    rng = np.random.default_rng(0)
    for _ in range(40):
        windows = drawn_windows(rng, n_axes)
        rows, channels, outputs, n_seeds = map(int, rng.integers(1, 5, 4))
        x, dx = rng.standard_normal((2, rows, channels, *windows.lengths))
        W, dW = rng.standard_normal((2, outputs, channels, *windows.kernel))
        g = rng.standard_normal((n_seeds, rows, outputs, *windows.out))

        y = correlation.correlate(x, W, windows)
        x_bar, W_bar = np.empty((n_seeds, *x.shape)), np.empty((n_seeds, *W.shape))
        W_bars = np.empty((rows, *W_bar.shape))
        written(correlation.gathering(g, x, windows, W_bar), W_bar)
        written(correlation.gathering_each(g, x, windows, W_bars), W_bars)
        written(correlation.spreading(g.reshape(-1, *y.shape[1:]), W, windows, x_bar), x_bar)

        np.testing.assert_allclose(y, by_definition(x, W, windows), atol=1e-12)
        np.testing.assert_allclose(
            along(x_bar, dx, x.ndim), along(g, by_definition(dx, W, windows), x.ndim), atol=1e-10
        )
        np.testing.assert_allclose(
            along(W_bar, dW, W.ndim), along(g, by_definition(x, dW, windows), x.ndim), atol=1e-10
        )
        np.testing.assert_allclose(W_bars.sum(axis=0), W_bar, atol=1e-12)
