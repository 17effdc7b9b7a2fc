"""Values of `--pytest` on each side, and the files of one side on the other."""

from types import SimpleNamespace

import pytest

from jacobench.bench.gate.pytest_selection import (
    copy_suite,
    files_of_tests,
    from_folder,
    read_selection,
    side_selection,
)
from jacobench.bench.gate.revisions import Project, Tree
from jacobench.graphs.errors import BadInput


def write(folder, *names, text=""):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text or name)


@pytest.fixture
def trees(tmp_path):
    """Return the project and the trees of both sides; only head has ``bench/test_new.py``."""
    for name in ("user", "base", "head"):
        write(tmp_path / name, "bench/test_a.py", "bench/sub/test_b.py", "k/x")
    write(tmp_path / "head", "bench/test_new.py")
    project = Project(tmp_path / "user", tmp_path / "user")
    return project, *(Tree(name, tmp_path / name, tmp_path / name) for name in ("base", "head"))


@pytest.mark.parametrize(
    ("text", "said"), [("'a", "No closing quotation; expected files"), (" ", "--pytest is empty: expected files")]
)
def test_a_value_that_a_shell_could_not_split_is_bad_input(text, said):
    with pytest.raises(BadInput, match=said):
        read_selection(text)


def test_a_node_id_selects_itself_and_what_is_in_it(trees):
    project, base, head = trees
    found = side_selection(["bench/test_a.py::test_x", "bench/sub", "-k", "k", "-v"], project, head, base)
    assert found.arguments == ("bench/test_a.py", "bench/sub", "-k", "k", "-v")
    ids = [
        "bench/test_a.py::test_x",
        "bench/test_a.py::test_x[a::b]",
        "bench/test_a.py::test_xy",
        "bench/sub/test_b.py::t",
    ]
    assert [found.selects(each) for each in ids] == [True, True, False, True]
    whole = side_selection(["bench/test_a.py::test_x", "bench"], project, head, base)
    assert whole.selects("bench/test_a.py::test_xy")


def test_a_path_that_one_side_has_is_left_out_on_the_other(trees):
    project, base, head = trees
    words = ["bench/test_new.py", "bench/sub"]
    assert side_selection(words, project, base, head).arguments == ("bench/sub",)
    assert side_selection(words, project, head, base).arguments == tuple(words)
    assert side_selection(words[:1], project, base, head) is None
    assert side_selection(["-k", "new"], project, base, head).arguments == ("-k", "new")
    with pytest.raises(BadInput, match=r"--pytest: neither side has 'no\.py': expected a file or folder"):
        side_selection(["no.py::test_x"], project, base, head)


def test_an_absolute_path_in_the_working_tree_is_the_sides_own(trees):
    project, base, head = trees
    found = side_selection([f"{project.top}/bench/test_a.py::t", "/tmp"], project, base, head)
    assert found.arguments == (f"{base.top}/bench/test_a.py", "/tmp")
    assert found.selects("bench/test_a.py::t")


def test_paths_of_pyproject_are_relative_to_its_folder(tmp_path, monkeypatch):
    write(tmp_path, "bench/test_a.py", "sub/x")
    monkeypatch.chdir(tmp_path / "sub")
    assert from_folder("bench/test_a.py::t -k 'a b' other", tmp_path) == "../bench/test_a.py::t -k 'a b' other"
    monkeypatch.chdir(tmp_path)
    assert from_folder("bench  -q", tmp_path) == "bench  -q"


def test_the_files_of_one_side_replace_those_of_the_other(tmp_path):
    write(tmp_path / "head", "conftest.py", "bench/test_a.py", "bench/helpers.py", "bench/data/x.json", text="head")
    write(tmp_path / "head", "pkg/mod.py", "pkg/test_in.py", "pkg/other.py", text="head")
    write(tmp_path / "base", "bench/conftest.py", "bench/test_a.py", "bench/test_old.py", text="base")
    write(tmp_path / "base", "pkg/mod.py", "pkg/test_in.py", text="base")
    built = SimpleNamespace(modules=frozenset({"pkg", "pkg.mod", "pkg.other"}), importable=frozenset())
    base, head = (
        SimpleNamespace(tree=Tree(name, tmp_path / name, tmp_path / name), built=lambda: [built])
        for name in ("base", "head")
    )
    assert files_of_tests(head.tree, ["pkg"]) == {"pkg/test_in.py"}
    assert files_of_tests(head.tree, ["bench/helpers.py", "missing"]) == {"bench/helpers.py"}
    copy_suite(head.tree, base.tree, ["bench", "pkg"], ["bench/test_a.py", "pkg/test_in.py"], [base, head])
    found = {str(path.relative_to(tmp_path / "base")): path.read_text() for path in (tmp_path / "base").rglob("*.*")}
    assert found == {
        "conftest.py": "head", "bench/test_a.py": "head", "bench/helpers.py": "head", "bench/data/x.json": "head",
        "pkg/test_in.py": "head", "pkg/mod.py": "base",
    }  # fmt: skip
