"""What the Jacobians weigh on the screen: bytes, then arithmetic, then the strategies, then what follows."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from jacobench.reports.explain.sentences import follows
from jacobench.reports.units import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType

    from jacobench.reports.explain.weighing import Explanation

WIDE = 110
"""Columns of a screen on which the structure has a column of its own; else it stands under the Jacobian's name."""


EXTRA = "VJP extra: primals that its rule keeps alive (leaves not counted), and what it allocates beside its result."


@dataclass(frozen=True)
class ExplanationTable:
    """An explanation, laid out when the width of the screen is known."""

    explanation: Explanation
    name: str
    memory_bytes: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        rows = self.explanation.rows
        yield Text(self._title(), style="bold")
        yield _bytes(rows, wide=options.max_width >= WIDE)
        yield Text(EXTRA, style="dim")
        yield Text()
        yield _flops(rows)
        yield Text()
        yield _totals(self.explanation.totals)
        yield Text()
        for said in follows(self.explanation, self.memory_bytes):
            yield Text(fill(said, options.max_width, initial_indent="• ", subsequent_indent="  "))

    def _title(self) -> str:
        graph, n_seeds = self.explanation.graph, self.explanation.n_seeds
        seeds = "1 cotangent" if n_seeds == 1 else f"{n_seeds:,} cotangents"
        parts = (self.name, graph.dtype.name, f"{graph.n_parameters:,} parameters", f"{seeds} at once")
        return " · ".join([*parts, "from the shapes alone, nothing measured"])


def _bytes(rows: pd.DataFrame, *, wide: bool) -> Table:
    numbers = ("dense", "not zero", "sparse", "VJP extra")
    found = _table(("Jacobian", "structure", "shape") if wide else ("Jacobian, shape, structure",), numbers)
    for row in rows.to_dict("records"):
        name, structure, shape = row["jacobian"], row["structure"], f"{row['n_rows']:,} × {row['n_columns']:,}"
        found.add_row(
            *((Text(name), structure, shape) if wide else (Text(f"{name}  {shape}\n  {structure}"),)),
            format_bytes(row["dense_bytes"]),
            format_count(row["n_nonzeros"]),
            format_bytes(row["sparse_bytes"]),
            format_bytes(row["vjp_kept_bytes"] + row["vjp_scratch_bytes"]),
        )
    return found


def _flops(rows: pd.DataFrame) -> Table:
    found = _table(("flops",), ("to build it", "apply dense", "apply sparse", "VJP"))
    columns = ("build_flops", "dense_apply_flops", "sparse_apply_flops", "vjp_flops")
    for row in rows.to_dict("records"):
        found.add_row(Text(row["jacobian"]), *(format_count(row[column]) for column in columns))
    return found


def _totals(totals: pd.DataFrame) -> Table:
    found = _table(("a gradient",), ("Jacobians", "primals kept", "peak", "flops"))
    for row in totals.to_dict("records"):
        sizes = (format_bytes(row[column]) for column in ("jacobian_bytes", "kept_bytes", "peak_bytes"))
        found.add_row(row["strategy"], *sizes, format_count(row["flops"]))
    return found


def _table(names: Sequence[str], numbers: Iterable[str]) -> Table:
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
    for name in names:
        found.add_column(name, overflow="fold")
    for number in numbers:
        found.add_column(number, justify="right", no_wrap=True)
    return found
