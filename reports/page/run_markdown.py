"""Summary of runs as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import shown_phase
from jacobench.graphs.wording import counted
from jacobench.reports.analysis.doubts import floor_note
from jacobench.reports.data.machine_parts import parts_of
from jacobench.reports.data.vocabulary import heading, provenance
from jacobench.reports.page import page_sentences
from jacobench.reports.page.answers import answers
from jacobench.reports.page.machine_comparison import compare_machines
from jacobench.reports.page.page_tables import counts, failures, recommendations
from jacobench.reports.page.run_facts import commands, stability
from jacobench.reports.render.text_tables import escape_markdown, markdown_details, markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.page.machine_comparison import MachineComparison

MAX_CHARACTERS = 60_000  # a comment on GitHub holds 65,536
RESERVED = 500  # characters for separators and for the line that states how much was cut

# Headings of the tables, one per field of the dataclass.
RECOMMENDATIONS = ("case", "fastest", "decision", "runner-up takes", "runner-up", "least memory", "peak")
UNCERTAIN = ("case", "strategies", "phase", "problem", "ratio with 95 % interval")
FAILED = ("case", "strategy", "phases", "status", "reason")


def markdown(runs: Sequence[Run], phase: str = "gradient") -> str:
    """Return a summary of runs in GitHub's Markdown.

    It has at most 60,000 characters. A longer summary is cut, and its last line states it.
    """
    parts = parts_of(runs)
    comparison = compare_machines(runs, phase)
    blocks = _comparison_blocks(comparison, phase) if comparison else []
    blocks += [block for part in parts for block in _blocks(part, phase)]
    lengths = accumulate(map(len, blocks))
    kept = [block for block, n in zip(blocks, lengths, strict=True) if n < MAX_CHARACTERS - RESERVED]
    text = "\n\n".join(kept) + "\n"
    if len(kept) == len(blocks):
        return text
    left_out = counted(len(blocks) - len(kept), "more block")
    return f"{text}\nNot shown, because a comment has a limit: {left_out}. `jacobench report` writes a page with all.\n"


def _comparison_blocks(comparison: MachineComparison, phase: str) -> list[str]:
    crossed = [
        (sweep, line.strategies, line.quantity, *line.cells) for sweep, lines in comparison.crossovers for line in lines
    ]
    won = [(case, *cells) for case, cells in comparison.winners]
    tables = {
        ("sweep", "strategies", "quantity"): (page_sentences.crossovers_of_machines(), crossed),
        ("case",): (page_sentences.winners_of_machines(), won),
    }
    blocks = [f"### jacobench: machines\n\n{escape_markdown(page_sentences.machines(phase))}"]
    for headings, (note, lines) in tables.items():
        if lines:
            escaped = (map(escape_markdown, line) for line in lines)
            table = markdown_table([*headings, *map(escape_markdown, comparison.columns)], escaped)
            blocks.append(f"{escape_markdown(note)}\n\n{table}")
    return blocks


def _blocks(run: Run, phase: str) -> list[str]:
    suites = ", ".join(str(suite) for suite in run.table["suite"].dropna().unique())
    phase = shown_phase(run.table, phase)
    quality = stability(run, phase)
    on = f", {name}" if (name := heading(run.table)) else ""
    blocks = [
        f"### jacobench: {escape_markdown(suites or run.name or 'run')}, {phase}{escape_markdown(on)}",
        "\n".join(f"- {escape_markdown(sentence)}" for sentence in answers(run, phase)),
    ]
    if lines := recommendations(run, phase):
        blocks.append(_table(RECOMMENDATIONS, lines))
    if note := floor_note(run.table, phase):
        blocks.append(escape_markdown(note))
    blocks.append(escape_markdown(f"Measured on: {' · '.join(provenance(run.table))}. {quality.summary}"))
    if quality.cells:
        blocks.append(markdown_details("Undecided and disturbed cells", _table(UNCERTAIN, quality.cells)))
    blocks.append(page_sentences.all_cells(counts(run.table)))
    if failed := failures(run.table):
        blocks.append(markdown_details("Failed cells and notes", _table(FAILED, failed)))
    typed = "\n".join(command for command, _ in commands(run))
    blocks.append(markdown_details("Reproduce", f"```bash\n{typed}\n```"))
    return blocks


def _table(headings: Sequence[str], lines: Iterable[object]) -> str:
    """Return a table of dataclasses whose fields are texts."""
    return markdown_table(headings, (map(escape_markdown, vars(line).values()) for line in lines))
