"""Plug-in of the gate for one pytest session: it selects benchmarks, reports each, and writes their times.

`pytest_worker` loads this file by its path, in the environment of a side. It imports only pytest, pytest-benchmark and
the standard library. The hooks of pytest call its methods, and it changes nothing in the suite's folders.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXTURES = "benchmark", "benchmark_weave"

BENCHMARK_OPTIONS: dict[str, Any] = {
    "skip": False,
    "only": False,
    "save": None,
    "autosave": None,
    "json": None,
    "compare": [],
    "compare_fail": None,
    "histogram": [],
    "cprofile": None,
    "cprofile_dump": [],
    "group_by": "group",
    "quiet": True,
}
"""Options of pytest-benchmark that the gate sets, whatever the suite has."""


def one_line(error: BaseException | None) -> str:
    """Describe an exception by its type and the first line of its message."""
    if error is None:
        return "failed"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def benchmark_session(config: Any) -> Any:
    """Return pytest-benchmark's state of a session; None before it has one."""
    return config.pluginmanager.getplugin("pytest-benchmark")


def dumped(content: object) -> str:
    """Return a value as JSON, as pytest-benchmark writes what JSON does not have."""
    from pytest_benchmark.utils import safe_dumps  # noqa: PLC0415  (pytest warns if it was imported before its session)

    return str(safe_dumps(content))  # type: ignore[no-untyped-call]


class BenchmarkPlugin:
    """State of one session."""

    def __init__(self, job: Any, emit: Callable[..., None], check_origin: Callable[[], None]) -> None:
        self.job, self.emit, self.check_origin = job, emit, check_origin
        self.problem: BaseException | None = None  # why pytest could not start
        self.collected = False
        self._skipped: list[dict[str, str]] = []
        self._errors: list[dict[str, str]] = []
        self._n_tests = self._n_marked_only = 0
        self._status, self._reason = "ok", ""

    def case(self, item: Any) -> str:
        """Return the id of a benchmark: its path relative to the project's folder, and the rest of the node id."""
        return f"{self._path(item.path)}::{item.nodeid.partition('::')[2]}"

    def _path(self, path: Any) -> str:
        return Path(os.path.relpath(path, self.job.folder)).as_posix()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_parse(self) -> Iterator[None]:
        """Set options after the suite's own."""
        outcome: Any = yield
        if outcome.excinfo:
            self.problem = outcome.excinfo[1]
        else:
            self._set_options(outcome.get_result())

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_main(self) -> Iterator[None]:
        """Note why the session cannot start."""
        outcome: Any = yield
        if outcome.excinfo:
            self.problem = outcome.excinfo[1]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: Any) -> None:
        """Set options again, before pytest-benchmark reads them: a `conftest.py` may have changed them."""
        self._set_options(config)

    def _set_options(self, config: Any) -> None:
        option = config.option
        memory = self.job.action == "memory"
        for name, value in BENCHMARK_OPTIONS.items():
            setattr(option, f"benchmark_{name}", value)
        option.benchmark_disable, option.benchmark_enable = memory, not memory
        option.benchmark_storage = f"file://{Path(self.job.json_file).parent}"
        option.maxfail = 0
        option.continue_on_collection_errors = True
        if self.job.max_seconds is not None:
            option.benchmark_max_time = min(float(option.benchmark_max_time), self.job.max_seconds)
            option.benchmark_min_rounds = min(int(option.benchmark_min_rounds), 5)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Iterator[None]:
        """Note which files cannot be collected."""
        outcome: Any = yield
        report = outcome.get_result()
        if report.outcome == "passed":
            return
        path = getattr(collector, "path", None)
        file = self._path(path) if path else collector.nodeid
        error = report.call.excinfo.value
        if report.outcome == "skipped":
            self._skipped.append({"file": file, "reason": str(getattr(error, "msg", error))})
        else:
            self._errors.append({"file": file, "reason": one_line(error.__cause__ or error)})

    @pytest.hookimpl(hookwrapper=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> Iterator[None]:
        """Keep the benchmarks of the job, after the suite's own selection."""
        self._n_tests = len(items)
        yield
        kept: list[Any] = []
        left: list[Any] = []
        wanted = None if self.job.ids is None else set(self.job.ids)
        for item in items:
            is_ours = any(name in FIXTURES for name in getattr(item, "fixturenames", ()))
            self._n_marked_only += not is_ours and item.get_closest_marker("benchmark") is not None
            (kept if is_ours and (wanted is None or self.case(item) in wanted) else left).append(item)
        items[:] = kept
        config.hook.pytest_deselected(items=left)

    def pytest_collection_finish(self, session: Any) -> None:
        """Report what was collected."""
        self.collected = True
        benchmarks = [{"id": self.case(item), "source": "", "file": self._path(item.path)} for item in session.items]
        self.emit(
            "collected",
            benchmarks=benchmarks,
            n_tests=self._n_tests,
            n_marked_only=self._n_marked_only,
            skipped=self._skipped,
            errors=self._errors,
        )
        self.check_origin()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Report start and end of a benchmark."""
        case = self.case(item)
        entries = benchmark_session(item.config).benchmarks
        n_before = len(entries)
        self.emit("start", id=case)
        start = perf_counter()
        yield
        seconds = perf_counter() - start
        if self._status == "ok" and self.job.action == "time" and not any(entries[n_before:]):
            self._status, self._reason = "error", "no time was measured: the test did not call benchmark"
        for entry in entries[n_before:]:
            entry.fullname = case
            entry.fixture.has_error |= self._status != "ok"
        self.emit("ended", id=case, status=self._status, reason=self._reason, seconds=seconds)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: Any) -> Iterator[None]:
        """Note whether the benchmark failed, and why."""
        outcome: Any = yield
        report = outcome.get_result()
        if call.when == "setup":  # of the first run, or of one that a plug-in repeats
            self._status, self._reason = "ok", ""
        error = call.excinfo.value if call.excinfo else None
        if report.failed:
            self._status, self._reason = "error", one_line(error)
        elif report.skipped and self._status == "ok":
            self._status, self._reason = "skipped", str(getattr(error, "msg", error))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: Any) -> None:
        """Write the times, as pytest-benchmark does for `--benchmark-json`."""
        found = benchmark_session(session.config)
        if found and found.benchmarks and self.job.action == "time":
            self._write(session.config, found)

    def _write(self, config: Any, found: Any) -> None:
        machine = self.job.machine_info
        if machine is None:
            machine = found.get_machine_info()
            self.emit("machine_info", value=json.loads(dumped(machine)))
        commit = config.hook.pytest_benchmark_generate_commit_info(config=config)
        config.hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit)
        content = config.hook.pytest_benchmark_generate_json(
            config=config,
            benchmarks=found.benchmarks,
            include_data=True,
            machine_info=machine,
            commit_info=commit,
        )
        config.hook.pytest_benchmark_update_json(config=config, benchmarks=found.benchmarks, output_json=content)
        Path(self.job.json_file).write_text(dumped(content), encoding="utf-8")


def run_session(job: Any, emit: Callable[..., None], check_origin: Callable[[], None]) -> int:
    """Run the session of a job; return pytest's exit code."""
    plugin = BenchmarkPlugin(job, emit, check_origin)
    exit_code = int(pytest.main(["-p", "benchmark", *job.arguments], plugins=[plugin]))
    if not plugin.collected:
        emit("refused", reason=one_line(plugin.problem))
    return exit_code
