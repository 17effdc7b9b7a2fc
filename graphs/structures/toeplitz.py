"""Structures and dense rules of ops with a sliding kernel: Toeplitz blocks for the argument, Kronecker for the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.sparsity import Structure, einsum_view
from jacobench.graphs.structures.windows import last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Indices, Shape
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.windows import Windows

    LayoutOf = Callable[[ArgumentContext], "Layout"]


@dataclass(frozen=True)
class Layout:
    """Axes of an argument (rows, channels, *lengths) and an output (rows, outputs, *windows).

    Rows are independent; each output depends on all channels of its row.
    """

    windows: Windows
    rows: int
    outputs: int = 1
    channels: int = 1

    @property
    def n_entries(self) -> int:
        """Number of Jacobian entries for one row of the argument and one output."""
        return self.channels * self.windows.n_pairs

    def entries(self, *, by_kernel: bool) -> tuple[Indices, Indices, Indices]:
        """Return the window, channel and tap of each of these entries, in order; or the position instead of the tap."""
        windows = self.windows
        full = (windows.n_windows, self.channels, windows.n_taps)
        window, channel, tap = np.nonzero(np.broadcast_to(windows.valid()[:, None], full))
        return window, channel, tap if by_kernel else windows.positions()[window, tap]

    def flat(self, *, by_kernel: bool, dtype: type[np.signedinteger]) -> Indices:
        """Return the flat index of each of these entries in (channels, taps), or in (channels, positions)."""
        windows = self.windows
        within = np.arange(windows.n_taps, dtype=dtype)[None] if by_kernel else windows.positions(dtype)
        length = windows.n_taps if by_kernel else windows.n_positions
        flat = np.empty((windows.n_windows, self.channels, windows.n_taps), dtype)
        np.add(within[:, None], np.arange(self.channels, dtype=dtype)[:, None] * dtype(length), out=flat)
        if not windows.padded:
            return flat.reshape(-1)
        selected: Indices = flat[np.broadcast_to(windows.valid()[:, None], flat.shape)]
        return selected


def _per_row(layout: Layout) -> Indices:
    counts = layout.windows.counts.reshape(-1).astype(np.int32) * np.int32(layout.channels)
    return np.tile(counts, layout.rows * layout.outputs)


def _scratch(layout: Layout, copies: int) -> int:
    """Count the column indices allocated and freed; `copies` copies of those of one row and output are offset."""
    windows = layout.windows
    pairs = windows.n_windows * windows.n_taps
    of_windows = pairs * (1 + layout.channels) + (pairs // 4 if windows.padded else 0)  # `valid` has bytes
    n_entries, n_out = layout.n_entries, layout.rows * layout.outputs * windows.n_windows
    made = of_windows + (n_entries if windows.padded else 0) - layout.rows * layout.outputs * n_entries
    offset = copies * n_entries if copies < layout.rows * layout.outputs else n_entries if copies > 1 else 0
    return max(made, offset) - n_out


def toeplitz(name: str, layout_of: LayoutOf) -> Structure:
    """Return the structure of the Jacobian with respect to the argument, which may be padded."""

    def columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
        layout = layout_of(ctx)
        within = layout.flat(by_kernel=False, dtype=dtype)
        starts = np.arange(0, ctx.n_in, ctx.n_in // layout.rows, dtype=dtype)
        return within if layout.rows == 1 else np.add.outer(starts, within)[:, None]

    def shape(ctx: ArgumentContext) -> Shape:
        layout, windows = layout_of(ctx), layout_of(ctx).windows
        rows = layout.rows // ctx.samples
        return (ctx.samples, rows, layout.outputs, windows.n_windows, rows, layout.channels, windows.n_positions)

    return Structure(
        name,
        _extent(layout_of),
        columns,
        einsum_view("sroprcl->sropcl", shape),
        index=lambda ctx: layout_of(ctx).entries(by_kernel=False),
        per_row=lambda ctx: _per_row(layout_of(ctx)),
        scratch=lambda ctx: max(_scratch(layout_of(ctx), layout_of(ctx).rows), ctx.n_out),
    )


def kernels(layout_of: LayoutOf) -> Structure:
    """Return the structure of the Jacobian with respect to the kernel (outputs, channels, *taps): I ⊗ windows per row."""

    def columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
        layout = layout_of(ctx)
        starts = np.arange(0, ctx.n_in, ctx.n_in // layout.outputs, dtype=dtype)
        return np.add.outer(starts, layout.flat(by_kernel=True, dtype=dtype))[None]

    def shape(ctx: ArgumentContext) -> Shape:
        layout = layout_of(ctx)
        return (layout.rows, layout.outputs, layout.windows.n_windows, layout.outputs, layout.channels, -1)

    return Structure(
        "Kronecker, identity ⊗ windows",
        _extent(layout_of),
        columns,
        einsum_view("ropock->ropck", shape),
        index=lambda ctx: layout_of(ctx).entries(by_kernel=True),
        per_row=lambda ctx: _per_row(layout_of(ctx)),
        scratch=lambda ctx: max(_scratch(layout_of(ctx), layout_of(ctx).outputs), ctx.n_out),
    )


def _extent(layout_of: LayoutOf) -> Callable[[ArgumentContext], Shape]:
    def extent(ctx: ArgumentContext) -> Shape:
        layout = layout_of(ctx)
        return (layout.rows, layout.outputs, layout.n_entries)

    return extent


def fill_toeplitz(
    J: Array, ctx: ArgumentContext, layout: Layout, weights: Callable[[Shape], NDArray[np.generic] | float]
) -> Iterator[Call]:
    """Yield calls that write a kernel's weights to J, zeros of one matrix per sample, tap by tap along diagonals.

    ``weights(tap)``, tap being a position in the kernel, broadcasts to (samples, rows per sample, outputs, *windows,
    channels).
    """
    windows, rows = layout.windows, layout.rows // ctx.samples
    axes = "XYZ"[: len(windows.out)]
    shape = (ctx.samples, rows, layout.outputs, *windows.out, rows, layout.channels, *windows.lengths)
    blocks = np.einsum(f"sro{axes}rc{axes.swapcase()}->sro{axes}c{axes.swapcase()}", J.reshape(shape))
    for tap, inside, positions in windows.taps:
        diagonals = np.einsum(f"sro{axes}c{axes}->sro{axes}c", blocks[last((*inside, slice(None), *positions))])
        yield diagonals.__setitem__, (..., weights(tap))


def fill_kernels(J: Array, x: Array, layout: Layout, groups: int) -> Iterator[Call]:
    """Yield calls that write x (rows, groups · channels, *lengths) below each tap to J, zeros (1, outputs, inputs)."""
    windows = layout.windows
    axes, taps = "XYZ"[: len(windows.out)], "xyz"[: len(windows.out)]
    shape = (layout.rows, layout.outputs, *windows.out, layout.outputs, layout.channels, *windows.kernel)
    blocks = np.einsum(f"ro{axes}oc{taps}->ro{axes}c{taps}", J.reshape(shape))
    by_group = blocks.reshape(layout.rows, groups, layout.outputs // groups, *blocks.shape[2:])
    x = x.reshape(layout.rows, groups, 1, layout.channels, *windows.lengths)
    for tap, inside, positions in windows.taps:
        seen = np.moveaxis(x[last(positions)], 3, -1)
        yield by_group[last((*inside, slice(None), *tap))].__setitem__, (..., seen)
