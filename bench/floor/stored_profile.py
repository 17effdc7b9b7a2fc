"""Stored machine profiles: measured once per machine, environment and versions, and kept in the user's folder for caches."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from contextlib import suppress
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

import jacobench.graphs
import jacobench.strategies
from jacobench.bench import floor
from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime
from jacobench.bench.floor.time_model import CellTime, Profile, TimeModel
from jacobench.bench.machine import environment, machine_record
from jacobench.bench.machine.atomic_write import write_whole
from jacobench.bench.machine.blas_kernel import cache_folder
from jacobench.bench.machine.worker_process import HarnessFailure, run_python
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

AGREEMENT = 0.1  # largest relative difference of two measurements that is accepted
MOST_MEASUREMENTS = 4
TIMEOUT = 300  # seconds of one measurement

SET_BY_IMPORT = {
    "KMP_DUPLICATE_LIB_OK"
}  # variables that threadpoolctl sets when it is imported; without effect on times
VERSIONS = ("jacobench", "numpy", "scipy")

Timed = TypeVar("Timed", RuleTime, CellTime)


class StoredProfile(msgspec.Struct, frozen=True, dict=True):
    """A profile with the time at which it was measured, in seconds since 1970, and how far two measurements differ."""

    measured_at: float
    difference: float
    profile: Profile

    @cached_property
    def model(self) -> TimeModel:
        """The time model of this profile."""
        return TimeModel(self.profile)

    @property
    def age(self) -> str:
        """How long ago it was measured, in words."""
        minutes = max(0, round((time.time() - self.measured_at) / 60))
        if not minutes:
            return "just now"
        if minutes < 120:
            return f"{counted(minutes, 'minute')} ago"
        return f"{counted(minutes // 60, 'hour')} ago" if minutes < 2880 else f"{counted(minutes // 1440, 'day')} ago"


def stored(dtype: str, controls: str = "tuned", threads: int = 1) -> StoredProfile | None:
    """Return the stored profile for these settings of workers; None if there is none."""
    path = _path(dtype, controls, threads)
    if path in _unwritten:
        return _unwritten[path]
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=StoredProfile)
    return None


def profile_for(
    dtype: str, controls: str = "tuned", threads: int = 1, say: Callable[[str], object] = lambda _text: None
) -> StoredProfile:
    """Return the stored profile, or else measure it; see `renew`."""
    return stored(dtype, controls, threads) or renew(dtype, controls, threads, say)


def renew(
    dtype: str, controls: str = "tuned", threads: int = 1, say: Callable[[str], object] = lambda _text: None
) -> StoredProfile:
    """Measure a profile until two measurements agree within 10 %, at most four times, and store it.

    If none agree, or the folder for caches cannot be written, the profile is kept for this process only. Raises
    HarnessFailure if the measuring process fails.
    """
    say(f"Measuring the machine profile for {dtype} (about 30 s).")
    measured: list[Profile] = []
    agreeing: tuple[Profile, Profile] | None = None
    while agreeing is None and len(measured) < MOST_MEASUREMENTS:
        latest = _measure(dtype, controls, threads)
        agreeing = next(((old, latest) for old in measured if difference(old, latest) <= AGREEMENT), None)
        measured.append(latest)
    chosen = agreeing or measured
    found = StoredProfile(time.time(), difference(*chosen[-2:]), fastest_of(chosen))
    if agreeing is None:
        _unwritten[_path(dtype, controls, threads)] = found
        say(
            f"{MOST_MEASUREMENTS} measurements of the machine profile differ by more than {AGREEMENT:.0%}: the machine is busy. "
            "The profile is not stored. To measure it on an idle machine: jacobench doctor --profile"
        )
        return found
    try:
        keep(found, controls, threads)
    except OSError as error:
        say(f"The machine profile is not stored: {cache_folder()}: {error.strerror}.")
    return found


def keep(found: StoredProfile, controls: str = "tuned", threads: int = 1) -> None:
    """Store a profile in the folder for caches; if that raises OSError, it is kept for this process."""
    path = _path(found.profile.dtype, controls, threads)
    _unwritten[path] = found
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(found))
    del _unwritten[path]


_unwritten: dict[Path, StoredProfile] = {}  # profiles of this process that are not in the folder for caches


def _path(dtype: str, controls: str, threads: int) -> Path:
    chosen = environment.settings(controls, threads)
    kept = set(environment.kept_variables(chosen, controls)) - SET_BY_IMPORT
    inherited = {name: os.environ[name] for name in sorted(kept)}
    versions = [f"{name} {machine_record.package_version(name)}" for name in VERSIONS]
    depends_on = [
        machine_record.digest(),
        platform.python_version(),
        *versions,
        _code(),
        dtype,
        controls,
        chosen,
        inherited,
    ]
    return cache_folder() / f"profile-{sha256(repr(depends_on).encode()).hexdigest()[:12]}.json"


@cache
def _code() -> str:
    """Return a digest of the rules that a profile measures, and of the code that measures them."""
    folders = [Path(str(package.__file__)).parent for package in (jacobench.graphs, jacobench.strategies, floor)]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _measure(dtype: str, controls: str, threads: int) -> Profile:
    variables = environment.environment(environment.settings(controls, threads), 0, controls)
    try:
        found = run_python(
            "-m", "jacobench.bench.floor.profile_measurement", dtype, variables=variables, timeout=TIMEOUT
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise HarnessFailure(f"the machine profile cannot be measured: {words[-1] if words else error}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise HarnessFailure(f"the machine profile cannot be measured: {error}") from None
    return msgspec.json.decode(found, type=Profile)


def difference(one: Profile, other: Profile) -> float:
    """Return the largest relative difference of two measurements of a profile, over groups of times.

    A group is the rules of one strategy and phase, the bandwidths of one kind, or the small cases of one strategy; it counts
    with the geometric mean of its ratios, because single short rounds differ more.
    """
    ratios: dict[str, list[float]] = {}
    for group, first, second in _paired(one, other):
        ratios.setdefault(group, []).append(math.log(first / second))
    return max(math.expm1(abs(sum(logs)) / len(logs)) for logs in ratios.values())


def _paired(one: Profile, other: Profile) -> Iterable[tuple[str, float, float]]:
    for rule, again in zip(one.rules, other.rules, strict=True):
        words = rule.rule.split()
        yield f"{words[0]} {words[-1] if len(words) > 2 else ''}", rule.seconds, again.seconds
    for cell, again_cell in zip((*one.fitted, *one.tested), (*other.fitted, *other.tested), strict=True):
        yield f"cases of {cell.strategy}", cell.seconds, again_cell.seconds
    for kind in ("read", "write"):
        for first, second in zip(getattr(one.bandwidth, kind), getattr(other.bandwidth, kind), strict=True):
            yield kind, first, second


def fastest_of(profiles: Sequence[Profile]) -> Profile:
    """Return a profile with the smallest of each time."""
    first = profiles[0]
    bandwidth = Bandwidth(
        first.bandwidth.footprints,
        tuple(map(min, zip(*(each.bandwidth.read for each in profiles), strict=True))),
        tuple(map(min, zip(*(each.bandwidth.write for each in profiles), strict=True))),
    )
    return Profile(
        first.dtype,
        bandwidth,
        _fastest([each.rules for each in profiles]),
        _fastest([each.fitted for each in profiles]),
        _fastest([each.tested for each in profiles]),
    )


def _fastest(measured: Sequence[Sequence[Timed]]) -> tuple[Timed, ...]:
    return tuple(min(times, key=lambda time: time.seconds) for times in zip(*measured, strict=True))
