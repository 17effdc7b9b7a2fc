"""A run on a cluster with two kinds of machine: whatever reads it keeps the rows of the two apart.

On the first machine, dense and vjp take the same time at a width of 64; on the second, at 128, and everything takes
longer. All eight cases are one sweep, of which each machine measured every other case.
"""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import html5lib
import pandas as pd
import pytest
from rich.console import Console

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.floor.predicted_rows import one_case
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.row_summary import Header, rows_of
from jacobench.bench.run.run_document import document
from jacobench.bench.run.runner import _cluster_facts
from jacobench.bench.suites.case import Case, Suite, cells_of, graph_of
from jacobench.graphs.errors import BadInput
from jacobench.reports.analysis.case_advice import advise_from_runs
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import growth
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.analysis.sweeps import find_grids, find_sweeps, order_of_sweeps
from jacobench.reports.claims.claim_catalogue import lines
from jacobench.reports.data.machine_parts import by_machine
from jacobench.reports.data.run_data import PASS_COLUMNS, Run, from_document
from jacobench.reports.history.history_records import from_run
from jacobench.reports.page import html_page, page_sentences
from jacobench.reports.page import notebook as notebook_view
from jacobench.reports.page.html_page import page
from jacobench.reports.page.machine_comparison import compare_machines
from jacobench.reports.page.notebook import notebook
from jacobench.reports.page.run_facts import machine_details, stability
from jacobench.reports.page.run_markdown import markdown
from jacobench.reports.plots.all_plots import PlotSet, all_plots
from jacobench.reports.plots.machine_plots import machine_plots
from jacobench.reports.regression.two_runs import compare
from jacobench.reports.render.advice_text import reasons
from jacobench.reports.render.run_table import terminal_tables

ONE, OTHER = (
    f"AMD EPYC, 2 cores, 23 GiB, Linux x86_64{label} (0000{digits})"
    for label, digits in (("", "aaaa"), (", b", "bbbb"))
)
WIDTHS = {ONE: (16, 32, 128, 256), OTHER: (24, 48, 192, 384)}
SPEEDS = {ONE: (1e-9, 64), OTHER: (1e-8, 128)}  # seconds of dense over width³, and where vjp takes the same time
HOSTS = {ONE: "node1", OTHER: "node2"}
NOISE = (0.99, 1.0, 1.01)  # of three passes, the same for all strategies: their ratios are exact
PHASES = ("prepare", "linearize", "pullback", "gradient")
STRATEGIES = ("dense", "vjp")
XHTML = "{http://www.w3.org/1999/xhtml}"


def seconds_of(machine: str, strategy: str, width: int) -> float:
    speed, crossover = SPEEDS[machine]
    return speed * width**2 * (width if strategy == "dense" else crossover)


def measurements_of(case: Case, machine: str) -> list[Measurement]:
    width = int(case.knobs["width"])
    cells = [("forward", "forward"), *((name, phase) for name in STRATEGIES for phase in PHASES)]
    return [
        Measurement(
            case.name, name, phase, name, number, seconds=(seconds_of(machine, name, width) * factor,), dtype="float64",
            wrt="parameters", peak_bytes=10**6 * width if number == 0 else None, memory_tool="memray" if number == 0 else None,
            n_parameters=graph_of(case).n_parameters, host="node3" if (width, number) == (16, 2) else HOSTS[machine], machine=machine,
        )
        for name, phase in cells
        for number, factor in enumerate(NOISE)
    ]  # fmt: skip


def control(machine: str, seconds: float, host: str = "") -> Measurement:
    host = host or HOSTS[machine]
    return Measurement(CONTROL, CONTROL, CONTROL, CONTROL, seconds=(seconds,), host=host, machine=machine)


def make_run(widths: dict[str, tuple[int, ...]], *more: Measurement, name: str = "a-run") -> Run:
    """Return the run of which each machine measured cases of some widths, and nobody a case of width 512."""
    places = sorted((width, machine) for machine, own in widths.items() for width in own)
    cases = [replace(one_case({"width": width, "depth": 1}), strategies=STRATEGIES) for width, _ in places]
    found = [m for case, (_, machine) in zip(cases, places, strict=True) for m in measurements_of(case, machine)]
    found += [control(ONE, 6e-5), control(OTHER, 9e-5), *more]
    records = {key: {"processor": f"processor of {HOSTS[key]}", "memory_bytes": 2**34} for key in widths}
    folder = SimpleNamespace(measurements=found, settings=SimpleNamespace(machines=records))
    cells = cells_of(Suite("mine", tuple(cases)))
    rows = rows_of(Header(name, "abc", "", "tuned", "mine"), cases, cells, found)
    limits = {"min_rounds": 5, "max_seconds": 1.0, "min_seconds": 1e-3, "threads": 1}
    settings = SimpleNamespace(machine_info={}, commit_info={}, **limits)
    facts = {"machine": {}, "command": "jacobench run --suite mine", **_cluster_facts(cast("Any", folder))}
    timed = [m for m in found if m.spec != CONTROL]
    return from_document(document(cast("Any", settings), cells, rows, timed, facts), Path("run.json"))


