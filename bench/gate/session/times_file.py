"""File with the times of one pytest session, in the format of `--benchmark-json`.

`benchmark_plugin` imports this file in the environment of a side.
"""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def benchmark_session(config: Any) -> Any:
    """Return pytest-benchmark's state of a session; None before it has one."""
    return config.pluginmanager.getplugin("pytest-benchmark")


def write_times(config: Any, job: Any, emit: Callable[..., None]) -> None:
    """Write the times of a session in the format of `--benchmark-json`. job: a `PytestJob`. emit: reports an event.

    pytest-benchmark's statistics take as long as the rounds themselves. They are made only for raw data.
    """
    found = benchmark_session(config)
    measured = [each for each in found.benchmarks if each and not each.has_error] if found else []
    if not measured or job.action != "time":
        return
    if job.raw:
        content = _raw(config, job, emit, found, measured)
    else:
        entries = [{"fullname": each.fullname, "stats": {"min": each.stats.min}} for each in measured]
        content = {"machine_info": {}, "benchmarks": entries}
        found.benchmarks.clear()
    Path(job.json_file).write_text(json.dumps(content), encoding="utf-8")


def _raw(config: Any, job: Any, emit: Callable[..., None], found: Any, measured: Sequence[Any]) -> dict[str, Any]:
    """Return what pytest-benchmark would write.

    Hooks of the suite may change anything but names and times, and errors in them do not matter.
    """
    content: dict[str, Any] = {}
    try:
        content = dict(_as_written(config, job, emit, found))
    except Exception:  # noqa: BLE001  (of a hook)
        traceback.print_exc()
    given = content.pop("benchmarks", ())
    entries = {entry.get("fullname"): entry for entry in given if isinstance(entry, dict)}
    plain = [each.as_dict(include_data=True) for each in measured]
    benchmarks = [
        {name: as_json(value) for name, value in entries.get(each["fullname"], each).items() if name != "stats"}
        | {name: each[name] for name in ("fullname", "stats")}
        for each in plain
    ]
    rest = {name: as_json(value) for name, value in content.items()}
    return {"machine_info": {}} | rest | {"benchmarks": benchmarks}


def _as_written(config: Any, job: Any, emit: Callable[..., None], found: Any) -> dict[str, Any]:
    """Return the content of the JSON, with the changes of the suite's hooks."""
    machine = job.machine_info
    if machine is None:
        machine = as_json(found.get_machine_info())
        emit("machine_info", value=machine)
    commit = config.hook.pytest_benchmark_generate_commit_info(config=config)
    config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit)
    common = {"config": config, "benchmarks": found.benchmarks}
    content: dict[str, Any] = config.hook.pytest_benchmark_generate_json(
        **common, include_data=True, machine_info=machine, commit_info=commit
    )
    config.hook.pytest_benchmark_update_json(**common, output_json=content)
    return content


def as_json(value: object) -> Any:
    """Return a value as JSON has it: what JSON cannot hold is a string, as pytest-benchmark writes it, or None."""
    from pytest_benchmark.utils import safe_dumps  # noqa: PLC0415  (pytest warns if it was imported before its session)

    try:
        return json.loads(safe_dumps(value), parse_constant=str)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  (of the value's own methods)
        return None
