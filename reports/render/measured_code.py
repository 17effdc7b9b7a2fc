"""Distributions whose code a gate measured, in each format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.render.formatting import on_one_line
from jacobench.reports.render.text_tables import escape_markdown, markdown_details, markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.bench.gate.installation.side_code import MeasuredDistribution

HEADINGS = ("side", "distribution", "version", "commit", "folder", "note")

UNKNOWN = "–"


def code_lines(distributions: Sequence[MeasuredDistribution]) -> list[str]:
    """Return a heading and one aligned line per distribution; nothing without distributions."""
    if not distributions:
        return []
    rows = [HEADINGS, *map(_cells, distributions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return ["Measured code:", *(f"  {line.rstrip()}" for line in padded)]


def code_markdown(distributions: Sequence[MeasuredDistribution]) -> str:
    """Return the distributions as a table to unfold; empty without distributions."""
    if not distributions:
        return ""
    rows = [list(map(escape_markdown, _cells(each))) for each in distributions]
    return markdown_details("Measured code", markdown_table(HEADINGS, rows))


def code_properties(distributions: Sequence[MeasuredDistribution]) -> list[tuple[str, str]]:
    """Return the distributions as names and values, such as ``("base: mine", "0.1, commit 1a2b3c, /folder")``."""
    return [(f"{each.side}: {each.name}", _value(each)) for each in distributions]


def _value(found: MeasuredDistribution) -> str:
    parts = (found.version, found.commit and f"commit {found.commit}", found.folder, found.note)
    return on_one_line(", ".join(part for part in parts if part))


def _cells(found: MeasuredDistribution) -> tuple[str, ...]:
    parts = (found.side, found.name, found.version or UNKNOWN, found.commit or UNKNOWN, found.folder, found.note)
    return tuple(map(on_one_line, parts))
