"""Rows that have no times to compare: new, gone, broken, mended, or failing on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.special import bdtrc

from jacobench.reports.data.vocabulary import words
from jacobench.reports.regression.outcome import BASE, HEAD, ROW

if TYPE_CHECKING:
    import pandas as pd

BROKEN_LEVEL = 1 / 64
"""Of the sign test on the pairs in which one side failed: six that head alone failed in will do."""

Row = tuple[str, str, str]


def fates(samples: pd.DataFrame) -> dict[Row, tuple[str, str]]:
    """Find the rows that are settled without a clock.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``.

    Returns
    -------
    dict
        Case, strategy and phase → verdict (new, gone, broken, improved, unchanged) and the reason. Improved are those that fail in base
        and no longer in head, unchanged those that were ok in no process of either side. A row that failed in some
        pairs only, and not significantly, is not among them.
    """
    by_row = samples.groupby(list(ROW), sort=False)
    doubtful = (by_row["side"].transform("nunique") < 2) | (samples["status"] != "ok").groupby(
        [samples[name] for name in ROW]
    ).transform("any")
    found: dict[Row, tuple[str, str]] = {}
    for (case, strategy, phase), own in samples[doubtful].groupby(list(ROW), sort=False):
        if fate := _fate(own):
            found[str(case), str(strategy), str(phase)] = fate
    return found


def _fate(own: pd.DataFrame) -> tuple[str, str] | None:
    present = set(own["side"])
    if len(present) == 1:
        return ("new", "head has it, base does not") if present == {HEAD} else ("gone", "base has it, head does not")
    ok = (
        own.assign(ok=own["status"] == "ok")
        .pivot_table(index="pair", columns="side", values="ok", aggfunc="all")
        .dropna()
        .astype(bool)
    )
    if not ok.to_numpy().any():
        return "unchanged", f"no times: {_why(own, BASE)} in base, {_why(own, HEAD)} in head"
    lost, mended = int((ok[BASE] & ~ok[HEAD]).sum()), int((ok[HEAD] & ~ok[BASE]).sum())
    if _sign_test(lost, mended) <= BROKEN_LEVEL:
        return "broken", f"{_why(own, HEAD)} in head in {lost} of {len(ok)} pairs, where base is ok"
    if ok[BASE].all() and set(own.loc[own["side"] == HEAD, "status"]) == {"wrong"}:  # proved, not by chance
        return "broken", f"{_why(own, HEAD)} in head, where base is ok"
    if not ok[BASE].any():
        return "improved", f"ok in head, {_why(own, BASE)} in base"
    return None


def _sign_test(hits: int, misses: int) -> float:
    """Return the probability of so many hits or more where both are equally likely."""
    n = hits + misses
    return float(bdtrc(hits - 1, n, 0.5)) if hits else 1.0


def _why(own: pd.DataFrame, side: str) -> str:
    """Return the first failure of a side in words, with its reason."""
    failed = own[(own["side"] == side) & (own["status"] != "ok")]
    if failed.empty:
        return "ok"
    first = failed.iloc[0]
    reason = first.get("reason")
    told = isinstance(reason, str) and reason
    return f"{words(str(first['status']))} ({reason})" if told else words(str(first["status"]))
