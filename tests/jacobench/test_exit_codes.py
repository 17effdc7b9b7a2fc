"""Exit codes: every error becomes one line that names the cause, and the code of DESIGN.md's table."""

from __future__ import annotations

import pytest
import typer

from jacobench import __main__
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.graphs.errors import BadInput


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BadInput("x is 3;\nexpected 4"), 2, "x is 3; expected 4"),
        (typer.BadParameter("not a number"), 2, "Invalid value: not a number"),
        (HarnessFailure("no worker started"), 4, "not completed: no worker started"),
        (OSError(28, "No space left on device", "run/plots"), 4, "not completed: run/plots: No space left on device"),
        (KeyError("seconds"), 4, "internal error, please report: KeyError: 'seconds'"),
    ],
)
def test_an_error_is_one_line_and_a_code(error, code, message, monkeypatch, capsys):
    def app(*_args, **_more):
        raise error

    monkeypatch.setattr(__main__, "app", app)
    assert __main__.main() == code
    assert capsys.readouterr().err == f"jacobench: {message}\n"


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0)])
def test_an_interruption_prints_nothing(raised, code, monkeypatch, capfd):
    def app(*_args, **_more):
        raise raised

    monkeypatch.setattr(__main__, "app", app)
    monkeypatch.setattr(__main__.os, "dup2", lambda *_descriptors: None)  # the output of this process stays open
    assert __main__.main() == code
    assert capfd.readouterr().err == ""
