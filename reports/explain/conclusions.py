"""What follows from the weights, in sentences: what a Jacobian would hold, and what its product with a cotangent is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.data.units import format_bytes, format_count, format_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.graph import Graph
    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost, Total
    from jacobench.strategies.tape import Edge


def _of_affine_input(ctx: ArgumentContext) -> str:
    n_blocks = ctx.n_in // ctx.x[-1]
    matrix = "W itself" if n_blocks == 1 else f"W, {n_blocks:,} times over"
    return f"it is {matrix}, and its VJP is the cotangent times the W you already have"


def _of_affine_weight(ctx: ArgumentContext) -> str:
    if ctx.n_out == ctx.out[-1]:
        return "its VJP is the outer product of two vectors you already have"
    return "its VJP is the product of two matrices you already have"


def _of_bias(ctx: ArgumentContext) -> str:
    return "its VJP is the cotangent " + ("itself" if ctx.n_out == ctx.n_in else "summed over its rows")


def _of_dense(ctx: ArgumentContext) -> str:
    return "it is a single row, and its VJP is that row times a number" if ctx.n_out == 1 else ""


FORMS: Mapping[str, Callable[[JacobianCost], int]] = {
    "dense": lambda weight: weight.dense_bytes,
    "sparse": lambda weight: weight.sparse_bytes,
}
MOST_NAMED = 5

VJP_BY_OP: Mapping[tuple[str, int], Callable[[ArgumentContext], str]] = {
    ("affine", 0): _of_affine_input,
    ("affine", 1): _of_affine_weight,
    ("low_rank_affine", 0): lambda _ctx: "its VJP is the cotangent times U, then times V, which you already have",
    ("low_rank_affine", 1): lambda _ctx: "its VJP is the outer product of the cotangent and z Vᵀ, which is short",
    ("low_rank_affine", 2): lambda _ctx: "its VJP is two small products with matrices you already have",
}
"""What the VJP is, where more can be said than the structure tells: by op and argument."""

VJP_BY_STRUCTURE: Mapping[str, Callable[[ArgumentContext], str]] = {
    "diagonal": lambda _ctx: "its VJP is a product entry by entry with what stands on the diagonal",
    "diagonal, masked": lambda _ctx: "its VJP is a product entry by entry with the mask",
    "identity multiple": lambda _ctx: "its VJP is the cotangent itself, times a number where there is one",
    "identity between empty rows": lambda _ctx: "its VJP is a part of the cotangent",
    "stacked identity": _of_bias,
    "permutation": lambda _ctx: "its VJP is the cotangent in the inverse order, without one multiplication",
    "exchange permutation": lambda _ctx: "its VJP is the cotangent turned round, without one multiplication",
    "row selection": lambda _ctx: "its VJP adds each row of the cotangent to the row it was taken from",
    "stacked identity, repeated": lambda _ctx: "its VJP is the cotangent summed wherever the argument was repeated",
    "Kronecker, identity ⊗ windows": lambda _ctx: "its VJP slides the cotangent over the other argument",
    "Kronecker, identity ⊗ column": lambda _ctx: "its VJP is a product with the other vector, which you already have",
    "Kronecker, column ⊗ identity": lambda _ctx: "its VJP is a product with the other vector, which you already have",
    "Kronecker, identity ⊗ matrix": lambda _ctx: "its VJP is a product with the other matrix, which you already have",
    "Kronecker, matrix ⊗ identity": lambda _ctx: "its VJP is a product with the other matrix, which you already have",
    "Kronecker with identity": lambda _ctx: "its VJP is the cotangent times the other argument, which you already have",
    "Kronecker with identity, masked": lambda _ctx: (
        "its VJP is the same product as without a mask, on the mask's places"
    ),
    "block diagonal": lambda _ctx: "its VJP is taken vector by vector, and no block is written down",
    "block diagonal, sparse blocks": lambda _ctx: "its VJP is a product with the sparse W you already have",
    "block diagonal, one row a block": lambda _ctx: "its VJP is for each vector its row times one number",
    "block diagonal, lower triangular blocks": lambda _ctx: "its VJP is a running sum from the other end",
    "block diagonal, Toeplitz blocks": lambda _ctx: "its VJP slides the same few numbers over the cotangent",
    "block diagonal, banded blocks": lambda _ctx: "its VJP puts each cotangent where its entry came from",
    "skew-symmetric 3×3 blocks": lambda _ctx: "its VJP is one more cross product",
    "dense": _of_dense,
}
"""What the VJP is, true of every op whose Jacobian has the structure; empty where nothing is."""


def follows(explanation: Explanation, memory_bytes: int) -> list[str]:
    """Say what follows.

    Parameters
    ----------
    explanation : Explanation
        What `jacobian_costs` found.
    memory_bytes : int
        What the machine has.

    Returns
    -------
    list of str
        One sentence for each structure, about the Jacobian of it that is the largest when dense, the largest first; then
        what would not fit in memory, and what the strategies need for a gradient.
    """
    largest: dict[str, tuple[JacobianCost, Edge]] = {}
    placed = zip(explanation.weights, explanation.edges, strict=True)
    for weight, edge in sorted(placed, key=lambda pair: -pair[0].n_entries):
        largest.setdefault(weight.structure, (weight, edge))
    sentences = [sentence(weight, edge.ctx) for weight, edge in largest.values()]
    if sentences:
        sentences[0] = f"{_at(explanation.graph)}{sentences[0]}"
    return [*sentences, _fit(explanation.weights, memory_bytes), *_compared(explanation.totals)]


def sentence(weight: JacobianCost, ctx: ArgumentContext) -> str:
    """Say of one Jacobian how many entries it has, how many of them are not zero, and what its VJP is."""
    filled = "all" if weight.n_nonzeros == weight.n_entries else f"{weight.n_nonzeros:,}"
    said = VJP_BY_OP.get((weight.op, weight.argument)) or VJP_BY_STRUCTURE.get(weight.structure)
    vjp = (said(ctx) if said else "") or f"its VJP takes {format_count(weight.vjp_flops)} flops and no matrix"
    entries = "1 entry" if weight.n_entries == 1 else f"{weight.n_entries:,} entries"
    return (
        f"{weight.jacobian} has {entries} ({format_bytes(weight.dense_bytes)}), "
        f"of which {filled} {'is' if filled == '1' else 'are'} not zero; {vjp}."
    )


def _at(graph: Graph) -> str:
    batch = next((leaf.shape[0] for leaf in graph.leaves.values() if leaf.role == "input"), None)
    return "" if batch is None else f"At batch {batch:,}, "


def _fit(weights: Sequence[JacobianCost], memory_bytes: int) -> str:
    """Say which Jacobians would not fit in the machine's memory, dense and sparse."""
    has = f"this machine's {format_bytes(memory_bytes)} of memory"
    held = [(form, weight.jacobian, n_bytes(weight)) for form, n_bytes in FORMS.items() for weight in weights]
    beyond = sorted((each for each in held if each[2] > memory_bytes), key=lambda each: -each[2])
    if beyond:
        told = [f"{form} {jacobian} ({format_bytes(n)})" for form, jacobian, n in beyond[:MOST_NAMED]]
        more = f" and {len(beyond) - MOST_NAMED} more" if len(beyond) > MOST_NAMED else ""
        return f"Would not fit in {has}: {', '.join(told)}{more}."
    together = {form: sum(n_bytes(weight) for weight in weights) for form, n_bytes in FORMS.items()}
    over = [f"the {form} ones together ({format_bytes(n)})" for form, n in together.items() if n > memory_bytes]
    return f"Each Jacobian by itself fits in {has}{', but not ' + ' nor '.join(over) if over else ''}."


def _compared(totals: Sequence[Total]) -> list[str]:
    peak = {total.strategy: total.peak_bytes for total in totals}
    if not peak["vjp"]:
        return []
    dense, sparse = (f"{format_bytes(peak[form])} ({format_ratio(peak[form] / peak['vjp'])})" for form in FORMS)
    told = f"At its peak a gradient is predicted to hold {format_bytes(peak['vjp'])} matrix-free"
    return [f"{told}, {dense} with dense Jacobians and {sparse} with sparse ones, the leaves not counted."]
