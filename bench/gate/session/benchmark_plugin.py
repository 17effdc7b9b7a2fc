"""Plug-in of the gate for one pytest session: it selects benchmarks, reports each, and writes their times.

`pytest_worker` loads this file by its path, in the environment of a side. It imports only pytest, the standard library
and other files of this folder. It writes nothing in the suite's folders, and the files that the suite's
own options ask for are not written.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from _pytest import cacheprovider

from .benchmark_source import first_benchmark, is_benchmark, is_node
from .fixture_memory import measure_calls
from .suite_options import file_types_unwritten, set_options, timing_options
from .times_file import benchmark_session, write_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MARKERS = "benchmark", "codspeed_benchmark"
SWITCHED_OFF = "no:benchmark", "no:pytest_benchmark", "no:pytest-benchmark", "no:pytest_benchmark.plugin"

ADDRESS = re.compile(r"(?<=\bat )0x[0-9a-fA-F]{8,}")

LONGEST_MESSAGE = 300
"""Characters of an exception's message that are reported."""


def one_line(error: BaseException | None) -> str:
    """Describe an exception by its type and the first line of its message, which is shortened if it is very long."""
    if error is None:
        return "the session ended before"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else ""
    shown = first if len(first) <= LONGEST_MESSAGE else f"{first[: LONGEST_MESSAGE - 1]}…"
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


NOT_LOADED = (
    "pytest-benchmark is installed but not loaded; add '-p benchmark' to --pytest, or leave out what switches it off, such "
    "as PYTEST_DISABLE_PLUGIN_AUTOLOAD"
)

NEEDS_PLUGIN = "unrecognized arguments", "Error importing plugin", "Missing required plugins"


