"""Layers: affine maps with a dense weight and with a weight on a fixed sparsity pattern."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import (
    BLOCK_DIAGONAL,
    KRONECKER,
    MASKED_BLOCKS,
    MASKED_KRONECKER,
    STACKED_IDENTITY,
    Pattern,
    index_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.op import Array, Site


def _rows(site: Site) -> int:
    return prod(site.out[:-1])


def _affine_z(y_bar: Array, _y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    """Return g W, all seeds and rows in one matrix product."""
    return (y_bar.reshape(-1, site.out[-1]) @ xs[1]).reshape(len(y_bar), *site.x)


def _affine_W(y_bar: Array, _y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    """Return gᵀ z for each seed."""
    g = y_bar.reshape(len(y_bar), -1, site.out[-1])
    z = xs[0].reshape(-1, site.shapes[0][-1])
    if len(z) == 1:
        # The outer product g zᵀ. At width 256 it takes 23 µs, as a matrix product with an inner size of 1 it takes 71;
        # np.multiply with broadcasting is as fast (at 1,024 slower by a third), but allocates 128 KiB of buffers.
        outer: Array = np.einsum("sro,ri->soi", g, z)
        return outer
    product: Array = np.matmul(g.transpose(0, 2, 1), z)
    return product


def _affine_b(y_bar: Array, _y: Array, _xs: tuple[Array, ...], site: Site) -> Array:
    total: Array = np.add.reduce(y_bar.reshape(len(y_bar), -1, site.out[-1]), axis=1)
    return total


_BIAS = Argument(
    vjp=_affine_b,
    jacobian=Jacobian(STACKED_IDENTITY, lambda y, _xs, _site: np.ones((1, 1), y.dtype), fresh=False),
    keeps=(),
    flops=lambda site: site.n_out,
    by_sample=False,
)

AFFINE = Op(
    name="affine",
    forward=lambda xp, z, W, b: xp.add_to(xp.matmul(z, W.T), b),
    shape=shapes.affine,
    arguments=(
        Argument(
            vjp=_affine_z,
            jacobian=Jacobian(BLOCK_DIAGONAL, lambda _y, xs, _site: xs[1][None], fresh=False),
            keeps=(1,),
            flops=lambda site: 2 * site.n_out * site.x[-1],
        ),
        Argument(
            vjp=_affine_W,
            jacobian=Jacobian(KRONECKER, lambda _y, xs, site: xs[0].reshape(-1, 1, site.x[-1]), fresh=False),
            keeps=(0,),
            flops=lambda site: 2 * _rows(site) * site.n_in,
            by_sample=False,
        ),
        _BIAS,
    ),
    flops=lambda site: 2 * site.n_out * site.x[-1] + site.n_out,
    source="t = z Wᵀ + b; Giles, An extended collection of matrix derivative results (2008), section 2.2",
    example=lambda g: g.affine(g.input("z", (3, 4)), g.parameter("W", (5, 4)), g.parameter("b", (5,))),
)


def _csr(mask: Pattern, v: Array) -> sparse.csr_array[Any, tuple[int, int]]:
    return sparse.csr_array((v, mask.indices, mask.indptr), shape=mask.shape)


def _masked_z(y_bar: Array, _y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    g = y_bar.reshape(-1, site.out[-1])
    z_bar = (_csr(site.attrs["mask"], xs[1]).T @ g.T).T
    return np.ascontiguousarray(z_bar).reshape(len(y_bar), *site.x)


CHUNK = 2**13
"""Entries that `_masked_v` gathers at once: 64 KiB in float64, below glibc's mmap threshold. Chunks of 2**16 took up to
eight times as long at width 256 and batch 64, most of it in page faults."""

DENSE_FROM = 1 / 32
"""Density from which the dense product and a selection are the shorter way. Measured at widths 128 to 512 and batches 4 to
64, they overtake gathering at densities of 1/100 to 1/32. At batch 1 gathering always wins, by 1.6 to 30 times."""


def _masked_v(y_bar: Array, _y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    """Return gᵀ z on the mask's places only."""
    mask: Pattern = site.attrs["mask"]
    g = y_bar.reshape(len(y_bar), -1, site.out[-1]).transpose(0, 2, 1)
    z = xs[0].reshape(-1, site.shapes[0][-1])
    nnz = mask.indices.size
    if len(z) > 1 and nnz >= DENSE_FROM * prod(mask.shape):
        product: Array = np.matmul(g, z)
        return product[:, mask.rows, mask.indices]
    v_bar = np.empty((len(g), nnz), g.dtype)
    g, zT = np.ascontiguousarray(g), np.ascontiguousarray(z.T)
    step = max(1, CHUNK // (len(g) * len(z)))
    for start in range(0, nnz, step):
        part = slice(start, start + step)
        np.einsum("skr,kr->sk", g[:, mask.rows[part]], zT[mask.indices[part]], out=v_bar[:, part])
    return v_bar


def _gathered_z(_y: Array, xs: tuple[Array, ...], site: Site) -> Array:
    gathered: Array = np.take(xs[0].reshape(-1, site.shapes[0][-1]), site.attrs["mask"].indices, axis=1)
    return gathered


def _as_pattern(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    mask = attrs["mask"]
    if isinstance(mask, Pattern):
        return attrs
    if mask is None or np.ndim(mask) != 2:
        raise BadInput(f"the mask has shape {np.shape(mask)}: expected a boolean or scipy.sparse matrix (n, m)")
    entries = sparse.csr_array(mask, copy=True)  # the next line sorts in place
    entries.sum_duplicates()
    if not entries.nnz:
        raise BadInput("the mask has no place: expected at least one")
    dtype = index_dtype(entries.nnz, entries.shape[1])
    pattern = Pattern(entries.indptr.astype(dtype), entries.indices.astype(dtype), entries.shape)
    return {**attrs, "mask": pattern}


MASKED_AFFINE = Op(
    name="masked_affine",
    forward=lambda xp, z, v, b, mask: xp.add_to(xp.masked_matmul(mask, z, v), b),
    shape=shapes.masked_affine,
    arguments=(
        Argument(
            vjp=_masked_z,
            jacobian=Jacobian(MASKED_BLOCKS, lambda _y, xs, _site: xs[1], fresh=False),
            keeps=(1,),
            flops=lambda site: 2 * _rows(site) * site.shapes[1][0],
        ),
        Argument(
            vjp=_masked_v,
            jacobian=Jacobian(
                MASKED_KRONECKER,
                _gathered_z,
                fresh=True,
            ),
            keeps=(0,),
            flops=lambda site: 2 * _rows(site) * site.n_in,
            by_sample=False,
        ),
        _BIAS,
    ),
    flops=lambda site: 2 * _rows(site) * site.shapes[1][0] + site.n_out,
    source="t = z Wᵀ + b with W's stored values v in CSR order on a fixed pattern",
    example=lambda g: g.masked_affine(
        g.input("z", (3, 4)),
        g.parameter("v", (7,)),
        g.parameter("b", (5,)),
        mask=np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]], bool),
    ),
    attrs={"mask": None},
    prepare=_as_pattern,
)

OPS = (AFFINE, MASKED_AFFINE)
