"""An outcome as Markdown: a comment on a pull request, or the summary of a CI step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jacobench.reports.render.formatting import HEADLINES, counted, on_one_line, verdict_texts
from jacobench.reports.render.text_tables import escape_markdown, markdown_details, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.render.formatting import VerdictText

COMMENT_CHARACTERS = 65_000
"""GitHub accepts comments of up to 65,536 characters."""

SUMMARY_BYTES = 1024 * 1024
"""GitHub accepts 1 MiB of summary per step, and shows nothing of a larger one."""

MARKS: Mapping[str, str] = {"broken": "🔴", "regressed": "🔴", "inconclusive": "🟡", "improved": "🟢"}

NAMES = ("verdict", "case", "strategy", "phase", "quantity")
NUMBERS = ("base", "head", "change", "95 % interval", "detectable")


def markdown(outcome: Outcome, title: str) -> str:
    """Return an outcome as Markdown: headline, lines that changed, notes, and the unchanged lines folded.

    The text has at most 65,000 characters; lines that do not fit are counted. Names may contain any character.
    """
    return _within(outcome, title, lambda text: len(text) <= COMMENT_CHARACTERS)


def step_summary(outcome: Outcome, title: str) -> str:
    """Return the same Markdown for GitHub's step summary: at most 1 MiB as UTF-8."""
    return _within(outcome, title, lambda text: len(text.encode()) <= SUMMARY_BYTES)


def _within(outcome: Outcome, title: str, fits: Callable[[str], bool]) -> str:
    """Halve the number of lines until the text fits; the worst lines are kept longest."""
    lines = verdict_texts(outcome.verdicts)
    shown = len(lines)
    while not fits(text := _written(outcome, title, lines, shown)) and shown:
        shown //= 2
    return text


def _written(outcome: Outcome, title: str, lines: Sequence[VerdictText], shown: int) -> str:
    changed = [line for line in lines if line.verdict != "unchanged"]
    rest = lines[len(changed) :]
    headline = f"### {MARKS.get(outcome.state, '')} {HEADLINES[outcome.state]}: {escape_markdown(title)}"
    parts = [
        headline.replace("###  ", "### "),
        counted(line.verdict for line in lines),
        _table(changed[:shown], len(changed)),
    ]
    parts += [escape_markdown(note) for note in outcome.notes]
    if rest and shown > len(changed):
        table = _table(rest[: shown - len(changed)], len(rest))
        parts.append(markdown_details(f"{len(rest)} unchanged", table))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(lines: Sequence[VerdictText], n_all: int) -> str:
    """Return the lines as a table, with a last column for the reasons if there are any, and count those left out."""
    parts = []
    if lines:
        with_reasons = any(line.reason for line in lines)
        rows = ([*_cells(line), *([escape_markdown(line.reason)] if with_reasons else [])] for line in lines)
        parts.append(markdown_table(NAMES, rows, (*NUMBERS, *(["reason"] if with_reasons else []))))
    if n_all > len(lines):
        parts.append(f"{n_all - len(lines)} more lines do not fit here.")
    return "\n\n".join(parts)


def _cells(line: VerdictText) -> tuple[str, ...]:
    verdict = f"{MARKS.get(line.verdict, '')} {line.verdict}".strip()
    names = (code(name) for name in (line.case, line.strategy, line.phase))
    values = (line.base, line.head, line.change, line.interval, line.detectable)
    return (verdict, *names, escape_markdown(line.quantity), *values)


def code(name: str) -> str:
    r"""Return a name as inline code that shows every character, also in a table.

    Examples
    --------
    >>> code("my|case")
    '`my\\|case`'
    """
    text = on_one_line(name).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""
