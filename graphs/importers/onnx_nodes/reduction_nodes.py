"""ONNX operators that combine entries along axes: reductions, products of matrices, softmax."""

from __future__ import annotations

from functools import reduce
from math import prod
from string import ascii_letters
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers.onnx_nodes.node_call import NodeCall, NodeRule, along

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.builder import GraphBuilder, Value


def reduced_axes(call: NodeCall) -> tuple[int, ...]:
    """Return the axes of a reduction: an attribute or input 1; all axes if not given, unless these mean none."""
    axes = call.whole_numbers("axes", 1)
    n_axes = len(call.value(0).shape)
    if not axes:
        return () if call.attrs.get("noop_with_empty_axes") else tuple(range(n_axes))
    return tuple(along(n_axes, axis) for axis in axes)


def _reduction(name: str, /, after: str = "", before: str = "", **attrs: Any) -> NodeRule:
    """Return the rule of a reduction, with an op on each entry before or after it."""

    def convert(call: NodeCall) -> Value:
        x, axes = call.value(0), reduced_axes(call)
        if before:
            x = getattr(call.g, before)(x)
        if axes:
            x = getattr(call.g, name)(x, axes=axes, keepdims=bool(call.attrs["keepdims"]), **attrs)
        return getattr(call.g, after)(x) if after else x

    return NodeRule(convert, fixed=(1,))


def _of_windows(name: str, **attrs: Any) -> NodeRule:
    """Return the rule of a reduction over all axes after batch and channels, which keeps them."""

    def convert(call: NodeCall) -> Value:
        x = call.value(0)
        result: Value = getattr(call.g, name)(x, axes=tuple(range(2, len(x.shape))), keepdims=True, **attrs)
        return result

    return NodeRule(convert)


def _global_lp_pool(call: NodeCall) -> Value:
    x = call.value(0)
    return power_sum(
        call.g, x, call.attrs["p"], lambda z: call.g.sum(z, axes=tuple(range(2, len(x.shape))), keepdims=True)
    )


def power_sum(g: GraphBuilder, x: Value, order: int, total: Callable[[Value], Value]) -> Value:
    """Return (Σ |x|ᵖ)^(1/p) with p = `order`, where `total` sums."""
    if order == 1:
        return total(g.abs(x))
    if order == 2:
        return g.sqrt(total(g.square(x)))
    return g.power_of(total(g.power_of(g.abs(x), exponent=order)), exponent=1 / order)


def _softmax(name: str) -> NodeRule:
    """Return the rule of a softmax. Before opset 13 it is over all axes from `axis` on, otherwise over `axis`."""

    def convert(call: NodeCall) -> Value:
        x = call.value(0)
        softmax, axis = getattr(call.g, name), along(len(x.shape), call.attrs["axis"])
        if call.opset >= 13 or prod(x.shape[axis:]) == x.shape[axis]:
            return softmax(x, axis=axis)  # type: ignore[no-any-return]
        flat = call.g.reshape(x, shape=(*x.shape[:axis], prod(x.shape[axis:])))
        return call.g.reshape(softmax(flat, axis=-1), shape=x.shape)

    return NodeRule(convert)


def _lp_normalization(call: NodeCall) -> Value:
    x, p = call.value(0), call.attrs["p"]
    return call.g.divide(x, call.g.norm(x, axes=(along(len(x.shape), call.attrs["axis"]),), order=p, keepdims=True))


def _cumsum(call: NodeCall) -> Value:
    """Return sums of the entries up to each one, or before each one if `exclusive`: those of the shifted entries."""
    x, numbers, reverse = call.value(0), call.whole_numbers("axis", 1), bool(call.attrs["reverse"])
    assert numbers is not None
    axis = along(len(x.shape), numbers[0])
    if call.attrs["exclusive"]:
        shift = (-1, 1) if reverse else (1, -1)
        x = call.g.pad(x, pairs=tuple(shift if k == axis else (0, 0) for k in range(len(x.shape))))
    return call.g.cumsum(x, axis=axis, reverse=reverse)


def _squeezed(g: GraphBuilder, x: Value, letters: str, lengths: dict[str, int]) -> tuple[Value, str]:
    """Remove the axes of length 1 that broadcast."""
    kept = [k for k, letter in enumerate(letters) if x.shape[k] == lengths[letter]]
    if len(kept) == len(letters):
        return x, letters
    return g.reshape(x, shape=tuple(x.shape[k] for k in kept)), "".join(letters[k] for k in kept)


def contraction(g: GraphBuilder, x: Value, y: Value, x_axes: str, y_axes: str, out_axes: str) -> Value:
    """Return an einsum of two values, in which axes of length 1 broadcast."""
    lengths: dict[str, int] = {}
    for letter, length in zip(x_axes + y_axes, x.shape + y.shape, strict=True):
        lengths[letter] = max(length, lengths.get(letter, 1))
    x, x_axes = _squeezed(g, x, x_axes, lengths)
    y, y_axes = _squeezed(g, y, y_axes, lengths)
    return g.einsum(x, y, subscripts=f"{x_axes},{y_axes}->{out_axes}")


