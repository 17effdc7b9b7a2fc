"""Print docs/ops.md from the op table: python docs/figures/ops.py > docs/ops.md."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from jacobench.graphs.generators.chain import LINKS
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.edge_costs import argument_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.graphs.graph import Node

SIZE = 64
"""Of the examples, at batch 1."""

HEAD = f"""# The op catalogue

This page is made from the code by `python docs/figures/ops.py > docs/ops.md`. An op is one entry of the table in
`graphs/ops/`. The entry has a forward rule, and vjp, jvp and Jacobian rules per argument. It also has the calls of
their [floors](floor.md). The command `jacobench list ops` prints the table.

## The Jacobians of each op

Each line is one argument, for the op's example of size {SIZE} and batch size 1. The columns are:

- *entries*: entries of the dense Jacobian;
- *non-zeros*: entries that the sparse Jacobian stores;
- *forward*, *VJP*, *Jacobian*: arithmetic operations of the forward rule, of the vjp rule for one seed, and of the
  values of the Jacobian (0 if no computation is needed);
- *residuals*: primals that the vjp rule reads, so that they stay in memory.

Ops without a derivative, such as comparisons, have only the operations of their forward rule. Arguments that broadcast
have the structure *broadcast* if their shape is not the output's.
"""

MIDDLE = """
## Definitions

Axes are numbered as in NumPy, and the batch is the first.
Ops "over the last axis" accept any number of axes before it.
"""

TAIL = f"""
## Chains

`jb.chain(ops, size, batch=…)`, or `graph = "chain"` in a suite, makes A B C D e from links that keep the size:
{fill(", ".join(f"`{name}`" for name in LINKS), 118)}.
"""


def jacobians() -> Iterator[tuple[str, ...]]:
    """Yield one line for each argument of each op."""
    for op in OPS.values():
        graph = op_graph(op.name, size=SIZE, batch=1)
        node = next(node for node in graph.nodes if node.op.name == op.name)
        names = dict(enumerate(graph.leaves))
        lines = list(of_arguments(node, [names.get(x, argument_name(op, k)) for k, x in enumerate(node.args)]))
        forward = f"{op.flops(node.contexts[0]):,}"
        if not lines:
            yield (f"`{op.name}`", *[""] * 5, forward, *[""] * 3)
        for k, line in enumerate(lines):
            yield (f"`{op.name}`", *line[:5], forward, *line[5:]) if k == 0 else ("", *line[:5], "", *line[5:])


def of_arguments(node: Node, names: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the name, structure and counts of each argument that has a derivative."""
    for ctx in node.contexts:
        if node.op.has_rules(ctx.k):
            argument = node.op.argument(ctx.k)
            structure = argument.jacobian.structure
            yield (
                names[ctx.k],
                structure.name,
                f"{ctx.n_out:,} × {ctx.n_in:,}",
                f"{ctx.n_out * ctx.n_in:,}",
                f"{structure.n_nonzeros(ctx):,}",
                f"{argument.flops(ctx):,}",
                f"{argument.jacobian.flops(ctx):,}",
                ", ".join("output" if k == OUTPUT else names[k] for k in argument.residuals) or "none",
            )


def sources() -> Iterator[tuple[str, ...]]:
    """Yield one line for each op."""
    for op in OPS.values():
        attrs = ", ".join(f"`{name}`" for name in op.attrs)
        yield f"`{op.name}`", attrs, op.source.replace("|", "\\|")


def table(headings: str, lines: Iterator[tuple[str, ...]]) -> str:
    """Return a Markdown table; a heading that begins with a colon is a column of numbers."""
    columns = headings.split(" | ")
    rule = ["--:" if heading.startswith(":") else "---" for heading in columns]
    rows = [[heading.removeprefix(":") for heading in columns], rule, *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page() -> str:
    """Return the page."""
    wide = "op | argument | structure | :outputs × inputs | :entries | :non-zeros | :forward | :VJP | :Jacobian | residuals"
    return "\n".join([HEAD, table(wide, jacobians()), MIDDLE.lstrip("\n"), table("op | attributes | definition and source", sources()), TAIL.strip("\n")]) + "\n"  # fmt: skip


if __name__ == "__main__":
    print(page(), end="")
