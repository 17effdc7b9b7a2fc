"""Marks: ``peers`` for tests that need a library of the extra ``peers``; ``long`` for ops that are like another one.

Tests of all ops run for one representative of each form (`Op.like`); for the others they are ``long``. Other long tests, and
those that are ``models``, set their mark themselves.
"""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from jacobench.bench.machine.interrupts import ENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from jacobench.bench.floor.rule_work import Work
    from jacobench.bench.floor.time_model import Profile
    from jacobench.graphs.graph import Graph

NEEDS_EXTRA = re.compile(r"torch|asdex")  # jax and autograd are in the extra ``test``
FOLDERS = {"graphs", "strategies"}
OP_PARAMETERS = ("name", "example", "case")  # of tests that are parametrized over the op table
MANY_OPS = 20  # a test with so many ops that are like another one is parametrized over the op table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDERS & set(item.path.parts) and NEEDS_EXTRA.search(item.name):
            item.add_marker(pytest.mark.peers)
    of_functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        if ops_like_another(item):
            of_functions.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for own in of_functions.values():
        if len({op for item in own for op in ops_like_another(item)}) >= MANY_OPS:
            for item in own:
                item.add_marker(pytest.mark.long)


def ops_like_another(item: pytest.Item) -> set[str]:
    """Return the ops that are like another one among the parameters of a test."""
    from jacobench.graphs.ops import OPS

    given = getattr(item, "callspec", None)
    names = [given.params.get(parameter) for parameter in OP_PARAMETERS] if given else []
    return {name for name in names if isinstance(name, str) and name in OPS and OPS[name].like is not None}


@pytest.fixture(autouse=True)
def _restored_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what the import of a plug-in's file changes for later imports and for child processes."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


@pytest.fixture(autouse=True)
def _restored_handlers() -> Iterator[None]:
    """Restore the handlers of signals, which the command line changes."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def help_of() -> Callable[[tuple[str, ...]], str]:
    """Return a function from a command, such as ``("history", "add")``, to the text of its ``--help``."""

    @cache
    def text(command: tuple[str, ...]) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "jacobench", *command, "--help"],
            env=os.environ | {"COLUMNS": "1000", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    return text


def sentence_names(module: ModuleType) -> set[str]:
    """Return the public functions of a module: in a module of sentences, each returns text for readers."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return {name for name, one in functions if one.__module__ == module.__name__ and not name.startswith("_")}


FLAWS = {
    "no number": r"\b(?:nan|inf|None)\b|-0\.0+(?!\d)",
    "plural of one": r"(?<![\d.,])1 (?:\w+ )?(?:rows|pairs|passes|cases|cells|strategies|results|runs|files|sizes|lines|graphs|products|uses|seeds|cores|processes|blocks|are)\b",
    "singular of many": r"(?<![\d.,])(?:[02-9]|\d[\d,]*\d) (?:row|pair|pass|case|cell|strategy|result|file|line|size|graph|product|use|seed|core|process|block)\b",
    "a share above 100 %": r"(?<![\d.,])(?:\d{4,}|[2-9]\d\d|1[1-9]\d|10[1-9])(?:\.\d+)? ?%",
    "spaces": r"  |^ | $| [.,;:](?!\S)|\(\)",
}
"""What must not occur in a sentence, whatever its numbers are."""


def sentence_flaws(text: str) -> list[str]:
    """Return what is wrong with a sentence."""
    return [
        f"{flaw}: {found[0]!r} in {text!r}" for flaw, pattern in FLAWS.items() if (found := re.search(pattern, text))
    ]


@pytest.fixture(scope="session")
def write_wheel() -> Callable[..., None]:
    """Return a function that writes files as a wheel into a folder."""

    def write(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> None:
        metadata = f"{name}-{version}.dist-info"
        head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        head += [f"Requires-Dist: {each}" for each in requires]
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        more = {f"{metadata}/METADATA": "\n".join(head) + "\n", f"{metadata}/WHEEL": tag}
        record = "".join(f"{path},,\n" for path in [*files, *more, f"{metadata}/RECORD"])
        folder.mkdir(parents=True, exist_ok=True)
        with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
            for path, text in (dict(files) | more | {f"{metadata}/RECORD": record}).items():
                file.writestr(path, text)

    return write


@pytest.fixture(name="sentence_names")
def _sentence_names():
    return sentence_names


@pytest.fixture(name="sentence_flaws")
def _sentence_flaws():
    return sentence_flaws


@pytest.fixture(name="known_times", scope="session")
def _known_times() -> tuple[Profile, Callable[..., dict[str, float]]]:
    """Return a profile of a machine whose rates are known, and the seconds of a graph's phases there.

    A call of a rule takes 1 µs, 0.1 ns per operation and 0.05 ns per byte. A phase takes 3 µs, 0.5 µs per node and
    0.25 µs per edge more. A plain copy takes 0.1 ns per byte.
    """
    from jacobench.bench.floor.predicted_rows import one_case
    from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime
    from jacobench.bench.floor.rule_work import COPY
    from jacobench.bench.floor.time_model import WITH_RULES, CellTime, Profile, calls_of

    def seconds(graph: Graph, spec: str, n_seeds: int = 1, task: str = "gradient") -> dict[str, float]:
        return {
            phase: sum(of_rule(work) for work in calls.works) + 3e-6 + 5e-7 * calls.n_nodes + 2.5e-7 * calls.n_edges
            for phase, calls in calls_of(graph, spec, n_seeds, task).items()
        }

    def of_rule(work: Work) -> float:
        if work.rule == COPY:
            return 1e-10 * work.n_bytes
        return 1e-6 + 1e-10 * work.flops + 5e-11 * work.n_bytes

    def cells(knobs: dict[str, Any]) -> list[CellTime]:
        graph, task = one_case(knobs).make(), str(knobs.get("task", "gradient"))
        found = {spec: seconds(graph, spec, task=task) for spec in ("forward", *WITH_RULES)}
        return [CellTime(knobs, spec, phase, time) for spec, own in found.items() for phase, time in own.items()]

    shapes = [
        {"width": width, "depth": depth, "batch": batch} for width in (4, 64) for depth in (1, 3) for batch in (1, 9)
    ]
    fitted: list[dict[str, Any]] = [{"graph": "mlp", **shape} for shape in shapes]
    whole = [{"graph": "mlp", "width": 4, "depth": depth, "loss": "none", "task": "jacobian"} for depth in (1, 2, 5)]
    other = [{"graph": "architecture", "name": "lenet-300-100", "batch": 2}]
    graphs = [one_case(knobs).make() for knobs in (*fitted, *other)]
    works = {
        work
        for graph in graphs
        for spec in ("forward", *WITH_RULES)
        for calls in calls_of(graph, spec, 1).values()
        for work in calls.works
    }
    return Profile(
        "float64",
        Bandwidth((1e4, 1e8), (1e-10, 1e-10), (1e-10, 1e-10)),
        tuple(RuleTime(work.rule, work.flops, work.read, work.written, of_rule(work)) for work in works),
        tuple(cell for knobs in (*fitted, *whole) for cell in cells(knobs)),
        tuple(cell for width in range(20, 80, 10) for cell in cells({"graph": "mlp", "width": width, "depth": 2})),
    ), seconds
