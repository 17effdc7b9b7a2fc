"""Plots need no backend, and none of the user's settings of matplotlib."""

from __future__ import annotations

import os
import subprocess
import sys

IMPORT = "import jacobench.reports.plots.style"


def imported(folder, code=IMPORT, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | variables
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_unknown_backend_and_invalid_settings_are_not_used(tmp_path):
    (tmp_path / "matplotlibrc").write_text("backend: nonsense\nlines.linewidth: thick\n")
    done = imported(tmp_path, MPLBACKEND="module://no_such_notebook.backend")
    assert (done.returncode, done.stderr) == (0, "")


def test_settings_that_cannot_be_read_are_bad_input(tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"# \xff\n")
    catch = f"from jacobench.graphs.errors import BadInput\ntry: {IMPORT}\nexcept BadInput as error: print(error)"
    done = imported(tmp_path, catch)
    assert "matplotlibrc" in done.stdout
    assert "save it as UTF-8, or remove it" in done.stdout
