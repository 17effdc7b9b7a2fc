"""Selections of `--pytest`: the arguments of a pytest session on each side, and the files of one side on the other."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.benchmark_source import is_node
from jacobench.bench.gate.submodules import clear
from jacobench.bench.gate.working_tree import GENERATED, without_generated
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from jacobench.bench.gate.revisions import Project, Tree
    from jacobench.bench.gate.side_environments import Side

WITH_VALUE = frozenset(
    """
    -k -m -p -c --config-file -o --override-ini -W --pythonwarnings -r --report-chars --rootdir --confcutdir --basetemp
    --ignore --ignore-glob --deselect --import-mode --maxfail --max-warnings --tb --show-capture --capture --color
    --code-highlight --durations --durations-min --verbosity --debug --pdbcls --pastebin --assert --junitxml --junit-xml
    --junitprefix --junit-prefix --doctest-report --doctest-glob --cache-show --lfnf --last-failed-no-failures
    --log-level --log-format --log-date-format --log-cli-level --log-cli-format --log-cli-date-format --log-file
    --log-file-mode --log-file-level --log-file-format --log-file-date-format --log-auto-indent --log-disable
    --benchmark-min-time --benchmark-max-time --benchmark-min-rounds --benchmark-precision --benchmark-confidence
    --benchmark-timer --benchmark-calibration-precision --benchmark-warmup --benchmark-warmup-iterations
    --benchmark-save --benchmark-json --benchmark-compare --benchmark-compare-fail --benchmark-cprofile
    --benchmark-cprofile-loops --benchmark-cprofile-top --benchmark-cprofile-dump --benchmark-storage
    --benchmark-netrc --benchmark-sort --benchmark-group-by --benchmark-columns --benchmark-name --benchmark-time-unit
    --benchmark-histogram
    -n --numprocesses --maxprocesses --max-worker-restart --dist --tx --px --rsyncdir --rsyncignore --testrunuid
    --maxschedchunk
    --cov --cov-report --cov-config --cov-fail-under --cov-context --cov-precision
    --timeout --timeout-method --session-timeout --reruns --reruns-delay --only-rerun --rerun-except
    --asyncio-mode --randomly-seed --random-order-seed --html --css --json-report-file --report-log
    --hypothesis-profile --hypothesis-seed --hypothesis-verbosity --memray-bin-path --most-allocations
    --codspeed-mode --codspeed-warmup-time --codspeed-max-time --codspeed-max-rounds --ds --dc
    """.split()  # noqa: SIM905  (a list of strings would be hard to read)
)
"""Options of pytest and its plug-ins after which a word is a value, also if a path of this name exists."""

VALUE = re.compile(r"(-{0,2}[\w.-]+=|-[a-zA-Z])(?=/)")
"""Beginning of a word whose rest is an absolute path: ``--ignore=/…``, ``-c/…``, or ``pythonpath=/…`` after ``-o``."""

CONFTEST = "conftest.py"

MODULE_SUFFIXES = (*all_suffixes(), ".pyx")

TEST_FILES = ("test_*.py", "*_test.py", "bench*.py")


@dataclass(frozen=True)
class SideSelection:
    """Arguments of a pytest session on one side.

    places: files and folders among them, relative to the project's folder if they are in the tree. nodes: file → the ids of which only these
    and what is in them are selected; other files are selected as a whole.
    """

    arguments: tuple[str, ...]
    places: tuple[str, ...]
    nodes: Mapping[str, tuple[str, ...]]

    def selects(self, benchmark_id: str) -> bool:
        """Return whether a benchmark that the session collects is selected."""
        nodes = self.nodes.get(benchmark_id.partition("::")[0])
        return nodes is None or any(is_node(benchmark_id, node) for node in nodes)

    def unmatched(self, benchmark_ids: Iterable[str]) -> list[str]:
        """Return the node ids that are none of these benchmarks, and have none in them."""
        known = list(benchmark_ids)
        nodes = (node for each in self.nodes.values() for node in each)
        return [node for node in nodes if not any(is_node(each, node) for each in known)]


def read_selection(text: str) -> tuple[str, ...]:
    """Split a value of ``--pytest`` as a shell does; raise BadInput if it has no words or unbalanced quotes."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(
            f"--pytest {text!r}: {error}; expected files, folders and options of pytest, quoted for a shell"
        ) from None
    if not words:
        raise BadInput("--pytest is empty: expected files or folders with benchmarks, such as --pytest benchmarks/")
    return tuple(words)