@pytest.fixture(scope="module")
def both() -> Run:
    return make_run(WIDTHS)


def test_the_table_of_passes_names_the_hosts(both):
    assert tuple(both.passes.columns) == tuple(both.samples.columns) == PASS_COLUMNS
    hosts = both.passes[both.passes["strategy"] == "vjp"].groupby(["case", "phase"])["host"].agg(list)
    assert hosts["mlp-w16-d1-b1", "gradient"] == ["node1", "node1", "node3"]
    assert hosts["mlp-w24-d1-b1", "gradient"] == ["node2"] * 3
    assert set(both.samples["host"]) == {"node1", "node2", "node3"}


def test_a_damaged_host_is_reported():
    content = {"benchmarks": [{"extra_info": {"case": "c", "strategy": "vjp", "phase": "gradient", "status": "ok"}}]}
    content["benchmarks"][0] |= {"pass_seconds": [[0, 0, 1.0]], "pass_hosts": [["node1"]]}
    with pytest.raises(BadInput, match=r"\['node1'\] in pass_hosts; expected pass, worker and a name"):
        from_document(content, Path("run.json"))


def test_a_cell_that_was_not_measured_belongs_to_the_machine_of_its_case():
    cases = [replace(one_case({"width": 16, "depth": 1}), strategies=("dense", "vjp", "sparse"))]
    rows = rows_of(
        Header("r", "", "", "tuned", "mine"),
        cases,
        cells_of(Suite("mine", tuple(cases))),
        measurements_of(cases[0], ONE),
    )
    assert {row["status"] for row in rows if row["strategy"] == "sparse"} == {"not_tried"}
    assert {row["machine"] for row in rows} == {ONE}


def test_each_part_has_the_rows_and_facts_of_one_machine(both):
    parts = by_machine(both)
    assert list(parts) == [ONE, OTHER]
    for machine, part in parts.items():
        assert set(part.table["machine"]) == {machine}
        assert set(part.table["width"]) == set(WIDTHS[machine])
        assert set(part.passes["case"]) == set(part.samples["case"]) == set(part.table["case"])
        assert part.facts["machine"]["processor"] == f"processor of {HOSTS[machine]}"
        assert by_machine(part) == {machine: part}
    assert [part.facts["calibration_seconds"] for part in parts.values()] == [[6e-5], [9e-5]]
    assert sum(len(part.table) for part in parts.values()) == len(both.table)


def test_cases_that_no_machine_measured_are_a_part_of_their_own(both):
    lost = both.table.assign(machine=both.table["machine"].where(both.table["width"] != 384))
    assert list(by_machine(replace(both, table=lost))) == [ONE, OTHER, ""]
    alone = make_run({ONE: (16, 32)})
    lost = alone.table.assign(machine=alone.table["machine"].where(alone.table["width"] != 16))
    assert list(by_machine(replace(alone, table=lost))) == [ONE]


def test_the_record_of_the_only_machine_is_found_among_those_of_all_hosts():
    run = make_run({ONE: (16, 32), OTHER: ()})
    assert set(run.facts["machines"]) == {ONE, OTHER}
    assert by_machine(run)[ONE].facts["machine"]["processor"] == "processor of node1"


def test_laws_and_crossovers_are_those_of_one_machine(both):
    laws = growth(both.table, both.passes)
    dense = laws[(laws["strategy"] == "dense") & (laws["phase"] == "gradient") & (laws["quantity"] == "seconds")]
    assert dense["machine"].tolist() == [ONE, OTHER]
    assert dense["exponent"].tolist() == pytest.approx([3, 3], abs=1e-6)
    assert dense["n_sizes"].tolist() == [4, 4]
    found = crossovers(both.table, both.passes)
    found = found[(found["phase"] == "gradient") & (found["quantity"] == "seconds")].set_index("machine")
    assert found["outcome"].tolist() == ["crosses", "crosses"]
    assert found["size"].to_dict() == pytest.approx({ONE: 64, OTHER: 128})
    limits = what_fits(both.table, "width", "seconds", 1e-3)
    within = limits[limits["strategy"] == "dense"].set_index("machine")["size"]
    assert within.to_dict() == {ONE: 100, OTHER: 46}  # width³ is 10⁶ and 10⁵


