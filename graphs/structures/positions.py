"""Positions of entries in a flat array, and the Jacobians of reading from and writing to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.structures.sparsity import Structure, einsum_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Indices, Shape

    PositionsOf = Callable[[ArgumentContext], "Positions"]


@dataclass(frozen=True, eq=False)
class Positions:
    """Array of positions in an array of `n` entries, −1 for none, as runs of `width` consecutive positions.

    - `shape`: shape of the array of positions.
    - `runs`: for each run, its first position divided by `width`, or −1, shape (runs,).
    - `keeps_samples`: whether the positions along the leading axis are in the sample of the same number.
    """

    shape: Shape
    n: int
    width: int
    runs: NDArray[np.intp]
    keeps_samples: bool

    def __post_init__(self) -> None:
        """Compute what rules read, so that none of their calls does."""
        _ = self.kept_runs, self.missing, self.distinct

    @cached_property
    def kept(self) -> NDArray[np.intp] | None:
        """Numbers of the runs that have positions, ascending; None if all have."""
        return np.flatnonzero(self.runs >= 0) if self.runs.min(initial=0) < 0 else None

    @cached_property
    def missing(self) -> NDArray[np.intp]:
        """Numbers of the runs without positions."""
        return np.flatnonzero(self.runs < 0)

    @cached_property
    def kept_runs(self) -> NDArray[np.intp]:
        """The runs that have positions."""
        return self.runs if self.kept is None else self.runs[self.kept]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Numbers of the runs that have positions, ascending by position; those with one position in order."""
        order = np.argsort(self.kept_runs, kind="stable")
        return order if self.kept is None else self.kept[order]

    @cached_property
    def distinct(self) -> bool:
        """Whether no position occurs twice."""
        return bool(np.bincount(self.kept_runs).max(initial=0) < 2)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The runs in the shape of the positions without the last axis, which is one run."""
        return self.runs.reshape(self.shape[:-1])

    @property
    def n_kept(self) -> int:
        """Number of entries that have a position."""
        return self.kept_runs.size * self.width

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = [value for value in self.__dict__.values() if isinstance(value, np.ndarray)]
        return sum({id(array): array.nbytes for array in arrays}.values())

    def flat(self) -> NDArray[np.intp]:
        """Return the positions in their shape."""
        found = _expanded(self.runs, self.width, np.intp)
        found.reshape(-1, self.width)[self.missing] = -1
        return found.reshape(self.shape)

    def without_repeats(self) -> Positions:
        """Return the positions with −1 instead of each that occurs again later."""
        if self.distinct:
            return self
        runs = np.full_like(self.runs, -1)
        by_position = self.runs[self.order]
        last = self.order[np.append(by_position[1:] != by_position[:-1], True)]
        runs[last] = self.runs[last]
        return Positions(self.shape, self.n, self.width, runs, self.keeps_samples)

    def in_single_runs(self) -> Positions:
        """Return the same positions as runs of 1."""
        if self.width == 1:
            return self
        return Positions(self.shape, self.n, 1, self.flat().reshape(-1), self.keeps_samples)


def positions_in(x: Shape, positions: NDArray[np.integer[Any]]) -> Positions:
    """Return positions, −1 for none, in an array of shape `x`, in the longest runs along the last axes."""
    flat = positions.astype(np.intp)
    n, width, runs = prod(x), 1, flat.reshape(-1)
    length = 1
    for axis_length in flat.shape[::-1]:
        length *= axis_length
        found = _runs(flat.reshape(-1, length)) if n % length == 0 else None
        if found is not None:
            width, runs = length, found
    return Positions(flat.shape, n, width, runs, _keeps_samples(x, flat))


def _runs(rows: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Return the number of each row's run; None unless each row is −1 throughout or a run of its length."""
    width, first = rows.shape[1], rows[:, 0]
    inside = first >= 0
    if np.any(first[inside] % width):
        return None
    expected = np.where(inside[:, None], first[:, None] + np.arange(width), -1)
    return np.where(inside, first // width, -1) if np.array_equal(rows, expected) else None


def _keeps_samples(x: Shape, flat: NDArray[np.intp]) -> bool:
    if not x or flat.shape[:1] != x[:1]:
        return False
    rows = flat.reshape(len(flat), -1)
    return bool(np.all((rows < 0) | (rows // prod(x[1:]) == np.arange(len(flat))[:, None])))


def _expanded(runs: NDArray[np.intp], width: int, dtype: type[np.signedinteger]) -> Indices:
    """Return the number of each entry of some runs."""
    if width == 1:
        return runs.astype(dtype)
    found: Indices = np.add.outer(runs.astype(dtype) * dtype(width), np.arange(width, dtype=dtype)).reshape(-1)
    return found


def _marked(n: int, runs: NDArray[np.intp], width: int) -> Indices:
    """Count how often each of n entries is in one of the runs."""
    counts = np.zeros((n // width, width), np.int32)
    np.add.at(counts, runs, np.int32(1))
    return counts.reshape(-1)


def _blocks(ctx: ArgumentContext, rows: Indices, columns: Indices) -> tuple[Indices, ...]:
    """Return the entries' samples, and their rows and columns in the blocks of these."""
    n_out, n_in = ctx.n_out // ctx.samples, ctx.n_in // ctx.samples
    return rows // n_out, rows % n_out, columns % n_in


def read(name: str, positions_of: PositionsOf) -> Structure:
    """Return the structure of reading: row i has a one at position i, if there is one."""

    def index(ctx: ArgumentContext) -> tuple[Indices, ...]:
        positions = positions_of(ctx)
        kept = np.arange(positions.runs.size) if positions.kept is None else positions.kept
        rows = _expanded(kept, positions.width, np.intp)
        return _blocks(ctx, rows, _expanded(positions.kept_runs, positions.width, np.intp))

    def per_row(ctx: ArgumentContext) -> Indices | None:
        positions = positions_of(ctx)
        return None if positions.kept is None else _marked(ctx.n_out, positions.kept, positions.width)

    return Structure(
        name,
        extent=lambda ctx: (positions_of(ctx).n_kept,),
        columns=lambda ctx, dtype: _expanded(positions_of(ctx).kept_runs, positions_of(ctx).width, dtype),
        view=lambda J, _ctx: J,
        index=index,
        per_row=per_row,
        scratch=lambda ctx: 0 if positions_of(ctx).kept is None else ctx.n_out,
    )


def written(name: str, positions_of: PositionsOf) -> Structure:
    """Return the structure of writing: column j has a one at position j, if there is one."""

    def index(ctx: ArgumentContext) -> tuple[Indices, ...]:
        positions = positions_of(ctx)
        rows = _expanded(positions.runs[positions.order], positions.width, np.intp)
        return _blocks(ctx, rows, _expanded(positions.order, positions.width, np.intp))

    return Structure(
        name,
        extent=lambda ctx: (positions_of(ctx).n_kept,),
        columns=lambda ctx, dtype: _expanded(positions_of(ctx).order, positions_of(ctx).width, dtype),
        view=lambda J, _ctx: J,
        index=index,
        per_row=lambda ctx: _marked(ctx.n_out, positions_of(ctx).kept_runs, positions_of(ctx).width),
        scratch=lambda ctx: ctx.n_out,
    )


def kept(name: str, positions_of: PositionsOf) -> Structure:
    """Return the structure of what is not overwritten: the identity without the rows of the positions."""

    def rows(ctx: ArgumentContext) -> Indices:
        return 1 - _marked(ctx.n_out, positions_of(ctx).kept_runs, positions_of(ctx).width)

    return Structure(
        name,
        extent=lambda ctx: (ctx.n_in - positions_of(ctx).n_kept,),
        columns=lambda ctx, dtype: np.flatnonzero(rows(ctx)).astype(dtype),
        view=einsum_view("bii->bi", lambda ctx: (ctx.samples, *(ctx.n_in // ctx.samples,) * 2)),
        index=lambda ctx: np.divmod(np.flatnonzero(rows(ctx)), ctx.n_in // ctx.samples),
        per_row=rows,
        scratch=lambda ctx: 2 * ctx.n_out,
    )
