"""Rows that are decided by how their processes ended: new, gone, broken, fixed, or failing on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.special import bdtrc

from jacobench.reports.data.vocabulary import words
from jacobench.reports.regression.outcome import BASE, HEAD, ROW

if TYPE_CHECKING:
    import pandas as pd

BROKEN_LEVEL = 1 / 64
"""Of the sign test on the pairs in which one side failed; reached by six pairs in which only head failed."""

Row = tuple[str, str, str]


def status_changes(samples: pd.DataFrame) -> dict[Row, tuple[str, str]]:
    """Find the rows of samples that are decided without times: case, strategy and phase → verdict and reason.

    The verdict is new, gone, broken, improved (base fails, head does not) or not measured (no process of either side
    was ok). A row that failed in some pairs, but not significantly, is omitted.
    """
    by_row = samples.groupby(list(ROW), sort=False)
    one_sided = by_row["side"].transform("nunique") < 2
    failed = (samples["status"] != "ok").groupby([samples[name] for name in ROW]).transform("any")
    found: dict[Row, tuple[str, str]] = {}
    for (case, strategy, phase), own in samples[one_sided | failed].groupby(list(ROW), sort=False):
        if change := _change(own):
            found[str(case), str(strategy), str(phase)] = change
    return found


def _change(own: pd.DataFrame) -> tuple[str, str] | None:
    present = set(own["side"])
    if len(present) == 1:
        return ("new", "only head has it") if present == {HEAD} else ("gone", "only base has it")
    flagged = own.assign(ok=own["status"] == "ok")
    ok = flagged.pivot_table(index="pair", columns="side", values="ok", aggfunc="all").dropna().astype(bool)
    if not ok.to_numpy().any():
        return "not measured", f"{_why(own, BASE)} in base, {_why(own, HEAD)} in head"
    lost, fixed = int((ok[BASE] & ~ok[HEAD]).sum()), int((ok[HEAD] & ~ok[BASE]).sum())
    if _sign_test(lost, fixed) <= BROKEN_LEVEL:
        return "broken", f"{_why(own, HEAD)} in head in {lost} of {len(ok)} pairs, ok in base"
    if ok[BASE].all() and set(own.loc[own["side"] == HEAD, "status"]) == {"wrong"}:  # verified, so not by chance
        return "broken", f"{_why(own, HEAD)} in head, ok in base"
    if not ok[BASE].any():
        return "improved", f"ok in head, {_why(own, BASE)} in base"
    return None


def _sign_test(hits: int, misses: int) -> float:
    """Return the probability of at least this number of hits if hits and misses are equally likely."""
    return float(bdtrc(hits - 1, hits + misses, 0.5)) if hits else 1.0


def _why(own: pd.DataFrame, side: str) -> str:
    """Return the first failure of a side in words, with its reason."""
    failed = own[(own["side"] == side) & (own["status"] != "ok")]
    if failed.empty:
        return "ok"
    status, reason = words(str(failed["status"].iloc[0])), failed["reason"].iloc[0] if "reason" in failed else None
    return f"{status} ({reason})" if isinstance(reason, str) and reason else status
