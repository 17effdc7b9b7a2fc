"""Bytes, stored non-zeros and flops: all but deterministic, so that one number a side will do, and the thresholds are tight."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from jacobench.reports.regression.thresholds import Limits, Thresholds


def count_lines(samples: pd.DataFrame, limits: Limits) -> Iterator[dict[str, Any]]:
    """Judge what was counted on both sides.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``. Where a side has several numbers their median counts.
    limits : Limits
        The thresholds.

    Yields
    ------
    dict
        A line of the verdict table: regressed or improved where the number changed by more than its threshold (for
        bytes: also by more than ``memory_bytes``), else unchanged. It has no interval.
    """
    known = [name for name in COUNTS if name in samples.columns]
    ok = samples[samples["status"] == "ok"]
    medians = ok.groupby([*ROW, "side"], sort=False)[known].median().reset_index()
    base, head = (medians[medians["side"] == side] for side in (BASE, HEAD))
    both = base.merge(head, on=list(ROW), suffixes=(f" {BASE}", f" {HEAD}"))
    for row in both.to_dict("records"):
        limit = limits.of(row["case"], row["strategy"])
        for quantity in known:
            before, after = row[f"{quantity} {BASE}"], row[f"{quantity} {HEAD}"]
            if not (math.isnan(before) or math.isnan(after)):
                yield {name: row[name] for name in ROW} | count_line(quantity, before, after, limit)


def count_line(quantity: str, base: float, head: float, limit: Thresholds) -> dict[str, Any]:
    """Judge one quantity of one row.

    Parameters
    ----------
    quantity : str
        One of ``COUNTS``.
    base, head : float
        Bytes or numbers.
    limit : Thresholds
        Of the row.

    Returns
    -------
    dict
        What a line of the verdict table says of it.

    Examples
    --------
    >>> from jacobench.reports.regression.thresholds import Thresholds
    >>> count_line("n_nonzeros", 0, 4096, Thresholds())["verdict"]
    'regressed'
    >>> count_line("peak_bytes", 2**20, 2**20 + 2**15, Thresholds())["verdict"]  # 3 %, but no more than 32 KiB
    'unchanged'
    """
    is_bytes = quantity.endswith("_bytes")
    share, least = (limit.memory, limit.memory_bytes) if is_bytes else (limit.counts, 0)
    moved = abs(head - base) > max(share * base, least)
    verdict = ("regressed" if head > base else "improved") if moved else "unchanged"
    ratio = head / base if base else (math.inf if head else 1.0)
    return {
        "quantity": quantity,
        "base": base,
        "head": head,
        "ratio": ratio,
        "threshold": share,
        "detectable": max(share, least / base) if base else share,
        "verdict": verdict,
        "reason": "there was none before" if moved and not base else "",
    }
