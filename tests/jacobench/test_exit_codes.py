"""Exit codes: every error becomes one line that names the cause, and the code of the table in docs/command-line.md."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time

import psutil
import pytest
import typer

from jacobench import __main__
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.graphs.errors import BadInput


def _not_utf8() -> UnicodeEncodeError:
    with pytest.raises(UnicodeEncodeError) as found:
        '{"suite":"/home/\udcfc/my.toml"}'.encode()
    return found.value


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BadInput("x is 3;\nexpected 4"), 2, "x is 3; expected 4"),
        (typer.BadParameter("not a number"), 2, "Invalid value: not a number"),
        (HarnessFailure("no worker started"), 4, "not completed: no worker started"),
        (OSError(28, "No space left on device", "run/plots"), 4, "not completed: run/plots: No space left on device"),
        (MemoryError("cannot allocate 3 GiB"), 4, "not completed: out of memory: cannot allocate 3 GiB"),
        (
            subprocess.CalledProcessError(1, "python", stderr=b"a\nlast line\n"),
            4,
            "not completed: a process failed: last line",
        ),
        (
            ImportError("a.so: failed to map segment from shared object", name="a"),
            4,
            (
                "not completed: out of memory: a.so: failed to map segment from shared object; raise the memory limit of "
                "this process (ulimit -v) or of its container"
            ),
        ),
        (
            RuntimeError("can't start new thread"),
            4,
            (
                "not completed: out of memory: can't start new thread; raise the memory limit of "
                "this process (ulimit -v) or of its container"
            ),
        ),
        (
            ImportError("no libopenblas", name="numpy"),
            2,
            "cannot import numpy: no libopenblas; install jacobench again",
        ),
        (
            ImportError("no such name", name="jacobench.api"),
            4,
            "internal error, please report: ImportError: no such name",
        ),
        (_not_utf8(), 2, "'/home/\\udcfc/my.toml' is not UTF-8; rename the file or folder"),
        (KeyError("seconds"), 4, "internal error, please report: KeyError: 'seconds'"),
    ],
)
def test_an_error_is_one_line_and_a_code(error, code, message, monkeypatch, capsys):
    def app(*_args, **_more):
        raise error

    monkeypatch.setattr("jacobench.commands.app", app)
    assert __main__.main() == code
    assert capsys.readouterr().err == f"jacobench: {message}\n"


def _wrapped() -> Exception:
    error = RuntimeError("Abort")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), _wrapped()], ids=["plain", "wrapped by typer"])
def test_an_interrupt_names_the_command_that_starts_again(raised, monkeypatch, capfd):
    def app(*_args, **_more):
        raise raised

    monkeypatch.setattr("jacobench.commands.app", app)
    monkeypatch.setattr("sys.argv", ["jacobench", "gate", "--case", "a b"])
    assert __main__.main() == 130
    assert capfd.readouterr().err == "Interrupted. To start again: jacobench gate --case 'a b'\n"


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGTERM, ("doctor", "--profile")),
        pytest.param(signal.SIGINT, ("recommend", "--widths", "8,4"), marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, ("doctor", "--noise"), marks=pytest.mark.long),
        pytest.param(signal.SIGINT, ("gate", "--self-test", "--max-minutes", "9"), marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_a_command_with_the_command_that_starts_again(number, arguments, popen, tmp_path, monkeypatch):
    """Without a cache, the first two measure a machine profile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    process = popen(*arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not psutil.Process(process.pid).children():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    last = said.splitlines()[-1]
    assert last == f"Interrupted. To start again: {shlex.join(['jacobench', *arguments])}"
    assert "Traceback" not in said


def test_the_version_is_that_of_the_distribution(jacobench, tmp_path):
    from importlib.metadata import version

    done = jacobench("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"jacobench {version('jacobench')}\n")


def test_a_strategy_that_its_file_does_not_define_is_bad_input(jacobench, tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    for command in (("verify",), ("run", "--suite", "smoke")):
        done = jacobench(*command, "--strategy", "mine.py:Other", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "jacobench: unknown strategy in mine.py 'Other': expected one of Mine\n"
        assert not (tmp_path / "runs").exists()


def test_a_model_of_a_suite_that_cannot_be_imported_is_bad_input_and_nothing_is_written(jacobench, tmp_path):
    (tmp_path / "nets.py").write_text("def broken():\n    raise ValueError('no weights')\n")
    (tmp_path / "my.toml").write_text('[[sweep]]\ngraph = "model"\nfile = "nets.py:broken"\n')
    done = jacobench("run", "--suite", "my.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ValueError: no weights" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