def test_a_grid_has_one_machine():
    cases = [(width, batch) for width in (16, 32) for batch in (1, 2)]
    row = {"graph": "mlp", "strategy": "vjp", "phase": "gradient", "status": "ok"}
    rows = [row | {"case": f"{w}-{b}", "width": w, "batch": b, "machine": ONE} for w, b in cases]
    table = pd.DataFrame(rows).reindex(columns=make_run(WIDTHS).table.columns)
    assert len([grid for grid in find_grids(table) if (grid.x, grid.y) == ("width", "batch")]) == 1
    assert find_grids(table.assign(machine=[ONE, OTHER, ONE, OTHER])) == []


def test_sweeps_are_in_the_order_of_the_suite_on_whatever_machine_their_cases_were():
    places = [(width, batch) for width in (16, 32, 64) for batch in (1, 2)]
    rows = [{"graph": "mlp", "case": f"{w}-{b}", "width": w, "batch": b} for w, b in places]
    table = pd.DataFrame(rows).reindex(columns=make_run(WIDTHS).table.columns)
    table = table.assign(machine=[OTHER if place == (64, 1) else ONE for place in places])
    assert [sweep.held for sweep in find_sweeps(table, "width")] == ["mlp, batch 2", "mlp, batch 1"]
    assert order_of_sweeps([table], "width") == ["mlp, batch 1", "mlp, batch 2"]


def test_the_screen_shows_a_table_per_machine(both):
    console = Console(width=150, record=True, file=StringIO())
    for table in terminal_tables(both):
        console.print(table)
    before, one, other = re.split(r"^(?=AMD EPYC)", console.export_text(), flags=re.MULTILINE)
    assert before == ""
    for text, machine in ((one, ONE), (other, OTHER)):
        assert text.startswith(f"{machine} · mine · gradient")
        assert set(map(int, re.findall(r"^mlp-w(\d+)-", text, re.MULTILINE))) == set(WIDTHS[machine])
    (alone,) = terminal_tables(make_run({ONE: (16, 32)}))
    assert alone.title == "mine · gradient · time per call and peak heap memory"


def test_claims_are_judged_for_each_machine(both):
    found = lines(both)
    assert [line for line in found if not line.startswith("claim ")] == [f"machine: {ONE}", f"machine: {OTHER}"]
    assert [line.split(":")[0] for line in found].count("claim 1") == 2


@pytest.mark.long
def test_every_plot_shows_one_machine_and_names_it(both):
    plots = all_plots(both).plots
    alone = all_plots(make_run({ONE: WIDTHS[ONE]})).plots
    together = {name: plots.pop(name) for name in ("machines", "machines-vs-width")}
    assert set(plots) == {f"{name}-{digits}" for name in alone for digits in ("0000aaaa", "0000bbbb")}
    for plot in together.values():
        widths = plot.data.groupby("machine")["case"].agg(lambda own: {int(case[5:].split("-")[0]) for case in own})
        assert widths.to_dict() == {machine: set(own) for machine, own in WIDTHS.items()}
    for name, plot in plots.items():
        machine = ONE if name.endswith("aaaa") else OTHER
        assert machine.split(", ")[-1] in " ".join(plot.figure.get_suptitle().split())
        cases = set(plot.data["case"]) if "case" in plot.data else set()
        assert cases <= {f"mlp-w{width}-d1-b1" for width in WIDTHS[machine]}
    (note,) = [note for note in plots["ratio-vs-width-0000bbbb"].notes if "cross" in note]
    assert "cross at width 128 [" in note


def test_the_page_compares_the_machines(both):
    found = compare_machines([both])
    assert found is not None
    assert found.columns == [ONE, OTHER]
    ((sweep, crossed),) = found.crossovers
    assert sweep.startswith("width (mlp")
    (time,) = [line for line in crossed if line.quantity == "time"]
    assert [cell.partition(" [")[0] for cell in time.cells] == ["width 64", "width 128"]
    ends = [cell.partition("], measured from ")[2] for cell in time.cells]
    assert ends == ["16 to 256; at 256: vjp, 4.00×", "24 to 384; at 384: vjp, 3.00×"]
    assert [case for case, _ in found.winners] == list(dict.fromkeys(both.table["case"]))
    winners = dict(found.winners)
    assert [cell.partition(" [")[0] for cell in winners["mlp-w16-d1-b1"]] == ["dense, 4.00×", "–"]
    assert [cell.partition(" [")[0] for cell in winners["mlp-w384-d1-b1"]] == ["–", "vjp, 3.00×"]
    assert dict(found.details) == {
        "hosts": ["node1, node3", "node2"],
        "processor": ["processor of node1", "processor of node2"],
    }


