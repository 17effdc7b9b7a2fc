"""Formats: well-formed whatever the names are, within their limits, and saying what the table says."""

from __future__ import annotations

import math
import re
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from jacobench.reports.data.units import format_change
from jacobench.reports.regression.conclusion import untimed_notes
from jacobench.reports.regression.outcome import EXIT_CODES, VERDICTS, Outcome, verdict_table
from jacobench.reports.render.formatting import verdict_texts
from jacobench.reports.render.gate_formats import COMMENT_CHARACTERS, FORMATS, SUMMARY_BYTES, code
from jacobench.reports.render.gate_screen import VerdictScreen

NASTY = "a|b`c`\n::error::<b>&\"'\x00\x1b[31m, *x*_[link](http://x) % é"


def row(verdict="regressed", **more):
    return {
        "case": "mlp-w64",
        "strategy": "dense",
        "phase": "gradient",
        "quantity": "seconds",
        "base": 1e-3,
        "head": 1.12e-3,
        "ratio": 1.12,
        "low": 1.10,
        "high": 1.14,
        "p_value": 0.004,
        "threshold": 0.02,
        "detectable": 0.031,
        "n_pairs": 8,
        "verdict": verdict,
        "reason": "was again with fresh pairs",
    } | more


def outcome(*lines, state="regressed", notes=("24 pairs.",)):
    return Outcome(state, verdict_table(lines), n_pairs=24, seconds=61.5, notes=notes)


EVERY = outcome(*(row(verdict, case=f"case-{verdict}") for verdict in VERDICTS[::-1]))
MANY = outcome(*(row(case=f"case-{number}" + "x" * 40) for number in range(8000)))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("state", EXIT_CODES)
def test_every_state_in_every_format(name, state):
    said = FORMATS[name](outcome(row(), state=state, notes=("why",)), "a → b")
    assert isinstance(said, str)
    assert bool(said) == ((name, state) != ("annotations", "clear"))


def test_markdown_has_the_case_the_phase_the_ratio_the_interval_and_the_bytes():
    heavy = row(quantity="peak_bytes", base=2**20, head=3 * 2**19, ratio=1.5, low=math.nan, high=math.nan, reason="")
    said = FORMATS["markdown"](outcome(row(), heavy), "abc → def")
    assert said.startswith("### 🔴 Regression: abc → def\n")
    assert (
        "| 🔴 regressed | `mlp-w64` | `dense` | `gradient` | time | 1.00 ms | 1.12 ms | +12.0% | [+10.0%, +14.0%] | 3.1% | was again with fresh pairs |"
        in said
    )
    assert "| peak memory | 1.00 MiB | 1.50 MiB | +50.0% |  | 3.1% |  |" in said
    assert "24 pairs" in said


def test_markdown_shows_the_worst_first_and_folds_what_is_unchanged():
    said = FORMATS["markdown"](EVERY, "x")
    places = [said.index(f"case-{verdict}") for verdict in VERDICTS]
    assert places == sorted(places)
    assert said.index("<details>") < places[-1] < said.index("</details>")
    assert "1 broken · 1 regressed · 1 inconclusive" in said


@pytest.mark.long
@pytest.mark.parametrize(("name", "fits"), [("markdown", COMMENT_CHARACTERS), ("summary", SUMMARY_BYTES)])
def test_what_does_not_fit_is_counted(name, fits):
    said = FORMATS[name](MANY, "x")
    assert fits / 4 < len(said.encode()) <= fits
    shown = said.count("| 🔴 regressed |")
    assert f"{8000 - shown:,} more lines do not fit here." in said


@pytest.mark.long
@pytest.mark.parametrize("lines", [EVERY, MANY])
def test_markdown_ends_with_the_marker_of_a_comment(lines):
    assert FORMATS["markdown"](lines, "x").endswith("\n\n<!-- jacobench -->\n")


def test_the_output_of_a_step_is_the_verdict():
    assert FORMATS["output"](outcome(row(), state="contaminated"), "x") == "verdict=contaminated"


