"""Formats of an outcome for continuous integration: Markdown, GitHub's workflow commands and JUnit XML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from jacobench.reports.regression.outcome import FAILING
from jacobench.reports.render.formatting import HEADLINES, verdict_texts
from jacobench.reports.render.gate_markdown import markdown, step_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.reports.regression.outcome import Outcome

MAX_ANNOTATIONS = 10
"""GitHub shows ten annotations of a kind per step and drops the others silently."""

LEVELS: Mapping[str, str] = {
    "clear": "notice",
    "regressed": "error",
    "inconclusive": "warning",
    "contaminated": "warning",
    "nothing": "error",
}
"""State → kind of annotation."""

TAGS: Mapping[str, str] = {
    "broken": "failure",
    "regressed": "failure",
    "inconclusive": "skipped",
    "contaminated": "skipped",
    "not measured": "skipped",
    "nothing": "error",
}
"""Verdict or state → JUnit element; the others passed."""


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
        sentences = [*sentences[: MAX_ANNOTATIONS - 1], f"and {left} more regressed or broken lines"]
    return "".join(command(level, headline, sentence) for sentence in sentences)


def command(level: str, title: str, message: str) -> str:
    r"""Return one workflow command. Neither title nor message can end it or begin another.

    Examples
    --------
    >>> command("error", "a: b", "50 % slower")
    '::error title=a%3A b::50 %25 slower\n'
    """
    escaped_title = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={escaped_title}::{_escape(message)}\n"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def junit(outcome: Outcome, title: str) -> str:
    """Return an outcome as JUnit XML, one test per line of the verdict table; the title names the test suite.

    The first test is the gate itself, so a gate that measured nothing does not pass. The document uses only the elements and
    attributes that the readers of JUnit, Jenkins and GitLab share.
    """
    suite = ET.Element("testsuite", name=_clean(title))
    headline, notes = HEADLINES[outcome.state], " ".join(outcome.notes)
    _test(suite, ("jacobench", "the gate"), outcome.state, headline, notes, outcome.seconds)
    for line in verdict_texts(outcome.verdicts):
        name = f"{line.strategy} · {line.phase} · {line.quantity}"
        _test(suite, (line.case, name), line.verdict, line.sentence, line.reason, 0.0)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
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
    "annotations": github_annotations,
    "junit": junit,
}
"""``FORMATS[name](outcome, title)``; the title says what was compared, such as ``"1a2b3c → 4d5e6f · standard"``."""
