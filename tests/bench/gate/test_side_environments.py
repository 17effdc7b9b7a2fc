"""A side's environment: the current one's packages are behind its own, the project's own installation is out of sight."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jacobench
from jacobench.bench.gate.revisions import Project, Tree
from jacobench.bench.gate.side_environments import install
from jacobench.graphs.errors import BadInput

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments are laid out otherwise")

ASK = "import importlib.util as u, numpy; print(numpy.__file__, u.find_spec('jacobench') is not None)"


def asked(side):
    done = subprocess.run([side.python, "-P", "-c", ASK], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tree").mkdir()
    return Tree("1a2b3c", tmp_path / "tree", tmp_path / "tree")


def test_the_current_packages_are_seen(tree, tmp_path):
    side = install("base", tree, tmp_path / "env", Project(tmp_path, tmp_path))
    assert asked(side) == [np.__file__, "True"]
    assert side.registered() == [], "it registers what is installed in it, not what it sees"


def test_an_editable_installation_of_the_project_is_not_seen(tree, tmp_path):
    top = Path(jacobench.__file__).resolve().parents[1]
    if not any(Path(entry).resolve() == top for entry in sys.path if entry):
        pytest.skip("jacobench is not installed as editable here")
    side = install("base", tree, tmp_path / "env", Project(top, top))
    assert asked(side) == [np.__file__, "False"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            '{python} -c \'import sys; print("ERROR: no such thing"); print("more"); sys.exit(3)\' {dir}',
            "ERROR: no such thing",
        ),
        ("{python} -c 'import sys; print(\"the last line\"); sys.exit(3)' {dir}", "the last line"),
        ("no-such-command {python} {dir}", "no-such-command: No such file"),
    ],
)
def test_what_cannot_be_installed_is_told_in_a_line_with_the_side(template, said, tree, tmp_path):
    (tree.folder / "setup.py").write_text("")
    with pytest.raises(BadInput, match=rf"^head \(1a2b3c\) cannot be installed: {said}"):
        install("head", tree, tmp_path / "env", Project(tmp_path, tmp_path), template)
