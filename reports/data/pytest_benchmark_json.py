"""Plain JSON of pytest-benchmark, which knows no case, strategy and phase: a test's name is its row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import PASS_COLUMNS, Run, read
from jacobench.reports.data.run_json import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRATEGY, PHASE = "benchmark", "call"
"""What stands for strategy and phase of a test that has none."""


def read_any(path: str | Path) -> Run:
    """Read a run of ours, or what pytest-benchmark alone has written.

    Parameters
    ----------
    path : str or Path
        A run's folder or ``run.json``; a file that ``pytest --benchmark-json`` wrote; a folder of such files, each of a process of its
        own, which are then its passes.

    Returns
    -------
    Run
        A plain file's rows have the test's full name as their case. A pass gives one number, the minimum over its rounds.

    Raises
    ------
    BadInput
        If it is neither.
    """
    found = _plain(Path(path))
    return _run_of(Path(path).name, found) if found else read(path)


def _plain(path: Path) -> list[dict[str, Any]]:
    """Return the contents of plain files, none if the path is not theirs."""
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files or (path / "run.json").exists() or (path / "journal.jsonl").exists():
            return []
        contents = [parse(file) for file in files]
        odd = next((file for file, content in zip(files, contents, strict=True) if not _is_plain(content)), None)
        if odd:
            raise BadInput(
                f"{str(odd)!r} is not pytest-benchmark's JSON: expected a folder with nothing else, or a run's"
            )
        return contents
    content = parse(path) if path.is_file() else {}
    return [content] if _is_plain(content) else []


def _is_plain(content: Mapping[str, Any]) -> bool:
    entries = content.get("benchmarks")
    if not isinstance(entries, list) or "jacobench" in content or "machine_info" not in content:
        return False
    return all(_is_benchmark(entry) and "strategy" not in (entry.get("extra_info") or {}) for entry in entries)


def _is_benchmark(entry: object) -> bool:
    stats = entry.get("stats") if isinstance(entry, dict) else None
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("fullname"), str)
        and isinstance(stats, dict)
        and _is_time(stats.get("min"))
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _run_of(name: str, contents: Sequence[Mapping[str, Any]]) -> Run:
    lines = [
        (entry["fullname"], STRATEGY, PHASE, number, 0, float(entry["stats"]["min"]))
        for number, content in enumerate(contents)
        for entry in content["benchmarks"]
    ]
    passes = pd.DataFrame(lines, columns=list(PASS_COLUMNS))
    machine = " and ".join(sorted({_machine(content["machine_info"]) for content in contents}))
    commit = " and ".join(
        sorted({str((content.get("commit_info") or {}).get("id") or "") for content in contents} - {""})
    )
    rows = [
        {
            "case": case,
            "strategy": STRATEGY,
            "phase": PHASE,
            "status": "ok",
            "passes": len(own),
            "machine": machine,
            "commit": commit or None,
            "seconds_min": own.min(),
            "seconds_median": own.median(),
        }
        for case, own in passes.groupby("case", sort=False)["seconds"]
    ]
    return Run(tidy(rows), passes, name=name)


def _machine(info: Mapping[str, Any]) -> str:
    cpu = info.get("cpu") or {}
    parts = (cpu.get("brand_raw"), f"{cpu.get('count')} cores", info.get("system"), info.get("machine"))
    return ", ".join(str(part) for part in parts if part)
