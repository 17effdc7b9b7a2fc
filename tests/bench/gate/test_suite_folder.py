"""What to do about a suite that needs another working directory, or a folder on its path."""

import pytest

from jacobench.bench.gate.revisions import Tree
from jacobench.bench.gate.suite_folder import fix_of

MISSING = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"

FIXES = {
    MISSING.format("data/x.txt"): "run the gate in the folder 'sub/bench'",
    MISSING.format("x.txt"): "run the gate in the folder 'sub/bench/data'",
    MISSING.format("nowhere.txt"): "",
    MISSING.format("/data/x.txt"): "",
    "ModuleNotFoundError: No module named 'helpers'": "needs the folder 'lib' of the repository on its path",
    "ModuleNotFoundError: No module named 'helpers.more'": "needs the folder 'lib' of the repository on its path",
    "ModuleNotFoundError: No module named 'numpyy'": "",
    "ValueError: data/x.txt": "",
}


@pytest.mark.parametrize("reason", FIXES)
def test_a_file_or_module_of_the_tree_gives_the_folder(reason, tmp_path):
    for name in ("sub/bench/data/x.txt", "lib/helpers/__init__.py", "lib/helpers/more.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = fix_of(reason, Tree("head", tmp_path, tmp_path))
    assert (FIXES[reason] in found) == bool(found or not FIXES[reason])
    assert bool(found) == bool(FIXES[reason])
