"""Functions that forward rules call, in each array library.

A rule calls ``xp.tanh``, ``xp.erf`` and so on. A library's own function of that name is used, unless its table below
replaces it. Libraries are imported on first use.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from jacobench.graphs.arrays import correlation, gathering, position_calls, torch_windows
from jacobench.graphs.arrays.gathering import ROTATED_ONCE, ROTATED_TWICE
from jacobench.graphs.structures import boxes, sparse_products

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from jacobench.graphs.structures.positions import Positions
    from jacobench.graphs.structures.sparsity import Pattern
    from jacobench.graphs.structures.windows import Windows


def _affine(z: Any, W: Any, b: Any) -> Any:
    """Return z Wᵀ + b, as one matrix product.

    ``dot`` takes 0.4 µs, the operator ``@`` 0.9. Adding b takes 0.4 µs instead of 0.7 if it has as many axes as t, in
    position, because a second array would double the cost.
    """
    if z.ndim == 2:
        t = z.dot(W.T)
        return np.add(t, b[None], t)
    return _affine(z.reshape(-1, z.shape[-1]), W, b).reshape(*z.shape[:-1], len(b))


# As names of a module they save two look-ups a call; mypy does not know their fifth positional parameter, keepdims.
add_reduce: Any = np.add.reduce
max_reduce: Any = np.maximum.reduce

LARGEST_EXPONENT = {4: 88.0, 8: 709.0}
"""Item size in bytes → number whose exponential does not overflow."""


# Functions with `out` write intermediate results and the result to it, if given, as floor kernels need.


def _sigmoid(x: Any, out: Any = None) -> Any:
    """Return 1 / (1 + exp(−x)): 1.6 ns an entry, where scipy.special.expit takes 4.2."""
    largest = LARGEST_EXPONENT[x.itemsize]
    if out is None:  # 0.3 µs less than with out=None
        y = np.exp(np.minimum(-x, largest))
        y += 1.0
        return 1.0 / y
    np.minimum(np.negative(x, out), largest, out=out)
    np.add(np.exp(out, out), 1.0, out)
    return np.divide(1.0, out, out)


SHORT_BUFFER = 16
"""The shortest buffer of NumPy's functions. By default it has 8192 numbers, and shorter rows of arguments that broadcast are
copied to it, which takes up to twice as long as the product."""


def multiply_long_rows(x: Any, y: Any, out: Any = None) -> Any:
    """Multiply arrays that broadcast, with a short buffer: faster for rows of more than about 100 numbers."""
    with np.errstate():  # restores the buffer; both take 2 µs
        np.setbufsize(SHORT_BUFFER)
        return np.multiply(x, y, out)


LONG_ROW = 896
"""Bytes of a row from which `multiply_long_rows` is faster than ``np.multiply``."""


def _outer_last(x: Any, y: Any, out: Any = None) -> Any:
    """Return x yᵀ over the last axes; at width 256 and batch 64 it takes 1.9 ms, ``np.multiply`` 3.9, filling an array 1.0."""
    multiply = multiply_long_rows if y.shape[-1] * y.itemsize >= LONG_ROW else np.multiply
    return multiply(x[..., None], y[..., None, :], out)


SHORT_ROW, MANY_ROWS = 4, 2**10
"""Length of the last axis up to which, and number of such rows from which, `in_c_order` copies number by number."""


def in_c_order(x: Any, out: Any = None) -> Any:
    """Return a copy in C order of a transposed array; its last axis may be short.

    ``copy`` has an inner loop over the last axis: 55 µs for 64 × 256 × 2 numbers, 125 for × 4. This takes 11 and 42.
    """
    n = x.shape[-1] if x.ndim else 0
    y = np.empty(x.shape, x.dtype) if out is None else out
    if 1 < n <= SHORT_ROW and x.size >= n * MANY_ROWS:
        for k in range(n):
            y[..., k] = x[..., k]
    else:
        y[...] = x
    return y


FEW_ANGLES = 2**9
"""Number of angles from which `_sin` and `_cos` use the half-angle: 1.4 against 2.3 µs for 128 of them, 4.3 against 3.3 µs
for 512. For 25,000 they take 2.2 ns an angle, np.sin and np.cos 8."""


def uses_half_angle(n: int, itemsize: int) -> bool:
    """Return whether `_sin` and `_cos` of n angles use the half-angle."""
    return n >= FEW_ANGLES and itemsize == np.dtype(np.float64).itemsize and _has_vector_tangent()


@cache
def _has_vector_tangent() -> bool:
    """Return whether np.tan of float64 is vectorized: on Linux with AVX-512. np.sin and np.cos never are."""
    found = np.show_config("dicts")["SIMD Extensions"].get("found", ())
    return sys.platform == "linux" and not {"X86_V4", "AVX512_SKX"}.isdisjoint(found)


def _sin(x: Any, out: Any = None, square: Any = None) -> Any:
    """Return sin x = 2t / (1 + t²) with t = tan(x/2); the relative error is at most 4e-16. `square` is scratch memory."""
    if not uses_half_angle(x.size, x.itemsize):
        return np.sin(x, out)
    y = np.tan(half := np.multiply(x, 0.5, out), half)
    square = np.multiply(y, y, square)
    np.add(square, 1.0, square)
    np.divide(y, square, y)
    return np.add(y, y, y)


def _cos(x: Any, out: Any = None) -> Any:
    """Return cos x = 2 / (1 + t²) − 1 with t = tan(x/2); the absolute error is at most 4e-16."""
    if not uses_half_angle(x.size, x.itemsize):
        return np.cos(x, out)
    y = np.tan(half := np.multiply(x, 0.5, out), half)
    np.multiply(y, y, y)
    np.add(y, 1.0, y)
    np.divide(2.0, y, y)
    return np.subtract(y, 1.0, y)


def _masked_affine(mask: Pattern, z: Any, v: Any, b: Any) -> Any:
    """Return z Wᵀ + b for the CSR matrix W with values v on the mask."""
    vectors = z.reshape(-1, z.shape[-1])
    if sparse_products.is_dense(len(vectors), mask):
        return _affine(z, sparse_products.dense_copy(v, mask), b)
    t = np.empty((*z.shape[:-1], len(b)), z.dtype)
    t[...] = b
    sparse_products.add_transposed_product(vectors, v, mask, t.reshape(-1, len(b)))
    return t


def _padded(x: Any, pairs: Any, interior: Any, value: float) -> Any:
    """Pad x with a number: np.pad takes 18 µs for 64 numbers, this 2."""
    copy = boxes.padded(x.shape, pairs, interior)
    y = np.full(copy.out, value, x.dtype) if value else np.zeros(copy.out, x.dtype)
    y[copy.target] = x[copy.source]
    return y


def _rolled(x: Any, shifts: Any, axes: Any) -> Any:
    """Shift the entries cyclically: np.roll takes 11 µs for 64 numbers."""
    y = np.empty(x.shape, x.dtype)
    for target, source in boxes.rolled(x.shape, shifts, axes):
        y[target] = x[source]
    return y


FEW_VECTORS = 2**10
"""Number of vectors up to which rotated copies are the faster cross product: 3 µs for 100 vectors, against 10 entry by
entry and 23 by np.cross. For 10,000 they take 104 µs, entry by entry 70, with a third of the memory."""


def _crossed(x: Any, y: Any) -> Any:
    """Return x × y over the last axis; the arrays may broadcast."""
    if max(x.size, y.size) <= 3 * FEW_VECTORS:
        z = x.take(ROTATED_ONCE, axis=-1) * y.take(ROTATED_TWICE, axis=-1)
        z -= x.take(ROTATED_TWICE, axis=-1) * y.take(ROTATED_ONCE, axis=-1)
        return z
    z = np.empty(np.broadcast_shapes(x.shape, y.shape), x.dtype)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        np.multiply(x[..., j], y[..., k], out=z[..., i])
        z[..., i] -= x[..., k] * y[..., j]
    return z


def _keep(x: Any, mask: Any, scale: float) -> Any:
    """Scale the entries that a mask keeps, with one array."""
    y = np.asarray(x * x.dtype.type(scale))
    return np.multiply(y, mask, out=y)


def _numpy() -> dict[str, Any]:
    return {
        "erf": special.erf,
        "erfc": special.erfc,
        "sigmoid": _sigmoid,
        "sin": _sin,
        "cos": _cos,
        "relu": lambda x: np.maximum(x, 0.0),
        "affine": _affine,
        # In place: the rule owns y, and a second array costs as much as the bias itself.
        "add_to": lambda y, x: np.add(y, x, out=y),
        "sum_of_products": np.vdot,  # no array of products: 0.4 µs instead of 1.8
        "masked_affine": _masked_affine,
        "contracted": lambda contraction, x, y: contraction.product(x, y),
        "first_extreme": lambda name, x, _kept, axes: getattr(np, name)(x, axis=axes),
        "product": lambda x, _kept, axes: np.multiply.reduce(x, axes),
        "summed": lambda x, axes, keepdims: add_reduce(x, axes, None, None, keepdims),  # 1.1 µs, np.sum 2.3
        # The method takes 0.2 µs for 64 entries, 51 for 100,000; np.take 0.8 and 54, indexing 0.8 and 96.
        "take_last": lambda x, order: x.take(order, axis=-1),
        "take_rows": lambda table, indices: table.take(indices, axis=0),
        # Copies in C order, which the next rule would need anyway.
        "flipped": lambda x, _axes, index: x[index].copy(),
        "transposed": lambda x, axes: in_c_order(x.transpose(axes)),
        "padded": _padded,
        "gathered": position_calls.gathered,
        "scattered": position_calls.scattered,
        "rolled": _rolled,
        "crossed": _crossed,
        "outer_last": _outer_last,
        "inner": np.vecdot,
        "keep": _keep,
        "correlate": correlation.correlate,
        "largest": correlation.largest,
        "window_sums": correlation.window_sums,
    }


def _jax() -> dict[str, Any]:
    jax = import_module("jax")
    lax = jax.lax

    def correlate(x: Any, W: Any, windows: Windows, groups: int) -> Any:
        steps = (windows.stride, windows.padding, windows.input_dilation, windows.dilation)
        return lax.conv_general_dilated(x, W, *steps, feature_group_count=groups)

    def reduce(join: Any, start: float, x: Any, windows: Windows) -> Any:
        kernel, steps, padding = (1, *windows.kernel), (1, *windows.stride), [(0, 0), *windows.padding]
        return lax.reduce_window(x, x.dtype.type(start), join, kernel, steps, padding, None, (1, *windows.dilation))

    def largest(x: Any, windows: Windows) -> Any:
        if max(windows.dilation) > 1:  # JAX lacks this vjp
            return gathering.largest(jax.numpy, x, windows)
        return reduce(lax.max, -float("inf"), x, windows)

    def padded(x: Any, pairs: Any, interior: Any, value: float) -> Any:
        return lax.pad(x, x.dtype.type(value), [(*pair, gap) for pair, gap in zip(pairs, interior, strict=True)])

    return {
        "constant": jax.numpy.asarray,
        "stop_gradient": lax.stop_gradient,
        "padded": padded,
        "erf": jax.scipy.special.erf,
        "erfc": jax.scipy.special.erfc,
        "sigmoid": jax.nn.sigmoid,
        "correlate": correlate,
        "largest": largest,
        "window_sums": partial(reduce, lax.add, 0),
    }


def _torch() -> dict[str, Any]:
    torch = import_module("torch")

    def scattered(x: Any, updates: Any, positions: Positions, mode: str) -> Any:
        single = positions.in_single_runs()
        own = updates.reshape(-1)[torch.tensor(single.order)]
        at = (0, torch.tensor(single.runs[single.order]), own)
        y = x.reshape(-1)
        reduced = y.scatter(*at) if mode == "set" else y.scatter_reduce(*at, reductions[mode])
        return reduced.reshape(x.shape)

    reductions = {"add": "sum", "multiply": "prod", "max": "amax", "min": "amin"}

    def sliced(x: Any, index: boxes.Slices) -> Any:
        """Slice with any steps; torch has no negative ones."""
        parts = [range(*part.indices(n)) for part, n in zip(index, x.shape, strict=True)]
        ascending = [part if part.step > 0 else part[::-1] for part in parts]
        y = x[tuple(slice(part[0], part[-1] + 1, part.step) for part in ascending)]
        return torch.flip(y, [axis for axis, part in enumerate(parts) if part.step < 0])

    return {
        "constant": torch.tensor,
        "stop_gradient": torch.Tensor.detach,
        **torch_windows.functions(torch.nn.functional),
        "max": torch.amax,
        "min": torch.amin,
        "relu": torch.relu,
        "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
        "scattered": scattered,
        "sliced": sliced,
        "flipped": lambda x, axes, _index: torch.flip(x, axes),
        "transposed": torch.permute,
        "crossed": lambda x, y: torch.linalg.cross(x, y, dim=-1),
        "keep": lambda x, mask, scale: x * torch.asarray(mask * scale, dtype=x.dtype),
    }


def _autograd() -> dict[str, Any]:
    scipy_special = import_module("autograd.scipy.special")
    without_trace = import_module("autograd.tracer").notrace_primitive
    anp = import_module("autograd.numpy")

    def where(condition: Any, x: Any, y: Any) -> Any:  # autograd's rule does not sum over axes that broadcast
        ones = np.ones(np.broadcast_shapes(*map(anp.shape, (condition, x, y))), bool)
        # A Python number stays as it is: its product with booleans would be in double precision.
        return anp.where(condition, *(z * ones if hasattr(z, "shape") else z for z in (x, y)))

    return {
        "where": where,
        "fmod": lambda x, y: x - y * anp.trunc(x / y),  # autograd has no rule
        "stop_gradient": without_trace(lambda x: x),
        "erf": scipy_special.erf,
        "erfc": scipy_special.erfc,
        "sigmoid": scipy_special.expit,
        "cumprod": partial(gathering.cumprod, anp),  # autograd has no rule
    }


TABLES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "numpy": _numpy,
    "jax.numpy": _jax,
    "torch": _torch,
    "autograd.numpy": _autograd,
}


class Namespace:
    """Functions of an array library, a key of `TABLES` or any module with NumPy's names, as forward rules name them."""

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        everywhere = {
            "constant": lambda array: array,
            "stop_gradient": lambda x: x,
            # Not the maximum of x and 0: its slope at 0 is 1/2 in JAX and autograd.
            "relu": lambda x: self.where(x > 0, x, 0),
            "leaky_relu": lambda x, slope: self.where(x > 0, x, slope * x),
            "softplus": lambda x: self.logaddexp(x, 0),
            "affine": lambda z, W, b: self.matmul(z, W.T) + b,
            "add_to": lambda y, x: y + x,
            "sum_of_products": lambda x, y: self.sum(x * y),
            "masked_affine": partial(gathering.masked_affine, self),
            "contracted": lambda contraction, x, y: self.einsum(contraction.subscripts, x, y),
            "first_extreme": partial(gathering.first_extreme, self),
            "product": partial(gathering.product, self),
            "summed": lambda x, axes, keepdims: self.sum(x, axis=axes, keepdims=keepdims),
            "take_last": lambda x, order: x[..., order],
            "take_rows": lambda table, indices: table[indices],
            "flipped": lambda x, _axes, index: x[index],
            "sliced": lambda x, index: x[index],
            "rolled": partial(gathering.rolled, self),
            "crossed": gathering.crossed,
            "outer_last": lambda x, y: x[..., None] * y[..., None, :],
            "inner": lambda x, y: self.sum(x * y, axis=-1),
            "keep": lambda x, mask, scale: x * (mask * np.asarray(scale, x.dtype)),
            "correlate": partial(gathering.correlate, self),
            "largest": partial(gathering.largest, self),
            "window_sums": partial(gathering.window_sums, self),
            "transposed": self.transpose,
            "padded": partial(gathering.padded, self),
            "gathered": partial(gathering.gathered, self),
            "scattered": partial(gathering.scattered, self),
        }
        table = TABLES.get(library.__name__, dict)()
        self.__dict__.update(everywhere | table)

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        self.__dict__[name] = function
        return function


@cache
def namespace(library: ModuleType) -> Namespace:
    """Return the namespace of a library."""
    return Namespace(library)


NUMPY = namespace(np)
