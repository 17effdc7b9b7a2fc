"""Calls that read from and write to fixed positions of an array, in NumPy.

Entries at consecutive positions are copied as runs. Microseconds of adding 1,000,000 numbers in random order: 3,100 by
assignment, 6,100 by ``np.add.at``, 9,600 by a product with a sparse matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse._sparsetools import csc_matvecs

from jacobench.graphs.calls import run, zeroed

if TYPE_CHECKING:
    from jacobench.graphs.array_types import Array
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.positions import Positions

UFUNCS = {"multiply": np.multiply, "max": np.maximum, "min": np.minimum}


def taken(x: Array, positions: Positions, out: Array, fill: float = 0.0) -> list[Call]:
    """Return the calls that write the entries of x (S, *x.shape) at the positions to `out` (S, *positions.shape)."""
    rows, result = (array.reshape(len(x), -1, positions.width) for array in (x, out))
    calls: list[Call] = [(rows.take, (positions.runs, 1, result, "clip"))]
    return calls if positions.kept is None else [*calls, (result.__setitem__, ((slice(None), positions.missing), fill))]


def added(y: Array, positions: Positions, out: Array) -> list[Call]:
    """Return the calls that add the entries of y (S, *positions.shape) to those of `out` (S, *x.shape) at the positions."""
    width, runs, kept = positions.width, positions.kept_runs, positions.kept
    rows, result = (array.reshape(len(y), -1, width) for array in (y, out))
    part = None if kept is None else np.empty((runs.size, width), y.dtype)
    starts, ones = (np.arange(runs.size + 1), np.ones(runs.size, y.dtype)) if width > 1 else (None, None)
    calls: list[Call] = []
    for own, bar in zip(rows, result, strict=True):
        source = own if part is None else part
        calls += [] if part is None else [(own.take, (kept, 0, part, "clip"))]
        if width == 1:
            calls.append((np.add.at, (bar[:, 0], runs, source[:, 0])))
        else:
            sizes = (len(bar), runs.size, width)
            calls.append((csc_matvecs, (*sizes, starts, runs, ones, source.reshape(-1), bar.reshape(-1))))
    return calls


def put(y: Array, positions: Positions, out: Array) -> list[Call]:
    """Return the calls that write the entries of y (S, *positions.shape) to `out` (S, *x.shape) at distinct positions."""
    runs, kept = positions.kept_runs, positions.kept
    rows, result = (array.reshape(len(y), -1, positions.width) for array in (y, out))
    if kept is None:
        return [(bar.__setitem__, (runs, own)) for own, bar in zip(rows, result, strict=True)]
    part = np.empty((runs.size, positions.width), y.dtype)
    calls: list[Call] = []
    for own, bar in zip(rows, result, strict=True):
        calls += [(own.take, (kept, 0, part, "clip")), (bar.__setitem__, (runs, part))]
    return calls


def added_to_zeros(y: Array, positions: Positions, out: Array) -> list[Call]:
    """Return the calls that write zeros to `out`, and add the entries of y at the positions."""
    return [zeroed(out), *(put if positions.distinct else added)(y, positions, out)]


def combined(updates: Array, positions: Positions, out: Array, mode: str) -> list[Call]:
    """Return the calls that set the entries of `out` at the positions to the updates, or combine them; both without seeds.

    The positions are distinct if `mode` is "set", and single runs if it is neither "set" nor "add".
    """
    if mode in ("set", "add"):
        return (put if mode == "set" else added)(updates[None], positions, out[None])
    own, rows = updates.reshape(-1), out.reshape(-1)
    if positions.kept is None:
        return [(UFUNCS[mode].at, (rows, positions.runs, own))]
    part = np.empty(positions.n_kept, out.dtype)
    return [(own.take, (positions.kept, 0, part, "clip")), (UFUNCS[mode].at, (rows, positions.kept_runs, part))]


def gathered(x: Array, positions: Positions, fill: float) -> Array:
    """Return the entries of x at the positions; `fill` where there are none."""
    y = np.empty(positions.shape, x.dtype)
    run(taken(x[None], positions, y[None], fill))
    return y


def scattered(x: Array, updates: Array, positions: Positions, mode: str) -> Array:
    """Return x with the updates set at the positions, or combined with its entries there."""
    y = np.array(x, order="C")  # x may be a number, as NumPy's sums are
    run(combined(updates, positions, y, mode))
    return y
