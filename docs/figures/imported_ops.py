"""Write the tables of docs/models.md, between its marks, from the importers: python docs/figures/imported_ops.py."""

from __future__ import annotations

import re
from pathlib import Path

from jacobench.graphs.importers.from_sklearn import ESTIMATORS, SCALERS
from jacobench.graphs.importers.jax_primitives import PRIMITIVES
from jacobench.graphs.importers.onnx_nodes.node_table import RULES
from jacobench.graphs.importers.torch_conversion import TORCH_OPS

PAGE = Path(__file__).parents[1] / "models.md"
MARK = "<!-- supported ops -->"

TABLES = {
    "torch, ops of `torch.export` after decomposition": TORCH_OPS,
    "ONNX, operators": RULES,
    "JAX, primitives": PRIMITIVES,
    "scikit-learn, estimators": ESTIMATORS,
    "scikit-learn, scalers in a pipeline": SCALERS,
}


def lists() -> str:
    """Return the names of each table."""
    parts = []
    for title, table in TABLES.items():
        names = ", ".join(f"`{name}`" for name in sorted(table, key=str.lower))
        parts.append(f"| {title} | {len(table)} | {names} |")
    return "\n".join(["| library | number | names |", "|---|---|---|", *parts])


def with_lists(page: str) -> str:
    """Return the page with new tables between its marks."""
    return re.sub(f"{MARK}.*?{MARK}", lambda _: f"{MARK}\n{lists()}\n{MARK}", page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_lists(PAGE.read_text("utf-8")), "utf-8")
