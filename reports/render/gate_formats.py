"""Text formats of an outcome: Markdown, GitHub's workflow commands and step output, and JUnit XML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from jacobench.reports.regression.gate_sentences import failing_lines_left_out, lines_left_out
from jacobench.reports.regression.outcome import FAILING
from jacobench.reports.render.formatting import (
    HEADINGS,
    HEADLINES,
    N_NAMES,
    counted,
    names_shown,
    on_one_line,
    verdict_texts,
)
from jacobench.reports.render.measured_code import code_markdown, code_properties
from jacobench.reports.render.text_tables import escape_markdown, markdown_details, markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.render.formatting import VerdictText

COMMENT_CHARACTERS = 65_000
"""GitHub accepts comments of up to 65,536 characters."""

SUMMARY_BYTES = 1024 * 1024
"""GitHub accepts 1 MiB of summary per step, and shows nothing of a larger one."""

MARKER = "<!-- jacobench -->"
"""Invisible last line of the Markdown, by which a workflow finds its own comment."""

MARKS: Mapping[str, str] = {"broken": "🔴", "regressed": "🔴", "inconclusive": "🟡", "improved": "🟢"}

MAX_ANNOTATIONS = 10
"""GitHub shows ten annotations of a kind per step and drops the others silently."""

LEVELS: Mapping[str, str] = {
    "regressed": "error",
    "inconclusive": "warning",
    "contaminated": "warning",
    "nothing": "error",
}
"""State → kind of annotation; clear has none."""

TAGS: Mapping[str, str] = {
    **dict.fromkeys(FAILING, "failure"),
    **dict.fromkeys(("inconclusive", "contaminated", "not measured"), "skipped"),
    "nothing": "error",
}
"""Verdict or state → JUnit element; the others passed."""


def markdown(outcome: Outcome, title: str) -> str:
    """Return an outcome as Markdown: headline, lines that changed, notes, and the unchanged lines folded.

    The text has at most 65,000 characters; the other lines are counted. Names may contain any character.
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
    table = _table(changed[:shown], len(changed))
    parts = [headline.replace("###  ", "### "), counted(line.verdict for line in lines), table]
    parts += map(escape_markdown, outcome.notes)
    if rest and shown > len(changed):
        parts.append(markdown_details(f"{len(rest)} unchanged", _table(rest[: shown - len(changed)], len(rest))))
    parts += [code_markdown(outcome.distributions), MARKER]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(lines: Sequence[VerdictText], n_all: int) -> str:
    """Return the lines as a table, with a last column for the reasons if there are any, and count those left out."""
    parts = []
    if lines:
        with_reasons = any(line.reason for line in lines)
        headings = (*HEADINGS, "reason") if with_reasons else HEADINGS
        names = names_shown(lines)
        rows = ([_cells(line)[n] for n in (*names, *range(N_NAMES, len(headings)))] for line in lines)
        parts.append(markdown_table([headings[n] for n in names], rows, headings[N_NAMES:]))
    if n_all > len(lines):
        parts.append(lines_left_out(n_all - len(lines)))
    return "\n\n".join(parts)


def _cells(line: VerdictText) -> tuple[str, ...]:
    verdict = f"{MARKS.get(line.verdict, '')} {line.verdict}".strip()
    names = (*map(code, line[1:4]), escape_markdown(line.quantity))
    return (verdict, *names, *line[N_NAMES : len(HEADINGS)], escape_markdown(line.reason))


def code(name: str) -> str:
    r"""Return a name as inline code that shows every character, also in a table.

    >>> code("my|case")
    '`my\\|case`'
    """
    text = on_one_line(name).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def github_output(outcome: Outcome, _title: str) -> str:
    """Return the output of a GitHub step: the state as `verdict`."""
    return f"verdict={outcome.state}"


def github_annotations(outcome: Outcome, title: str) -> str:
    """Return GitHub workflow commands for standard output, one per line; none if the state is clear.

    There is one for each regressed or broken line, at most ten, or one for any other state.
    """
    if outcome.state == "clear":
        return ""
    level, headline = LEVELS[outcome.state], f"{HEADLINES[outcome.state]}: {title}"
    if outcome.state != "regressed":
        return command(level, headline, " ".join(outcome.notes))
    table = outcome.verdicts
    sentences = [line.sentence for line in verdict_texts(table[table["verdict"].isin(FAILING)])]
    if len(sentences) > MAX_ANNOTATIONS:
        left = len(sentences) - MAX_ANNOTATIONS + 1
        sentences = [*sentences[: MAX_ANNOTATIONS - 1], failing_lines_left_out(left)]
    return "".join(command(level, headline, sentence) for sentence in sentences)


def command(level: str, title: str, message: str) -> str:
    r"""Return one workflow command. Neither title nor message can end it or begin another.

    >>> command("error", "a: b", "50 % slower")
    '::error title=a%3A b::50 %25 slower\n'
    """
    escaped_title = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={escaped_title}::{_escape(message)}\n"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def junit(outcome: Outcome, title: str) -> str:
    """Return an outcome as JUnit XML, one test per line of the verdict table; the title names the test suite.

    The first test is the gate itself, so a gate that measured nothing does not pass. The document uses only the
    elements and attributes that the readers of JUnit, Jenkins and GitLab share.
    """
    suite = ET.Element("testsuite", name=_clean(title))
    if outcome.distributions:
        properties = ET.SubElement(suite, "properties")
        for key, value in code_properties(outcome.distributions):
            ET.SubElement(properties, "property", name=_clean(key), value=_clean(value))
    headline, notes = HEADLINES[outcome.state], " ".join(outcome.notes)
    _test(suite, ("jacobench", "the gate"), outcome.state, headline, notes, outcome.seconds)
    for line in verdict_texts(outcome.verdicts):
        name = line.quantity if line.is_benchmark else f"{line.strategy} · {line.phase} · {line.quantity}"
        _test(suite, (line.case, name), line.verdict, line.sentence, line.reason, 0.0)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", f"{outcome.seconds:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _test(suite: ET.Element, name: tuple[str, str], verdict: str, message: str, text: str, seconds: float) -> None:
    test = ET.SubElement(suite, "testcase", classname=_clean(name[0]), name=_clean(name[1]), time=f"{seconds:.3f}")
    tag = TAGS.get(verdict)
    if tag == "skipped":
        ET.SubElement(test, tag, message=_clean(message))
    elif tag:
        ET.SubElement(test, tag, message=_clean(message), type=verdict).text = _clean(text)


def _clean(text: str) -> str:
    """Remove the characters that XML 1.0 does not allow, not even escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


FORMATS: Mapping[str, Callable[[Outcome, str], str]] = {
    "markdown": markdown,
    "summary": step_summary,
    "output": github_output,
    "annotations": github_annotations,
    "junit": junit,
}
"""``FORMATS[name](outcome, title)``; the title names both sides, such as ``"1a2b3c → 4d5e6f · standard"``."""