def _is_place(words: Sequence[str], number: int, *folders: Path) -> bool:
    """Return whether a word names a file or folder, or a node in it, in any of the folders."""
    word = words[number]
    if word.startswith("-") or (number and words[number - 1] in WITH_VALUE):
        return False
    return any(_joined(folder, word.partition("::")[0]).exists() for folder in folders)


def _joined(folder: Path, path: str) -> Path:
    """Return a path relative to a folder, as pytest does: `..` also leaves a folder that does not exist, or a link."""
    return Path(os.path.normpath(folder / path))


def side_selection(words: Sequence[str], project: Project, tree: Tree, other: Tree) -> SideSelection | None:
    """Return a side's selection; None if the paths in it exist on the other side only.

    A path in the user's working tree becomes the side's own. Paths are relative to the counterpart of the current
    folder. If a side does not have it, the session starts above it, and words without a path select nothing. Raises
    BadInput for a file that neither side has, or if neither has the current folder.
    """
    here, there = (_in_tree(words, project, each) for each in (tree, other))
    arguments, whole, n_places = [], [], 0
    nodes: dict[str, list[str]] = {}
    for number, word in enumerate(here):
        path, _, node = word.partition("::")
        if _is_place(here, number, tree.here):
            place = _place(_joined(tree.here, path), tree)
            arguments.append(path if tree.here.is_dir() else relative(tree.here / path, tree.start))
            if node:
                nodes.setdefault(place, []).append(f"{place}::{node}")
            else:
                whole.append(place)
        elif not _is_place(there, number, other.here):
            if ".py::" in word or (word.endswith(".py") and not (number and here[number - 1] in WITH_VALUE)):
                raise BadInput(
                    f"--pytest: neither side has {path!r}: expected a file or folder, relative to {tree.here.name!r}"
                )
            arguments.append(word)
            continue
        n_places += 1
    is_everything = not n_places and "--pyargs" not in words
    if is_everything and not (tree.here.is_dir() or other.here.is_dir()):
        raise BadInput(
            f"--pytest names no file or folder, and neither side has the current folder {tree.here.name!r}: run the gate "
            "in a folder with files that git does not ignore"
        )
    if (n_places and not (whole or nodes)) or (is_everything and not tree.here.is_dir()):
        return None
    some = {file: tuple(ids) for file, ids in nodes.items() if not any(is_under(file, place) for place in whole)}
    return SideSelection(tuple(arguments), (*whole, *nodes), some)


def _in_tree(words: Iterable[str], project: Project, tree: Tree) -> list[str]:
    """Return the words with absolute paths in the user's working tree replaced by those of a side."""
    return [_own_path(word, project, tree) for word in words]


def _own_path(word: str, project: Project, tree: Tree) -> str:
    name = VALUE.match(word)
    option = name[0] if name else ""
    path, colons, node = word.removeprefix(option).partition("::")
    if not Path(path).is_absolute() or not Path(path).resolve().is_relative_to(project.top):
        return word
    return f"{option}{tree.top / Path(path).resolve().relative_to(project.top)}{colons}{node}"


