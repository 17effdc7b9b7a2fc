"""Sentences on the measurement quality of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted, listed, plus_minus
from jacobench.reports.data.units import format_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROLS = {
    "tuned": (
        "Controls tuned: all strategies used the same threads, BLAS kernel and malloc settings. Your own processes may "
        "use others."
    ),
    "asis": "Controls asis: threads, BLAS kernel and malloc settings were those of the environment.",
}


def no_case(phase: str) -> str:
    """State that there is nothing to decide."""
    return f"No case of this run has the phase {phase}."


def nothing_timed() -> str:
    """State that every cell failed."""
    return "No cell was timed."


def no_passes() -> str:
    """State what is unknown without the times of single passes."""
    return "The run does not record single passes, so undecided and disturbed cells are unknown."


def undecided_cases(phase: str, n_undecided: int, n_cases: int) -> str:
    """Return the number of cases without a decision on time."""
    return f"Undecided in the phase {phase}: {n_undecided} of {counted(n_cases, 'case')}."


def disturbed_cells(n_disturbed: int, n_cells: int, factor: float) -> str:
    """Return the number of cells whose passes differ by a factor or more; ``n_cells`` had two passes or more."""
    if not n_cells:
        return "No cell was timed in two passes or more, so disturbed cells are unknown."
    return (
        f"Disturbed: {n_disturbed} of {counted(n_cells, 'cell')}. "
        f"The slowest pass of a disturbed cell took at least {factor - 1:.0%} longer than its fastest."
    )


def calibration(spread: float, n_processes: int) -> str:
    """Return how much the time of the calibration kernel varied; ``spread`` is the ratio of the percentiles."""
    over = f"over {counted(n_processes, 'process', 'processes')} (95th against 5th percentile)"
    return f"The time of the calibration kernel varied by {_percent(spread - 1)} {over}."


def hosts(slowest: Sequence[tuple[str, float]], n_hosts: int) -> str:
    """Return the slowest hosts of a cluster, each with its time of the kernel over the median of the hosts."""
    named = listed([f"{host} {format_ratio(ratio)}" for host, ratio in slowest])
    return f"Slowest of {n_hosts} hosts by the calibration kernel, relative to the median host: {named}."


def repetition(number: int, cause: str) -> str:
    """State that a disturbed pass, counted from 1, was replaced."""
    return f"Pass {number} was repeated, and only the repetition counts: {cause}."


def load(before: float, after: float, cores: int | None) -> str:
    """Return the load averages. More than half of the cores before the run is worth a warning."""
    on = f" ({counted(cores, 'core')})" if cores else ""
    busy = " Other processes may have slowed the first passes." if cores and before > cores / 2 else ""
    return f"Load average: {before:.1f} before the run, {after:.1f} at the end{on}.{busy}"


def intervals(half: float, most: float) -> str:
    """Return the width of the 95 % intervals as shares of the time: of half of the cells, and of 90 % of them."""
    return (
        f"The 95 % interval of the time is at most {plus_minus(half)} for half of the cells, and at most "
        f"{plus_minus(most)} for 90 % of the cells."
    )


def one_process() -> str:
    """State what one pass cannot show."""
    return "Every cell was measured in one process, so there are no intervals and no clear winner in time."


def controls(name: str) -> str:
    """State what the controls set; empty for unknown ones."""
    return CONTROLS.get(name, "")


def _percent(share: float) -> str:
    """Return a share in percent; from 100 % on, as a factor."""
    if share >= 1:
        return format_ratio(1 + share)
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
