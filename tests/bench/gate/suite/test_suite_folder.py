"""What to do about a suite that needs another working directory, a folder on its path, or an ignored file."""

import pytest

from jacobench.bench.gate.suite.suite_folder import fix_of
from jacobench.bench.gate.trees.revisions import Project, Tree

MISSING = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"

FIXES = {
    MISSING.format("data/x.txt"): "run the gate in the folder 'sub/bench'",
    MISSING.format("x.txt"): "run the gate in the folder 'sub/bench/data'",
    MISSING.format("nowhere.txt"): "",
    MISSING.format("/data/x.txt"): "",
    MISSING.format("big/data.bin"): "git ignores 'bench/big/data.bin' of the working tree, so no side has it",
    MISSING.format("{sides}/base/bench/big/data.bin"): "git ignores 'bench/big/data.bin'",
    MISSING.format("{sides}/head/bench/none.bin"): "",
    MISSING.format("../../../repo/bench/big/data.bin"): "",
    "ModuleNotFoundError: No module named 'helpers'": "needs the folder 'lib' of the repository on its path",
    "ModuleNotFoundError: No module named 'helpers.more'": "needs the folder 'lib' of the repository on its path",
    "ModuleNotFoundError: No module named 'numpyy'": "",
    "ValueError: data/x.txt": "",
}


@pytest.mark.parametrize("reason", FIXES)
def test_a_file_or_module_of_the_tree_gives_the_fix(reason, tmp_path):
    top = tmp_path / "sides" / "head"
    for name in ("bench/x", "sub/bench/data/x.txt", "lib/helpers/__init__.py", "lib/helpers/more.py"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("")
    (tmp_path / "repo" / "bench" / "big").mkdir(parents=True)
    (tmp_path / "repo" / "bench" / "big" / "data.bin").touch()
    project = Project(tmp_path / "repo", tmp_path / "repo")
    said = FIXES[reason]
    found = fix_of(reason.replace("{sides}", str(top.parent)), Tree("head", top, top, top / "bench"), project)
    assert said in found
    assert bool(found) == bool(said)
