"""Convolutions in parts: any windows, few rows or a band of one row at a time."""

from itertools import product

import numpy as np
import pytest

from jacobench.graphs.arrays import correlation
from jacobench.graphs.calls import written
from jacobench.graphs.structures.windows import windows_over


def by_definition(x, W, windows, groups):
    n_axes, lengths = len(windows.out), windows.lengths
    wide = np.zeros(
        (*x.shape[:2], *((n - 1) * step + 1 for n, step in zip(lengths, windows.input_dilation, strict=True)))
    )
    wide[..., *(slice(None, None, step) for step in windows.input_dilation)] = x
    wide = np.pad(wide, [(0, 0), (0, 0), *(tuple(max(0, n) for n in pair) for pair in windows.padding)])
    ends = zip(windows.padding, wide.shape[2:], strict=True)
    wide = wide[..., *(slice(max(0, -before), n - max(0, -after)) for (before, after), n in ends)]
    y = np.zeros((len(x), groups, len(W) // groups, *windows.out))
    wide = wide.reshape(len(x), groups, -1, *wide.shape[2:])
    kernel = W.reshape(groups, -1, *W.shape[1:])
    for tap in product(*map(range, windows.kernel)):
        axes = zip(tap, windows.dilation, windows.out, windows.stride, strict=True)
        seen = [slice(k * step, k * step + (n - 1) * s + 1, s) for k, step, n, s in axes]
        y += np.einsum("bgc...,goc->bgo...", wide[..., *seen], kernel[..., *tap])
    return y.reshape(len(x), len(W), *y.shape[-n_axes:])


def drawn_windows(rng, n_axes):
    while True:
        lengths, kernel, stride, dilation, spread = (
            tuple(map(int, rng.integers(1, most, n_axes))) for most in (8, 5, 4, 4, 4)
        )
        padding = tuple(tuple(map(int, pair)) for pair in rng.integers(-1, 5, (n_axes, 2)))
        windows = windows_over(lengths, kernel, stride, padding, dilation, spread)
        if min(windows.out) > 0:
            return windows


def along(a, b, n_axes):
    return np.sum(a * b, axis=tuple(range(-n_axes, 0)))


@pytest.mark.parametrize("part_bytes", [8, 500, 2000, 2**20])
@pytest.mark.parametrize("n_axes", [1, 2])
def test_parts_give_the_whole(n_axes, part_bytes, monkeypatch):
    monkeypatch.setattr(correlation, "PART_BYTES", part_bytes)
    rng = np.random.default_rng(0)
    for _ in range(60):
        windows = drawn_windows(rng, n_axes)
        rows, channels, outputs, n_seeds, groups = map(int, rng.integers(1, 4, 5))
        x, dx = rng.standard_normal((2, rows, groups * channels, *windows.lengths))
        W, dW = rng.standard_normal((2, groups * outputs, channels, *windows.kernel))
        g = rng.standard_normal((n_seeds, rows, groups * outputs, *windows.out))

        y = correlation.correlate(x, W, windows, groups)
        x_bar, W_bar = np.empty((n_seeds, *x.shape)), np.empty((n_seeds, *W.shape))
        W_bars = np.empty((rows, *W_bar.shape))
        written(correlation.gathering(g, x, windows, groups, W_bar), W_bar)
        written(correlation.gathering_each(g, x, windows, groups, W_bars), W_bars)
        written(correlation.spreading(g.reshape(-1, *y.shape[1:]), W, windows, groups, x_bar), x_bar)

        np.testing.assert_allclose(y, by_definition(x, W, windows, groups), atol=1e-12)
        np.testing.assert_allclose(
            along(x_bar, dx, x.ndim), along(g, by_definition(dx, W, windows, groups), x.ndim), atol=1e-10
        )
        np.testing.assert_allclose(
            along(W_bar, dW, W.ndim), along(g, by_definition(x, dW, windows, groups), x.ndim), atol=1e-10
        )
        np.testing.assert_allclose(W_bars.sum(axis=0), W_bar, atol=1e-12)
