"""Sentences of the page around its tables, and the purpose of each command that reproduces a run."""

from __future__ import annotations

from jacobench.reports.data.units import format_bytes


def subject(suites: str, phase: str, run: str, machine: str) -> str:
    """Name what the page describes; `suites` and `run` may be empty, and so is `machine` unless there are several."""
    on = f", on {machine}" if machine else ""
    return f"Suite {suites or 'without a name'}, phase {phase}, run {run or 'without a name'}{on}"


def machines(phase: str) -> str:
    """Explain the comparison of machines."""
    return (
        f"Crossovers and clear winners in the phase {phase} on each machine. Times of different machines are not compared "
        "with each other. In a run on several machines, each case is measured on one of them, so a sweep has different "
        "sizes on each."
    )


def crossovers_of_machines() -> str:
    """Explain the crossovers of several machines."""
    return (
        "Size at which two strategies cost the same, the measured sizes, and the strategy that costs less at the largest "
        "of them. A dash: both were measured at fewer than two sizes; for memory, with peaks of 8 KiB or more."
    )


def winners_of_machines() -> str:
    """Explain the winners of several machines."""
    return (
        "Fastest strategy of each case, and how many times as long the second one takes, with its 95 % interval. "
        "A dash: not measured on this machine."
    )


def recommendation_rule() -> str:
    """State when the table names a strategy."""
    return (
        "Time: a strategy is named only if it is clearly faster than every other one, or if no other one was timed. "
        "A slower strategy could win at its limit if its floor is below the time of the fastest one. "
        "Memory: only if its peak is at least 1 % and 8 KiB below the next one. In brackets: the 95 % interval."
    )


def limits(phase: str, memory_bytes: float) -> str:
    """Explain the memory limits; `memory_bytes` is NaN if the run does not record the machine's memory."""
    memory = f", {format_bytes(memory_bytes)}" if memory_bytes > 0 else ""
    return f"Largest size of each sweep at which the peak memory of the phase {phase} fits in this machine's memory{memory}."


def other_limits() -> str:
    """Name the limits that are collapsed."""
    return "Limits far beyond the measured sizes, or beyond every checked size"


def crossovers(phase: str) -> str:
    """Explain the crossovers."""
    return (
        f"Size at which two strategies cost the same in the phase {phase}. In brackets: the 95 % interval over passes. "
        "Memory is measured once and has no interval."
    )


def other_crossovers() -> str:
    """Name the crossovers that are collapsed."""
    return "Pairs of strategies without a crossover near the measured sizes"


def no_limits() -> str:
    """State why there is neither a limit nor a crossover."""
    return "This run has no limits and no crossovers: they need cases that differ in one size only."


def no_machine() -> str:
    """State that the machine is unknown."""
    return "The run does not record the machine."


def uncertain_cells() -> str:
    """Explain the column of ratios."""
    return (
        "Undecided: ratio of the runner-up to the fastest strategy. Disturbed: ratio of the slowest to the fastest pass, "
        "and interval of the time."
    )


def slowest_pass(number: int, host: str) -> str:
    """Return which pass of a disturbed cell was the slowest, on a cluster, as the end of a phrase."""
    return f", slowest: pass {number} on {host}"


def not_drawn() -> str:
    """Introduce the plots that the run lacks data for."""
    return "Not drawn, because the run lacks the data:"


def all_cells(counts: str) -> str:
    """Return the numbers of cells by status; `counts` may be empty."""
    return f"All cells: {counts or 'none'}."


def no_failure() -> str:
    """State that every cell is ok and has no note."""
    return "No cell failed."


def no_reason() -> str:
    """Stand for the reason of a failure."""
    return "no reason recorded"


def all_rows(*, with_hosts: bool) -> str:
    """Explain the table of all rows; with hosts if the run was on a cluster."""
    hosts = ", and over a median for the time and the host of each pass" if with_hosts else ""
    return (
        "One row per case, strategy and phase. Times are per call. Hover over a heading for the meaning of the column"
        f"{hosts}."
    )


def check_out(suffix: str) -> str:
    """Return the purpose of ``git checkout``; the commit's suffix is "dirty" if there were uncommitted changes."""
    lost = "; its uncommitted changes are not recorded" if suffix else ""
    return f"check out the measured code, in the repository where the run was started{lost}"


def install() -> str:
    """Return the purpose of ``pip install``."""
    return "install the same numerical libraries"


def repeat() -> str:
    """Return the purpose of the run's own command."""
    return "repeat the measurements on your machine"


def write_page() -> str:
    """Return the purpose of ``jacobench report``."""
    return "write this page from the results"
