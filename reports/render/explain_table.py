"""What the Jacobians jacobian_costs on the screen: bytes, then arithmetic, then the strategies, then what follows."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from rich.text import Text

from jacobench.reports.data.units import format_bytes, format_count
from jacobench.reports.explain.conclusions import follows
from jacobench.reports.render.text_tables import rich_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost, Total

WIDE = 110
"""Columns of a screen on which the structure has a column of its own; else it stands under the Jacobian's name."""


LEGEND = (
    "From the shapes alone, nothing measured. not zero: entries that can be. VJP extra: primals that its rule keeps alive "
    "(leaves not counted), and what it allocates beside its result."
)


@dataclass(frozen=True)
class ExplanationTable:
    """An explanation, laid out when the width of the screen is known."""

    explanation: Explanation
    name: str
    memory_bytes: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        weights = self.explanation.weights
        yield Text(self._title(), style="bold")
        yield _bytes(weights, wide=options.max_width >= WIDE)
        yield Text(LEGEND, style="dim")
        yield Text()
        yield _flops(weights)
        yield Text()
        yield _totals(self.explanation.totals)
        yield Text()
        for said in follows(self.explanation, self.memory_bytes):
            yield Text(fill(said, options.max_width, initial_indent="• ", subsequent_indent="  "))

    def _title(self) -> str:
        graph, n_seeds = self.explanation.graph, self.explanation.n_seeds
        seeds = "1 cotangent" if n_seeds == 1 else f"{n_seeds:,} cotangents"
        parts = (self.name, graph.dtype.name, f"{graph.n_parameters:,} parameters", f"{seeds} at once")
        return " · ".join(parts)


def _bytes(weights: Sequence[JacobianCost], *, wide: bool) -> Table:
    numbers = ("dense", "not zero", "sparse", "VJP extra")
    found = rich_table(("Jacobian", "structure", "shape") if wide else ("Jacobian, shape, structure",), numbers)
    for weight in weights:
        shape = f"{weight.n_rows:,}\u00a0×\u00a0{weight.n_columns:,}"  # not to be torn apart
        under = Text(f"{weight.jacobian}  {shape}\n  {weight.structure}")
        found.add_row(
            *((Text(weight.jacobian), weight.structure, shape) if wide else (under,)),
            format_bytes(weight.dense_bytes),
            format_count(weight.n_nonzeros),
            format_bytes(weight.sparse_bytes),
            format_bytes(weight.vjp_kept_bytes + weight.vjp_scratch_bytes),
        )
    return found


def _flops(weights: Sequence[JacobianCost]) -> Table:
    found = rich_table(("flops",), ("to build it", "apply dense", "apply sparse", "VJP"))
    for weight in weights:
        counts = (weight.build_flops, weight.dense_apply_flops, weight.sparse_apply_flops, weight.vjp_flops)
        found.add_row(Text(weight.jacobian), *map(format_count, counts))
    return found


def _totals(totals: Sequence[Total]) -> Table:
    found = rich_table(("a gradient",), ("Jacobians", "primals kept", "peak", "flops"))
    for total in totals:
        sizes = (total.jacobian_bytes, total.kept_bytes, total.peak_bytes)
        found.add_row(total.strategy, *map(format_bytes, sizes), format_count(total.flops))
    return found
