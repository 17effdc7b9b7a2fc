"""The option --cluster without its extra."""

from __future__ import annotations

import os

HIDE = """
import sys

sys.modules["distributed"] = None
"""


def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(tmp_path, jacobench, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))
    done = jacobench("run", "--cluster", "local:2", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "pip install 'jacobench[cluster]'" in line
    assert not (tmp_path / "run").exists()
