"""Selections of `--pytest`: the arguments of a pytest session on each side."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.session.benchmark_source import is_node
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jacobench.bench.gate.trees.revisions import Project, Tree

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
            place = place_in(_joined(tree.here, path), tree)
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


def place_in(path: Path, tree: Tree) -> str:
    """Return a path as ids have it: relative to the project's folder, or absolute if it is not in the tree."""
    return relative(path, tree.folder) if path.is_relative_to(tree.top) else path.as_posix()


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with slashes, as ids have it."""
    return Path(os.path.relpath(path, folder)).as_posix()


def is_under(file: str, place: str) -> bool:
    """Return whether a relative path is a place or in it."""
    return place in {".", file} or file.startswith(f"{place}/")