def _place(path: Path, tree: Tree) -> str:
    """Return a path as ids have it: relative to the project's folder, or absolute if it is not in the tree."""
    return relative(path, tree.folder) if path.is_relative_to(tree.top) else path.as_posix()


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes, as ids have it."""
    return Path(os.path.relpath(path, folder)).as_posix()


def is_under(file: str, place: str) -> bool:
    """Return whether a relative path is a place or in it."""
    return place in {".", file} or file.startswith(f"{place}/")


def copy_suite(source: Tree, target: Tree, places: Iterable[str], files: Iterable[str], sides: Iterable[Side]) -> None:
    """Copy the benchmark files of a tree over the tree of one of the sides.

    These are `files`, and each ``conftest.py`` above them. A folder among `places` is copied as a whole, so that its
    helper modules and data come along, unless it contains a module of the project's packages. If nothing was built, any
    other module may be what is measured, so only its data are copied. Paths are relative to the project's folder. What
    is outside the tree is not copied: both sides use it where it is.
    """
    from_here, modules = source.folder, _built_modules(sides)
    for folder in (from_here / place for place in places if not Path(place).is_absolute()):
        has_project = from_here.resolve().is_relative_to(folder.resolve())
        if folder.is_dir() and not has_project and not modules:
            _copy_data(folder, source, target)
        elif folder.is_dir() and not has_project and not _has_modules(source, folder, modules):
            _copy_folder(folder, source, target)
    for file in (Path(os.path.normpath(from_here / file)) for file in files):
        for folder in (each for each in reversed(file.parents) if each.is_relative_to(source.top)):
            _copy_file(folder / CONFTEST, source, target)
        if file.is_file():
            _copy_file(file, source, target)


def _copy_folder(folder: Path, source: Tree, target: Tree) -> None:
    """Copy a folder of a tree to another tree, in place of the one that is there."""
    if there := _counterpart(folder, source, target):
        _make_room(there, target.top)
        ignored = shutil.ignore_patterns(*(pattern for pattern in GENERATED if "/" not in pattern))
        shutil.copytree(folder.resolve(), there, symlinks=True, ignore=ignored)


def _copy_data(folder: Path, source: Tree, target: Tree) -> None:
    """Copy the files of a folder that are no modules, and its ``conftest.py``, to another tree."""
    if _counterpart(folder, source, target) is None:
        return
    top = source.top.resolve()
    names = (path.relative_to(top).as_posix() for path in sorted(folder.resolve().rglob("*")))
    for path in (top / name for name in without_generated(top, names) if ".git" not in Path(name).parts):
        if path.is_file() and (path.name == CONFTEST or not path.name.endswith(MODULE_SUFFIXES)):
            _copy_file(path, source, target)


def _copy_file(file: Path, source: Tree, target: Tree) -> None:
    """Copy a file of a tree to another tree; remove the file there if there is no source."""
    if there := _counterpart(file, source, target):
        if file.is_file():
            _make_room(there, target.top)
            shutil.copyfile(file, there)
        elif there.is_file() and _is_inside(there, target.top):
            there.unlink()


def _counterpart(path: Path, source: Tree, target: Tree) -> Path | None:
    """Return where the counterpart of a path of a tree is in another tree; None if the path leads out of its tree.

    Links on the way to it become links of the other tree. So the path that is returned has no links in `source`.
    """
    path = Path(os.path.normpath(path))
    for each in (*reversed(path.parents), path):
        if each.is_symlink() and _is_inside(each, source.top):
            there = target.top / each.parent.resolve().relative_to(source.top.resolve()) / each.name
            _make_room(there, target.top)
            there.symlink_to(each.readlink())
            _counterpart(each.parent / each.readlink(), source, target)
    top, real = source.top.resolve(), path.resolve()
    return target.top / real.relative_to(top) if real.is_relative_to(top) else None


def _is_inside(path: Path, top: Path) -> bool:
    """Return whether a file, folder or link is in a tree, and not behind a link that leads out of it."""
    return path.parent.resolve().is_relative_to(top.resolve())


def _make_room(path: Path, top: Path) -> None:
    """Remove what is at a path in a tree. The folders above it become real ones: a link could lead out of the tree."""
    for parent in reversed(path.relative_to(top).parents):
        if (top / parent).is_symlink() or (top / parent).is_file():
            (top / parent).unlink()
    clear(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def files_of_tests(tree: Tree, places: Iterable[str]) -> set[str]:
    """Return the files with usual names of tests or benchmarks in places of a tree that was not collected."""
    found = (path for place in places for name in TEST_FILES for path in (tree.folder / place).rglob(name))
    files = {place for place in places if (tree.folder / place).is_file()}
    return files | {_place(path, tree) for path in found}


def _built_modules(sides: Iterable[Side]) -> set[str]:
    """Return the names of the modules in the packages that were built for the sides."""
    return {module for side in sides for each in side.built() for module in (each.modules or each.importable)}


def _has_modules(tree: Tree, folder: Path, owned: Collection[str]) -> bool:
    """Return whether a folder of a tree contains a module with one of these names."""
    inside = (path.relative_to(tree.folder).with_suffix("").parts for path in folder.rglob("*.py"))
    names = ((*parts[:-1], *(parts[-1:] if parts[-1] != "__init__" else ())) for parts in inside)
    return any(".".join(parts[n:]) in owned for parts in names for n in range(len(parts)))
