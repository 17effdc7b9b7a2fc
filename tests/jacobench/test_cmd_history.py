"""``jacobench history``: the real command, from a real run to a verdict, a page and other tools' formats."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess

import pytest

from jacobench.commands.cmd_history import app

COMMANDS = ("add", "import", "merge", "rename", "show", "check", "plot", "export", "report")


@pytest.fixture(scope="module")
def nights(finished, jacobench, tmp_path_factory):
    """Return a folder with the history of 24 nights: from the thirteenth on, vjp takes half as long again."""
    folder = tmp_path_factory.mktemp("nights")
    content = (finished[0] / "run.json").read_text()
    for number in range(24):
        run = json.loads(content) | {"datetime": f"2026-01-{number + 1:02}T00:00:00+00:00"}
        for row in [*(entry["extra_info"] for entry in run["benchmarks"]), *run["jacobench"]["untimed"]]:
            row |= {"run_id": f"night-{number:02}", "commit": f"{number:012x}"}
            slower = (1.5 if row["strategy"] == "vjp" and number >= 12 else 1) * (1 + 0.01 * (number % 3))
            row |= {name: row[name] * slower for name in row if name.startswith("seconds_")}
        (folder / f"{number:02}.json").write_text(json.dumps(run))
    names = [f"{number:02}.json" for number in range(24)]
    done = jacobench("history", "add", *names, "--file", "h.sqlite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"night-{number:02}: added to h.sqlite" for number in range(24)]
    return folder


def test_every_command_has_help_with_an_example(jacobench, tmp_path):
    done = jacobench("history", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(re.search(rf"^ +{name} ", done.stdout, re.MULTILINE) for name in COMMANDS)
    found = {command.name or command.callback.__name__: command.callback.__doc__ for command in app.registered_commands}
    assert set(found) == set(COMMANDS)
    assert all(f"Example: jacobench history {name} " in found[name] for name in COMMANDS)


@pytest.mark.long
def test_a_run_is_added_once(finished, jacobench, tmp_path):
    first = jacobench("history", "add", finished[0], cwd=tmp_path)
    assert (first.returncode, first.stdout) == (0, "")
    assert "added to benchmarks/history.sqlite" in first.stderr
    before = (tmp_path / "benchmarks" / "history.sqlite").read_bytes()
    again = jacobench("history", "add", finished[0] / "run.json", cwd=tmp_path)
    assert again.returncode == 0
    assert "already in benchmarks/history.sqlite, skipped" in again.stderr
    assert (tmp_path / "benchmarks" / "history.sqlite").read_bytes() == before
    young = jacobench("history", "check", cwd=tmp_path)
    assert young.returncode == 3
    assert "fewer than 10 runs" in young.stderr


def test_check_finds_the_night(nights, jacobench):
    done = jacobench("history", "check", "--file", "h.sqlite", "--csv", cwd=nights)
    assert done.returncode == 1
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    assert lines
    for line in lines:
        assert (line["strategy"], line["kind"], line["verdict"]) == ("vjp", "step up", "regressed")
        assert (line["commit_before"], line["commit_after"]) == ("00000000000b", "00000000000c")
    assert "regressed" in done.stderr


@pytest.mark.long
def test_show_report_plot_and_export(nights, jacobench):
    shown = jacobench("history", "show", "--file", "h.sqlite", "--strategy", "vjp", "--phase", "gradient", cwd=nights)
    assert shown.returncode == 0, shown.stderr
    assert "▁" in shown.stdout
    assert "dense" not in shown.stdout
    page = jacobench("history", "report", "--file", "h.sqlite", "--out", "pages/history.html", cwd=nights)
    assert page.stdout == "pages/history.html\n", page.stderr
    assert (nights / "pages" / "history.html").read_text("utf-8").rstrip().endswith("</html>")
    plotted = jacobench("history", "plot", "--file", "h.sqlite", "--out", "plots", cwd=nights)
    assert plotted.returncode == 0, plotted.stderr
    assert [line.rpartition(".")[2] for line in plotted.stdout.splitlines()] == ["png", "svg", "csv"]
    assert all((nights / line).stat().st_size for line in plotted.stdout.splitlines())
    exported = jacobench("history", "export", "--file", "h.sqlite", "--format", "github", cwd=nights)
    assert {"name", "unit", "value"} <= set(json.loads(exported.stdout)[0])
    assert "night-23" in exported.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("show", "no history at 'benchmarks/history.sqlite'; create one with: jacobench history add RUN"),
        ("check --file note.txt", "'note.txt' is damaged or not a history"),
        ("add nowhere", "no run at 'nowhere'"),
        ("import .", "no file in '.': expected a folder with a file of pytest-benchmark"),
        ("merge nowhere.sqlite", "no history at 'nowhere.sqlite'"),
        ("rename a b", "no history at 'benchmarks/history.sqlite'"),
        (
            "export --format cvs",
            "unknown format 'cvs': expected one of bencher, csv, github, json; did you mean 'csv'?",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, expected, jacobench, tmp_path):
    (tmp_path / "note.txt").write_text("a note, no database\n" * 99)
    done = jacobench("history", *arguments.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("jacobench: ")
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


@pytest.fixture
def saved(tmp_path):
    """Return the folder of a repository that is on the branch topic, with a file that pytest-benchmark saved there."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q", "-b", "topic"), (*identity, "commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True)
    commit = {"id": head.stdout.strip(), "branch": "(detached head)"}
    entry = {"fullname": "tests/t.py::test_sum[10]", "stats": {"min": 1e-3}}
    content = {"benchmarks": [entry], "datetime": "2026-01-01", "commit_info": commit}
    (tmp_path / "1.json").write_text(json.dumps(content))
    (tmp_path / "0.json").write_text(json.dumps(content | {"commit_info": commit | {"id": "f" * 40}}))
    return tmp_path


def exported(jacobench, folder, *arguments):
    done = jacobench("history", "export", "--file", "h.sqlite", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


@pytest.mark.long
def test_import_rename_and_merge(saved, jacobench):
    done = jacobench("history", "import", "0.json", "1.json", "--file", "h.sqlite", cwd=saved)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "0.json: 1 run added to h.sqlite\n1.json: 1 run added to h.sqlite\n"
    branches = {line["run_id"].rpartition("/")[2]: line["branch"] for line in exported(jacobench, saved)}
    assert branches == {"0": "", "1": "topic"}, "only the commit that is checked out is of the current branch"
    done = jacobench("history", "rename", "tests/*", "benchmarks/*", "--file", "h.sqlite", cwd=saved)
    assert done.stderr == "tests/t.py::test_sum[10] → benchmarks/t.py::test_sum[10]\n"
    done = jacobench("history", "merge", "h.sqlite", "--file", "all.sqlite", cwd=saved)
    assert (done.returncode, done.stderr) == (0, "h.sqlite: 2 runs added to all.sqlite\n")
    done = jacobench("history", "import", "0.json", "--file", "all.sqlite", cwd=saved)
    assert done.stderr == "0.json: 0 runs added to all.sqlite; 1 already there, skipped\n"


@pytest.mark.long
def test_commands_read_the_main_branch_only(saved, jacobench):
    for branch, name in (("main", "0.json"), ("topic", "1.json")):
        done = jacobench("history", "import", name, "--file", "h.sqlite", "--branch", branch, cwd=saved)
        assert done.returncode == 0, done.stderr
    shown = [jacobench("history", "show", "--file", "h.sqlite", *more, cwd=saved) for more in ((), ("--branch", "*"))]
    found = [re.findall(r"branch \w+", done.stdout) for done in shown]
    assert found == [["branch main"], ["branch main", "branch topic"]]
    messages = [done.stderr for done in shown]
    assert messages == ["branch 'main': 1 of 2 runs; to read others: --branch GLOB\n", ""]
    assert [line["branch"] for line in exported(jacobench, saved, "--branch", "topic")] == ["topic"]
    assert len(exported(jacobench, saved)) == 2
    unknown = jacobench("history", "check", "--file", "h.sqlite", "--branch", "tropic", cwd=saved)
    assert unknown.returncode == 2
    assert "unknown branch 'tropic': expected one of main, topic; did you mean 'topic'?" in unknown.stderr


@pytest.mark.long
def test_a_run_gets_the_branch_that_it_recorded(finished, jacobench, tmp_path):
    content = json.loads((finished[0] / "run.json").read_text())
    for name, branch in (("a", "main"), ("b", "(detached head)")):
        content["commit_info"] = {"branch": branch}
        content["benchmarks"][0]["extra_info"]["run_id"] = name
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    done = jacobench("history", "add", "a.json", "b.json", "--file", "h.sqlite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {line["branch"] for line in exported(jacobench, tmp_path)} >= {"main"}
    done = jacobench("history", "add", "a.json", "--file", "x.sqlite", "--branch", "topic", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_files_that_cannot_be_read_are_skipped(jacobench, tmp_path):
    entry = {"fullname": "tests/t.py::test_sum[10]", "stats": {"min": 1e-3}}
    (tmp_path / "1.json").write_text(json.dumps({"benchmarks": [entry], "datetime": "2026-01-01"}))
    (tmp_path / "2.json").touch()
    (tmp_path / "3.json").write_text(json.dumps({"benchmarks": [entry], "datetime": "then"}))
    done = jacobench("history", "import", ".", "nowhere", "--file", "h.sqlite", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    lines = [re.sub("'.*json'", "F", line) for line in done.stderr.splitlines()]
    assert lines[0].startswith("skipped: 'nowhere' does not exist")
    assert lines[1].startswith("skipped: F is empty; expected a file of pytest-benchmark or")
    assert lines[2].startswith("skipped: ")
    assert lines[3:] == [".: 1 run added to h.sqlite"]
    assert jacobench("history", "import", "2.json", "--file", "h.sqlite", cwd=tmp_path).returncode == 2
