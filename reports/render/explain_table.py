"""An explanation on the terminal: bytes, arithmetic, strategies, then the conclusions."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from rich.text import Text

from jacobench.graphs.wording import counted
from jacobench.reports.data.units import format_bytes, format_count
from jacobench.reports.explain.conclusions import follows
from jacobench.reports.explain.import_sentences import imported
from jacobench.reports.render.text_tables import rich_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from jacobench.reports.explain.jacobian_costs import Explanation, GradientCost, JacobianCost

WIDE = 110
"""Terminal width from which the structure has its own column. Below, it is printed under the name of the Jacobian."""

LEGEND = (
    "Predicted from the shapes; nothing is measured. not zero: entries that can be non-zero. VJP extra: primals that the "
    "VJP rule keeps (without leaves) plus its temporary memory."
)


TOTALS_LEGEND = (
    "peak: of the call, as 'run' measures it and 'recommend' predicts it. with patterns: this peak and the patterns of "
    "sparse Jacobians, which are made once per graph, before the call."
)


@dataclass(frozen=True)
class ExplanationTable:
    """An explanation that rich lays out for the width of the terminal."""

    explanation: Explanation
    name: str
    memory_bytes: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        costs = self.explanation.jacobians
        yield Text(self._title(), style="bold")
        for sentence in imported(self.explanation.graph):
            yield Text(sentence)
        yield _bytes(costs, wide=options.max_width >= WIDE)
        yield Text(LEGEND, style="dim")
        yield Text()
        yield _flops(costs)
        yield Text()
        yield _totals(self.explanation.totals)
        yield Text(TOTALS_LEGEND, style="dim")
        yield Text()
        for sentence in follows(self.explanation, self.memory_bytes):
            yield Text(fill(sentence, options.max_width, initial_indent="• ", subsequent_indent="  "))

    def _title(self) -> str:
        graph, n_seeds = self.explanation.graph, self.explanation.n_seeds
        seeds = counted(n_seeds, "cotangent")
        return " · ".join(
            (self.name, graph.dtype.name, f"{counted(graph.n_parameters, 'parameter')}", f"{seeds} at once")
        )


def _bytes(costs: Sequence[JacobianCost], *, wide: bool) -> Table:
    names = ("Jacobian", "structure", "shape") if wide else ("Jacobian, shape, structure",)
    rows = []
    for cost in costs:
        shape = f"{cost.n_rows:,}\u00a0×\u00a0{cost.n_columns:,}"  # no line break inside
        folded = (f"{cost.jacobian}  {shape}\n  {cost.structure}",)
        rows.append((
            *((cost.jacobian, cost.structure, shape) if wide else folded),
            format_bytes(cost.dense_bytes),
            format_count(cost.n_nonzeros),
            format_bytes(cost.sparse_bytes),
            format_bytes(cost.vjp_kept_bytes + cost.vjp_scratch_bytes),
        ))  # fmt: skip
    return rich_table(names, ("dense", "not zero", "sparse", "VJP extra"), rows)


def _flops(costs: Sequence[JacobianCost]) -> Table:
    rows = [
        (
            cost.jacobian,
            *map(format_count, (cost.build_flops, cost.dense_apply_flops, cost.sparse_apply_flops, cost.vjp_flops)),
        )
        for cost in costs
    ]
    return rich_table(("flops",), ("build", "apply dense", "apply sparse", "VJP"), rows)


def _totals(totals: Sequence[GradientCost]) -> Table:
    rows = [
        (
            total.strategy,
            *map(format_bytes, (total.jacobian_bytes, total.kept_bytes, total.peak_bytes, total.total_bytes)),
            format_count(total.flops),
        )
        for total in totals
    ]
    return rich_table(("gradient",), ("Jacobians", "primals kept", "peak", "with patterns", "flops"), rows)
