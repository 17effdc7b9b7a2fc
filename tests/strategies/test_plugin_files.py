"""A file of the user imports the modules in its folder, never those of another file's folder."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from jacobench.strategies import plugin_files, registry
from jacobench.strategies.plugin_files import NameClash, check_neighbours, import_file

STRATEGY = """
from {helpers} import NAME

class Mine:
    name = NAME

    def prepare(self, graph):
        import {lazy}
        return {lazy}.NAME

def answer():
    return NAME
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """Undo what an import leaves in the process."""
    before = set(sys.modules)
    monkeypatch.setattr(plugin_files, "_IMPORTED", [])
    monkeypatch.setattr(plugin_files, "_FOLDERS", {})
    yield
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def plugin(folder, text=STRATEGY, helpers="gb_helpers", name="gb_mine.py"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text.format(helpers=helpers, lazy="gb_lazy"))
    for module in ("gb_helpers", "gb_lazy"):
        (folder / f"{module}.py").write_text(f"NAME = {folder.name!r}\n")
    return folder / name


def test_neighbours_are_found_during_loading_afterwards_and_in_child_processes(tmp_path):
    path = plugin(tmp_path / "one")
    strategy = registry.load(f"{path}:Mine")
    assert (strategy.name, strategy.prepare(None)) == ("one", "one")
    code = "import gb_helpers; print(gb_helpers.NAME)"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "one\n"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(import_file(path).answer).result() == "one"


def test_installed_modules_come_before_those_of_the_folder(tmp_path):
    path = plugin(tmp_path / "one")
    for name in ("numpy", "secrets"):
        (path.parent / f"{name}.py").write_text("raise RuntimeError('led astray')")
    path.write_text("import numpy, secrets\nclass Mine:\n    name, prepare, zeros = 'mine', None, numpy.zeros(3)\n")
    assert registry.load(f"{path}:Mine").zeros.shape == (3,)
    subprocess.run([sys.executable, "-P", "-c", "import numpy, secrets"], cwd="/", check=True)


@pytest.mark.parametrize("lazily", [False, True])
def test_two_folders_with_different_modules_of_one_name_are_refused(lazily, tmp_path):
    one, two = (plugin(tmp_path / name, name=f"{name}_file.py") for name in ("one", "two"))
    if lazily:
        two.write_text("def f():\n    import gb_lazy\n")
    registry.load(f"{one}:Mine")
    with pytest.raises(NameClash, match=r"two_file\.py and .*one_file\.py import different modules .* 'gb_(lazy|help)"):
        import_file(two)
    assert registry.load(f"{one}:Mine").name == "one"


def test_files_that_clash_are_refused_before_anything_is_imported(tmp_path):
    one, two = (plugin(tmp_path / name) for name in ("one", "two"))
    (tmp_path / "one" / "gb_through.py").write_text("import gb_helpers\n")
    one.write_text("import gb_through\n")
    with pytest.raises(NameClash, match="gb_helpers"):
        registry.check_together([f"{one}:A", "vjp", f"{two}:B"])
    assert "gb_helpers" not in sys.modules


def test_files_that_do_not_clash_work_together(tmp_path):
    one, two = (plugin(tmp_path / name) for name in ("one", "two"))
    two.write_text("NAME = 'two'\n")  # of the same name as the other file, imports no neighbour
    copy = plugin(tmp_path / "copy")
    for module in ("gb_helpers", "gb_lazy"):
        (copy.parent / f"{module}.py").write_text((one.parent / f"{module}.py").read_text())
    check_neighbours([one, two, copy])
    assert [import_file(path).NAME for path in (one, two, copy)] == ["one", "two", "one"]


def test_each_file_gets_the_modules_of_its_folder_also_if_another_folder_has_them(tmp_path):
    first = plugin(
        tmp_path / "first", "def lazy():\n    import gb_other\n    return gb_other.NAME\n", name="gb_first.py"
    )
    second = plugin(tmp_path / "second")
    for path in (first, second):
        (path.parent / "gb_other.py").write_text(f"NAME = {path.parent.name!r}\n")
    loaded = import_file(first)
    strategy = registry.load(f"{second}:Mine")
    assert (strategy.name, strategy.prepare(None), loaded.lazy()) == ("second", "second", "first")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(import_file(second).answer).result() == "second"


def test_a_file_is_not_taken_for_a_module_of_its_name_in_another_folder(tmp_path):
    one, two = (plugin(tmp_path / name, "import gb_through\n" * (name == "two")) for name in ("one", "two"))
    (two.parent / "gb_through.py").write_text("import gb_mine\n")
    import_file(one)
    with pytest.raises(NameClash, match="'gb_mine'"):
        import_file(two)


def test_packages_are_compared_file_by_file(tmp_path):
    paths = []
    for k, folder in enumerate(("one", "two")):
        paths.append(plugin(tmp_path / folder, text="import gb_package.part\n"))
        (tmp_path / folder / "gb_package").mkdir()
        (tmp_path / folder / "gb_package" / "part.py").write_text(f"k = {k}\n")
    with pytest.raises(NameClash, match="gb_package"):
        check_neighbours(paths)
    (tmp_path / "two" / "gb_package" / "part.py").write_text("k = 0\n")
    check_neighbours(paths)
