"""What a pyproject.toml asks of a gate, and how a side is installed."""

from pathlib import Path

import pytest

from jacobench.bench.gate.gate_config import GateConfig, configured, new_folder, options_from_table, read_table
from jacobench.bench.gate.installation.installer import INSTALL, check_template
from jacobench.bench.gate.installation.side_environments import Side, build_system, check_backend
from jacobench.bench.gate.trees.revisions import Project, Tree
from jacobench.graphs.errors import BadInput


def test_a_table_gives_what_it_says_and_leaves_the_thresholds(tmp_path):
    table = {"suite": "my.toml", "strategies": ["mine", "my.py:Mine"], "max_minutes": 3, "time": 0.05}
    options, rest = options_from_table(table, tmp_path)
    assert rest == {"time": 0.05}
    assert configured(options, {}) == GateConfig(
        suite=str(tmp_path / "my.toml"), strategies=("mine", f"{tmp_path / 'my.py'}:Mine"), max_minutes=3
    )
    assert options_from_table({"untracked": "3GB"}, tmp_path)[0]["untracked"] == "3GB"
    assert options_from_table({}, tmp_path) == ({}, {})
    assert options_from_table({"suite": "smoke"}, tmp_path)[0]["suite"] == "smoke"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"suite": 3}, "suite is 3: expected text"),
        ({"strategies": "mine"}, "strategies is 'mine': expected a list of text"),
        ({"max_minutes": "3"}, "expected a number"),
        ({"max_minutes": 0}, "expected a number above 0"),
        ({"untracked": "many"}, "'many' is not a size"),
    ],
)
def test_a_value_of_the_wrong_type_is_bad_input(table, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        configured(options_from_table(table, tmp_path)[0], {})


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), ("[tool.jacobench]\n", {}), ("[tool.jacobench.gate]\ntime = 0.1\n", {"time": 0.1})],
)
def test_a_project_without_a_table_has_no_settings(text, found, tmp_path):
    project = Project(tmp_path, tmp_path)
    assert read_table(project) == {}
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_table(project) == found


@pytest.mark.parametrize(
    ("text", "said"), [("[tool", "not TOML"), ("[tool.jacobench]\ngate = 3\n", "expected a table")]
)
def test_an_invalid_pyproject_is_bad_input(text, said, tmp_path):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(BadInput, match=said):
        read_table(Project(tmp_path, tmp_path))


@pytest.mark.parametrize("template", ["pip install {dir}", "{python} -m pip install", "{python} {dir} {more}", ""])
def test_a_template_must_have_both_placeholders(template):
    assert check_template(INSTALL) == INSTALL
    with pytest.raises(BadInput, match="expected a command with"):
        check_template(template)


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("[tool.ruff]\n", None),
        ("[tool.setuptools]\npackages = ['mine']\n[project]\nname = 'mine'\n", {}),
        ("[project]\nname = 'mine'\n[tool.uv]\npackage = false\n", None),
        ("[tool.uv]\npackage = true\n[build-system]\nrequires = []\n", {"requires": []}),
        ("[tool.poetry]\npackage-mode = false\n[build-system]\nrequires = ['poetry-core']\n", None),
        ("[build-system]\nrequires = ['flit_core']\n", {"requires": ["flit_core"]}),
    ],
)
def test_there_is_something_to_install_where_a_project_says_so(text, system, tmp_path):
    assert build_system(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text(text)
    assert build_system(tmp_path) == system


@pytest.mark.parametrize(
    ("files", "is_package"),
    [
        ("mine/__init__.py tests/test.py data.csv", True),
        ("src/mine/__init__.py models/a.py data/b.py", True),
        ("mine.py conftest.py", True),
        ("models/__init__.py data/__init__.py", False),
        ("one.py two.py", False),
        ("benchmarks/mine.py", False),
        ("models/__init__.py data/__init__.py setup.cfg", True),
        ("models/__init__.py data/__init__.py setup.py", True),
    ],
)
def test_a_project_without_a_backend_is_a_package_if_setuptools_can_guess_it(files, is_package, tmp_path):
    for name in files.split():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert (build_system(tmp_path) is not None) == is_package


def test_a_missing_backend_is_reported_with_the_fix(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling>=1.26"]\nbuild-backend = "hatchling.build"\n'
    )
    check_backend(tmp_path, "1a2b3c")
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["no-such>=2"]\nbuild-backend = "no_such.build"\n'
    )
    with pytest.raises(BadInput, match=r"no_such\.build.* 1a2b3c.* pip install 'no-such>=2'"):
        check_backend(tmp_path, "1a2b3c")


def test_each_side_loads_a_strategy_from_its_own_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, tmp_path)
    side = Side("base", Tree("1a2b3c", Path("/elsewhere"), Path("/elsewhere")), Path(), Path())
    assert side.spec("sub/mine.py:Mine", project) == "/elsewhere/sub/mine.py:Mine"
    assert side.spec("/another/mine.py:Mine", project) == "/another/mine.py:Mine"
    assert side.spec("package.module:Mine", project) == "package.module:Mine"
    assert side.spec("vjp", project) == "vjp"


def test_options_that_select_what_is_measured_override_those_of_the_other_kind():
    table = {"suite": "smoke", "strategies": ("mine",), "max_minutes": 3.0}
    assert configured(table, {"pytest": ("bench",)}) == GateConfig(pytest=("bench",), max_minutes=3)
    table = {"pytest": ("bench",), "suite_from": "head"}
    assert configured(table, {"strategies": ("mine",)}) == GateConfig(strategies=("mine",))
    assert configured(table, {"cases": ("a",)}) == GateConfig(
        pytest=("bench",), in_project=True, suite_from="head", cases=("a",)
    )
    assert configured(table, {"pytest": ("other",)}) == GateConfig(pytest=("other",), suite_from="head")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pytest": ("bench",), "suite": "smoke"}, "leave out --suite and --strategy"),
        ({"pytest": ("bench",), "strategies": ("vjp",)}, "leave out --suite and --strategy"),
        ({"pytest": ("'bench",)}, "No closing quotation"),
        ({"suite_from": "head"}, "--suite-from needs --pytest"),
        ({"out": "raw"}, "--out needs --pytest"),
        ({"pytest": ("bench",), "suite_from": "haed"}, "did you mean 'head'"),
    ],
)
def test_options_that_do_not_fit_together_are_bad_input(options, said):
    with pytest.raises(BadInput, match=said):
        configured({}, options)


def test_only_the_command_line_names_a_folder_for_raw_data(tmp_path):
    assert options_from_table({"out": "raw", "memory": True}, tmp_path) == ({"memory": True}, {"out": "raw"})
    with pytest.raises(BadInput, match="memory is 1: expected true or false"):
        options_from_table({"memory": 1}, tmp_path)


def test_a_folder_for_raw_data_is_checked_and_not_created(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert new_folder("") is None
    assert new_folder("new/raw") == tmp_path / "new" / "raw"
    assert new_folder("empty") == tmp_path / "empty"
    for out, said in (
        ("file/raw/x", "cannot be written: Not a directory"),
        ("file", "already exists"),
        (".", "already"),
    ):
        with pytest.raises(BadInput, match=f"^--out '{out}' {said}.*; choose another folder$"):
            new_folder(out)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file"]
