"""An outcome as Markdown: a comment on a pull request, or a step's summary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jacobench.reports.render.formatting import HEADLINES, counted, on_one_line, words, worst_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.render.formatting import Words

COMMENT_CHARACTERS = 65_000
"""GitHub takes comments of up to 65,536 characters."""

SUMMARY_BYTES = 1024 * 1024
"""GitHub takes 1 MiB of summary a step, and shows none of what is larger."""

MARKS: Mapping[str, str] = {"broken": "🔴", "regressed": "🔴", "inconclusive": "🟡", "improved": "🟢"}

HEADINGS = ("verdict", "case", "strategy", "phase", "quantity", "base", "head", "change", "95 % interval", "could see")


def markdown(outcome: Outcome, title: str) -> str:
    """Return an outcome as Markdown: what it came to, the lines that are not unchanged, what to do, and all lines folded away.

    Parameters
    ----------
    outcome : Outcome
        Of a gate, or of two runs.
    title : str
        What was compared, in what.

    Returns
    -------
    str
        At most 65,000 characters; lines that do not fit are counted. Names may hold anything: they come out as they are.
    """
    return _within(outcome, title, lambda text: len(text) <= COMMENT_CHARACTERS)


def summary(outcome: Outcome, title: str) -> str:
    """Return the same for GitHub's step summary: at most 1 MiB as UTF-8."""
    return _within(outcome, title, lambda text: len(text.encode()) <= SUMMARY_BYTES)


def _within(outcome: Outcome, title: str, fits: Callable[[str], bool]) -> str:
    """Write as many lines of the table as fit, by halving: the notable ones stand first, so that they go last."""
    lines = [words(line) for line in worst_first(outcome.verdicts).to_dict("records")]
    shown = len(lines)
    while not fits(text := _written(outcome, title, lines, shown)) and shown:
        shown //= 2
    return text


def _written(outcome: Outcome, title: str, lines: list[Words], shown: int) -> str:
    notable = [line for line in lines if line.verdict != "unchanged"]
    rest = lines[len(notable) :]
    parts = [f"### {MARKS.get(outcome.state, '')} {HEADLINES[outcome.state]}: {escape(title)}".replace("###  ", "### ")]
    if lines:
        parts.append(counted(outcome))
    parts += [_table(notable[:shown]), _left_out(len(notable) - shown), *(escape(note) for note in outcome.notes)]
    if rest and shown > len(notable):
        kept = rest[: shown - len(notable)]
        folded = [
            f"<details><summary>{len(rest)} unchanged</summary>",
            _table(kept),
            _left_out(len(rest) - len(kept)),
            "</details>",
        ]
        parts += folded
    return "\n\n".join(part for part in parts if part) + "\n"


def _left_out(n: int) -> str:
    return f"{n} more lines do not fit here." if n > 0 else ""


def _table(lines: list[Words]) -> str:
    if not lines:
        return ""
    rows = [_cells(line) for line in lines]
    heading = [f"| {' | '.join(HEADINGS)} |", "|---" * 5 + "|---:" * 5 + "|"]
    reasons = [
        f"- {code(f'{line.case} · {line.strategy} · {line.phase}')}, {line.quantity}: {escape(line.reason)}"
        for line in lines
        if line.reason
    ]
    return "\n".join([*heading, *(f"| {' | '.join(row)} |" for row in rows)]) + (
        "\n\n" + "\n".join(reasons) if reasons else ""
    )


def _cells(line: Words) -> Iterable[str]:
    mark = MARKS.get(line.verdict, "")
    names = (code(name) for name in (line.case, line.strategy, line.phase))
    return (
        f"{mark} {line.verdict}".strip(),
        *names,
        escape(line.quantity),
        line.base,
        line.head,
        line.change,
        line.interval,
        line.visible,
    )


def code(name: str) -> str:
    r"""Return a name as code that shows it as it is, also in a table.

    Examples
    --------
    >>> code("my|case")
    '`my\\|case`'
    """
    text = on_one_line(name).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def escape(text: str) -> str:
    """Return a text on one line in which nothing is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&])", r"\\\1", on_one_line(text))
