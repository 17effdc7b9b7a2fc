"""Jacobians of ops that only move entries: each output is one entry of the argument, or none."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Jacobian
from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array, Site

    Indices = NDArray[np.signedinteger]
    Sources = Callable[[Site, Any], Indices]


def along_last_axis(order: Indices, site: Site, dtype: Any) -> Indices:
    """Return for each output the flat place of the entry that it is, where every vector is taken in one order."""
    starts = np.arange(0, site.n_in, site.x[-1], dtype=dtype)
    places: Indices = np.add.outer(starts, order.astype(dtype, copy=False)).reshape(-1)
    return places


def selection(name: str, sources: Sources) -> Jacobian:
    """Make the Jacobian rule of an op whose every output is one entry of its argument.

    Parameters
    ----------
    name : str
        The structure's.
    sources : callable
        (site, dtype) → for each output the flat place of the entry that it is, shape (outputs,).
    """

    def index(site: Site) -> tuple[Indices, Indices]:
        """Return the places in one sample's block; the others' are alike."""
        n_out = site.n_out // site.samples
        return np.arange(n_out), sources(site, np.intp)[:n_out]

    def fill(J: Array, _y: Array, _xs: tuple[Array, ...], site: Site) -> None:
        J[:, *index(site)] = 1

    return Jacobian(
        Structure(
            name,
            extent=lambda site: (site.n_out,),
            columns=sources,
            view=lambda J, _site: J,
            index=index,
            scratch=lambda _site: 0,
        ),
        lambda y, _xs, _site: np.ones(1, y.dtype),
        fresh=False,
        fill=fill,
        fill_scratch=lambda site: np.dtype(np.intp).itemsize * (site.n_out + site.n_out // site.samples),
    )


def identity_between_empty_rows(part: Callable[[Site], slice]) -> Jacobian:
    """Make the Jacobian rule of an op that lays its argument into a part of a longer last axis.

    Parameters
    ----------
    part : callable
        site → the argument's part of the output's last axis.
    """

    def rows(site: Site) -> Indices:
        filled = np.zeros((prod(site.out[:-1]), site.out[-1]), np.int32)
        filled[:, part(site)] = 1
        return filled.reshape(-1)

    def view(J: Array, site: Site) -> Array:
        vectors = prod(site.out[:-1]) // site.samples
        split = J.reshape(site.samples, vectors, site.out[-1], vectors, site.x[-1])
        found: Array = np.einsum("bpipi->bpi", split[:, :, part(site)])
        return found

    structure = Structure(
        "identity between empty rows",
        extent=lambda site: (site.n_in,),
        columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
        view=view,
        per_row=rows,
        scratch=lambda site: site.n_out,
    )
    return Jacobian(structure, lambda y, _xs, _site: np.ones(1, y.dtype), fresh=False)
