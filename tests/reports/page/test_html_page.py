"""The page as a document: valid, whole, and nothing in it that a name brought in."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import html5lib
import pandas as pd
import pytest

from jacobench.bench.row.columns import STATUSES, tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import Run
from jacobench.reports.page import html_page
from jacobench.reports.page.html_page import page
from jacobench.reports.page.notebook import WINNER, notebook
from jacobench.reports.page.page_tables import recommendations, row_table
from jacobench.reports.page.run_markdown import MAX_CHARACTERS, markdown
from jacobench.reports.plots.all_plots import PlotSet, all_plots

from .conftest import HOSTILE

XHTML = "{http://www.w3.org/1999/xhtml}"


def parsed(text):
    parser = html5lib.HTMLParser()
    tree = parser.parse(text)
    assert parser.errors == []
    return tree


def words_of(tree):
    return " ".join("".join(tree.itertext()).split())


@pytest.fixture(scope="module")
def whole(standard_run):
    return page([standard_run])


@pytest.fixture(scope="module")
def of_every_status(every_status):
    return page([every_status])


def test_it_is_valid_and_every_id_is_there_once_and_every_link_leads_somewhere(whole):
    tree = parsed(whole)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    links = [element.get("href") for element in tree.iter() if element.get("href")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "data:")) for link in links)


def test_it_needs_no_network(whole):
    found = set(re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"|url\((?!#)([^)]*)\)|@import', whole))
    assert found == set()
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", whole)


def test_it_says_all_there_is_to_say(whole, standard_run):
    text = words_of(parsed(whole))
    for said in (
        "Should these graphs be backpropagated",
        "in the time of the phase gradient",
        "AMD EPYC",
        "Disturbed: ",
        "Recommendations",
        "predicted exponent",
        "over the budget of 2 GiB",
        "one call took longer than 60 s",
        "jacobench run --suite standard --passes 3",
        "numpy==2.4.6",
    ):
        assert said in text
    assert "steady" not in text
    for case in standard_run.table["case"].unique():
        assert case in text


def test_every_picture_has_its_caption_and_its_data(whole, standard_run):
    tree = parsed(whole)
    figures = list(tree.iter(f"{XHTML}figure"))
    assert len(figures) == len(all_plots(standard_run).plots)
    for figure in figures:
        (link,) = figure.iter(f"{XHTML}a")
        data = base64.b64decode(link.get("href").partition("base64,")[2])
        assert len(pd.read_csv(io.BytesIO(data))) > 0
        assert "".join(figure.find(f"{XHTML}figcaption").itertext()).strip()
        assert figure.find(f"{XHTML}div").get("aria-label")


def test_the_rows_as_csv_are_the_tidy_table(whole, standard_run):
    (link,) = [a for a in parsed(whole).iter(f"{XHTML}a") if a.get("class") == "export"]
    data = base64.b64decode(link.get("href").partition("base64,")[2])
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(data)), standard_run.table, check_dtype=False)


def test_names_and_reasons_of_plug_ins_are_escaped(every_status, of_every_status):
    text = of_every_status
    assert "<script>document" not in text
    assert HOSTILE in words_of(parsed(text))
    assert "<script>" not in markdown([every_status]).replace("\\<script\\>", "")


def test_a_run_with_every_status_shows_each_with_its_reason(of_every_status):
    text = words_of(parsed(of_every_status))
    for status in STATUSES:
        assert status.replace("_", " ") in text
    assert f"because {HOSTILE}" in text


def one_row(standard):
    return standard.head(1)


def one_size(standard):
    return standard[standard["case"] == "mlp-w64-d3-b1"]


def never_succeeded(standard):
    dense = standard["strategy"] == "dense"
    return standard.assign(
        status=standard["status"].where(~dense, "crashed"), seconds_median=standard["seconds_median"].where(~dense)
    )


def nothing_succeeded(standard):
    return standard.assign(status="timeout", seconds_median=float("nan"), peak_bytes=float("nan"))


def no_rows(_standard):
    return tidy([])


@pytest.mark.parametrize("kind", [one_row, one_size, never_succeeded, nothing_succeeded, no_rows])
@pytest.mark.long
def test_a_poor_run_still_has_its_page_and_says_what_is_missing(standard, run_of, kind):
    narrow = standard[(standard["depth"] == 3) & standard["width"].isin([16, 64]) & (standard["batch"] == 1)]
    table = kind(narrow)
    run = Run(table) if kind is one_size else run_of(table)  # the table alone: no passes, no facts
    text = words_of(parsed(page([run])))
    assert "Not drawn, because the run lacks the data" in text
    assert markdown([run]).startswith("### jacobench: ")


def test_several_runs_share_no_id(standard, run_of):
    tree = parsed(page([run_of(one_row(standard)), run_of(one_row(standard))]))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert len(list(tree.iter(f"{XHTML}article"))) == 2


def test_names_in_the_title_and_in_links_are_there_once(standard, run_of, monkeypatch):
    monkeypatch.setattr(html_page, "all_plots", lambda _run, _phase: PlotSet({}, {}))
    rows = one_row(standard)
    runs = [replace(run_of(rows.assign(suite=suite)), name="smoke") for suite in ("smoke", "smoke", "Smoke")]
    tree = parsed(page(runs))
    assert next(tree.iter(f"{XHTML}title")).text == "jacobench: smoke, Smoke"
    nav = next(tree.iter(f"{XHTML}nav"))
    assert [link.text for link in nav.iter(f"{XHTML}a")] == ["smoke", "smoke", "Smoke · smoke"]


def test_an_unknown_phase_offers_the_nearest(standard_run):
    with pytest.raises(BadInput, match="did you mean 'gradient'"):
        page([standard_run], "gradeint")


def test_what_is_the_same_in_every_row_is_no_column(standard):
    found = row_table(Run(standard))
    names = [column.name for column in found.columns]
    same = dict(found.same)
    assert same["machine"] == "AMD EPYC, 2 cores, Linux 6.18"
    assert not set(names) & set(same)
    assert "max_relative_error" not in [*names, *same]  # missing in every row
    assert names[:4] == ["case", "strategy", "phase", "status"]
    row = dict(zip(names, found.rows[0], strict=True))
    assert row["peak_bytes"] == ("96.0 KiB", "98304.0")
    assert all(len(row) == len(names) for row in found.rows)


def test_no_winner_is_advised_where_there_is_none(standard, run_of):
    run = run_of(standard)
    assert {line.fastest for line in recommendations(run)} == {"vjp"}
    once = Run(run.table, run.passes[run.passes["pass"] == 0])
    rivals = [line for line in recommendations(once) if line.decision != "no other strategy was timed"]
    assert {line.fastest for line in rivals} == {""}
    assert {line.decision for line in rivals} == {"undecided: one pass cannot decide"}


def test_markdown_is_a_comment_that_github_takes(standard_run, every_status, monkeypatch):
    text = markdown([standard_run])
    assert text.count("<details>") == text.count("</details>") == 2
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {8, 6}
    monkeypatch.setattr("jacobench.reports.page.run_markdown.MAX_CHARACTERS", 3000)
    cut = markdown([every_status])
    assert len(cut) <= 3000
    assert re.search(r"Not shown, because a comment has a limit: \d+ more blocks?\.", cut)
    assert cut.count("<details>") == cut.count("</details>")
    assert MAX_CHARACTERS < 65_536


def test_a_notebook_shows_the_answer_the_table_and_the_plots(every_status):
    run = Run(every_status.table.head(3))
    fragment = notebook(run)
    assert "in the time of the phase gradient" in fragment
    assert "<table" in fragment
    assert fragment.count("data:image/png;base64,") == len(all_plots(run).plots)
    assert "<script>document" not in fragment
    assert "<style" not in fragment
    assert "<script" not in fragment


def test_a_notebook_marks_the_same_winners_as_the_page(standard, run_of):
    run = run_of(standard[standard["width"].eq(16) & standard["batch"].eq(1)])
    (winner,) = {line.fastest for line in recommendations(run)}
    html = notebook(run)
    rows = re.findall(r"<td>([^<]*)</td>", html)
    marked = [rows[number - 2] for number, cell in enumerate(rows) if cell.endswith("s *")]
    assert set(marked) == {winner}
    assert WINNER in html
    assert WINNER not in notebook(run_of(run.table.assign(seconds_median=1e-3, peak_bytes=2e6)))
