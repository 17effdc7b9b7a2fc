"""What follows from the weights, in sentences: what a Jacobian would hold, and what its product with a cotangent is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.units import format_bytes, format_count, format_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Site
    from jacobench.reports.explain.weighing import Explanation
    from jacobench.strategies.reverse import Edge


def _of_affine_input(site: Site) -> str:
    n_blocks = site.n_in // site.x[-1]
    matrix = "W itself" if n_blocks == 1 else f"W, {n_blocks:,} times over"
    return f"it is {matrix}, and its VJP is the cotangent times the W you already have"


def _of_affine_weight(site: Site) -> str:
    if site.n_out == site.out[-1]:
        return "its VJP is the outer product of two vectors you already have"
    return "its VJP is the product of two matrices you already have"


def _of_bias(site: Site) -> str:
    if site.n_out == site.n_in:
        return "its VJP is the cotangent itself"
    return "its VJP is the cotangent summed over its rows"


def _of_dense(site: Site) -> str:
    if site.n_out == 1:
        return "it is a single row, and its VJP is that row times a number"
    return "its VJP is a product with a matrix that is full whichever way it is stored"


FORMS = ("dense", "sparse")
MOST_NAMED = 5

VJP_BY_OP: Mapping[tuple[str, int], Callable[[Site], str]] = {("affine", 0): _of_affine_input}
"""What the VJP is, where more can be said than the structure tells: by op and argument."""

VJP_BY_STRUCTURE: Mapping[str, Callable[[Site], str]] = {
    "Kronecker with identity": _of_affine_weight,
    "stacked identity": _of_bias,
    "diagonal": lambda _site: "its VJP is a product entry by entry with what stands on the diagonal",
    "identity multiple": lambda _site: "its VJP is the cotangent itself, times a number where there is one",
    "block diagonal": lambda _site: "its VJP is taken vector by vector, and no block is written down",
    "block diagonal, sparse blocks": lambda _site: "its VJP is a product with the sparse W you already have",
    "Kronecker with identity, masked": lambda _site: (
        "its VJP is the same product as without a mask, on the mask's places"
    ),
    "identity between empty rows": lambda _site: "its VJP is a part of the cotangent",
    "dense": _of_dense,
}


def follows(explanation: Explanation, memory_bytes: int) -> list[str]:
    """Say what follows.

    Parameters
    ----------
    explanation : Explanation
        What `weigh` found.
    memory_bytes : int
        What the machine has.

    Returns
    -------
    list of str
        One sentence for each structure, about the Jacobian of it that is the largest when dense, the largest first; then
        what would not fit in memory, and what the strategies need for a gradient.
    """
    rows = explanation.rows
    largest = rows.sort_values("n_entries", ascending=False, kind="stable").drop_duplicates("structure").index
    sentences = [sentence(rows.loc[at], explanation.edges[at]) for at in largest]
    if sentences:
        sentences[0] = f"{_at(explanation.graph)}{sentences[0]}"
    return [*sentences, fit(rows, memory_bytes), *_compared(explanation.totals)]


def sentence(row: pd.Series, edge: Edge) -> str:
    """Say of one Jacobian how many entries it has, how many of them are not zero, and what its VJP is."""
    filled = "all" if row["n_nonzeros"] == row["n_entries"] else f"{row['n_nonzeros']:,}"
    said = VJP_BY_OP.get((row["op"], row["argument"])) or VJP_BY_STRUCTURE.get(row["structure"])
    vjp = said(edge.site) if said else f"its VJP takes {format_count(row['vjp_flops'])} flops and no matrix"
    entries = "1 entry" if row["n_entries"] == 1 else f"{row['n_entries']:,} entries"
    return (
        f"{row['jacobian']} has {entries} ({format_bytes(row['dense_bytes'])}), "
        f"of which {filled} {'is' if filled == '1' else 'are'} not zero; {vjp}."
    )


def _at(graph: Graph) -> str:
    batch = next((leaf.shape[0] for leaf in graph.leaves.values() if leaf.role == "input"), None)
    return "" if batch is None else f"At batch {batch:,}, "


def fit(rows: pd.DataFrame, memory_bytes: int) -> str:
    """Say which Jacobians would not fit in the machine's memory, dense and sparse."""
    has = f"this machine's {format_bytes(memory_bytes)} of memory"
    held = {form: dict(zip(rows["jacobian"], rows[f"{form}_bytes"].tolist(), strict=True)) for form in FORMS}
    beyond = {(form, name): n for form in FORMS for name, n in held[form].items() if n > memory_bytes}
    if beyond:
        worst = sorted(beyond, key=lambda what: -beyond[what])
        told = [f"{form} {name} ({format_bytes(beyond[form, name])})" for form, name in worst[:MOST_NAMED]]
        more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
        return f"Would not fit in {has}: {', '.join(told)}{more}."
    together = {form: sum(held[form].values()) for form in FORMS}
    over = [f"the {form} ones together ({format_bytes(n)})" for form, n in together.items() if n > memory_bytes]
    return f"Each Jacobian by itself fits in {has}{', but not ' + ' nor '.join(over) if over else ''}."


def _compared(totals: pd.DataFrame) -> list[str]:
    peak = dict(zip(totals["strategy"], totals["peak_bytes"], strict=True))
    if not peak["vjp"]:
        return []
    dense, sparse = (f"{format_bytes(peak[form])} ({format_ratio(peak[form] / peak['vjp'])})" for form in FORMS)
    told = f"At its peak a gradient is predicted to hold {format_bytes(peak['vjp'])} matrix-free"
    return [f"{told}, {dense} with dense Jacobians and {sparse} with sparse ones, the leaves not counted."]
