"""How an op's output shape follows from its arguments' shapes, and what is wrong where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.op import Shape


def same(shapes: tuple[Shape, ...], _attrs: Mapping[str, Any]) -> Shape:
    """All arguments have one shape, and so has the output."""
    if len(set(shapes)) != 1:
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected equal shapes")
    return shapes[0]


def vectors(shapes: tuple[Shape, ...], attrs: Mapping[str, Any]) -> Shape:
    """Like `same`, for ops over a last axis."""
    if not shapes[0]:
        raise BadInput("the argument is a scalar: expected at least one axis")
    return same(shapes, attrs)


def affine(shapes: tuple[Shape, ...], _attrs: Mapping[str, Any]) -> Shape:
    """Match z (…, m), W (n, m), b (n,): the output is (…, n)."""
    z, W, b = shapes
    if len(W) != 2 or not z or z[-1] != W[1] or b != W[:1]:
        raise BadInput(f"shapes {_and(shapes)} do not fit: expected z (…, m), W (n, m), b (n,)")
    return (*z[:-1], W[0])


def masked_affine(shapes: tuple[Shape, ...], attrs: Mapping[str, Any]) -> Shape:
    """Match z (…, m), v (nnz,), b (n,) with the mask (n, m): the output is (…, n)."""
    z, v, b = shapes
    n, m = attrs["mask"].shape
    nnz = attrs["mask"].indices.size
    if not z or z[-1] != m or v != (nnz,) or b != (n,):
        raise BadInput(
            f"shapes {_and(shapes)} do not fit a mask {(n, m)} with {nnz} places: "
            f"expected z (…, {m}), v ({nnz},), b ({n},)"
        )
    return (*z[:-1], n)


def concat(shapes: tuple[Shape, ...], _attrs: Mapping[str, Any]) -> Shape:
    """All arguments agree but for the last axis, along which they are joined."""
    if not all(shapes) or len({shape[:-1] for shape in shapes}) != 1:
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected shapes that differ in the last axis only")
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def loss(shapes: tuple[Shape, ...], attrs: Mapping[str, Any]) -> Shape:
    """Two arguments of one shape, the leading axis the batch, give a scalar."""
    vectors(shapes, attrs)
    return ()


def _and(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(str, shapes))
