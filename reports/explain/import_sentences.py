"""Sentences on an imported model: its leaves, constants, removed nodes, general rules, and the time of the import."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from jacobench.graphs.wording import counted, listed
from jacobench.reports.data.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.graph import Graph

MOST_NAMED = 12  # leaves or nodes that a sentence names

LIBRARIES = {"torch": "torch", "onnx": "ONNX", "sklearn": "scikit-learn", "jax": "JAX"}


def imported(graph: Graph) -> list[str]:
    """Return what was imported, one sentence per subject; empty for a graph that was not imported."""
    if graph.origin is None:
        return []
    origin = graph.origin
    library = LIBRARIES.get(origin.library, origin.library)
    found = [
        source(library, len(graph.nodes), origin.library_seconds, origin.conversion_seconds),
        leaves([(name, leaf.shape, name in graph.wrt) for name, leaf in graph.leaves.items()]),
        constants(len(graph.constants), sum(array.nbytes for array in graph.constants)),
        removed(origin.removed),
        general(Counter(node.op.name for node in graph.nodes if node.op.is_general)),
    ]
    return list(filter(None, found))


def source(library: str, n_nodes: int, library_seconds: float, conversion_seconds: float) -> str:
    """Return the library, the size of the graph, and both shares of the time of the import."""
    total = format_seconds(library_seconds + conversion_seconds)
    shares = f"{format_seconds(library_seconds)} in {library}, {format_seconds(conversion_seconds)} for the conversion"
    return f"Imported from {library}: {counted(n_nodes, 'node')}, in {total} ({shares})."


def leaves(found: Sequence[tuple[str, tuple[int, ...], bool]]) -> str:
    """Return the leaves with their shapes; ``found`` has the name, the shape and whether it is differentiated."""
    chosen = [_leaf(name, shape) for name, shape, is_chosen in found if is_chosen]
    others = [_leaf(name, shape) for name, shape, is_chosen in found if not is_chosen]
    rest = f" Other leaves: {_some(others)}." if others else ""
    return f"Differentiated with respect to {counted(len(chosen), 'leaf', 'leaves')}: {_some(chosen)}.{rest}"


def _leaf(name: str, shape: tuple[int, ...]) -> str:
    return f"{name} {'×'.join(map(str, shape)) or 'scalar'}"


def _some(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return listed(names)
    return listed([*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} more"])


def constants(count: int, n_bytes: int) -> str:
    """Return the number and size of the constants."""
    return f"Constants, which are no leaves: {count:,} ({format_bytes(n_bytes)})." if count else "No constants."


def removed(nodes: Sequence[str]) -> str:
    """Return the nodes of the model that the graph does not need; empty for none."""
    return f"Removed, because the output does not need them or they are constant: {_some(nodes)}." if nodes else ""


def general(counts: Counter[Any]) -> str:
    """Return the ops with a general rule, which may be slower than a special one; empty for none."""
    if not counts:
        return ""
    ops = [f"{name} ({count})" for name, count in counts.most_common()]
    return f"Ops with a general rule, which a special op may beat: {_some(ops)}."
