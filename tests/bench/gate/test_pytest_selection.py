"""Values of `--pytest` on each side, and the files of one side on the other."""

from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from _pytest.config import get_config

from jacobench.bench.gate.pytest_selection import (
    WITH_VALUE,
    copy_suite,
    files_of_tests,
    read_selection,
    relative,
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
    (base.top.parent / "mine.py").touch()
    found = side_selection([f"{base.top.parent}/mine.py::t"], project, base, head)
    assert found.places == (f"{base.top.parent}/mine.py",)
    assert found.selects(f"{base.top.parent}/mine.py::t[1]")
    assert not found.selects(f"{base.top.parent}/mine.py::u")


@pytest.fixture
def in_new_folder(trees):
    """Return the project and the trees of both sides for the folder ``new``, which only head has."""
    project, base, head = trees
    write(head.top, "new/test_c.py")
    return project, *(replace(tree, counterpart=tree.top / "new") for tree in (base, head))


def test_a_side_without_the_current_folder_has_nothing_in_it(in_new_folder):
    project, base, head = in_new_folder
    assert (base.start, head.start) == (base.top, head.top / "new")
    for words in ([".", "-k", "x"], ["test_c.py"], ["-k", "x"], ["test_c.py::t", "sub"]):
        assert side_selection(words, project, base, head) is None
        assert side_selection(words, project, head, base).arguments[-1] == words[-1].partition("::")[0]


def test_paths_from_a_folder_that_a_side_lacks_are_those_from_the_folder_above(in_new_folder):
    project, base, head = in_new_folder
    words = [".", "../bench/test_a.py::t", "-q"]
    found = side_selection(words, project, base, head)
    assert (found.arguments, found.places) == (("bench/test_a.py", "-q"), ("bench/test_a.py",))
    assert found.selects("bench/test_a.py::t[1]")
    assert side_selection(words, project, head, base).arguments == (".", "../bench/test_a.py", "-q")
    assert side_selection(["--pyargs", "pkg"], project, base, head).arguments == ("--pyargs", "pkg")
    write(base.top, "new/test_c.py")  # as --suite-from does
    assert side_selection(["."], project, base, head).arguments == (".",)


def test_a_current_folder_that_no_side_has_is_bad_input(trees):
    project, *sides = trees
    base, head = (replace(tree, counterpart=tree.top / "ignored") for tree in sides)
    for words in (["."], ["-k", "x"]):
        with pytest.raises(
            BadInput, match="neither side has the current folder 'ignored': run the gate in a folder with"
        ):
            side_selection(words, project, head, base)


@pytest.mark.parametrize("option", ["--ignore=", "-c", "--config-file=", "pythonpath=", "--cov="])
def test_an_absolute_path_in_an_option_is_the_sides_own(trees, option):
    project, base, head = trees
    words = ["bench", f"{option}{project.top}/bench/sub", f"{option}/elsewhere", f"{option}bench/sub", "-o", "a=b"]
    found = side_selection(words, project, base, head)
    assert found.arguments == ("bench", f"{option}{base.top}/bench/sub", *words[2:])


@pytest.mark.parametrize("option", ["--cov", "--benchmark-group-by", "--ignore", "-m", "--benchmark-warmup"])
def test_a_value_of_an_option_is_no_path(trees, option):
    project, base, head = trees
    found = side_selection([option, "bench/test_new.py", "bench"], project, base, head)
    assert found.arguments == (option, "bench/test_new.py", "bench")
    assert found.places == ("bench",)


def test_all_options_with_a_value_are_known():
    config = get_config()
    for plugin in ("pytest_benchmark.plugin", "xdist.plugin"):
        if find_spec(plugin.partition(".")[0]):
            config.pluginmanager.import_plugin(plugin)
    own = config._parser
    parser = own._getparser() if hasattr(own, "_getparser") else own.optparser
    names = {name for action in parser._actions if action.nargs != 0 for name in action.option_strings}
    assert len(names) > 40
    assert names <= WITH_VALUE


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
