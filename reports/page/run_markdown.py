"""What a run says as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.reports.data.provenance import provenance
from jacobench.reports.page.answers import answers
from jacobench.reports.page.recommendation_table import recommendations
from jacobench.reports.page.row_table import counts, failures
from jacobench.reports.page.run_facts import commands
from jacobench.reports.page.stability import trust
from jacobench.reports.render.text_tables import escape_markdown, markdown_details, markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.reports.data.run_data import Run

MOST_CHARACTERS = 60_000
"""A comment on GitHub holds 65,536 characters."""

ROOM = 500
"""For the line that says that it was cut, and what parts blocks."""


def markdown(runs: Sequence[Run], phase: str = "gradient") -> str:
    """Write what runs found as Markdown, in GitHub's dialect.

    Parameters
    ----------
    runs : sequence of Run
        At least one.
    phase : str
        The phase that counts.

    Returns
    -------
    str
        Ends with a line feed; at most 60,000 characters, and then it says that it was cut.
    """
    blocks = [block for run in runs for block in _blocks(run, phase)]
    kept = [
        block for number, block in enumerate(blocks) if sum(map(len, blocks[: number + 1])) < MOST_CHARACTERS - ROOM
    ]
    text = "\n\n".join(kept) + "\n"
    if len(kept) == len(blocks):
        return text
    left = len(blocks) - len(kept)
    return f"{text}\nCut here: {left} more blocks; the page (`jacobench report`) has all.\n"


def _blocks(run: Run, phase: str) -> list[str]:
    suites = ", ".join(str(suite) for suite in run.table["suite"].dropna().unique())
    judged = trust(run)
    blocks = [
        f"### jacobench: {escape_markdown(suites or run.name or 'a run')}, {phase}",
        "\n".join(f"- {escape_markdown(sentence)}" for sentence in answers(run, phase)),
    ]
    if lines := recommendations(run, phase):
        headings = ("case", "fastest", "decision", "the runner-up takes", "runner-up", "least memory", "its peak")
        blocks.append(markdown_table(headings, (map(escape_markdown, vars(line).values()) for line in lines)))
    blocks.append(
        escape_markdown(f"Measured on: {' · '.join(provenance(run.table))}. The machine was {judged.verdict}.")
    )
    told = [
        [escape_markdown(word) for word in (failure.case, failure.strategy, failure.status, failure.reason)]
        for failure in failures(run.table)
    ]
    blocks.append(f"Cells: {counts(run.table) or 'none'}.")
    if told:
        blocks.append(
            markdown_details(
                "Cells without a number, and notes", markdown_table(("case", "strategy", "status", "why"), told)
            )
        )
    typed = "\n".join(command for command, _ in commands(run))
    blocks.append(markdown_details("Measure it again", f"```bash\n{typed}\n```"))
    return blocks
