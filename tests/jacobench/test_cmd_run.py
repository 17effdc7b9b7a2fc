"""``jacobench run`` where everything goes well, and what the other commands make of its folder."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import jacobench as jb
from jacobench.bench.row.columns import COLUMNS
from jacobench.reports.plots.all_plots import all_plots

FILES = {"run.json", "measurements.csv", "journal.jsonl", "plots"}


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts)


# ---- a run


def test_a_run_leaves_its_files_its_table_and_a_word_where_it_is(finished):
    folder, done = finished
    assert {path.name for path in folder.iterdir()} >= FILES
    hidden = [path for path in everything(folder.parent) if "partial" in path or path.startswith(".")]
    assert hidden == [".gitignore"]
    for case in ("mlp-w4-d1-b1", "mlp-w4-d1-b2"):
        assert case in done.stdout
    for strategy in ("dense", "vjp"):
        assert strategy in done.stdout
    assert "runs/first" in done.stderr
    assert "%" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_plot_is_there_as_png_svg_and_csv(finished):
    plots = sorted((finished[0] / "plots").iterdir())
    drawn = all_plots(jb.read(finished[0])).plots
    assert {"cases", "time-vs-batch", "memory-vs-batch"} <= set(drawn)
    assert {path.name for path in plots} == {f"{name}.{ending}" for name in drawn for ending in ("png", "svg", "csv")}
    assert all(path.stat().st_size > 1000 for path in plots if path.suffix != ".csv")


def test_every_cell_of_the_suite_is_a_row(finished):
    table = jb.load(finished[0])
    assert len(table) == 18
    assert set(table["status"]) == {"ok"}
    assert set(table["passes"]) == {2}
    assert list(table.columns) == list(COLUMNS)
    assert table["memory_tool"].notna().all()


def test_the_csv_is_the_table(finished):
    folder, _ = finished
    table = jb.load(folder)
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows] == [list(COLUMNS)] * len(table)
    for name, column in COLUMNS.items():
        read = [row[name] for row in rows]
        for given, value in zip(read, table[name], strict=True):
            missing = isinstance(value, float) and math.isnan(value)
            assert (
                missing
                if given == ""
                else (float(given) if column.dtype == "float64" else given) in {value, str(value)}
            )


def test_the_journal_has_a_line_a_measurement(finished):
    lines = [json.loads(line) for line in (finished[0] / "journal.jsonl").read_text().splitlines()]
    cells = [(line["case"], line["strategy"], line["phase"], line.get("pass", 0)) for line in lines if line["case"]]
    assert len(cells) == len(set(cells)) == 2 * 18


def test_resuming_a_finished_run_measures_nothing_and_exits_0(finished, jacobench, strange):
    folder, _ = finished
    before, table = (folder / "journal.jsonl").read_bytes(), jb.load(folder)
    done = jacobench("run", "--resume", folder, "--quiet", cwd=strange)
    assert done.returncode == 0
    assert (folder / "journal.jsonl").read_bytes() == before
    pd.testing.assert_frame_equal(jb.load(folder), table)


@pytest.mark.long
def test_the_last_line_gives_the_command_that_measures_undecided_cases_further(jacobench, strange, tmp_path):
    suite = ("run", "--suite", strange / "tiny.toml", "--case", "*-b1", "--strategy", "vjp", "--strategy", "dense")
    done = jacobench(*suite, "--passes", 1, "--out", "run", cwd=tmp_path)
    sentence, command = done.stderr.splitlines()[-1].split(" To continue: jacobench ")
    assert sentence == "Undecided in the phase gradient: 1 of 1 case."
    assert command == "run --resume run --max-minutes 3"
    continued = jacobench(*command.replace("minutes 3", "minutes 0.1").split(), cwd=tmp_path)
    assert continued.returncode == 0, continued.stderr
    assert "pass 2 · 1 undecided case · 0:0" in continued.stderr
    assert continued.stderr.splitlines()[-1].startswith("Undecided in the phase gradient: ")
    assert set(jb.load_passes(tmp_path / "run")["pass"]) >= {0, 1}


@pytest.mark.usefixtures("with_profile")
def test_a_dry_run_measures_nothing_and_leaves_nothing(strange, jacobench):
    before = everything(strange)
    done = jacobench("run", "--suite", "tiny.toml", "--dry-run", "--memory-budget", "200B", cwd=strange)
    assert done.returncode == 0
    for expected in ("mlp-w4-d1-b2", "dense", "gradient", "forward", "over budget", "KiB"):
        assert expected in done.stdout
    assert "Times are predicted with the machine profile for float64, measured 2 hours ago." in done.stderr
    assert "18 cells, 3 passes: about" in done.stderr
    assert "Further passes of undecided cases end 3 minutes after the start of the run." in done.stderr
    assert everything(strange) == before


@pytest.mark.long
def test_a_graph_and_a_strategy_of_the_user_and_the_default_folder(jacobench, tmp_path, plugin_file):
    plugin_file("class Mine(Right):\n    name = 'mine'\n", "mine.py")
    (tmp_path / "graph.py").write_text(
        "from jacobench import GraphBuilder\n"
        "def make_graph(width):\n"
        "    g = GraphBuilder()\n"
        "    x = g.input('x', (2, width))\n"
        "    W = g.parameter('W', (3, width))\n"
        "    b = g.parameter('b', (3,))\n"
        "    return g.build(output=g.tanh(g.affine(x, W, b)))\n"
        "def broken(width):\n"
        "    raise KeyError('no such table')\n"
    )
    sweep = '[[sweep]]\ngraph = "graph.py:{}"\nwidth = [2, 3]\nstrategies = ["vjp", "mine.py:Mine"]\n'
    (tmp_path / "my.toml").write_text(sweep.format("make_graph") + sweep.format("broken"))
    done = jacobench("run", "--suite", "my.toml", "--passes", 1, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    table = jb.load(folder)
    assert len(table) == 4 * 9
    assert set(table["strategy"]) == {"forward", "vjp", "mine"}
    broken = table["graph"].str.endswith("broken")
    assert set(table[~broken]["status"]) == {"ok"}
    assert set(table[broken]["status"]) == {"error"}
    assert table[broken]["reason"].str.contains("no such table").all()
    assert set(table[~broken]["width"]) == {2, 3}
    assert (table[(table["strategy"] == "mine") & ~broken]["max_relative_error"] == 0).all()


OPENED = """
import os, sys
opened = []
def hook(event, arguments):
    for name in ("run.json", "journal.jsonl", "settings.json"):
        if event == "open" and name in str(arguments[0]):
            writes = (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            opened.append(f"{'write' if writes else 'read'}:{name}")
sys.addaudithook(hook)
from jacobench.__main__ import main
sys.argv = ["jacobench", "run", "--suite", "tiny.toml", "--passes", "1", "--out", sys.argv[1]]
assert main() == 0
print(*opened, file=sys.stderr)
"""


@pytest.mark.long
def test_a_run_writes_its_run_json_once_and_reads_no_file_back(strange, tmp_path):
    command = [sys.executable, "-P", "-c", OPENED, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=strange, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    opened = done.stderr.splitlines()[-1].split()
    assert opened.count("write:run.json") == 1
    assert {"write:journal.jsonl", "write:settings.json", "write:run.json"} == set(opened)


# ---- the other commands


@pytest.mark.long
def test_table_shows_what_the_run_showed_and_the_csv_is_the_csv(finished, jacobench, strange):
    folder, run = finished
    done = jacobench("table", folder, cwd=strange)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run.stdout
    assert jacobench("table", folder / "run.json", "--phase", "pullback", cwd=strange).stdout != done.stdout
    whole = jacobench("table", "runs/first", "--csv", cwd=strange)
    assert whole.stdout == (folder / "measurements.csv").read_text()


@pytest.mark.long
def test_plot_draws_into_a_folder_and_prints_the_paths(finished, jacobench, strange, tmp_path):
    done = jacobench("plot", finished[0], "--out", tmp_path / "pictures", "--phase", "linearize", cwd=strange)
    assert done.returncode == 0, done.stderr
    assert {str(path) for path in (tmp_path / "pictures").iterdir()} == set(done.stdout.split("\n")[:-1])
    assert len(list((tmp_path / "pictures").iterdir())) >= 2


@pytest.mark.long
def test_several_runs_are_shown_and_drawn_one_after_another(finished, jacobench, strange, tmp_path):
    first = finished[0]
    second = tmp_path / "second"
    shutil.copytree(first, second, ignore=shutil.ignore_patterns("plots"))
    one, both = (jacobench("table", *runs, cwd=strange) for runs in ([first], [first, second / "run.json"]))
    assert (both.returncode, both.stderr) == (0, "")
    assert both.stdout == 2 * one.stdout
    lines = jacobench("table", first, second, "--csv", cwd=strange).stdout.splitlines()
    assert (len(lines), lines.count(lines[0])) == (1 + 2 * 18, 1), "one CSV has one header"
    pictures = tmp_path / "pictures"
    drawn = jacobench("plot", first, second, "--out", pictures, cwd=strange)
    assert drawn.returncode == 0
    assert all(line.startswith("not drawn: ") for line in drawn.stderr.splitlines())
    assert {path.name for path in pictures.iterdir()} == {"first", "second"}
    names = [{path.name for path in (pictures / run).iterdir()} for run in ("first", "second")]
    assert names[0] == names[1] == {path.name for path in (first / "plots").iterdir()}
    assert len(drawn.stdout.splitlines()) == 2 * len(names[0])


@pytest.mark.long
def test_two_runs_are_drawn_one_over_the_other(finished, jacobench, strange, tmp_path):
    first, second, pictures = finished[0], tmp_path / "second", tmp_path / "pictures"
    shutil.copytree(first, second)
    done = jacobench("plot", first, second, "--compare", "--out", pictures, cwd=strange)
    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.splitlines()] == [f"comparison.{e}" for e in ("png", "svg", "csv")]
    assert {str(path) for path in pictures.iterdir()} == set(done.stdout.splitlines())
    data = pd.read_csv(pictures / "comparison.csv")
    assert (data["seconds_ratio"] == 1).all()
    assert "Of " in done.stderr


def test_the_bare_command_shows_its_help(jacobench, strange):
    done = jacobench(cwd=strange)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == jacobench("--help", cwd=strange).stdout


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("suites", ["smoke", "standard", "scaling", "crossover", "architectures"]),
        ("strategies", ["dense", "dense-blocks", "sparse", "vjp", "linear-operator"]),
        ("ops", ["affine", "masked_affine", "gelu", "cross_entropy"]),
        ("architectures", ["lenet-300-100", "266,610"]),
    ],
)
def test_lists(what, expected, jacobench, strange):
    done = jacobench("list", what, cwd=strange)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in expected)


def test_a_suites_cases_are_listed(jacobench, strange):
    done = jacobench("list", "cases", "--suite", "tiny.toml", cwd=strange)
    assert done.returncode == 0
    assert "mlp-w4-d1-b2" in done.stdout
    assert "dense vjp" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["run"], ["list"], ["verify"], ["table"], ["plot"]])
def test_every_command_has_help_with_an_example(arguments, jacobench, strange):
    done = jacobench(*arguments, "--help", cwd=strange)
    assert done.returncode == 0
    assert "jacobench run" in done.stdout if not arguments else "Example: jacobench" in done.stdout


@pytest.mark.long
def test_verify_accepts_a_correct_strategy_and_exits_1_for_a_wrong_one(jacobench, tmp_path, plugin_file):
    plugin_file("""
        class Wrong(Right):
            name = "wrong"
            def after_pullback(self, bars):
                return {name: 2 * bar for name, bar in bars.items()}
        class Picky(Right):
            name = "picky"
            def prepare(self, graph):
                if len(graph.nodes) > 1:
                    raise type("Unsupported", (Exception,), {})("one op only")
                return super().prepare(graph)
    """)
    right = jacobench("verify", "--strategy", "vjp", "--strategy", "plugin.py:Picky", cwd=tmp_path)
    assert right.returncode == 0, right.stdout
    assert "one op only" in right.stdout
    wrong = jacobench("verify", "--strategy", "plugin.py:Wrong", "--strategy", "dense", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "wrong: cotangent of" in wrong.stdout
    assert wrong.stderr == ""


@pytest.mark.parametrize("arguments", [["table"], ["table", "--csv"], ["list", "ops"]])
def test_a_reader_that_goes_away_is_no_failure(arguments, finished, popen, strange):
    run = [finished[0]] if arguments[0] == "table" else []
    process = popen(*arguments, *run, cwd=strange, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")


WHOLE = """
[[sweep]]
graph = "mlp"
width = [4, 6, 8]
depth = 1
loss = "none"
task = ["gradient", "jacobian"]
wrt = "inputs"
strategies = ["sparse", "forward-sparse", "vjp"]
"""


@pytest.mark.long
def test_whole_jacobians_from_the_suite_to_the_recommendation(jacobench, tmp_path):
    (tmp_path / "whole.toml").write_text(WHOLE)
    done = jacobench("run", "--suite", "whole.toml", "--passes", 2, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = jb.load(tmp_path / "run")
    assert (table["status"] == "ok").all()
    assert set(table["wrt"]) == {"inputs"}
    whole = table[table["task"] == "jacobian"]
    assert set(whole["phase"]) == {"forward", "prepare", "jacobian"}
    assert whole["case"].str.endswith("-wrtinputs-jacobian").all()
    assert whole["n_seeds"].isna().all()
    matrices = whole[whole["phase"] == "jacobian"].set_index("strategy")
    assert matrices.loc[["sparse", "vjp"], ["floor_seconds", "efficiency", "ratio_to_vjp"]].notna().all(axis=None)
    assert matrices[["seconds_first", "seconds_median", "predicted_bytes", "predicted_flops"]].notna().all(axis=None)
    assert matrices.loc[["sparse", "forward-sparse"], "max_relative_error"].max() < 1e-12
    found = jb.recommend(table, jb.load_passes(tmp_path / "run"))
    assert found["case"].str.endswith("-jacobian").sum() == 3
    assert len(found) == 6
    for arguments in (["table", "run"], ["plot", "run"], ["report", "run", "--markdown"]):
        shown = jacobench(*arguments, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        if arguments[0] != "plot":
            assert "mlp-w8-d1-b1-noloss-wrtinputs-jacobian" in shown.stdout.replace("\n", "")
    knobs = ["--widths", "8,8", "--loss", "none", "--wrt", "inputs", "--task", "jacobian"]
    advice = jacobench("recommend", *knobs, "--from", "run", cwd=tmp_path)
    assert advice.returncode == 0, advice.stderr
    assert advice.stdout.startswith("mlp-w8-d1-b1-noloss-wrtinputs-jacobian: the whole Jacobian\n")
    assert "measured for this case in run, 2 passes" in advice.stdout
