"""The page of a history: whole, escaped, marked; and opened in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from jacobench.reports.history.history_check import check
from jacobench.reports.history.history_page import page
from jacobench.reports.history.series_drawings import line_svg

VOID = {"meta", "link", "input", "br"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync", "--enable-logging=stderr")


class Elements(HTMLParser):
    """Check that elements close in order, and gather ids, links and names."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.targets, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        self.targets += [value[1:] for name, value in attrs if name == "href" and value.startswith("#")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    elements = Elements()
    elements.feed(text)
    elements.close()
    assert elements.open == []
    return elements


@pytest.fixture
def text(history_of, stepped):
    history = history_of(*stepped)
    return page(history, check(history))


def test_it_is_one_whole_file(text):
    elements = read(text)
    assert len(elements.ids) == len(set(elements.ids))
    assert set(elements.targets) <= set(elements.ids)
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert [tag for tag, _ in elements.tags].count("h1") == 1
    assert all(attributes["aria-label"] for tag, attributes in elements.tags if tag == "svg")


def test_series_and_changes_are_there(text):
    elements = read(text)
    cells = [attributes for _, attributes in elements.tags if attributes.get("class") == "cell"]
    names = [attributes["data-name"] for attributes in cells]
    assert names == [f"mlp · {name} · gradient" for name in ("vjp", "dense", "sparse")] + ["calibration kernel"]
    marks = [attributes["class"] for _, attributes in elements.tags if attributes.get("class", "").startswith("mark")]
    assert marks == ["mark regressed", "mark regressed"]  # of its time and of its bytes
    assert "Recent regression" in text
    assert "peak memory constant at 1.00 MiB" in text
    assert float(cells[0]["data-largest"]) > 0.5
    assert cells[1]["data-newest"] == "-1"


def test_names_cannot_become_elements(history_of, record):
    evil = '<script>alert("x")</script>'
    quoted = "\" onload='x' &amp; {{ 7 * 7 }}"
    runs = [
        record(k, machine=evil, suite=quoted, commit=evil,
               cells=((evil, quoted, "gradient", "ok", 5, s, s, s, s, 1.0, 8, 0, None),))
        for k, s in enumerate([1.0 + 0.001 * (k % 3) for k in range(20)] + [2.0 + 0.001 * (k % 3) for k in range(10)])
    ]  # fmt: skip
    history = history_of(*runs)
    found = check(history)
    assert len(found.changes) == 1
    text = page(history, found)
    elements = read(text)
    assert [tag for tag, _ in elements.tags].count("script") == 1
    assert not any("onload" in attributes for _, attributes in elements.tags)
    assert any(attributes.get("data-name") == f"{evil} · {quoted} · gradient" for _, attributes in elements.tags)
    assert "{{ 7 * 7 }}" in text


@pytest.mark.parametrize("n_runs", [1, 2, 9])
def test_a_young_history(n_runs, history_of, record):
    history = history_of(*(record(k) for k in range(n_runs)))
    text = page(history, check(history))
    read(text)
    assert "Inconclusive: " in text
    assert f"{n_runs} run{'s' if n_runs > 1 else ''}, measured from" in text


def test_a_line_goes_through_every_run():
    svg = str(line_svg(np.array([1.0, 1.5, 1.0, 2.0, 1.0, 1.5]), [], "a & b"))
    start, steps = re.search(r'd="M0 (\d+)l([^"]*)"', svg).groups()
    moves = [int(number) for number in re.findall(r"-?\d+", steps)]
    assert moves[::2] == [1] * 5
    heights = np.cumsum([int(start), *moves[1::2]])
    assert np.argmin(heights) == 3  # the highest value is at the top
    assert heights[0] == heights[2] == heights[4]
    assert 0 <= heights.min() < heights.max() <= 100
    assert 'aria-label="a &amp; b"' in svg


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM and not os.environ.get("CI"), reason="there is no Chromium here, and this is not CI")
def test_it_opens_in_a_browser_without_complaints(text, tmp_path):
    path = tmp_path / "history.html"
    path.write_text(text, encoding="utf-8")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert re.search(r'<output[^>]*id="count">4 of 4</output>', done.stdout)  # the script has run
    assert 'id="tools">' in done.stdout  # and shown the tools
