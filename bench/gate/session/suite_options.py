"""Options of pytest and its plug-ins that a session of the gate changes, and those that must be equal on both sides.

`benchmark_plugin` imports this file in the environment of a side. It imports only the standard library.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BENCHMARK_OPTIONS: Mapping[str, Any] = {
    "skip": False,
    "only": False,
    "verbose": False,
    "quiet": True,
    "group_by": "group",
    "save": None,
    "autosave": None,
    "json": None,
    "histogram": [],
    "compare": [],
    "compare_fail": None,
    "cprofile": None,
    "cprofile_dump": [],
}
"""Options of pytest-benchmark that the gate sets, whatever the suite has."""

PYTEST_OPTIONS: Mapping[str, Any] = {
    "verbose": -1,
    "maxfail": 0,
    "continue_on_collection_errors": True,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "setuponly": False,
    "setupplan": False,
    "xmlpath": None,
}
"""Options of pytest: no benchmark is left out, nothing is traced, and no report is written."""

OTHER_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "xdist": {
        "numprocesses": None,
        "maxprocesses": None,
        "dist": "no",
        "distload": False,
        "tx": [],
        "looponfail": False,
    },
    "pytest_cov": {"cov_source": [], "cov_fail_under": None},
    "pytest_forked": {"forked": False},
    "pytest_rerunfailures": {"force_reruns": None, "reruns": 0},
    "pytest_timeout": {"timeout": 0},
    "pytest_randomly": {"randomly_seed": 1},
    "pytest_memray": {"memray": False},
    "pytest_codspeed": {"codspeed": False},
    "testmon": {"testmon": False},
    "pytest_html": {"htmlpath": None},
    "pytest_reportlog": {"report_log": None},
    "pytest_jsonreport": {"json_report": False},
}
"""Module of a plug-in → its options for the same. Without the module, an option of this name is the suite's own."""

TIMING_OPTIONS = (
    *("timer", "disable_gc", "warmup", "warmup_iterations", "calibration_precision"),
    *("min_rounds", "min_time", "max_time", "precision", "confidence"),
)
"""Options of pytest-benchmark that the suite sets, and that change its times."""

FEWEST_ROUNDS = 2
"""Rounds of a slow benchmark where the time is limited; pytest-benchmark calls it twice more."""

COARSEST_TIMER = 1e-6
"""Resolution of a timer in seconds, for the limit of pytest-benchmark's calibration."""


def set_options(option: Any, job: Any) -> None:
    """Change the options of a session as far as it has them. job: a `PytestJob`."""
    timed = job.action == "time"
    changes = {f"benchmark_{name}": value for name, value in BENCHMARK_OPTIONS.items()}
    changes |= {"benchmark_disable": not timed, "benchmark_enable": timed}
    changes |= {"benchmark_storage": f"file://{Path(job.json_file).parent}"}
    changes |= PYTEST_OPTIONS
    for module, options in OTHER_OPTIONS.items():
        changes |= options if module in sys.modules else {}
    for name, value in changes.items():
        if hasattr(option, name):
            setattr(option, name, value)
    if job.max_seconds is not None and hasattr(option, "benchmark_max_time"):
        _limit_rounds(option, job.max_seconds)


def _limit_rounds(option: Any, seconds: float) -> None:
    """Limit the time of the rounds. What a marker of a test says takes precedence."""
    of_round = seconds / FEWEST_ROUNDS
    option.benchmark_max_time = min(float(option.benchmark_max_time), seconds)
    option.benchmark_min_rounds = min(int(option.benchmark_min_rounds), FEWEST_ROUNDS)
    option.benchmark_min_time = min(float(option.benchmark_min_time), of_round)
    coarsest = max(1, int(of_round / COARSEST_TIMER))
    option.benchmark_calibration_precision = min(int(option.benchmark_calibration_precision), coarsest)


def timing_options(option: Any) -> dict[str, str]:
    """Return `TIMING_OPTIONS` as far as pytest-benchmark has them: name on the command line → value."""
    names = (f"benchmark_{name}" for name in TIMING_OPTIONS)
    return {f"--{name.replace('_', '-')}": str(getattr(option, name)) for name in names if hasattr(option, name)}


@contextmanager
def file_types_unwritten() -> Iterator[None]:
    """Let options with `argparse.FileType` create no files: such an option is the path. Files to read are opened."""
    kind: Any = argparse.FileType
    opened = kind.__call__

    def unwritten(file_type: Any, text: str) -> Any:
        return text if set(file_type._mode) & set("wax") else opened(file_type, text)  # noqa: SLF001  (no public name)

    kind.__call__ = unwritten
    try:
        yield
    finally:
        kind.__call__ = opened
