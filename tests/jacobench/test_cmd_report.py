"""``jacobench report`` as a user types it."""

from __future__ import annotations

import json
import re

import pytest

import jacobench as jb


def test_the_page_is_written_next_to_the_run_and_its_path_printed(finished, jacobench):
    folder, _ = finished
    done = jacobench("report", folder, cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    page = folder / "report.html"
    assert done.stdout == f"{page}\n"
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    assert "jacobench run --suite" in text
    assert jb.load(folder)["run_id"].iloc[0] in text
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.long
def test_markdown_goes_to_standard_output_or_to_a_file(finished, jacobench, tmp_path):
    folder, _ = finished
    done = jacobench("report", folder, "--markdown", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("### jacobench: ")
    written = jacobench("report", folder, "--markdown", "--out", "notes/comment.md", cwd=tmp_path)
    assert written.stdout == "notes/comment.md\n"
    assert (tmp_path / "notes/comment.md").read_text("utf-8") == done.stdout


@pytest.mark.long
def test_two_runs_are_on_one_page(finished, jacobench, tmp_path):
    folder, _ = finished
    done = jacobench("report", folder, folder / "run.json", "--out", "both.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "both.html").read_text("utf-8").count("<article") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such-run",), "no run at 'no-such-run'"),
        (("{run}", "--phase", "gradeint"), "did you mean 'gradient'"),
        (("{run}", "--out", "/dev/null/report.html"), "cannot write '/dev/null/report.html'"),
    ],
)
def test_bad_input_is_one_line(finished, jacobench, tmp_path, arguments, said):
    done = jacobench("report", *(argument.format(run=finished[0]) for argument in arguments), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_extreme_rows_are_shown_without_a_crash_or_a_warning(finished, jacobench, tmp_path):
    folder, _ = finished
    document = json.loads((folder / "run.json").read_text("utf-8"))
    odd = (0.0, 1e-12, 1e300, -1.0, float("nan"), 1e9)
    for number, entry in enumerate(document["benchmarks"]):
        seconds = odd[number % len(odd)]
        entry["stats"]["data"] = [seconds] * len(entry["stats"]["data"])
        entry["pass_seconds"] = [[*process, seconds] for *process, _ in entry["pass_seconds"]]
        row = entry["extra_info"]
        row.update({name: seconds for name in row if name.startswith("seconds") or name.endswith("bytes")})
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text(json.dumps(document))
    history = ("--file", "h.sqlite")
    for arguments in (
        ("table", "odd"),
        ("report", "odd", "--out", "odd.html"),
        ("plot", "odd", "--out", "plots"),
        ("history", "add", "odd", *history),
        ("history", "show", *history),
        ("compare", "odd", "odd"),
    ):
        done = jacobench(*arguments, cwd=tmp_path)
        assert done.returncode in {0, 3}, (arguments, done.stderr)
        assert "Warning" not in done.stderr
        assert not re.search(r"\b(nan|inf)\b|∞", done.stdout), arguments
