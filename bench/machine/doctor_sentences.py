"""Phrases of `doctor`: what each check measured, and the fixes that depend on it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine import blas_kernel
from jacobench.graphs.wording import counted, plus_minus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SET_BY_RUN = "'jacobench run' sets it for its workers, except with --controls asis"


def unreadable(cause: str) -> str:
    """State that the system does not provide what a check reads."""
    return f"cannot be read on this machine: {cause}"


def other_load(cores: float, load: float | None, busiest: Sequence[tuple[str, int, float]]) -> str:
    """Return the load of other processes; ``busiest``: name, number and share in percent of one core."""
    names = ", ".join(f"{name} (process {number}, {share:.0f} % of a core)" for name, number, share in busiest)
    average = "" if load is None else f", load average {load:.2f}"
    return f"other processes use {counted(f'{cores:.2f}', 'core')}{average}{f': {names}' if names else ''}"


def virtual_machine(*, is_virtual: bool, stolen: float) -> str:
    """Return the share of the time that went to other machines; it cannot exceed 100 %."""
    return f"{'yes' if is_virtual else 'no'}; other machines took {min(max(stolen, 0.0), 1.0):.1%} of the time (steal)"


def kernel(found: str, chosen: str, gain: float, *, is_set: bool) -> str:
    """Return the BLAS kernel in use, and the faster one if there is one; ``is_set``: by the environment."""
    in_use = f"{found}{' (set by the environment)' if is_set else ''}"
    if not chosen:
        return f"{in_use}; no other kernel is {blas_kernel.CLEARLY_FASTER - 1:.0%} faster or more"
    return f"{in_use}; {chosen} is {gain:.2f}× as fast"


def kernel_fix(chosen: str, *, is_set: bool) -> str:
    """Return how to use the faster kernel."""
    fix = f"unset {blas_kernel.VARIABLE}" if is_set else f"export {blas_kernel.VARIABLE}={chosen}"
    return f"{fix}; {SET_BY_RUN}"


def threads(n_threads: int, n_usable: int) -> str:
    """Return the number of threads of the BLAS, and of cores."""
    return f"{n_threads} by default, {counted(n_usable, 'core')} usable"


def quota(cores: float) -> str:
    """Return the CPU quota of a container."""
    return counted(f"{cores:g}", "core")


def replaced_malloc(allocator: str) -> str:
    """State that another allocator is in use."""
    return f"thresholds have no effect: {allocator} replaces malloc"


def malloc_gain(gain: float) -> str:
    """Return the effect of malloc's thresholds."""
    return f"with thresholds set, filling a new array of 64 MiB is {gain:.2f}× as fast"


def distorting(effects: Sequence[tuple[str, str]]) -> str:
    """Return the variables that distort times, each with its effect."""
    return "; ".join(f"{name} {effect}" for name, effect in effects) or "none"


def unset(names: Sequence[str]) -> str:
    """Return how to unset variables."""
    return f"unset {' '.join(names)}; 'jacobench run' unsets them for its workers, except with --controls asis"


def swap(n_bytes: float) -> str:
    """Return the swap in use."""
    return f"{n_bytes / 2**30:.1f} GiB in use"


def on_battery(percent: float | None) -> str:
    """Return the charge of a battery in use, if it is known."""
    return "on battery power" if percent is None else f"on battery power, {percent:.0f} % left"


def timer(seconds: float) -> str:
    """Return the resolution of the clock."""
    return f"resolution {ceil(seconds * 1e9):,} ns, including the read"


def memory_limit(limit: float, total: float) -> str:
    """Return the memory that may be used, and all memory if that is more."""
    found = f"{limit / 2**30:.1f} GiB"
    return found if limit >= total else f"{found} of {total / 2**30:.1f} GiB, by a control group or a resource limit"


def noise(inside: float, between: float, paired: float) -> str:
    """Return the spread of times of identical code."""
    return (
        f"{plus_minus(inside)} within a process, {plus_minus(between)} between processes, {plus_minus(paired)} in paired "
        "ratios"
    )


def variable_sentences(facts: Mapping[str, Any], *, with_kept: bool = True) -> list[str]:
    """Return a sentence for each fact of `variable_facts`; none for variables that are not set."""
    unset, kept, allocator = (facts.get(key) for key in ("unset", "kept", "preloaded_allocator"))
    found = [
        f"The measuring processes do not get these variables, which distort times: {', '.join(unset)}."
        if unset
        else "",
        f"The measuring processes get these variables, which may change times: {', '.join(kept)}."
        if kept and with_kept
        else "",
        f"The thresholds of malloc have no effect, because {allocator} replaces malloc." if allocator else "",
    ]
    return [sentence for sentence in found if sentence]
