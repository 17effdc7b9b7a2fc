"""Conclusions from the predicted costs, as sentences: size and VJP of the Jacobians, and what fits in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted
from jacobench.reports.data.units import format_bytes, format_count, format_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.reports.explain.jacobian_costs import Explanation, GradientCost, JacobianCost
    from jacobench.strategies.tape import Edge

    Wording = str | Callable[[ArgumentContext], str]

FORMS: Mapping[str, Callable[[JacobianCost], int]] = {
    "dense": lambda cost: cost.dense_bytes,
    "sparse": lambda cost: cost.sparse_bytes,
}
MAX_NAMED = 5

OTHER_VECTOR = "its VJP is a product with the other vector, which you already have"
OTHER_MATRIX = "its VJP is a product with the other matrix, which you already have"


def _of_affine_input(ctx: ArgumentContext) -> str:
    n_blocks = ctx.n_in // ctx.x[-1]
    matrix = "W itself" if n_blocks == 1 else f"W, repeated {n_blocks:,} times"
    return f"it is {matrix}, and its VJP is the cotangent times the W you already have"


def _of_affine_weight(ctx: ArgumentContext) -> str:
    if ctx.n_out == ctx.out[-1]:
        return "its VJP is the outer product of two vectors you already have"
    return "its VJP is the product of two matrices you already have"


def _of_bias(ctx: ArgumentContext) -> str:
    return "its VJP is the cotangent " + ("itself" if ctx.n_out == ctx.n_in else "summed over its rows")


def _of_dense(ctx: ArgumentContext) -> str:
    return "it is a single row, and its VJP is that row times a number" if ctx.n_out == 1 else ""


VJP_BY_OP: Mapping[tuple[str, int], Wording] = {
    ("affine", 0): _of_affine_input,
    ("affine", 1): _of_affine_weight,
    ("low_rank_affine", 0): "its VJP is the cotangent times U, then times V, which you already have",
    ("low_rank_affine", 1): "its VJP is the outer product of the cotangent and z Vᵀ, which is short",
    ("low_rank_affine", 2): "its VJP is two small products with matrices you already have",
}
"""Form of the VJP by op and argument, where it is more specific than the structure."""

VJP_BY_STRUCTURE: Mapping[str, Wording] = {
    "diagonal": "its VJP multiplies the cotangent by the diagonal, entry by entry",
    "diagonal, masked": "its VJP multiplies the cotangent by the mask, entry by entry",
    "identity multiple": "its VJP is the cotangent, times at most one number",
    "identity between empty rows": "its VJP is a part of the cotangent",
    "entry selection": "its VJP adds each entry of the cotangent to the entry it was taken from",
    "entry placement": "its VJP takes entries of the cotangent",
    "identity, some rows empty": "its VJP is the cotangent, with zeros where an entry was replaced",
    "rows of the identity": "its VJP is the cotangent among zeros",
    "stacked identity": _of_bias,
    "permutation": "its VJP is the cotangent in the inverse order, without any multiplication",
    "exchange permutation": "its VJP is the cotangent in reverse order, without any multiplication",
    "row selection": "its VJP adds each row of the cotangent to the row it was taken from",
    "stacked identity, repeated": "its VJP sums the cotangent over the repetitions of the argument",
    "Kronecker, identity ⊗ windows": "its VJP slides the cotangent over the other argument",
    "Kronecker, identity ⊗ column": OTHER_VECTOR,
    "Kronecker, column ⊗ identity": OTHER_VECTOR,
    "Kronecker, identity ⊗ matrix": OTHER_MATRIX,
    "Kronecker, matrix ⊗ identity": OTHER_MATRIX,
    "reduction": "its VJP multiplies each entry of the row by one cotangent, without storing the row",
    "contraction": "its VJP is a product with the other argument, which you already have",
    "Kronecker with identity": "its VJP is the cotangent times the other argument, which you already have",
    "Kronecker with identity, masked": "its VJP is the same product as without a mask, at the mask's positions only",
    "block diagonal": "its VJP is computed vector by vector, without storing a block",
    "block diagonal, sparse blocks": "its VJP is a product with the sparse W you already have",
    "block diagonal, one row a block": "its VJP is, for each vector, its row times one number",
    "block diagonal, lower triangular blocks": "its VJP runs along each vector from the other end, without storing a block",
    "block diagonal, Toeplitz blocks": "its VJP slides the same few numbers over the cotangent",
    "block diagonal, banded blocks": "its VJP adds each cotangent to the entry it came from",
    "skew-symmetric 3×3 blocks": "its VJP is another cross product",
    "dense": _of_dense,
}
"""Form of the VJP by structure, true of every op with this structure; empty if there is none."""


def follows(explanation: Explanation, memory_bytes: int) -> list[str]:
    """Return the conclusions as sentences, for a machine with `memory_bytes` of memory.

    There is one per structure about its largest Jacobian, the largest first; then one on what exceeds the memory, and
    one that compares the memory of the strategies.
    """
    largest: dict[str, tuple[JacobianCost, Edge]] = {}
    pairs = zip(explanation.jacobians, explanation.edges, strict=True)
    for cost, edge in sorted(pairs, key=lambda pair: -pair[0].n_entries):
        largest.setdefault(cost.structure, (cost, edge))
    sentences = [_sentence(cost, edge.ctx) for cost, edge in largest.values()]
    batch = next((leaf.shape[0] for leaf in explanation.graph.leaves.values() if leaf.role == "input"), None)
    if sentences and batch is not None:
        sentences[0] = f"At batch {batch:,}, {sentences[0]}"
    return [*sentences, _fit(explanation.jacobians, memory_bytes), *_compared(explanation.totals)]


def _sentence(cost: JacobianCost, ctx: ArgumentContext) -> str:
    """Describe one Jacobian: its entries, its non-zeros and its VJP."""
    filled = "all" if cost.n_nonzeros == cost.n_entries else f"{cost.n_nonzeros:,}"
    wording = VJP_BY_OP.get((cost.op, cost.argument)) or VJP_BY_STRUCTURE.get(cost.structure, "")
    vjp = wording if isinstance(wording, str) else wording(ctx)
    vjp = vjp or f"its VJP takes {format_count(cost.vjp_flops)} flops and no matrix"
    entries = counted(cost.n_entries, "entry", "entries")
    return (
        f"{cost.jacobian} has {entries} ({format_bytes(cost.dense_bytes)}), "
        f"of which {filled} {'is' if filled == '1' else 'are'} not zero; {vjp}."
    )


def _fit(costs: Sequence[JacobianCost], memory_bytes: int) -> str:
    """Name the Jacobians that exceed the memory of the machine, dense and sparse."""
    memory = f"this machine's {format_bytes(memory_bytes)} of memory"
    sizes = [(form, cost.jacobian, n_bytes(cost)) for form, n_bytes in FORMS.items() for cost in costs]
    beyond = sorted((size for size in sizes if size[2] > memory_bytes), key=lambda size: -size[2])
    if beyond:
        named = ", ".join(f"{form} {jacobian} ({format_bytes(n)})" for form, jacobian, n in beyond[:MAX_NAMED])
        more = f" and {len(beyond) - MAX_NAMED} more" if len(beyond) > MAX_NAMED else ""
        return f"Would not fit in {memory}: {named}{more}."
    together = {form: sum(n_bytes(cost) for cost in costs) for form, n_bytes in FORMS.items()}
    over = [f"the {form} ones together ({format_bytes(n)})" for form, n in together.items() if n > memory_bytes]
    return f"Each Jacobian by itself fits in {memory}{', but not ' + ' nor '.join(over) if over else ''}."


def _compared(totals: Sequence[GradientCost]) -> list[str]:
    needed = {total.strategy: total.total_bytes for total in totals}
    if not needed["vjp"]:
        return []
    dense, sparse = (f"{format_bytes(needed[form])} ({format_ratio(needed[form] / needed['vjp'])})" for form in FORMS)
    matrix_free = (
        "Predicted memory of a gradient, with the patterns and without the leaves: "
        f"{format_bytes(needed['vjp'])} matrix-free"
    )
    return [f"{matrix_free}, {dense} with dense Jacobians and {sparse} with sparse ones."]
