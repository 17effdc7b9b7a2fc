"""Options of a run: the one list from which the command line, settings.json and the repeat command are made."""

from __future__ import annotations

import shlex
from dataclasses import Field, dataclass, field, fields
from math import inf
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from pathlib import Path

CONTROLS = ("tuned", "asis")
FIRST_PASSES, MAX_MINUTES = 3, 3.0  # defaults of a run that measures until its cases are decided
DECIDED_IN = "gradient"  # phase whose times decide a case; of a whole Jacobian, it is the phase jacobian


def _option(default: Any, metavar: str | None, help_text: str, flag: str = "") -> Any:
    return field(default=default, metadata={"metavar": metavar, "help": help_text, "flag": flag})


@dataclass(frozen=True)
class RunOptions:
    """Options of a run. The metadata of a field hold its flag, metavar and help text on the command line.

    strategies, cases: strategies instead of the suite's, globs of case names; empty: all of the suite.
    passes, max_minutes: as in `first_passes` and `limit_minutes`.
    memory_budget: such as ``"2GiB"``. The memory of the machine or of its control group limits it further.

    Raises BadInput if a number is out of bounds or a name is unknown.
    """

    suite: str = _option("standard", "NAME|FILE.toml", "Suite to measure; 'jacobench list suites' lists all suites.")
    strategies: tuple[str, ...] = _option(
        (),
        "S",
        "Strategy to measure, instead of those of the suite: a name, file.py:Class or package.module:Class. Repeatable.",
        "--strategy",
    )
    cases: tuple[str, ...] = _option((), "GLOB", "Measure only cases whose names match GLOB. Repeatable.", "--case")
    passes: int | None = _option(
        None,
        "N",
        "Number of passes of every case. A pass is a fresh process. Default: three, then further passes of the undecided "
        "cases.",
    )
    max_minutes: float | None = _option(
        None,
        "M",
        f"Measure undecided cases until they are decided, or until M minutes after the start. Default: {MAX_MINUTES:g}, "
        "but with --passes no further passes.",
    )
    threads: int = _option(1, "N", "Number of threads for BLAS, OpenMP, torch and XLA.")
    memory_budget: str = _option(
        DEFAULT_BUDGET, "SIZE", "Memory limit. Skip a strategy where it is predicted to need more."
    )
    timeout: float = _option(60.0, "SECONDS", "Time limit of one measurement, in seconds.")
    controls: str = _option(
        "tuned",
        "tuned|asis",
        "Environment of the measuring processes. tuned: set threads, malloc and the BLAS kernel, and "
        "unset variables that distort times; asis: keep yours.",
    )

    cluster: str | None = _option(
        None,
        "SPEC",
        "Measure on a cluster of Dask: local:N, the address of a scheduler, a scheduler file, or file.py:function.",
    )
    same_machine: bool = _option(False, None, "With --cluster: use only hosts with the most frequent machine key.")

    def __post_init__(self) -> None:
        for name in ("passes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}; expected 1 or more")
        check_positive("timeout", self.timeout, "seconds")
        if self.max_minutes is not None:
            check_positive("max_minutes", self.max_minutes, "minutes")
        if self.controls not in CONTROLS:
            raise unknown("controls", self.controls, CONTROLS)
        parse_bytes(self.memory_budget)

    @property
    def first_passes(self) -> int:
        """Number of passes of all cases: `passes`, or three."""
        return FIRST_PASSES if self.passes is None else self.passes

    @property
    def limit_minutes(self) -> float | None:
        """Time after which no further pass of undecided cases begins; None if there are no such passes."""
        return MAX_MINUTES if self.passes is None and self.max_minutes is None else self.max_minutes


def check_positive(name: str, value: float, unit: str) -> None:
    """Raise BadInput unless a value is a positive, finite number."""
    if not 0 < value < inf:
        raise BadInput(f"{name} is {value}; expected {unit} above 0")


def flag(option: Field[Any]) -> str:
    """Return the name of an option on the command line."""
    return option.metadata["flag"] or f"--{option.name.replace('_', '-')}"


def command(options: RunOptions) -> str:
    """Return the command that repeats a run, quoted for a POSIX shell."""
    words = ["jacobench", "run"]
    for option in fields(RunOptions):
        value = getattr(options, option.name)
        if isinstance(value, bool):
            words += [flag(option)] if value else []
            continue
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                words += [flag(option), f"{item:g}" if isinstance(item, float) else str(item)]
    return shlex.join(words)


def resume_command(folder: Path, max_minutes: float | None = None) -> str:
    """Return the command that continues the run in a folder, quoted for a POSIX shell.

    With `max_minutes` it measures the undecided cases of a finished run further.
    """
    limit = [] if max_minutes is None else ["--max-minutes", f"{max_minutes:g}"]
    return shlex.join(["jacobench", "run", "--resume", str(folder), *limit])
