"""Comparison of bytes, stored non-zeros and flops: almost deterministic, so one number per side is enough."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from jacobench.reports.regression.thresholds import GateThresholds, Thresholds


def count_lines(samples: pd.DataFrame, thresholds: GateThresholds) -> Iterator[dict[str, Any]]:
    """Compare the medians of the counts on both sides; yield lines of the verdict table, without intervals."""
    known = [name for name in COUNTS if name in samples.columns]
    ok = samples[samples["status"] == "ok"]
    medians = ok.groupby([*ROW, "side"], sort=False)[known].median().reset_index()
    base, head = (medians[medians["side"] == side] for side in (BASE, HEAD))
    both = base.merge(head, on=list(ROW), suffixes=(f" {BASE}", f" {HEAD}"))
    for row in both.to_dict("records"):
        limit = thresholds.of(row["case"], row["strategy"])
        for quantity in known:
            before, after = row[f"{quantity} {BASE}"], row[f"{quantity} {HEAD}"]
            if not (math.isnan(before) or math.isnan(after)):
                yield {name: row[name] for name in ROW} | count_line(quantity, before, after, limit)


def count_line(quantity: str, base: float, head: float, limit: Thresholds) -> dict[str, Any]:
    """Compare one of ``COUNTS`` of one row; return part of a line of the verdict table.

    The verdict is regressed or improved if the number changed by more than its threshold (bytes: also by more than
    ``memory_bytes``), else unchanged.

    Examples
    --------
    >>> from jacobench.reports.regression.thresholds import Thresholds
    >>> count_line("n_nonzeros", 0, 4096, Thresholds())["verdict"]
    'regressed'
    >>> count_line("peak_bytes", 2**20, 2**20 + 2**15, Thresholds())["verdict"]  # 3 %, but only 32 KiB
    'unchanged'
    """
    share, least = (limit.memory, limit.memory_bytes) if quantity.endswith("_bytes") else (limit.counts, 0)
    changed = abs(head - base) > max(share * base, least)
    return {
        "quantity": quantity,
        "base": base,
        "head": head,
        "ratio": head / base if base else (math.inf if head else 1.0),
        "threshold": share,
        "detectable": max(share, least / base) if base else share,
        "verdict": ("regressed" if head > base else "improved") if changed else "unchanged",
        "reason": "none in base" if changed and not base else "",
    }