def matrix_product(g: GraphBuilder, x: Value, y: Value) -> Value:
    """Return the product of matrices over the last two axes, as NumPy's ``matmul``: one axis is a vector.

    Of two matrices it is an einsum, which treats the first axis as the batch.
    """
    n_x, n_y = len(x.shape), len(y.shape)
    if n_x == 0 or n_y == 0:
        raise BadInput(f"arguments have shapes {x.shape} and {y.shape}: expected one axis or more")
    if n_x == n_y > 2 and x.shape[:-2] == y.shape[:-2]:
        return g.matmul(x, y)
    batch = ascii_letters[3 : 3 + max(n_x, n_y, 2) - 2]
    x_axes = (batch[len(batch) - max(n_x - 2, 0) :] if n_x > 2 else "") + ("ab" if n_x > 1 else "b")
    y_axes = (batch[len(batch) - max(n_y - 2, 0) :] if n_y > 2 else "") + ("bc" if n_y > 1 else "b")
    return contraction(g, x, y, x_axes, y_axes, batch + "a" * (n_x > 1) + "c" * (n_y > 1))


def _gemm(call: NodeCall) -> Value:
    """Return α A B + β C, with A and B transposed if so given; one affine map if B has the shape of its weight."""
    g, alpha, beta = call.g, call.attrs["alpha"], call.attrs["beta"]
    A, B = call.value(0), call.value(1)
    A = g.transpose(A, axes=(1, 0)) if call.attrs["transA"] else A
    C = None if call.given(2) is None else call.value(2)
    if C is not None and alpha == beta == 1 and call.attrs["transB"] and C.shape == B.shape[:1]:
        return g.affine(A, B, C)
    B = g.transpose(B, axes=(1, 0)) if call.attrs["transB"] else B
    product = matrix_product(g, A, B)
    product = product if alpha == 1 else g.scale(product, factor=alpha)
    if C is None:
        return product
    return g.add(product, C if beta == 1 else g.scale(C, factor=beta))


def _subscripts(equation: str, values: tuple[Value, ...]) -> tuple[list[str], str]:
    """Return the axes of each argument and of the output as letters, without ellipses."""
    given, arrow, out = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(values):
        raise BadInput(f"equation {equation!r} has {len(terms)} terms: expected {len(values)}")
    free = [letter for letter in ascii_letters if letter not in equation]
    covered = [len(x.shape) - len(term.replace("...", "")) for term, x in zip(terms, values, strict=True)]
    most = max((n for n, term in zip(covered, terms, strict=True) if "..." in term), default=0)
    dots = "".join(free[:most])
    terms = [term.replace("...", dots[most - n :] if n else "") for term, n in zip(terms, covered, strict=True)]
    if not arrow:
        letters = sorted(set("".join(terms)) - set(dots))
        out = "..." + "".join(letter for letter in letters if "".join(terms).count(letter) == 1)
    return terms, out.replace("...", dots)


def _einsum(call: NodeCall) -> Value:
    """Contract the arguments one after the other; a letter is summed as soon as no other term has it."""
    values = call.values
    terms, out = _subscripts(call.attrs["equation"], values)

    def joined(left: tuple[Value, str, int], right: tuple[Value, str]) -> tuple[Value, str, int]:
        x, x_axes, n_done = left
        y, y_axes = right
        later = set("".join(terms[n_done + 1 :]) + out)
        kept = out if n_done + 1 == len(terms) else "".join(dict.fromkeys(c for c in x_axes + y_axes if c in later))
        return contraction(call.g, x, y, x_axes, y_axes, kept), kept, n_done + 1

    first = (values[0], terms[0], 1)
    if len(values) == 1:
        one = call.g.constant(1.0)
        return contraction(call.g, values[0], one, terms[0], "", out)
    return reduce(joined, zip(values[1:], terms[1:], strict=True), first)[0]


RULES = {
    "ReduceSum": _reduction("sum"),
    "ReduceMean": _reduction("mean"),
    "ReduceMax": _reduction("max", ties="first"),
    "ReduceMin": _reduction("min", ties="first"),
    "ReduceProd": _reduction("prod"),
    "ReduceL1": _reduction("norm", order=1),
    "ReduceL2": _reduction("norm", order=2),
    "ReduceLogSum": _reduction("sum", after="log"),
    "ReduceLogSumExp": _reduction("logsumexp"),
    "ReduceSumSquare": _reduction("sum", before="square"),
    "GlobalAveragePool": _of_windows("mean"),
    "GlobalMaxPool": _of_windows("max", ties="first"),
    "GlobalLpPool": NodeRule(_global_lp_pool),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "LpNormalization": NodeRule(_lp_normalization),
    "CumSum": NodeRule(_cumsum, fixed=(1,)),
    "MatMul": NodeRule(lambda call: matrix_product(call.g, call.value(0), call.value(1))),
    "Gemm": NodeRule(_gemm),
    "Einsum": NodeRule(_einsum),
}
