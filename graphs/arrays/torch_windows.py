"""Convolution and pooling by PyTorch's functions; these take fewer paddings, and no zeros between entries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jacobench.graphs.structures.windows import Windows


def functions(functional: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions of windows by name, from ``torch.nn.functional``."""
    return {
        "correlate": partial(_correlate, functional),
        "largest": partial(_largest, functional),
        "window_sums": partial(_window_sums, functional),
    }


def _over_axes(functional: ModuleType, name: str, windows: Windows) -> Any:
    return getattr(functional, f"{name}{len(windows.kernel)}d")


def _correlate(functional: ModuleType, x: Any, W: Any, windows: Windows, groups: int) -> Any:
    convolve = _over_axes(functional, "conv", windows)
    steps = {"stride": windows.stride, "dilation": windows.dilation, "groups": groups}
    if not windows.is_spread and all(before == after >= 0 for before, after in windows.padding):
        return convolve(x, W, padding=[before for before, _ in windows.padding], **steps)
    cuts = [span - 1 - before for span, (before, _) in zip(windows.span, windows.padding, strict=True)]
    more = [after - before for before, after in windows.padding]
    if _is_transposed(windows, cuts, more):
        convolve_transposed = _over_axes(functional, "conv_transpose", windows)
        spread, dilation = windows.input_dilation, windows.dilation
        return convolve_transposed(x, _exchanged(W, groups), None, spread, cuts, more, groups, dilation)
    return convolve(_widened(functional, x, windows, 0.0), W, **steps)


def _is_transposed(windows: Windows, cuts: list[int], more: list[int]) -> bool:
    """Return whether PyTorch has it as a transposed convolution, with this padding and output padding."""
    limits = map(max, windows.input_dilation, windows.dilation)
    fits = min(cuts) >= 0 and all(0 <= n < limit for n, limit in zip(more, limits, strict=True))
    return windows.is_spread and fits and max(windows.stride) == 1


def _exchanged(W: Any, groups: int) -> Any:
    """Exchange inputs and outputs in each group of W (outputs, channels per group, *kernel), and flip the kernel."""
    return W.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(tuple(range(2, W.ndim)))


def _widened(functional: ModuleType, x: Any, windows: Windows, value: float) -> Any:
    """Dilate and pad x with a value."""
    for axis, step in enumerate(windows.input_dilation, 2):
        if step > 1:
            apart = [0, 0] * (x.ndim - 1 - axis) + [0, step - 1]
            spread = functional.pad(x.unsqueeze(axis + 1), apart).flatten(axis, axis + 1)
            x = spread.narrow(axis, 0, spread.shape[axis] - step + 1)
    ends = [width for pair in reversed(windows.padding) for width in pair]
    return functional.pad(x, ends, value=value) if any(ends) else x


# Rows are samples with one channel.


def _largest(functional: ModuleType, x: Any, windows: Windows) -> Any:
    wide = _widened(functional, x[:, None], windows, -float("inf"))
    return _over_axes(functional, "max_pool", windows)(wide, windows.kernel, windows.stride, 0, windows.dilation)[:, 0]


def _window_sums(functional: ModuleType, x: Any, windows: Windows) -> Any:
    wide = _widened(functional, x[:, None], windows, 0.0)
    if max(windows.dilation) == 1:
        return _over_axes(functional, "avg_pool", windows)(wide, windows.kernel, windows.stride)[:, 0] * windows.n_taps
    ones = wide.new_ones((1, 1, *windows.kernel))
    return _over_axes(functional, "conv", windows)(wide, ones, stride=windows.stride, dilation=windows.dilation)[:, 0]