def test_a_machine_with_one_size_of_a_sweep_has_no_crossover():
    found = compare_machines([make_run({ONE: (16, 128), OTHER: (24,)})])
    assert found is not None
    ((_, crossed),) = found.crossovers
    assert crossed[0].cells[0].endswith("measured from 16 to 128; at 128: vjp, 2.00×")
    assert [line.cells[1] for line in crossed] == ["–"] * len(crossed)
    assert "A dash: both were measured at fewer than two sizes" in page_sentences.crossovers_of_machines()


def test_of_many_hosts_the_first_are_named(both):
    names = [f"node{number:03d}" for number in range(len(both.passes))]
    found = dict(machine_details(replace(both, passes=both.passes.assign(host=names))))["hosts"].split(", ")
    assert found == [*names[:20], f"{len(names) - 20} more"]


def test_equal_facts_are_shown_once(both):
    records = {key: {**record, "system": "Linux 6"} for key, record in both.facts["machines"].items()}
    found = compare_machines([replace(both, facts={**both.facts, "machines": records})])
    assert found is not None
    assert found.same == [("system", "Linux 6")]
    assert "system" not in dict(found.details)


def test_plots_of_many_machines_have_pages_and_every_axis_is_named():
    run = make_run({ONE: (16, 24, 32, 48, 128, 192)})
    machines = {16: ONE, 24: OTHER, 32: "third", 48: "fourth", 128: ONE, 192: "fourth"}
    plots = machine_plots([replace(run, table=run.table.assign(machine=run.table["width"].map(machines)))])
    assert list(plots) == ["machines", "machines-2", "machines-vs-width", "machines-vs-width-2"]
    pages = {name: plot.figure.axes for name, plot in plots.items()}
    shown = {name: [axes.get_title(loc="left").split("\n")[0] for axes in panels] for name, panels in pages.items()}
    assert shown["machines-2"] == shown["machines-vs-width-2"] == ["third", "fourth"]
    assert plots["machines"].data["case"].tolist() == [f"mlp-w{w}-d1-b1" for w in (16, 24, 128)]
    for name, (measured, empty) in (("", (0, 1)), ("-2", (1, 0))):
        panels = pages[f"machines-vs-width{name}"]
        assert (panels[measured].get_xlabel(), panels[measured].get_ylabel()) == ("width", "time / time of vjp")
        assert panels[measured].axison
        assert [text.get_text() for text in panels[empty].texts] == ["fewer than two sizes\nmeasured"]


def test_runs_of_the_same_machine_are_told_apart_by_name():
    runs = [make_run({ONE: (16, 128)}, name=name) for name in ("first", "second")]
    assert compare_machines(runs) is None
    found = compare_machines([*runs, make_run({OTHER: (16, 128)}, name="third")])
    assert found is not None
    assert found.columns == [f"{ONE}, first", f"{ONE}, second", OTHER]
    assert dict(found.winners)["mlp-w128-d1-b1"][0].startswith("vjp, 2.00×")


