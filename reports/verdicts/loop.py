"""The gate's loop: how many pairs before the next look, which rows are candidates, when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from jacobench.reports.verdicts.limits import Limits
    from jacobench.reports.verdicts.outcome import Outcome

    Measure = Callable[[Sequence[tuple[str, str]] | None, range, int], pd.DataFrame]


def run_gate(measure: Measure, limits: Limits, *, max_seconds: float, clock: Callable[[], float]) -> Outcome:
    """Measure pairs of processes until there is a verdict.

    Parameters
    ----------
    measure : callable
        ``measure(cells, pairs, stage)`` runs the pairs with these numbers (even ones base first, odd ones head first) and
        returns their samples: ``SAMPLE_COLUMNS``, where knobs may be missing. ``cells`` are pairs of case and strategy, None means all; a strategy
        that is only needed as a partner is not asked for.
    limits : Limits
        The thresholds.
    max_seconds : float
        No pair is begun that would, going by the slowest so far, end later than this after the start.
    clock : callable
        Returns seconds, such as `time.monotonic`.

    Returns
    -------
    Outcome
        With all samples.
    """
    raise NotImplementedError
