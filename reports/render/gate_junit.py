"""An outcome as JUnit XML, which most CI systems show as tests: one test a line of the verdict table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from jacobench.reports.render.formatting import HEADLINES, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.regression.outcome import Outcome

TAGS: Mapping[str, str] = {
    "broken": "failure",
    "regressed": "failure",
    "inconclusive": "skipped",
    "contaminated": "skipped",
    "nothing": "error",
}
"""Verdict or state → the element that says so; those that are not here passed."""


def junit(outcome: Outcome, title: str) -> str:
    """Return an outcome as JUnit XML.

    Parameters
    ----------
    outcome : Outcome
        Of a gate, or of two runs.
    title : str
        What was compared, in what: the suite's name.

    Returns
    -------
    str
        An XML document. The first test is the gate itself, so that a gate that measured nothing is no green suite. Elements and attributes are those
        that JUnit's own, Jenkins's and GitLab's readers share.
    """
    suite = ET.Element("testsuite", name=_clean(title))
    _test(
        suite,
        "jacobench",
        "the gate",
        outcome.state,
        HEADLINES[outcome.state],
        " ".join(outcome.notes),
        outcome.seconds,
    )
    for line in outcome.verdicts.to_dict("records"):
        found = words(line)
        name = f"{found.strategy} · {found.phase} · {found.quantity}"
        _test(suite, found.case, name, found.verdict, found.sentence, found.reason, 0.0)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    suite.set("time", f"{outcome.seconds:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _test(suite: ET.Element, classname: str, name: str, verdict: str, message: str, text: str, seconds: float) -> None:
    test = ET.SubElement(suite, "testcase", classname=_clean(classname), name=_clean(name), time=f"{seconds:.3f}")
    tag = TAGS.get(verdict)
    if tag == "skipped":
        ET.SubElement(test, tag, message=_clean(message))
    elif tag:
        ET.SubElement(test, tag, message=_clean(message), type=verdict).text = _clean(text)


def _clean(text: str) -> str:
    """Leave out the characters that XML 1.0 cannot hold, not even escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