def test_nothing_in_a_name_breaks_the_table():
    said = FORMATS["markdown"](outcome(row(case=NASTY, reason=NASTY)), NASTY)
    (line,) = [line for line in said.splitlines() if line.startswith("| 🔴")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 12
    assert r"::error::\<b\>" in said.splitlines()[0]
    assert said.replace("\n", "").isprintable()
    assert not any(line.startswith("::") for line in said.splitlines())


@pytest.mark.parametrize(
    ("name", "expected"), [("a", "`a`"), ("a`b", "``a`b``"), ("`a`", "`` `a` ``"), ("a|b", r"`a\|b`"), ("", "")]
)
def test_names_as_code(name, expected):
    assert code(name) == expected


def test_annotations_are_errors_for_regressions_and_escaped():
    said = FORMATS["annotations"](outcome(row(case=NASTY), row("unchanged")), "a: b, c")
    (line,) = said.splitlines()
    assert line.startswith("::error title=Regression%3A a%3A b%2C c::a|b`c` ::error")
    assert "+12.0%25" in line


def test_no_more_annotations_than_github_shows():
    lines = FORMATS["annotations"](MANY, "x").splitlines()
    assert len(lines) == 10
    assert "and 7,991 more failing lines" in lines[-1]


@pytest.mark.parametrize(
    ("state", "level"), [("inconclusive", "warning"), ("contaminated", "warning"), ("nothing", "error")]
)
def test_other_states_are_one_annotation(state, level):
    said = FORMATS["annotations"](outcome(row("inconclusive"), row("inconclusive"), state=state), "x")
    assert said.startswith(f"::{level} ")
    assert said.count("\n") == 1


ALLOWED = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}
"""Elements and attributes that we use; Jenkins's junit-10.xsd allows all of them."""


@pytest.mark.parametrize("state", EXIT_CODES)
def test_junit_is_well_formed_and_counts_right(state):
    lines = [row(verdict, case=NASTY, reason=NASTY) for verdict in VERDICTS]
    root = ET.fromstring(FORMATS["junit"](outcome(*lines, state=state, notes=(NASTY,)), NASTY))
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
        assert set(ALLOWED[element.tag]) - {"type"} <= set(element.attrib)
    (suite,) = root
    assert int(suite.get("tests")) == len(suite) == len(VERDICTS) + 1
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{tag}"))
    own = {"clear": [], "regressed": ["failure"], "nothing": ["error"]}.get(state, ["skipped"])
    assert [child.tag for child in suite[0]] == own
    assert len(suite.findall("testcase/failure")) == 2 + (state == "regressed")


def on_screen(outcome, title="a → b"):
    console = Console(width=80, record=True, file=StringIO())
    console.print(VerdictScreen(outcome, title), soft_wrap=True)
    return console.export_text()


def test_the_screen_has_one_line_per_row_the_worst_first():
    lines = on_screen(EVERY, "a → b [bold]").splitlines()
    assert lines[:2] == ["Regression · a → b [bold]", f"9 rows: {' · '.join(f'1 {verdict}' for verdict in VERDICTS)}"]
    for verdict in VERDICTS:
        (line,) = [line for line in lines if f"case-{verdict} " in line]
        assert line.startswith(verdict)
    places = [lines.index(next(line for line in lines if f"case-{verdict} " in line)) for verdict in VERDICTS]
    assert places == sorted(places)
    assert sum("case-" in line for line in on_screen(MANY).splitlines()) == 8000


def test_a_row_with_several_results_is_one_line_with_its_worst_verdict():
    heavy = row(quantity="peak_bytes", base=2**20, head=3 * 2**19, ratio=1.5, low=math.nan, high=math.nan, reason="")
    lines = on_screen(outcome(row("improved"), heavy, row(quantity="n_nonzeros", ratio=2.5))).splitlines()
    (line,) = [line for line in lines if "mlp-w64" in line]
    assert line.startswith("regressed  mlp-w64  dense     gradient  non-zeros")
    assert line.endswith("peak memory +50.0%")
    lines = on_screen(outcome(heavy, row())).splitlines()
    (line,) = [line for line in lines if "mlp-w64" in line]
    assert line.startswith("regressed  mlp-w64  dense     gradient  time"), "time is the first of equal verdicts"


def test_the_reason_of_a_broken_row_is_in_its_line_and_not_below_the_table():
    said = on_screen(outcome(row("broken", base=math.nan, head=math.nan, ratio=math.nan, reason="error (not today)")))
    (line,) = [line for line in said.splitlines() if "not today" in line]
    assert line.startswith("broken")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_line_contains_regressed_or_broken_only_as_its_verdict(verdict):
    found = outcome(row(verdict, reason="torch is installed but broken; it regressed"))
    for said in (on_screen(found), *(write(found, "x") for write in FORMATS.values())):
        for line in said.splitlines():
            words = {word for word in ("regressed", "broken") if word in line}
            assert words <= {verdict} or "mlp-w64" not in line


