"""Each build backend and layout, also with the project as an editable installation in the current environment.

The backends come from the package index, into an environment of the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import jacobench

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler"),
]

BACKENDS = (
    *("hatchling", "hatch-vcs", "setuptools", "setuptools-scm", "wheel", "flit_core", "poetry-core", "pdm-backend"),
    *("editables", "uv_build", "meson-python", "ninja", "scikit-build-core", "cmake"),  # hatchling needs the first
)


def pyproject(backend, requires, more=""):
    system = f'[build-system]\nbuild-backend = "{backend}"\nrequires = {json.dumps(requires.split())}\n'
    return {"pyproject.toml": f'{system}{more}[project]\nname = "NAME"\nversion = "0.1"\ndescription = "None"\n'}


def from_tags(files):
    return {name: text.replace('version = "0.1"', 'dynamic = ["version"]') for name, text in files.items()}


PURE = "VALUE = 1\n"
COMPILED = {
    "core.c": """
#include <Python.h>
static int VALUE = 1;
static PyObject *value(PyObject *self, PyObject *none) { return PyLong_FromLong(VALUE); }
static PyMethodDef methods[] = {{"value", value, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "core", NULL, -1, methods};
PyMODINIT_FUNC PyInit_core(void) { return PyModule_Create(&module); }
""",
    "NAME/__init__.py": "from .core import value\nVALUE = value()\n",
}
SETUP = "import os\nassert os.environ['GATE_BUILD_FLAG'] == '1'\nfrom setuptools import Extension, setup\nsetup(name='NAME', version='0.1', packages=['NAME']{})\n"
MESON = """
project('NAME', 'c', version: '0.1')
py = import('python').find_installation(pure: false)
py.extension_module('core', 'core.c', dependencies: py.dependency(), install: true, subdir: 'NAME')
py.install_sources('NAME/__init__.py', subdir: 'NAME')
"""
CMAKE = """
cmake_minimum_required(VERSION 3.15...3.30)
project(NAME LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
python_add_library(core MODULE core.c WITH_SOABI)
install(TARGETS core DESTINATION NAME)
"""

PROJECTS = {
    "by_hatch": pyproject("hatchling.build", "hatchling") | {"src/NAME/__init__.py": PURE},
    "by_setuptools": pyproject("setuptools.build_meta", "setuptools") | {"src/NAME/__init__.py": PURE},
    "by_setup_py": {"setup.py": SETUP.format(""), "NAME/__init__.py": PURE},
    "by_setup_ext": COMPILED | {"setup.py": SETUP.format(", ext_modules=[Extension('NAME.core', ['core.c'])]")},
    "by_flit": pyproject("flit_core.buildapi", "flit_core") | {"NAME/__init__.py": PURE},
    "by_poetry": pyproject("poetry.core.masonry.api", "poetry-core") | {"NAME/__init__.py": PURE},
    "by_pdm": pyproject("pdm.backend", "pdm-backend") | {"src/NAME/__init__.py": PURE},
    "by_uv": pyproject("uv_build", "uv_build") | {"src/NAME/__init__.py": PURE},
    "by_meson": COMPILED | pyproject("mesonpy", "meson-python") | {"meson.build": MESON},
    "by_scikit": COMPILED | pyproject("scikit_build_core.build", "scikit-build-core") | {"CMakeLists.txt": CMAKE},
    "by_itself": pyproject("own", "", 'backend-path = ["build tools"]\n')
    | {"build tools/own.py": "from flit_core.buildapi import *\n", "NAME/__init__.py": PURE},
    "by_scm": from_tags(pyproject("setuptools.build_meta", "setuptools setuptools-scm", "[tool.setuptools_scm]\n"))
    | {"NAME/__init__.py": PURE},
    "by_vcs": from_tags(pyproject("hatchling.build", "hatchling hatch-vcs", '[tool.hatch.version]\nsource = "vcs"\n'))
    | {"NAME/__init__.py": PURE},
}
EDITABLE = ("by_hatch", "by_setuptools", "by_setup_ext", "by_meson", "by_scikit")

INSTALLS = """
import json, os, subprocess, sys
from pathlib import Path
from jacobench.bench.gate.installation.installer import INSTALL
from jacobench.bench.gate.trees.revisions import SideSource, checked_out, commit_of, project_of
from jacobench.bench.gate.installation.side_installation import install_sides

into = Path(sys.argv[1])
for name in sys.argv[2:]:
    os.chdir(name)
    project, folder = project_of(Path.cwd()), into / name
    folder.mkdir(parents=True)
    sources = SideSource("HEAD"), SideSource(None)
    with checked_out(project, commit_of(project, "HEAD"), None, folder) as trees:
        sides, code = install_sides(project, trees, sources, folder, INSTALL, lambda text: None)
        found = []
        for side in sides:
            program = f"import {name} as m; print(m.VALUE, m.__file__)"
            done = subprocess.run([side.python, "-P", "-c", program], cwd=side.tree.folder, capture_output=True, text=True)
            value, _, file = done.stdout.strip().partition(" ")
            found.append([value, Path(file).is_relative_to(side.packages), done.stderr])
    print(json.dumps([name, found, [each.version for each in code.distributions]]), flush=True)
    os.chdir("..")
"""


@pytest.fixture
def python(tmp_path):
    """Return the interpreter of an environment with the backends and jacobench."""
    venv.create(tmp_path / "current", with_pip=True)
    (packages,) = (tmp_path / "current/lib").glob("*/site-packages")
    shared = [str(Path(jacobench.__file__).parents[1]), *(each for each in sys.path if each.endswith("-packages"))]
    (packages / "zz_shared.pth").write_text("\n".join(shared) + "\n")
    found = tmp_path / "current/bin/python"
    command = [found, "-m", "pip", "install", "--quiet", "--ignore-installed", *BACKENDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the backends cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return found


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_each_side_imports_its_own_build_and_nothing_is_built_in_the_users_tree(python, tmp_path):
    top = tmp_path / "projects"
    for name, files in PROJECTS.items():
        for file, text in files.items():
            path = top / name / file.replace("NAME", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("NAME", name))
        git(top / name, "init", "-q")
        git(top / name, "add", "-A")
        git(top / name, "commit", "-qm", "One")
        git(top / name, "tag", "v1.2.0")
    # As in an environment that is not activated.
    variables = os.environ | {"PATH": os.defpath, "GATE_BUILD_FLAG": "1"}
    editable = [word for name in EDITABLE for word in ("-e", str(top / name))]
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", *editable]
    activated = variables | {"PATH": f"{python.parent}{os.pathsep}{os.defpath}"}
    subprocess.run(command, check=True, env=activated)
    for path in (
        each for each in top.rglob("*") if each.name in {"__init__.py", "core.c"} and "build" not in each.parts
    ):
        path.write_text(path.read_text().replace("VALUE = 1", "VALUE = 2"))
    before = {name: git(top / name, "status", "--porcelain", "--ignored") for name in PROJECTS}
    command = [python, "-P", "-c", INSTALLS, str(tmp_path / "into"), *PROJECTS]
    done = subprocess.run(command, cwd=top, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {name: (sides, versions) for name, sides, versions in map(json.loads, done.stdout.splitlines())}
    for sides, _ in found.values():
        assert sides == [["1", True, ""], ["2", True, ""]]
    assert found.keys() == PROJECTS.keys()
    assert {name: git(top / name, "status", "--porcelain", "--ignored") for name in PROJECTS} == before
    for name in ("by_scm", "by_vcs"):
        base, head = found[name][1]
        assert base == "1.2.0"
        assert head.startswith("1.2.1.dev0+")
