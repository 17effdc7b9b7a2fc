"""Messages on a selection without benchmarks, and on names in it that no side has."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.session.benchmark_source import first_benchmark
from jacobench.bench.gate.suite.pytest_selection import CONFTEST
from jacobench.bench.gate.suite.suite_folder import fix_of
from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from jacobench.bench.gate.gate_client import CellStatus
    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.suite.suite_collection import SideSuite
    from jacobench.bench.gate.trees.revisions import Project, Tree


def matching_ids(pattern: str, known: Collection[str]) -> list[str]:
    """Return the benchmarks that a value of `--case` selects. Raises BadInput if there are none."""
    if not (found := matching(pattern, known)):
        raise BadInput(
            f"--case {pattern!r} matches none of the {counted(len(known), 'benchmark')}: expected an id or a glob, such "
            f"as {_nearest(pattern, known)}"
        )
    return found


def mistyped(name: str, suites: Iterable[SideSuite]) -> str:
    """Return the message on a name in `--pytest` that no side has."""
    known = {each for suite in suites for each in (*suite.benchmarks, *suite.left_out)}
    near = _nearest(name, known) if "::" in name else ""
    what = f"a benchmark, such as {near}" if near else "files, folders or ids of benchmarks"
    return f"--pytest: neither side has {name!r}: expected {what}"


def not_collected(side: Side, lost: CellStatus) -> str:
    """Return the message on a process that was lost while it collected the benchmarks of a side."""
    fixes = {"timeout": "raise it in [tool.jacobench.gate] of pyproject.toml, or name fewer files in --pytest"}
    fix = fixes.get(lost.status, "to find the cause, run pytest --collect-only there")
    return f"the benchmarks of {side.name} ({side.tree.revision}) cannot be collected: {lost.reason}; {fix}"


def why_none(
    suites: Mapping[str, SideSuite], sides: Sequence[Side], selections: Sequence[Sequence[str]], project: Project
) -> Iterator[str]:
    """Return why no benchmark was collected, with the fix: the most likely reason first."""
    found = list(suites.values())
    what = " ".join(selections[0]) if len(selections) == 1 else f"the {len(selections)} selections"
    none = f"no benchmark was collected from {what}"
    errors = [(side, *each) for side in sides for each in suites[side.name].errors.items()]
    if decisive := [each for each in errors if _may_hide_benchmarks(each[0], each[1])]:
        yield f"{none}: {_failed(*decisive[0][1:], sides[1].tree, project)}"
    if n := max(suite.n_marked_only for suite in found):
        yield (
            f"{none}: {counted(n, 'test')} with the mark 'benchmark' but without the fixture 'benchmark', and "
            "pytest-benchmark times only calls of this fixture; request it: def test_x(benchmark)"
        )
    if deselected := list(dict.fromkeys(each for suite in found for each in suite.deselected)):
        yield (
            f"{what} selects none of the {counted(len(deselected), 'benchmark')} in its files, such as {deselected[0]!r}: "
            "change -k or -m, or what else leaves them out"
        )
    if skipped := max((suite.skipped for suite in found), key=len):
        yield f"0 benchmarks were collected from {what}, {len(skipped)} skipped: {next(iter(skipped.values()))}"
    if unnamed := [each for suite in found for each in suite.unnamed]:
        yield f"{none}: {_not_named(unnamed[0]['file'], unnamed[0]['function'])}"
    if errors:
        yield f"{none}: {_failed(*errors[0][1:], sides[1].tree, project)}"
    n = max(suite.n_tests for suite in found)
    yield (
        f"{none}: {counted(n, 'test')}, none of which requests the fixture 'benchmark'; "
        "expected files, folders or ids of pytest-benchmark tests in --pytest"
    )


def _failed(file: str, reason: str, tree: Tree, project: Project) -> str:
    """Return why a file cannot be collected, with the fix if it is known."""
    fix = fix_of(reason, tree, project)
    return f"{file or 'the session'}: {reason}{fix and f'; {fix}'}"


def _may_hide_benchmarks(side: Side, file: str) -> bool:
    """Return whether benchmarks may be missing because a file cannot be collected."""
    is_file = file.endswith(".py") and Path(file).name not in {CONFTEST, "__init__.py"}
    return not is_file or first_benchmark(side.tree.folder / file) != ""


def _not_named(file: str, function: str) -> str:
    """Return which file, or function in it, pytest does not collect by its name, with the option that changes this."""
    place, _, name = function.rpartition(".")
    if not function:
        what, fix = (
            repr(file),
            f"name the file in --pytest, or add the option -o 'python_files={_glob(Path(file).name)}'",
        )
    elif place and name.startswith("test"):
        what, fix = f"{function!r} in {file!r}", f"add the option -o 'python_classes={place.partition('.')[0]}'"
    else:
        what, fix = f"{function!r} in {file!r}", f"add the option -o 'python_functions={_glob(name)}'"
    return f"pytest does not collect {what} by its name; {fix} to --pytest"


def _glob(name: str) -> str:
    """Return a pattern for the names that begin as this one does."""
    first, underscore, _ = name.partition("_")
    return f"{first}_*{Path(name).suffix}" if underscore else name


def _nearest(name: str, known: Collection[str]) -> str:
    """Return the ids that are most similar to a name."""
    return " or ".join(map(repr, get_close_matches(name, known, n=3, cutoff=0.0)))
