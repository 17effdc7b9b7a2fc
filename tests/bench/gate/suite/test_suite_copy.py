"""Benchmark files of one side on the other."""

from types import SimpleNamespace

import pytest

from jacobench.bench.gate.suite.pytest_selection import relative
from jacobench.bench.gate.suite.suite_copy import copy_suite, files_of_tests
from jacobench.bench.gate.trees.revisions import Tree


def write(folder, *names, text=""):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text or name)


def sides_with(folder, *modules):
    """Return both sides, whose packages have these modules."""
    built = SimpleNamespace(modules=frozenset(modules), importable=frozenset())
    return [
        SimpleNamespace(tree=Tree(name, folder / name, folder / name), built=lambda: [built])
        for name in ("base", "head")
    ]


def texts(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*")}


def test_the_files_of_one_side_replace_those_of_the_other(tmp_path):
    write(tmp_path / "head", "conftest.py", "bench/test_a.py", "bench/helpers.py", "bench/data/x.json", text="head")
    write(tmp_path / "head", "pkg/mod.py", "pkg/test_in.py", "pkg/other.py", text="head")
    write(tmp_path / "base", "bench/conftest.py", "bench/test_a.py", "bench/test_old.py", text="base")
    write(tmp_path / "base", "pkg/mod.py", "pkg/test_in.py", text="base")
    base, head = sides_with(tmp_path, "pkg", "pkg.mod", "pkg.other")
    assert files_of_tests(head.tree, ["pkg"]) == {"pkg/test_in.py"}
    assert files_of_tests(head.tree, ["bench/helpers.py", "missing"]) == {"bench/helpers.py"}
    copy_suite(head.tree, base.tree, ["bench", "pkg"], ["bench/test_a.py", "pkg/test_in.py"], [base, head])
    assert texts(tmp_path / "base") == {
        "conftest.py": "head", "bench/test_a.py": "head", "bench/helpers.py": "head", "bench/data/x.json": "head",
        "pkg/test_in.py": "head", "pkg/mod.py": "base",
    }  # fmt: skip


OUTSIDE = {
    "an absolute path": ("{}", {}, {}),
    "a path through a link": ("link/sub", {"link": "{}"}, {"link": "{}"}),
    "a link": ("link", {"link": "{}/sub"}, {"link": "{}"}),
    "a link of the source only": ("link", {"link": "{}"}, {"link/test_own.py": ""}),
    "a link of the target only": ("link/sub", {"link/sub/test_new.py": "", "link/sub/deep/x.txt": ""}, {"link": "{}"}),
    "a link inside the folder": ("bench", {"bench/test_new.py": "", "bench/sub/x.txt": ""}, {"bench/sub": "{}/sub"}),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_nothing_outside_the_side_is_changed(tmp_path, kind):
    """In the folders, `{}` is the user's folder, and a name without suffix is a link to it."""
    mine = tmp_path / "mine"
    write(mine, "test_mine.py", "conftest.py", "sub/test_mine.py", "sub/data.json")
    place, *contents = OUTSIDE[kind]
    base, head = sides_with(tmp_path, "package")
    for side, content in zip((head, base), contents, strict=True):
        write(side.tree.top, "bench/test_own.py")
        for name, text in content.items():
            if text:
                (side.tree.top / name).symlink_to(text.format(mine))
            else:
                write(side.tree.top, name, text="new")
    place = place.format(mine)
    files = [relative(path, head.tree.folder) for path in (head.tree.folder / place).rglob("test_*.py")]
    before, given = texts(mine), texts(head.tree.top / place)
    copy_suite(head.tree, base.tree, [place], [*files, "test_elsewhere.py"], [base, head])
    assert texts(mine) == before
    assert texts(base.tree.top / place) == given
    assert (base.tree.top / "bench/test_own.py").read_text() == "bench/test_own.py" or place == "bench"


def test_a_suite_behind_links_in_the_tree_is_copied_with_them(tmp_path):
    base, head = sides_with(tmp_path, "package")
    write(head.tree.top, "suite/v2/test_a.py", "suite/v2/data.json", text="head")
    write(base.tree.top, "suite/v1/test_a.py", "bench/test_old.py", text="base")
    (head.tree.top / "latest").symlink_to("suite/v2")
    (head.tree.top / "bench").symlink_to("latest")
    for _ in range(2):
        copy_suite(head.tree, base.tree, ["bench"], ["bench/test_a.py"], [base, head])
    assert (base.tree.top / "bench").readlink().name == "latest"
    assert texts(base.tree.top / "bench") == {"test_a.py": "head", "data.json": "head"}
    assert texts(base.tree.top / "suite/v1") == {"test_a.py": "base"}


def test_a_folder_with_the_whole_project_is_not_replaced(tmp_path):
    trees = [Tree(name, tmp_path / name, tmp_path / name / "project") for name in ("base", "head")]
    for tree in trees:
        write(tree.top, "project/core.py", "test_a.py", text=tree.revision)
    sides = [SimpleNamespace(tree=tree, built=list) for tree in trees]
    copy_suite(trees[1], trees[0], ["..", "."], ["../test_a.py"], sides)
    assert texts(trees[0].top) == {"project/core.py": "base", "test_a.py": "head"}


def test_each_conftest_above_a_benchmark_is_copied(tmp_path):
    """Also those between the top of the repository and the folder of a project in it."""
    trees = [Tree(name, tmp_path / name, tmp_path / name / "packages/mine") for name in ("base", "head")]
    names = ("conftest.py", "packages/conftest.py", "packages/mine/conftest.py", "packages/mine/bench/conftest.py")
    for tree in trees:
        write(tree.top, *names, "packages/other/conftest.py", "packages/mine/bench/test_a.py", text=tree.revision)
    sides = [SimpleNamespace(tree=tree, built=list) for tree in trees]
    copy_suite(trees[1], trees[0], [], ["bench/test_a.py"], sides)
    found = texts(trees[0].top)
    assert {name for name, text in found.items() if text == "head"} == {*names, "packages/mine/bench/test_a.py"}


def test_modules_of_a_project_that_is_not_installed_are_not_copied(tmp_path):
    mine, trees = tmp_path / "mine", [Tree(name, tmp_path / name, tmp_path / name) for name in ("base", "head")]
    write(mine, "x.txt")
    for tree in trees:
        write(tree.top, "app/core.py", "app/fast.pyx", "app/test_a.py", "app/sub/conftest.py", text=tree.revision)
    base, head = trees
    write(head.top, "app/sub/data.json", "app/__pycache__/core.pyc", "app/link/own.txt", "app/new.py", text="head")
    (base.top / "app/link").symlink_to(mine)
    sides = [SimpleNamespace(tree=tree, built=list) for tree in trees]
    copy_suite(head, base, ["app", str(mine)], ["app/test_a.py"], sides)
    assert texts(base.top) == {
        **dict.fromkeys(("app/core.py", "app/fast.pyx"), "base"),
        **dict.fromkeys(("app/test_a.py", "app/sub/conftest.py", "app/sub/data.json", "app/link/own.txt"), "head"),
    }
    assert texts(mine) == {"x.txt": "x.txt"}
