"""Verdicts that need no test of times: counts, and how processes ended (new, gone, broken, fixed or failing)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy.special import bdtrc

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES
from jacobench.bench.gate.paired_runner import BY_CHANCE
from jacobench.bench.gate.suite.suite_collection import CHANGED, SKIPPED
from jacobench.bench.row.columns import HEAP
from jacobench.reports.regression import gate_sentences
from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.reports.regression.thresholds import GateThresholds, Thresholds

BROKEN_LEVEL = 1 / 64
"""Of the sign test on the pairs in which one side failed; reached by six pairs in which only head failed."""

NOT_TRIED = frozenset({"unsupported", "over_budget", "not_tried", SKIPPED})
"""Statuses of cells that were not computed: the strategy is not broken."""

Row = tuple[str, str, str]


def status_changes(samples: pd.DataFrame) -> dict[Row, tuple[str, str]]:
    """Find the rows of samples that are decided without times: case, strategy and phase → verdict and reason.

    The verdict is gone, new, broken, changed (the source or an option of a benchmark differs, and it does not fail in head), improved
    (base fails, head does not) or not measured (no process of either side was ok, or pytest skips it on one side). A row
    that only head has, and that fails there, is broken; it is inconclusive if the machine may be the cause, and not
    measured if the strategy did not try. A row that both sides have, and that failed in some pairs, but not
    significantly, is omitted.
    """
    by_row = samples.groupby(list(ROW), sort=False)
    one_sided = by_row["side"].transform("nunique") < 2
    failed = (samples["status"] != "ok").groupby([samples[name] for name in ROW]).transform("any")
    found: dict[Row, tuple[str, str]] = {}
    for (case, strategy, phase), own in samples[one_sided | failed].groupby(list(ROW), sort=False):
        change = _change(own) if own["side"].nunique() == 2 else _one_sided(own)
        if change:
            found[str(case), str(strategy), str(phase)] = change
    return found


def _change(own: pd.DataFrame) -> tuple[str, str] | None:
    in_base, in_head = (set(own.loc[own["side"] == side, "status"]) for side in (BASE, HEAD))
    if CHANGED in in_head:
        differing = next(filter(None, own.loc[own["status"] == CHANGED, "reason"]), "")
        return "changed", differing or gate_sentences.source_differs()
    flagged = own.assign(ok=own["status"].isin(["ok", CHANGED]))
    ok = flagged.pivot_table(index="pair", columns="side", values="ok", aggfunc="all").dropna().astype(bool)
    if not ok.to_numpy().any() or {SKIPPED} in (in_base, in_head):
        return "not measured", gate_sentences.failed_on_both(how_it_ended(own, BASE), how_it_ended(own, HEAD))
    lost, fixed = int((ok[BASE] & ~ok[HEAD]).sum()), int((ok[HEAD] & ~ok[BASE]).sum())
    if _sign_test(lost, fixed) <= BROKEN_LEVEL:
        return "broken", gate_sentences.lost(how_it_ended(own, HEAD), lost, len(ok))
    if ok[BASE].all() and in_head == {"wrong"}:  # verified, so not by chance
        return "broken", gate_sentences.wrong_in_head(how_it_ended(own, HEAD))
    if ok[HEAD].all() and not ok[BASE].any():
        return "improved", gate_sentences.fixed(how_it_ended(own, BASE))
    return None


def _one_sided(own: pd.DataFrame) -> tuple[str, str]:
    """Return the verdict of a row that only base or only head has."""
    if BASE in set(own["side"]):
        return "gone", gate_sentences.only_in(BASE)
    failed = own.loc[own["status"] != "ok", "status"]
    if failed.empty:
        return "new", gate_sentences.only_in(HEAD)
    reason = gate_sentences.fails_from_the_start(how_it_ended(own, HEAD))
    if set(failed) <= NOT_TRIED:
        return "not measured", reason
    n_ok = len(own) - len(failed)
    is_certain = "wrong" in set(failed) or (n_ok == 0 and set(failed) - NOT_TRIED - set(BY_CHANCE))
    return "broken" if is_certain or _sign_test(len(failed), n_ok) <= BROKEN_LEVEL else "inconclusive", reason


def _sign_test(hits: int, misses: int) -> float:
    """Return the probability of at least this number of hits if hits and misses are equally likely."""
    return float(bdtrc(hits - 1, hits + misses, 0.5)) if hits else 1.0


def how_it_ended(own: pd.DataFrame, side: str) -> str:
    """Return how the processes of a side ended, for the samples of one row: ok, or the first failure in words."""
    failed = own[(own["side"] == side) & ~own["status"].isin(["ok", CHANGED])]
    if failed.empty:
        return "ok"
    reason = failed["reason"].iloc[0] if "reason" in failed else None
    return gate_sentences.failure(str(failed["status"].iloc[0]), reason if isinstance(reason, str) else "")


def count_lines(samples: pd.DataFrame, thresholds: GateThresholds) -> Iterator[dict[str, Any]]:
    """Compare the medians of the counts on both sides; yield lines of the verdict table, without intervals."""
    known = [name for name in COUNTS if name in samples.columns]
    ok = samples[samples["status"] == "ok"]
    cells = ok.assign(measured=ok.get("memory_tool", pd.Series(index=ok.index)).notna()).groupby(
        [*ROW, "side"], sort=False
    )
    medians = cells[[*known, "measured"]].median().reset_index()
    base, head = (medians[medians["side"] == side] for side in (BASE, HEAD))
    both = base.merge(head, on=list(ROW), suffixes=(f" {BASE}", f" {HEAD}"))
    for row in both.to_dict("records"):
        limit = thresholds.of(row["case"], row["strategy"])
        for quantity in known:
            before, after = row[f"{quantity} {BASE}"], row[f"{quantity} {HEAD}"]
            measured = quantity in HEAP and row[f"measured {BASE}"] and row[f"measured {HEAD}"]
            if measured or not (math.isnan(before) or math.isnan(after)):
                yield {name: row[name] for name in ROW} | count_line(quantity, before, after, limit)


def count_line(quantity: str, base: float, head: float, limit: Thresholds) -> dict[str, Any]:
    """Compare one of ``COUNTS`` of one row; return part of a line of the verdict table.

    The verdict is regressed or improved if the number changed by more than its threshold (bytes: also by more than
    ``memory_bytes``), else unchanged. NaN are bytes below the resolution of the memory tool. They count as the
    resolution, and the line has no ratio.

    >>> from jacobench.reports.regression.thresholds import Thresholds
    >>> count_line("n_nonzeros", 0, 4096, Thresholds())["verdict"]
    'regressed'
    >>> count_line("peak_bytes", 2**20, 2**20 + 2**15, Thresholds())["verdict"]  # 3 %, but only 32 KiB
    'unchanged'
    >>> count_line("peak_bytes", math.nan, 2**20, Thresholds())["verdict"]
    'regressed'
    """
    share, least = (limit.memory, limit.memory_bytes) if quantity.endswith("_bytes") else (limit.counts, 0)
    known = not (math.isnan(base) or math.isnan(head))
    before, after = (RESOLUTION_BYTES if math.isnan(value) else value for value in (base, head))
    changed = abs(after - before) > max(share * before, least)
    return {
        "quantity": quantity,
        "base": base,
        "head": head,
        "ratio": (head / base if base else math.inf if head else 1.0) if known else math.nan,
        "threshold": share,
        "detectable": (max(share, least / base) if base else share) if known else math.nan,
        "verdict": ("regressed" if after > before else "improved") if changed else "unchanged",
        "reason": gate_sentences.none_in_base() if changed and not base else "",
    }
