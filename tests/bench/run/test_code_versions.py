"""A run measures one version of the code: changed files, packages and distributions are found and named."""

from __future__ import annotations

import os
import sys
from contextlib import closing

import pytest

from jacobench.bench.run import code_versions as module
from jacobench.bench.run.code_versions import CodeVersions, code_versions, difference
from jacobench.bench.run.run_folder import resume
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.bench.run.runner import carry_on, start
from jacobench.graphs.errors import BadInput
from jacobench.strategies import plugin_files

GRAPH = """
import shapes_of_mine
import jacobench as jb
def make_graph():
    return jb.mlp(shapes_of_mine.WIDTHS)[0]
"""


@pytest.fixture
def user(tmp_path, plugin_file, monkeypatch):
    """Return a function that describes the code of a suite and strategies in a folder of the user."""
    plugin_file("import helper_of_mine, nested_of_mine\nclass Mine(Right):\n    pass\n")
    (tmp_path / "helper_of_mine.py").write_text("A = 1")
    (tmp_path / "unused.py").write_text("A = 1")
    (tmp_path / "nested_of_mine").mkdir()
    (tmp_path / "nested_of_mine" / "__init__.py").touch()
    (tmp_path / "nested_of_mine" / "deep.py").write_text("A = 1")
    (tmp_path / "graphs.py").write_text(GRAPH)
    (tmp_path / "shapes_of_mine.py").write_text("WIDTHS = [2, 2]")
    (tmp_path / "my.toml").write_text('[[sweep]]\ngraph = "graphs.py:make_graph"\n')
    package = tmp_path / "path" / "package_of_mine"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "code.py").write_text("A = 1")
    sys.path.insert(0, str(package.parent))
    monkeypatch.setattr(plugin_files, "_IMPORTED", [])
    specs = ("vjp", f"{tmp_path}/plugin.py:Mine", "package_of_mine.code:Mine")
    yield lambda: code_versions(plan(RunOptions(str(tmp_path / "my.toml"), specs)), str(tmp_path / "my.toml"))
    for name in ("graphs", "shapes_of_mine"):
        sys.modules.pop(name, None)


def change(path):
    before = path.stat().st_mtime_ns
    path.write_text(path.read_text() + "\n# changed\n")
    os.utime(path, ns=(before + 10**9, before + 10**9))  # also where the clock of the file system is coarse


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plugin.py", "plugin.py has changed"),
        ("helper_of_mine.py", "helper_of_mine.py has changed"),
        ("nested_of_mine/deep.py", "deep.py has changed"),
        ("graphs.py", "graphs.py has changed"),
        ("shapes_of_mine.py", "shapes_of_mine.py has changed"),
        ("path/package_of_mine/code.py", "the code of package 'package_of_mine' has changed"),
        ("unused.py", ""),
    ],
)
def test_a_changed_file_is_named(name, said, user, tmp_path):
    before = user()
    assert difference(before, user()) == ""
    change(tmp_path / name)
    assert said in difference(before, user())
    assert bool(said) is bool(difference(before, user()))


def test_a_removed_neighbour_and_a_new_one_are_named(user, tmp_path):
    before = user()
    (tmp_path / "helper_of_mine.py").unlink()
    assert "helper_of_mine.py has changed" in difference(before, user())
    assert "helper_of_mine.py has changed" in difference(user(), before)


def test_a_changed_distribution_is_named_with_both_versions(user, monkeypatch):
    before = user()
    assert before.distributions["numpy"]
    assert "torch" not in before.distributions
    found = module._version
    monkeypatch.setattr(module, "_version", lambda name: "99.1" if name == "scipy" else found(name))
    assert f"'scipy' has changed from version {before.distributions['scipy']} to 99.1" in difference(before, user())


def test_libraries_that_a_file_imports_and_those_of_peers_count(user, tmp_path, tiny):
    (tmp_path / "helper_of_mine.py").write_text("def f():\n    import jinja2")
    assert {"jinja2", "markupsafe"} <= {name.lower() for name in user().distributions}
    assert {"jax", "jaxlib"} <= code_versions(plan(RunOptions(str(tiny), ("jax-vjp",))), str(tiny)).distributions.keys()


def test_the_commit_of_a_distribution_counts(monkeypatch):
    class Installed:
        version = "1.2"

        def read_text(self, name):
            return '{"vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}' if name == "direct_url.json" else ""

    monkeypatch.setattr(module, "distribution", lambda _name: Installed())
    assert module._version("mine") == "1.2 (0123456789ab)"


def test_our_own_code_counts_in_a_checkout(user):
    assert user().packages.keys() == {"jacobench", "package_of_mine"}


def test_runs_that_did_not_record_their_code_are_continued(user):
    assert difference(CodeVersions(), user()) == ""


def test_a_run_is_not_continued_with_other_code_and_keeps_its_measurements(
    tiny, tmp_path, plugin_file, make_measurement
):
    file = plugin_file("class Mine(Right):\n    pass\n")
    with closing(start(RunOptions(str(tiny), strategies=("vjp", f"{file}:Mine")), tmp_path / "run")) as folder:
        folder.append(make_measurement("vjp", case="mlp-w4-d1-b1"))
    change(file)
    (tmp_path / "run" / "run.json").write_text("its results")
    with closing(resume(tmp_path / "run")) as folder:
        with pytest.raises(BadInput, match=r"plugin\.py has changed; restore it, or start a new run: .*run") as raised:
            carry_on(folder, lambda _progress: None, 5.0)
        assert "\n" not in str(raised.value)
        assert len(folder.measurements) == 1
    assert (tmp_path / "run" / "run.json").read_text() == "its results"


@pytest.mark.long
def test_a_file_that_changes_before_it_is_loaded_again_stops_the_run(tiny, tmp_path, plugin_file):
    file = plugin_file("class Mine(Right):\n    name = 'mine'\n")

    def report(progress):
        if progress.planned.number == 1 and b"changed" not in file.read_bytes():
            change(file)

    options = RunOptions(str(tiny), strategies=("vjp", f"{file}:Mine"), passes=2)
    with closing(start(options, tmp_path / "run")) as folder:
        with pytest.raises(BadInput, match=r"plugin\.py has changed"):
            carry_on(folder, report)
        assert {m.pass_number for m in folder.measurements if m.strategy == "mine"} == {0}