@pytest.mark.long
def test_the_page_is_valid_and_shows_hosts(both, monkeypatch):
    monkeypatch.setattr(html_page, "all_plots", lambda _run, _phase: PlotSet({}, {}))
    parser = html5lib.HTMLParser()
    tree = parser.parse(page([both]))
    assert parser.errors == []
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    links = [element.get("href") for element in tree.iter(f"{XHTML}a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    articles = list(tree.iter(f"{XHTML}article"))
    assert [article.get("id") for article in articles] == ["machines", "run0", "run1"]
    for article, machine in zip(articles[1:], WIDTHS, strict=True):
        text = " ".join(article.itertext())
        assert f"run a-run, on {machine}" in text
        assert f"processor of {HOSTS[machine]}" in text
    tips = {cell.get("title") for cell in articles[1].iter(f"{XHTML}td") if cell.get("title")}
    assert "pass 1: 4.06 µs on node1; pass 2: 4.10 µs on node1; pass 3: 4.14 µs on node3" in tips
    captions = [" ".join("".join(figure.itertext()).split()) for figure in articles[0].iter(f"{XHTML}figcaption")]
    assert len(captions) == 2
    assert 'id="machines"' not in page([make_run({ONE: (16, 32)})])


def test_a_disturbed_cell_names_the_host_of_its_slowest_pass(both):
    slow = both.passes["case"].eq("mlp-w16-d1-b1") & both.passes["pass"].eq(2) & both.passes["strategy"].eq("vjp")
    passes = both.passes.assign(seconds=both.passes["seconds"].where(~slow, 2 * both.passes["seconds"]))
    (part, _) = by_machine(replace(both, passes=passes)).values()
    found = [vars(cell) for cell in stability(part).cells if cell.problem == "disturbed" and cell.phase == "gradient"]
    assert [cell["case"] for cell in found] == ["mlp-w16-d1-b1"]
    assert found[0]["values"].endswith(", slowest: pass 3 on node3")


def test_slow_hosts_are_named():
    more = [control(ONE, seconds, host) for seconds, host in ((6.3e-5, "node3"), (9e-5, "node4"), (9.9e-5, "node4"))]
    for run in (make_run(WIDTHS, *more), make_run({ONE: (16, 32)}, *more)):
        (part, *_) = by_machine(run).values()
        assert len(part.facts["calibration_seconds"]) == 4
        (found,) = [finding for finding in stability(part).findings if "hosts" in finding]
        assert found.endswith("relative to the median host: node4 1.50×, node3 1.00× and node1 0.952×.")
    assert not [finding for finding in stability(make_run({ONE: (16, 32)})).findings if "hosts" in finding]


def test_markdown_compares_machines_and_names_each(both):
    text = markdown([both]).replace("\\", "")
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert [ONE in heading for heading in headings] == [False, True, False]
    assert [OTHER in heading for heading in headings] == [False, False, True]
    assert f"| case | {ONE} | {OTHER} |" in text
    (winners,) = re.findall(r"^\| mlp-w16-d1-b1 \| dense, 4\.00× .*", text, re.MULTILINE)
    assert winners.endswith(" | – |")
    assert re.search(r"\| dense, vjp \| time \| width 64 .* \| width 128 ", text)
    assert "jacobench: machines" not in markdown([make_run({ONE: (16, 32)})])


def test_a_notebook_names_each_machine(both, monkeypatch):
    monkeypatch.setattr(notebook_view, "all_plots", lambda _run, _phase: PlotSet({}, {}))
    assert re.findall(r"<strong>(.*?)</strong>", notebook(both)) == [f"a-run, {ONE}", f"a-run, {OTHER}"]


def test_a_history_stores_each_machine(both):
    run = replace(both, facts={**both.facts, "datetime": "2026-12-01T00:00:00+00:00"})
    records = from_run(run)
    assert [(record.machine, record.control_seconds) for record in records] == [(ONE, 6e-5), (OTHER, 9e-5)]
    assert {record.run_id for record in records} == {"a-run"}
    for record in records:
        assert {cell[0] for cell in record.cells} == {f"mlp-w{width}-d1-b1" for width in WIDTHS[record.machine]}
    assert records[0].digest != records[1].digest


def test_advice_uses_one_machine(both):
    advice = advise_from_runs(one_case({"width": 128, "depth": 1}), [both], 2.0**40)
    assert advice is not None
    assert (advice.basis, advice.measured_on[0]) == ("measured", ONE)
    time = advice.verdicts.iloc[0]
    assert (time["strategy"], time["factor"]) == ("vjp", pytest.approx(2.0))
    assert f"The measurements are from 2 machines. This is the answer for {ONE}." in reasons(advice)
    alone = advise_from_runs(one_case({"width": 128, "depth": 1}), [make_run({ONE: (16, 128)})], 2.0**40)
    assert alone is not None
    assert "machines" not in " ".join(reasons(alone))


def test_two_runs_compare_where_each_case_was_on_the_same_machine(both):
    found = compare(both, both).verdicts
    swept = found[(found["quantity"] == "seconds~width") & (found["phase"] == "gradient")]
    assert len(swept) == 4  # two strategies on two machines
    assert swept["base"].tolist() == pytest.approx([2, 3, 2, 3], abs=1e-6)
    moved = make_run({ONE: (16, 32, 128, 384), OTHER: (24, 48, 192, 256)})
    with pytest.raises(BadInput, match="different machines for 2 of 8 cases"):
        compare(both, moved)
    assert compare(both, moved, across_machines=True).exit_code in {0, 3}


def test_the_calibration_kernel_of_every_machine_counts(both):
    slower = make_run(WIDTHS, *[control(OTHER, 18e-5)] * 5)
    outcome = compare(both, slower)
    assert outcome.state == "contaminated"
    assert "The calibration kernel changed by 2.00× between the runs, so times have no verdict." in outcome.notes
    assert compare(both, both).state != "contaminated"
