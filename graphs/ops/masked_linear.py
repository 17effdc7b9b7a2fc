"""Affine maps with a weight on a fixed sparsity pattern."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse._sparsetools import csc_matvec, csc_matvecs, csr_matvec, csr_matvecs

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import Call, Calls, Fastest
from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import Argument, Jacobian, Op, never
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.ops.linear import BIAS, by_seed, matrix
from jacobench.graphs.structures import sparse_products, sparsity
from jacobench.graphs.structures.sparsity import Pattern

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Indices, Shapes


def _mask(ctx: ArgumentContext) -> Pattern:
    mask: Pattern = ctx.attrs["mask"]
    return mask


def _masked_z(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return g W."""
    mask = _mask(ctx)
    g = y_bar.reshape(-1, ctx.out[-1])
    if sparse_products.is_dense(ctx.n_vectors, mask):
        product: Array = g.dot(sparse_products.dense_copy(xs[1], mask))
        return product.reshape(len(y_bar), *ctx.x)
    z_bar = np.zeros((len(y_bar), *ctx.x), ctx.dtype)
    sparse_products.add_product(g, xs[1], mask, z_bar.reshape(len(g), -1))
    return z_bar


def _masked_z_dot(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return z_dot Wᵀ."""
    t_dot: Array = NUMPY.masked_affine(_mask(ctx), x_dot, xs[1], np.zeros(ctx.out[-1], ctx.dtype))
    return t_dot


def _masked_v_dot(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return z W_dotᵀ for each seed."""
    no_bias = np.zeros(ctx.out[-1], ctx.dtype)
    return np.stack([NUMPY.masked_affine(_mask(ctx), xs[0], v_dot, no_bias) for v_dot in x_dot])


CHUNK = 2**13
"""Entries that `_gathered` gathers at once: 64 KiB in float64, below glibc's mmap threshold. Chunks of 2**16 took up to
eight times as long at width 256 and batch 64, mostly in page faults."""

DENSE_FROM = 1 / 32
"""Density from which the dense product and a selection are faster than the sums over the stored entries. At widths 128 to
512 and batches 4 to 64 this is 1/64 to 1/16."""

FEW_ROWS = 4
"""Number of rows of z up to which one pass over the entries for each row is faster than gathering: by 2 at width 512."""


def _as_dense_product(n_rows: int, mask: Pattern) -> bool:
    return n_rows > 1 and mask.density >= DENSE_FROM


def _masked_v(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return gᵀ z on the mask."""
    mask = _mask(ctx)
    g, z = y_bar.reshape(len(y_bar), -1, ctx.out[-1]), xs[0].reshape(-1, ctx.shapes[0][-1])
    if _as_dense_product(len(z), mask):
        product: Array = np.matmul(g.transpose(0, 2, 1), z)
        return product.reshape(len(g), -1).take(mask.positions, axis=1)
    return _gathered(g, z, mask) if len(z) > FEW_ROWS else _row_by_row(g, z, mask)


def _row_by_row(g: Array, z: Array, mask: Pattern) -> Array:
    """Return the sum of gᵢⱼ zᵢₖ over the rows i for each entry (j, k), and each seed."""
    v_bar = _entry_products(g[:, 0], z[0], mask)
    for i in range(1, len(z)):
        v_bar += _entry_products(g[:, i], z[i], mask)
    return v_bar


def _entry_products(g: Array, z: Array, mask: Pattern) -> Array:
    """Return gⱼ zₖ for each entry (j, k) and each g: 1.5 times as fast as the product of two gathered arrays."""
    return _scaled(g.repeat(mask.counts, axis=-1), z, mask)


def _scaled(values: Array, z: Array, mask: Pattern) -> Array:
    """Multiply each entry by the zₖ of its column k, in place. The shape of `values` is (seeds, nnz)."""
    for of_seed in values:
        sparse_products.scale_columns(of_seed, z, mask)
    return values


def _gathered(g: Array, z: Array, mask: Pattern) -> Array:
    """Return the same as `_row_by_row`, as scalar products of gathered columns of g and z."""
    columns, rows = z.T.copy(), g.transpose(0, 2, 1).copy()
    v_bar = np.empty((len(g), mask.indices.size), g.dtype)
    step = max(1, CHUNK // len(z))
    for start in range(0, mask.indices.size, step):
        part = slice(start, start + step)
        gathered = columns.take(mask.columns[part], axis=0)
        for row, out in zip(rows, v_bar, strict=True):
            np.vecdot(row.take(mask.rows[part], axis=0), gathered, out[part])
    return v_bar


def _masked_v_each(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return gᵀ z on the mask for each sample and seed."""
    samples, mask = y_bar.shape[1], _mask(ctx)
    if ctx.n_vectors > samples:
        return np.stack([_masked_v(y_bar[:, i], y, (xs[0][i], *xs[1:]), ctx) for i in range(samples)])
    v_bar = y_bar.transpose(1, 0, 2).repeat(mask.counts, axis=-1)
    for of_sample, z in zip(v_bar, xs[0], strict=True):
        _scaled(of_sample, z, mask)
    return v_bar


def _masked_z_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of transposed copies for each seed. A product of few vectors has none, but several seeds are many."""
    mask = _mask(ctx)
    if sparse_products.is_dense(ctx.n_vectors, mask) or sparse_products.is_thin(mask.shape, mask.indices.size):
        return 0
    return ctx.n_vectors * sum(mask.shape) * ctx.dtype.itemsize


def _dense_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of a dense copy of W, if there is one."""
    mask = _mask(ctx)
    return prod(mask.shape) * ctx.dtype.itemsize if sparse_products.is_dense(ctx.n_vectors, mask) else 0


def _masked_forward_bytes(ctx: ArgumentContext) -> int:
    mask = _mask(ctx)
    size, itemsize = mask.indices.size, ctx.dtype.itemsize
    return _dense_bytes(ctx) or sparse_products.scratch_bytes(ctx.n_vectors, mask.shape, size, itemsize)


def _masked_v_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes for each seed: all of gᵀ z, transposed g, or the products of a row, as `_masked_v` chooses."""
    rows, mask = ctx.n_vectors, _mask(ctx)
    if _as_dense_product(rows, mask):
        return prod(mask.shape) * ctx.dtype.itemsize
    if rows > FEW_ROWS:
        return rows * mask.shape[0] * ctx.dtype.itemsize
    return ctx.n_in * ctx.dtype.itemsize if rows > 1 else 0


def _masked_v_bytes_once(ctx: ArgumentContext) -> int:
    """Return the bytes of transposed z and of two gathered chunks, if there are any."""
    rows, mask = ctx.n_vectors, _mask(ctx)
    if _as_dense_product(rows, mask) or rows <= FEW_ROWS:
        return 0
    return (rows * mask.shape[1] + 2 * min(CHUNK, ctx.n_in * rows)) * ctx.dtype.itemsize


def _as_pattern(attrs: Attrs, _shapes: Shapes) -> Attrs:
    mask = attrs["mask"]
    if isinstance(mask, Pattern):
        return attrs
    if mask is None or np.ndim(mask) != 2:
        raise BadInput(f"the mask has shape {np.shape(mask)}: expected a boolean or scipy.sparse matrix (n, m)")
    entries = sparse.csr_array(mask, copy=True)  # the next line sorts in place
    entries.sum_duplicates()
    if not entries.nnz:
        raise BadInput("the mask has no non-zero entry: expected at least one")
    dtype = sparsity.index_dtype(entries.nnz, entries.shape[1])
    pattern = Pattern(entries.indptr.astype(dtype), entries.indices.astype(dtype), entries.shape)
    return {**attrs, "mask": pattern}


def _masked_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    """Use a mask with two adjacent entries in every other row."""
    rows = np.arange(0, size + 1, 2)
    positions = np.concatenate((rows, rows)), np.concatenate((rows, rows + 1)) % size
    mask = sparse.csr_array((np.ones(2 * rows.size), positions), shape=(size + 1, size))
    z, v, b = g.input("z", (batch, size)), g.parameter("v", (mask.nnz,)), g.parameter("b", (size + 1,))
    return g.masked_affine(z, v, b, mask=mask)


def _scattered(mask: Pattern, v: Array) -> tuple[list[Call], Array]:
    """Return the calls that write v to a dense matrix, and this matrix."""
    W = np.zeros(mask.shape, v.dtype)
    return [(W.reshape(-1).__setitem__, (mask.positions, v))], W


def masked_products(mask: Pattern, v: Array, z: Array, t: Array, start: Array | float, *, transposed: bool) -> Fastest:
    """Write start + z Wᵀ, or start + z W if `transposed`, to t, with W's values v: by row, for all rows, or dense."""
    one, many = (csc_matvec, csc_matvecs) if transposed else (csr_matvec, csr_matvecs)
    shape, arrays = (t.shape[1], z.shape[1]), (mask.indptr, mask.indices, v)
    by_row: list[Call] = [(np.copyto, (t, start))]
    by_row += [(one, (*shape, *arrays, row, out)) for row, out in zip(z, t, strict=True)]
    zT, tT = np.empty(z.shape[::-1], z.dtype), np.empty(t.shape[::-1], t.dtype)
    initial = start[:, None] if isinstance(start, np.ndarray) else start
    together: list[Call] = [
        (np.copyto, (zT, z.T)),
        (np.copyto, (tT, initial)),
        (many, (*shape, len(z), *arrays, zT.reshape(-1), tT.reshape(-1))),
        (np.copyto, (t, tT.T)),
    ]
    if mask.density < DENSE_FROM:
        return Fastest((by_row, together))
    scatter, W = _scattered(mask, v)
    add: list[Call] = [(np.add, (t, start, t))] if isinstance(start, np.ndarray) else []
    dense: list[Call] = [*scatter, (np.matmul, (z, W if transposed else W.T, t)), *add]
    return Fastest((by_row, together, dense))


def _masked_floor(xs: Arrays, y: Array, attrs: Attrs) -> Calls:
    z, v, b = xs
    return [masked_products(attrs["mask"], v, matrix(z), matrix(y), b, transposed=False)]


def _masked_z_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    return [masked_products(ctx.attrs["mask"], xs[1], matrix(y_bar), matrix(x_bar), 0.0, transposed=True)]


def repeat_and_scale(g: Array, z: Array, mask: Pattern, out: Array) -> None:
    """Write gⱼ zₖ to `out` for each entry (j, k)."""
    np.copyto(out, g.repeat(mask.counts))
    sparse_products.scale_columns(out, z, mask)


def _gathered_products(g: Array, z: Array, out: Array, rows: Indices, columns: Indices) -> list[Call]:
    """Write Σ g[:, rows] z[:, columns] to `out`, a chunk of entries at a time."""
    gT, zT = np.empty(g.shape[::-1], g.dtype), np.empty(z.shape[::-1], z.dtype)
    step = min(len(out), max(1, CHUNK // len(z)))
    chunks = np.empty((2, step, len(z)), z.dtype)
    calls: list[Call] = [(np.copyto, (gT, g.T)), (np.copyto, (zT, z.T))]
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        g_chunk, z_chunk = chunks[:, : len(out[part])]
        calls += [
            (gT.take, (rows[part], 0, g_chunk, "clip")),
            (zT.take, (columns[part], 0, z_chunk, "clip")),
            (np.vecdot, (g_chunk, z_chunk, out[part])),
        ]
    return calls


def _masked_v_into(g: Array, z: Array, out: Array, mask: Pattern) -> Calls:
    """Write gᵀ z on the mask to `out` (nnz,), for g (rows, n) and z (rows, m)."""
    if len(z) == 1:
        take: list[Call] = [
            (g.take, (mask.rows, None, out, "clip")),
            (sparse_products.scale_columns, (out, z, mask)),
        ]
        return [Fastest((take, [(repeat_and_scale, (g.reshape(-1), z, mask, out))]))]
    gathered = _gathered_products(g, z, out, mask.rows, mask.columns)
    if mask.density < DENSE_FROM:
        return gathered
    whole = np.empty(mask.shape, g.dtype)
    dense: list[Call] = [(np.matmul, (g.T, z, whole)), (whole.take, (mask.positions, None, out, "clip"))]
    return [Fastest((gathered, dense))]


def _masked_v_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    z, mask = matrix(xs[0]), ctx.attrs["mask"]
    seeds = zip(by_seed(y_bar, ctx), x_bar, strict=True)
    return [call for g, bar in seeds for call in _masked_v_into(g, z, bar, mask)]


def _masked_v_each_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    n_seeds, samples = y_bar.shape[:2]
    g, z = y_bar.reshape(n_seeds, samples, -1, ctx.out[-1]), xs[0].reshape(samples, -1, xs[0].shape[-1])
    pairs = [(i, k) for i in range(samples) for k in range(n_seeds)]
    return [call for i, k in pairs for call in _masked_v_into(g[k, i], z[i], x_bar[i, k], ctx.attrs["mask"])]


MASKED_AFFINE = Op(
    name="masked_affine",
    forward=lambda xp, z, v, b, mask: xp.masked_affine(mask, z, v, b),
    shape=shapes.masked_affine,
    arguments=(
        Argument(
            vjp=_masked_z,
            jvp=_masked_z_dot,
            jacobian=Jacobian(sparsity.MASKED_BLOCKS, lambda _y, xs, _ctx: xs[1]),
            floor=_masked_z_floor,
            residuals=(1,),
            flops=lambda ctx: 2 * ctx.n_vectors * ctx.shapes[1][0],
            scratch=_masked_z_bytes,
            scratch_once=_dense_bytes,
        ),
        Argument(
            vjp=_masked_v,
            jvp=_masked_v_dot,
            jacobian=Jacobian(
                sparsity.MASKED_KRONECKER,
                lambda _y, xs, ctx: matrix(xs[0]).take(_mask(ctx).columns, axis=1),
                lambda _y, xs, values, ctx: take_into(matrix(xs[0]), _mask(ctx).columns, 1, values),
                allocates=True,
            ),
            residuals=(0,),
            flops=lambda ctx: 2 * ctx.n_vectors * ctx.n_in,
            floor=_masked_v_floor,
            per_sample_vjp=_masked_v_each,
            per_sample_floor=_masked_v_each_floor,
            per_sample=never,
            scratch=_masked_v_bytes,
            scratch_once=_masked_v_bytes_once,
        ),
        BIAS,
    ),
    flops=lambda ctx: 2 * ctx.n_vectors * ctx.shapes[1][0] + ctx.n_out,
    source="t = z Wᵀ + b with W's stored values v in CSR order on a fixed pattern",
    example=_masked_example,
    floor=_masked_floor,
    attrs={"mask": None},
    prepare=_as_pattern,
    scratch=_masked_forward_bytes,
)

OPS = (MASKED_AFFINE,)