@pytest.mark.parametrize("verdict", ["broken", "unchanged"])
def test_a_reason_that_a_line_leaves_out_is_a_note(verdict):
    table = verdict_table([row(verdict, reason="it regressed", ratio=1.0)])
    assert [note for note in untimed_notes("clear", table, {}) if note == f"1 row {verdict}: it regressed."]


@pytest.mark.parametrize(("width", "least"), [(160, "detectable"), (100, "head"), (80, "change")])
def test_a_terminal_shows_the_columns_that_fit(width, least):
    console = Console(width=width, record=True, file=StringIO(), force_terminal=True)
    console.print(VerdictScreen(outcome(row()), "x"), soft_wrap=True)
    heading, line = console.export_text().splitlines()[3:5]
    assert least in heading
    assert max(len(heading), len(line)) <= width


def test_a_long_name_keeps_everything_from_the_colons_on():
    name = "test_speed.py::TestGradient::test_" + "x" * 80
    assert name[len("test_speed.py") :] in on_screen(outcome(row(case=f"{'benchmarks/' * 9}{name}")))
    short = "benchmarks/test_speed.py::TestGradient::test_mlp[64]"
    assert short in on_screen(outcome(row(case=short)))


def benchmark(**more):
    return row(strategy="benchmark", phase="call", case="bench/test_speed.py::test_x[a|b]", **more)


def test_benchmarks_have_no_columns_for_strategy_and_phase():
    found = outcome(benchmark())
    for said in (on_screen(found), *(write(found, "x") for name, write in FORMATS.items() if name != "output")):
        assert "test_x[a" in said
        assert not re.search(r"strategy|phase|call|`benchmark`", said)
    with_cell = outcome(benchmark(), row())
    assert "strategy" in on_screen(with_cell)
    assert "`benchmark`" in FORMATS["markdown"](with_cell, "x")


@pytest.mark.parametrize("length", [50, 78])
def test_a_terminal_does_not_wrap_a_name_that_fits(length):
    name = "t.py::test_" + "x" * (length - 11)
    console = Console(width=80, record=True, file=StringIO(), force_terminal=True)
    console.print(VerdictScreen(outcome(row(case=name, strategy="benchmark", phase="call")), "x"), soft_wrap=True)
    test = name.removeprefix("t.py")
    (line,) = [line for line in console.export_text().splitlines() if test in line]
    assert line.index(test) + len(test) <= 80
    assert "regressed" in line


EXTREMES = [
    row(verdict, base=base, head=head, ratio=ratio, low=low, high=high, detectable=detectable, reason="")
    for verdict in VERDICTS
    for base, head, ratio, low, high, detectable in (
        (1e-3, 0.0, 0.0, 0.0, math.inf, math.inf),
        (0.0, 1.0, math.inf, math.nan, math.nan, math.nan),
        (1e-12, 1e300, 1e312, 1e300, math.inf, 1e5),
        (math.nan, math.nan, math.nan, math.nan, math.nan, math.nan),
        (1.0, 3.0, 3.0, 2.5, 3.5, 1.4),
        (1.0, 0.99999, 0.99999, 0.9999, 1.00001, 1.0),
    )
] + [row(quantity="seconds~width", base=2.0, head=1.9999, ratio=1.0, detectable=40.0)]


@pytest.mark.parametrize("line", EXTREMES)
def test_extreme_numbers_make_no_false_statement(line, sentence_flaws):
    (found,) = verdict_texts(verdict_table([line]))
    for text in (found.change, found.interval, found.detectable, found.base, found.head):
        assert sentence_flaws(text) == []


def test_words_of_an_exponent():
    line = row(quantity="seconds~width", base=2.0, head=3.0, ratio=2.0, threshold=0.1, detectable=0.12)
    (found,) = verdict_texts(verdict_table([line]))
    assert (found.quantity, found.base, found.head, found.change, found.detectable) == (
        "growth of time with width", "2.00", "3.00", "+1.00", "0.12",
    )  # fmt: skip


def test_words_of_a_ratio_to_a_reference():
    (found,) = verdict_texts(verdict_table([row(quantity="seconds/vjp", base=10.0)]))
    assert (found.quantity, found.base) == ("time over vjp", "10.0×")


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.0, "+0.0%"), (1.999, "+99.9%"), (2.0, "2.00×"), (math.inf, "∞"), (math.nan, "–")]
)
def test_changes(ratio, expected):
    assert format_change(ratio) == expected


def test_within_a_verdict_the_largest_change_is_first():
    table = verdict_table([row(ratio=1.1, case="small"), row(ratio=1.5, case="large"), row("broken", ratio=math.nan)])
    assert [line.case for line in verdict_texts(table)] == ["mlp-w64", "large", "small"]
