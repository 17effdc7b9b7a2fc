"""Distributions whose code was measured, on the screen, in Markdown and in JUnit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from io import StringIO

from rich.console import Console

from jacobench.bench.gate.installation.side_code import MeasuredDistribution
from jacobench.reports.regression.outcome import Outcome, verdict_table
from jacobench.reports.render.gate_formats import FORMATS
from jacobench.reports.render.gate_screen import VerdictScreen

FOUND = (
    MeasuredDistribution("base", "fastad", "0.1", "0123456789ab", "/tmp/base-env/site-packages"),
    MeasuredDistribution("head", "fastad", "0.2", "ba9876543210-dirty", "/tmp/head-env/site-packages"),
    MeasuredDistribution("both", "core|x", "1.0", "", "/work/core", "shared by both sides"),
)


def outcome(distributions):
    return Outcome("clear", verdict_table([]), distributions=distributions)


def on_screen(distributions):
    text = StringIO()
    Console(file=text, width=200).print(VerdictScreen(outcome(distributions), "a → b"), soft_wrap=True)
    return text.getvalue()


def test_the_screen_has_a_line_for_each():
    lines = on_screen(FOUND).splitlines()
    assert [" ".join(line.split()) for line in lines[lines.index("Measured code:") + 1 :]] == [
        "side distribution version commit folder note",
        "base fastad 0.1 0123456789ab /tmp/base-env/site-packages",
        "head fastad 0.2 ba9876543210-dirty /tmp/head-env/site-packages",
        "both core|x 1.0 – /work/core shared by both sides",
    ]
    assert "Measured code" not in on_screen(())


def test_markdown_has_a_row_for_each():
    text = FORMATS["markdown"](outcome(FOUND), "a → b")
    assert "| head | fastad | 0.2 | ba9876543210-dirty | /tmp/head-env/site-packages |  |" in text
    assert r"core\|x" in text
    assert "Measured code" not in FORMATS["markdown"](outcome(()), "a → b")


def test_junit_has_a_property_for_each_and_the_same_tests():
    suite = ET.fromstring(FORMATS["junit"](outcome(FOUND), "a → b")).find("testsuite")
    assert suite[0].tag == "properties"
    assert [(each.get("name"), each.get("value")) for each in suite[0]] == [
        ("base: fastad", "0.1, commit 0123456789ab, /tmp/base-env/site-packages"),
        ("head: fastad", "0.2, commit ba9876543210-dirty, /tmp/head-env/site-packages"),
        ("both: core|x", "1.0, /work/core, shared by both sides"),
    ]
    assert suite.get("tests") == str(len(suite.findall("testcase"))) == "1"
    assert ET.fromstring(FORMATS["junit"](outcome(()), "a → b")).find("testsuite/properties") is None
