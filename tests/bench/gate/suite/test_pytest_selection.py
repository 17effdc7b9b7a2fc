"""Values of `--pytest` on each side."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
from _pytest.config import get_config

from jacobench.bench.gate.suite.pytest_selection import (
    WITH_VALUE,
    read_selection,
    side_selection,
)
from jacobench.bench.gate.trees.revisions import Project, Tree
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