def refusal(error: BaseException | None) -> str:
    """Say why pytest could not start, with the fix."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line.partition("error: ")[2] for line in lines if "error: " in line), lines[0] if lines else "")
    if text.startswith(NEEDS_PLUGIN):
        return f"{text}; install the plug-in, or add '-o addopts=' to --pytest to ignore the suite's own options"
    return text


class BenchmarkPlugin:
    """State of one session.

    job: a `PytestJob`. emit: reports an event and its content. check_origin: checks the imported modules. sources: a
    `benchmark_source.Sources`. installed: an `InstalledFirst`. heap_memory: the module of `bench/cell`; None if no memory is measured.
    """

    def __init__(
        self,
        job: Any,
        emit: Callable[..., None],
        check_origin: Callable[[], None],
        sources: Any,
        installed: Any,
        heap_memory: Any,
    ) -> None:
        self.job, self.emit, self.check_origin, self.sources = job, emit, check_origin, sources
        self.installed, self.heap_memory = installed, heap_memory
        self.problem: BaseException | None = None  # why the session could not start, or ended
        names = os.path.abspath, os.path.realpath
        self._tops: list[tuple[str, str]] = [(name(job.top), name(job.folder)) for name in names]
        self._entries = [each for each in sys.path if each]  # before pytest adds the folders of tests
        self._wanted = None if job.ids is None else frozenset(job.ids)
        self.left: dict[str, None] | None = None  # ids that were collected and have not ended
        self._collected: list[Any] = []
        self._modules: set[Path] = set()
        self._cases: dict[Any, str] = {}
        self._n_with: Counter[str] = Counter()
        self._nodes: dict[Path, set[str]] = {}  # file or folder of an argument → node ids in it; "": all
        self._missing: list[str] = []
        self._folders: dict[Path, None] = dict.fromkeys(map(Path, (job.folder, job.top)))  # of the suite
        self._skipped: list[dict[str, str]] = []
        self._errors: list[dict[str, str]] = []
        self._at, self._status, self._reason = "", "ok", ""
        self._n_memory = 0

    @property
    def n_tests(self) -> int:
        """Number of tests that were collected."""
        return len(self._collected)

    # Options and arguments

    @pytest.hookimpl(hookwrapper=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> Iterator[None]:
        """Switch off coverage, which starts here, and prepare the import of the first `conftest.py` files."""
        sys.meta_path.insert(0, self.installed)  # before pytest's own, which looks into the installed package
        known = early_config.known_args_namespace
        if "pytest_cov" in sys.modules:
            known.cov_source = []
        for place in getattr(known, "file_or_dir", None) or ():
            path = Path(place.partition("::")[0]).absolute()
            self.installed.import_package(path / "conftest.py" if path.is_dir() else path)
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_parse(self, pluginmanager: Any) -> Iterator[None]:
        """Change options and arguments after all of them are known, and before a plug-in uses them.

        Up to version 5.2, pytest-benchmark creates the file of --benchmark-json when it reads the option.
        """
        consider = pluginmanager.consider_pluginarg
        pluginmanager.consider_pluginarg = lambda name: None if name in SWITCHED_OFF else consider(name)
        for name in SWITCHED_OFF:
            pluginmanager.unblock(name.removeprefix("no:"))  # by the command line, which has been read
        with file_types_unwritten():
            outcome: Any = yield
        if outcome.excinfo:
            self.problem = outcome.excinfo[1]
        else:
            set_options(outcome.get_result().option, self.job)
            # The option cache_dir is an error if the plug-in that has it is off.
            cache: Any = cacheprovider.Cache
            cache.cache_dir_from_config = staticmethod(lambda *_, **__: self._folder / "cache")
            self._set_arguments(outcome.get_result())

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_main(self) -> Iterator[None]:
        """Note why the session cannot start."""
        outcome: Any = yield
        if outcome.excinfo:
            self.problem = outcome.excinfo[1]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: Any) -> None:
        """Change options again, before pytest-benchmark reads them: a `conftest.py` may have set them."""
        set_options(config.option, self.job)

    @property
    def _folder(self) -> Path:
        return Path(self.job.json_file).parent

    def _set_arguments(self, config: Any) -> None:
        """Leave out arguments that this side does not have, and collect whole files, from which tests are selected.

        pytest would end at the first argument that it cannot find.
        """
        if self.job.ids is not None:
            files = dict.fromkeys(case.partition("::")[0] for case in self.job.ids)
            config.args[:] = [str(path) for file in files if (path := self._file(file)).is_file()]
            return
        kept = []
        for argument in map(str, config.args):
            place, _, node = argument.partition("::")
            path = Path(os.path.abspath(config.invocation_params.dir / place))  # noqa: PTH100  (as pytest does)
            if path.exists():
                kept.append(place)
                self._nodes.setdefault(path, set()).add(node)
            elif config.option.pyargs:
                kept.append(argument)
            else:
                self._missing.append(self._path(path) + argument[len(place) :])
        config.args[:] = dict.fromkeys(kept)

    # Names

    def case(self, item: Any) -> str:
        """Return the id of a benchmark: its path relative to the project's folder, and the rest of the node id.

        Memory addresses differ in each process, and the top folder on each side, so they are left out. If several tests
        then have the same id, it gets a number.
        """
        if item not in self._cases:
            node = ADDRESS.sub("0x", item.nodeid.partition("::")[2])
            for top, _ in self._tops:
                node = node.replace(f"{top}{os.sep}", "")
            case = f"{self._path(item.path)}::{node}"
            self._n_with[case] += 1
            self._cases[item] = case if self._n_with[case] == 1 else f"{case}#{self._n_with[case]}"
        return self._cases[item]

    def _path(self, path: Path) -> str:
        """Return a path relative to the project's folder; of an installed file, relative to its entry of the path.

        Any other file outside the tree has its absolute path.
        The current folder, and so each path of pytest, has no symbolic links; the folders of the job may have some.
        """
        for top, folder in self._tops:
            if path.is_relative_to(top):
                return Path(os.path.relpath(path, folder)).as_posix()
        entry = next((each for each in self._entries if path.is_relative_to(each)), None)
        return path.as_posix() if entry is None else path.relative_to(entry).as_posix()

    def _file(self, file: str) -> Path:
        """Return the path of the file of an id."""
        places = (Path(entry, file) for entry in (self.job.folder, *self._entries))
        return next((path for path in places if path.is_file()), Path(self.job.folder, file))

    def _described(self, error: BaseException | None) -> str:
        """Describe an exception, with a fix if the suite needs another working directory."""
        text = one_line(error)
        if isinstance(error, ModuleNotFoundError) and error.name:
            name = error.name.partition(".")[0]
            if Path(name).is_dir() or Path(f"{name}.py").is_file():
                return f"{text}; it is in the folder of the run: add '-o pythonpath=.' to --pytest"
        if isinstance(error, FileNotFoundError) and isinstance(error.filename, str):
            for folder in self._folders:
                if not Path(error.filename).is_absolute() and (folder / error.filename).exists():
                    return f"{text} (there is one in {os.path.relpath(folder, self.job.top)!r})"
        return text

    # Collection

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Iterator[None]:
        """Note which files cannot be collected. A script that exits must not end the session."""
        outcome: Any = yield
        if outcome.excinfo and outcome.excinfo[0] is SystemExit:
            self._errors.append(self._failure(outcome.excinfo[1], collector.path))
            outcome.force_result(pytest.CollectReport(collector.nodeid, "failed", "SystemExit", []))
            return
        report = outcome.get_result()
        if report.outcome == "passed":
            return
        error = report.call.excinfo.value
        if report.outcome == "skipped":
            self._skipped.append({"file": self._path(collector.path), "reason": str(getattr(error, "msg", error))})
        else:
            self._errors.append(self._failure(error, collector.path))

    def _failure(self, error: BaseException | None, path: Path | None = None) -> dict[str, str]:
        """Return the file that cannot be imported, and the reason; "": no file is known."""
        path, error = getattr(error, "path", path), getattr(error, "cause", None) or error  # of a conftest.py
        if isinstance(error, pytest.Collector.CollectError):  # its message has a whole traceback
            error = error.__cause__ or error
        return {"file": self._path(path) if isinstance(path, Path) else "", "reason": self._described(error)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path) -> None:
        """Note a file, and prepare its import."""
        self._modules.add(module_path)
        self.installed.from_tree.add(module_path)
        self.installed.import_package(module_path)

    def pytest_itemcollected(self, item: Any) -> None:
        """Note a test, before plug-ins select or reorder tests."""
        self._collected.append(item)
        self.case(item)
        self.sources.add(item)
        self._folders |= dict.fromkeys([item.path.parent, item.config.rootpath])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: Any) -> None:
        """Select the benchmarks of the job, after the suite's own selection, and report them.

        Their order is that of their files, also if a plug-in changes it at random: both sides need the same one.
        """
        if sys.exc_info()[1] is not None:  # pytest calls this hook even then
            return
        if benchmark_session(session.config) is None:
            raise pytest.UsageError(NOT_LOADED)
        order = {item: number for number, item in enumerate(self._collected)}
        chosen = sorted(session.items, key=lambda item: order.get(item, len(order)))
        kept = [item for item in chosen if is_benchmark(item) and self._is_chosen(item)]
        known = set(kept)
        others = [item for item in chosen if item not in known]
        session._fixturemanager.pytest_collection_modifyitems(kept)  # noqa: SLF001  (groups tests by their fixtures)
        session.items[:] = kept
        session.config.hook.pytest_deselected(items=others)
        self.left = dict.fromkeys(map(self.case, kept))
        n_marked_only = sum(is_marked(item) and not is_benchmark(item) for item in others)
        self._report_collected(kept, n_marked_only, self._deselected(chosen))
        self.check_origin()
        if self.job.action == "collect":
            self.left.clear()
            session.items.clear()

    def _report_collected(self, kept: Sequence[Any], n_marked_only: int, deselected: Sequence[str] = ()) -> None:
        benchmarks = [
            {
                "id": self.case(item),
                "source": self.sources.digest(item) if self.job.action == "collect" else "",
                "file": self._path(item.path),
            }
            for item in kept
        ]
        self.emit(
            "collected",
            benchmarks=benchmarks,
            options=timing_options(kept[0].config.option) if kept else {},
            n_tests=self.n_tests,
            n_marked_only=n_marked_only,
            skipped=self._skipped,
            errors=self._errors,
            deselected=deselected,
            missing=[*self._missing, *self._unmatched()],
            unnamed=[] if benchmarks else self._unnamed(),
        )

    def report_start(self) -> None:
        """Report why the session did not collect anything."""
        if isinstance(self.problem, pytest.UsageError) or str(self.problem).startswith(NEEDS_PLUGIN):
            self.emit("refused", reason=refusal(self.problem))
        else:
            self._errors.append(self._failure(self.problem))
            self._report_collected([], 0)

    def _deselected(self, chosen: Iterable[Any]) -> list[str]:
        """Return the benchmarks that were collected and that options or hooks of the suite left out."""
        left = set(chosen)
        found = (item for item in self._collected if self._wanted is None and item not in left)
        return [self.case(item) for item in found if is_benchmark(item)]

    def _is_chosen(self, item: Any) -> bool:
        if self._wanted is not None:
            return self.case(item) in self._wanted
        if not self._nodes:
            return True
        nodes = [each for place, each in self._nodes.items() if item.path.is_relative_to(place)]
        return not nodes or any(self._is_in(item, node) for each in nodes for node in each)

    def _is_in(self, item: Any, node: str) -> bool:
        """Return whether a test of a file is in a node of this file; "" is the whole file."""
        return not node or is_node(item.nodeid.partition("::")[2], node)

    def _unnamed(self) -> list[dict[str, str]]:
        """Return files that seem to have benchmarks and of which pytest collected no test.

        Each has a function that pytest did not collect by its name, or none if it did not collect the file by its name.
        """
        known = {item.path for item in self._collected}
        reported = {each["file"] for each in (*self._skipped, *self._errors)}
        places = [*self._nodes, *(file for folder in self._nodes for file in folder.rglob("*.py"))]
        files = [file for file in sorted(dict.fromkeys(places)) if file not in known and file.name != "conftest.py"]
        named = [(file, first_benchmark(file)) for file in files if self._path(file) not in reported]
        return [
            {"file": self._path(file), "function": name if file in self._modules else ""}
            for file, name in named
            if name
        ]

    def _unmatched(self) -> list[str]:
        """Return the arguments with a node id that no test has."""
        return [
            f"{self._path(path)}::{node}"
            for path, nodes in self._nodes.items()
            for node in nodes
            if node and not any(item.path == path and self._is_in(item, node) for item in self._collected)
        ]

    # Run

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Report start and end of a benchmark."""
        self._at, self._status, self._reason = self.case(item), "ok", ""
        entries = benchmark_session(item.config).benchmarks
        n_before, self._n_memory = len(entries), 0
        self.emit("start", id=self._at)
        start = perf_counter()
        outcome: Any = yield
        seconds = perf_counter() - start
        if outcome.excinfo:  # pytest.exit, for example
            self._status, self._reason = "error", one_line(outcome.excinfo[1])
        if self._status == "ok" and not any(entries[n_before:]) and not self._n_memory:
            self._status, self._reason = "error", "nothing was measured: the test did not call benchmark"
        *repeated, last = entries[n_before:] or [None]
        for entry in filter(None, [*repeated, last]):
            entry.fullname = self._at
            entry.fixture.has_error |= self._status != "ok" or entry is not last
        self.end(self._at, self._status, self._reason, seconds)

    def end(self, case: str, status: str, reason: str, seconds: float = 0.0) -> None:
        """Report the end of a benchmark."""
        assert self.left is not None
        del self.left[case]
        self.emit("ended", id=case, status=status, reason=reason, seconds=seconds)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        """Remove what only pytest-codspeed knows from a marker; pytest-benchmark would refuse it."""
        marker = item.get_closest_marker("benchmark")
        if marker and item.config.pluginmanager.hasplugin("codspeed"):
            marker.kwargs.pop("max_rounds", None)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: Any) -> Iterator[None]:
        """Note whether the benchmark failed, and why."""
        outcome: Any = yield
        report = outcome.get_result()
        if call.when == "setup":  # of the first run, or of one that a plug-in repeats
            self._status, self._reason = "ok", ""
        error = call.excinfo.value if call.excinfo else None
        if report.failed:
            self._status, self._reason = "error", self._described(error) if error else str(report.longrepr).strip()
        elif report.skipped and self._status == "ok":
            reason = getattr(report, "wasxfail", None) or getattr(error, "msg", None) or one_line(error)
            self._status, self._reason = "skipped", str(reason)

    def pytest_internalerror(self, excinfo: Any) -> None:
        """Note why the session ended."""
        self.problem = excinfo.value

    # Results

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Measure the memory of what the fixture calls, if the job is to do so."""
        if self.heap_memory:
            measure_calls(self.heap_memory, self._note_memory)

    def _note_memory(self, memory: Any) -> None:
        self._n_memory += 1
        found = memory.columns
        self.emit("memory", id=self._at, tool=found.pop("memory_tool"), **found)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: Any) -> Iterator[None]:
        """Write the times before another plug-in fails."""
        write_times(session.config, self.job, self.emit)
        yield


def is_marked(item: Any) -> bool:
    """Return whether a test has a marker of benchmarks."""
    return any(item.get_closest_marker(name) for name in MARKERS)


def run_session(
    job: Any,
    emit: Callable[..., None],
    check_origin: Callable[[], None],
    sources: Any,
    installed: Any,
    heap_memory: Any,
) -> int:
    """Run the session of a job; return pytest's exit code."""
    plugin = BenchmarkPlugin(job, emit, check_origin, sources, installed, heap_memory)
    exit_code = 3
    try:
        exit_code = int(pytest.main([*job.arguments], plugins=[plugin]))
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a plug-in that cannot be imported, for example)
        plugin.problem = error
    if plugin.left is None or (plugin.problem and not plugin.n_tests):
        plugin.report_start()
    for case in list(plugin.left or ()):
        plugin.end(case, "error", one_line(plugin.problem))
    return exit_code
