"""Bad input: one line on standard error with the cause and the expected value, exit code 2, no files."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from jacobench.__main__ import main

SUITE = '[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n'


def message(done):
    """Return the message after checking that it is one line, with exit code 2 and no results."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("jacobench: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def files(folder):
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command in a folder, checks that it leaves no file, and returns its message.

    It runs in this process, as a fresh one for each of these tests would take a second.
    """

    def run(*arguments):
        before = files(tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["jacobench", *map(str, arguments)])
        code = main()
        printed = capsys.readouterr()
        said = message(SimpleNamespace(returncode=code, stdout=printed.out, stderr=printed.err))
        assert files(tmp_path) == before
        return said

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("run --suite smok", ["unknown suite 'smok'", "did you mean 'smoke'"]),
        ("run --suite nowhere.toml", ["nowhere.toml", "cannot be read"]),
        ("run --suite smoke --strategy vpj", ["unknown strategy 'vpj'", "did you mean 'vjp'"]),
        ("run --suite smoke --strategy nowhere.py:Mine", ["nowhere.py", "no file"]),
        ("run --suite smoke --case mlp-w17*", ["'mlp-w17*'", "mlp-w16-d2-b4"]),
        ("run --suite smoke --passes 0", ["passes is 0", "1 or more"]),
        ("run --suite smoke --passes two", ["'--passes'", "integer"]),
        ("run --suite smoke --timeout nan", ["timeout is nan", "expected seconds above 0"]),
        ("run --suite smoke --timeout inf", ["timeout is inf", "expected seconds above 0"]),
        ("run --suite smoke --timeout 0", ["timeout is 0.0", "expected seconds above 0"]),
        ("run --suite smoke --timeout -1", ["timeout is -1.0", "expected seconds above 0"]),
        ("run --suite smoke --memory-budget 1e400", ["'1e400' is not a size", "2GiB"]),
        ("run --suite smoke --memory-budget much", ["'much' is not a size", "2GiB"]),
        ("run --suite smoke --controls tunde", ["unknown controls 'tunde'", "did you mean 'tuned'"]),
        ("run --resume nowhere", ["nowhere"]),
        (
            "run --resume nowhere --passes 3 --strategy vjp --suite smoke",
            [
                "--resume continues a run with the options it was started with",
                "--passes",
                "--strategy",
                "--suite",
            ],
        ),
        ("run --resume nowhere --timeout 60 --quiet", ["remove --timeout"]),
        ("run --siute smoke", ["--siute", "--suite"]),
        ("rnu", ["rnu", "run"]),
        ("list suits", ["unknown list 'suits'", "did you mean 'suites'"]),
        ("verify --strategy dnse", ["did you mean 'dense'"]),
        ("table nowhere", ["no run at 'nowhere'", "expected"]),
        ("table .", ["'.' is not a run's folder", "run.json"]),
        ("table . --phase pulback", ["unknown phase 'pulback'", "did you mean 'pullback'"]),
    ],
)
def test_what_is_typed(arguments, expected, refused):
    said = refused(*arguments.split())
    assert all(words in said for words in expected), said


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("[[sweep", ["my.toml", "not TOML"]),
        (SUITE + 'activation = "tahn"', ["$.sweep[0].activation", "did you mean 'tanh'"]),
        (SUITE + 'dtype = "float46"', ["$.sweep[0].dtype", "did you mean 'float64'"]),
        (SUITE.replace("4", "[4, 0]"), ["$.sweep[0].width[1]", "got 0"]),
        ('[[sweep]]\ngraph = "architecture"\nname = "lenet-300"', ["$.sweep[0].name", "did you mean 'lenet-300-100'"]),
    ],
)
def test_what_is_written_in_a_suite_file(suite, expected, refused, tmp_path):
    (tmp_path / "my.toml").write_text(suite)
    said = refused("run", "--suite", "my.toml")
    assert all(words in said for words in expected), said


@pytest.mark.parametrize("arguments", ["list cases --suite my.toml", "run --suite my.toml --dry-run"])
@pytest.mark.parametrize("raised", ["KeyError('no such [/dev/x]')", "ValueError('two\\nlines')"])
def test_a_graph_of_the_user_that_raises(arguments, raised, refused, tmp_path):
    (tmp_path / "graph.py").write_text(f"def make_graph(width):\n    raise {raised}\n")
    (tmp_path / "my.toml").write_text('[[sweep]]\ngraph = "graph.py:make_graph"\nwidth = [2, 3]\n')
    said = refused(*arguments.split())
    assert "graph.py:make_graph raised" in said
    assert "no such [/dev/x]" in said or "two lines" in said


def test_a_folder_that_is_there_is_left_alone(refused, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("mine")
    assert "'mine'" in refused("run", "--suite", "smoke", "--out", "mine")


@pytest.mark.parametrize("out", ["file", "file/deep/run"])
def test_a_folder_that_cannot_be_made(out, refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "file" in refused("run", "--suite", "smoke", "--out", out)


def test_the_default_folder_that_cannot_be_made(refused, tmp_path):
    (tmp_path / "runs").write_text("mine")
    assert "runs" in refused("run", "--suite", "smoke")


@pytest.mark.parametrize(
    ("command", "change", "expected"),
    [
        ("table", lambda text: text[: len(text) // 2], "cut short"),
        ("plot", lambda text: text[:-10], "cut short"),
        ("table", lambda _text: '{"benchmarks": 3}', "not a run of jacobench"),
        ("plot", lambda text: text.replace('"status":"ok"', '"status":"fine"'), "status 'fine'"),
    ],
)
def test_a_run_json_that_is_damaged(command, change, expected, finished, refused, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(change((finished[0] / "run.json").read_text()))
    said = refused(command, "run.json")
    assert "run.json" in said
    assert expected in said


def test_an_unfinished_run_says_how_to_finish_it(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").touch()
    assert "jacobench run --resume run" in refused("table", "run")


def test_pictures_that_cannot_be_written(finished, refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "file" in refused("plot", finished[0], "--out", "file/pictures")


def test_a_comparison_takes_two_runs(finished, refused):
    assert "given 1 run: expected two, BASE HEAD" in refused("plot", finished[0], "--compare")
    assert "given 3 runs" in refused("plot", *[finished[0]] * 3, "--compare")
    assert "did you mean 'gradient'" in refused("plot", *[finished[0]] * 2, "--compare", "--phase", "gradeint")


def test_settings_that_are_damaged(finished, refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").touch()
    (tmp_path / "run" / "settings.json").write_text('{"run_id": 3')
    assert "damaged" in refused("run", "--resume", "run")
