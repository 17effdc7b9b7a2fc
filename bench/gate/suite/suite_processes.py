"""Processes of a pytest suite: pytest sessions of one side, and how the benchmarks end in them."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, field
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench import cell
from jacobench.bench.gate.gate_client import CellStatus, EndedProcess, run_process
from jacobench.bench.gate.installation.side_environments import side_variables
from jacobench.bench.gate.session import pytest_worker
from jacobench.bench.gate.session.pytest_worker import PytestJob
from jacobench.bench.gate.suite.pytest_selection import side_selection
from jacobench.bench.gate.suite.suite_collection import SideSuite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.suite.pytest_selection import SideSelection
    from jacobench.bench.gate.trees.revisions import Project


@dataclass
class SuiteProcesses:
    """Fresh processes of two sides, base and head, each of which runs one pytest session."""

    project: Project
    sides: tuple[Side, Side]
    selections: Sequence[Sequence[str]]  # words of each value of --pytest
    folder: Path  # for temporary files
    out: Path | None  # folder that gets pytest-benchmark's JSON
    timeout_seconds: float
    settings: Mapping[str, str]  # environment variables of every process
    no_memory: str = ""  # why memory cannot be measured
    _machine_info: Any = None
    _numbers: count[int] = field(default_factory=count)

    def selection(self, side: Side, number: int) -> SideSelection | None:
        """Return what a value of ``--pytest`` selects on a side; None if it is not in the side's tree."""
        (other,) = (each for each in self.sides if each is not side)
        return side_selection(self.selections[number], self.project, side.tree, other.tree)

    def json_file(self) -> Path:
        """Return a new path for the file that a process writes."""
        folder = self.folder / f"process-{next(self._numbers):05d}"
        folder.mkdir()
        return folder / "benchmark.json"

    def store(self, path: Path, side: Side, pair: int) -> None:
        """Copy a file to the folder of `--out`, which is created for the first; a pair may have several selections."""
        if self.out is None or not path.is_file():
            return
        self.out.mkdir(parents=True, exist_ok=True)
        names = (f"{side.name}-{pair:03d}{f'-{n}' if n else ''}.json" for n in count())
        shutil.copyfile(path, next(self.out / name for name in names if not (self.out / name).exists()))

    def run(
        self,
        side: Side,
        action: str,
        number: int,
        ids: Sequence[str],
        max_seconds: float | None = None,
        pair: int = 0,
        path: Path | None = None,
        until: float = inf,
    ) -> EndedProcess:
        """Run one selection in a fresh process of a side."""
        (other,) = (each for each in self.sides if each is not side)
        selection = self.selection(side, number)
        assert selection is not None  # no benchmark is in it
        job = PytestJob(
            action,
            selection.arguments,
            None if action == "collect" else tuple(ids),
            str(path or self.json_file()),
            str(side.tree.top),
            str(side.tree.folder),
            side.rules,
            max_seconds,
            self._machine_info,
            str(Path(cell.__file__).parent),
            raw=self.out is not None,
        )
        variables = suite_environment(self.settings, pair) | side_variables(self.project, side, other)
        ended = run_process(side, str(pytest_worker.__file__), asdict(job), variables, self.timeout_seconds, until)
        for event in ended.events:
            if event["event"] == "machine_info":
                self._machine_info = event["value"]
            elif event["event"] == "no_memory":
                self.no_memory = f"{side.name}: {event['reason']}"
        return ended


def suite_environment(settings: Mapping[str, str], pair: int) -> dict[str, str]:
    """Return the environment of a suite's process: the caller's variables, as for `pytest`, and those that it lacks.

    The worker removes the variables of a pytest that started the gate. The number of the pair is the hash seed.
    """
    return {"PYTHONHASHSEED": str(pair), **settings, **os.environ}


def statuses_of(ended: EndedProcess, ids: Sequence[str]) -> dict[str, CellStatus]:
    """Return how benchmarks ended in a process; what a lost process had not begun is missing.

    If the process was lost while no benchmark ran, it is the status of all that have not failed.
    """
    found: dict[str, CellStatus] = {}
    running = ""
    for event in ended.events:
        match event:
            case {"event": "start", "id": at}:
                running = at
            case {"event": "ended", "id": at, "status": status, "reason": reason}:
                found[at], running = CellStatus(status, reason), ""
            case {"event": "collected", "errors": errors} if errors:
                failed = SideSuite(errors={each["file"]: each["reason"] for each in errors})
                found |= {each: status for each in ids if (status := failed.lacks(each))}
    if ended.lost and running:
        found[running] = ended.lost
    elif ended.lost:
        found |= {each: ended.lost for each in ids if each not in found or found[each].status == "ok"}
    else:
        missing = CellStatus("error", "pytest did not run this benchmark")
        found |= {each: missing for each in ids if each not in found}
    return {each: found[each] for each in ids if each in found}
