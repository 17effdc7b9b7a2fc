"""Rows that are decided without times."""

from __future__ import annotations

import pandas as pd
import pytest

from jacobench.reports.regression.untimed import status_changes

ROW = ("a", "dense", "gradient")


def samples(base, head):
    """Return samples from one status per pair and side; None: nothing was reported."""
    lines = [
        dict(zip(("case", "strategy", "phase"), ROW, strict=True))
        | {"side": side, "pair": pair, "status": status, "reason": "" if status == "ok" else "why"}
        for side, statuses in (("base", base), ("head", head))
        for pair, status in enumerate(statuses)
        if status
    ]
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (["ok"] * 6, ["timeout"] * 6, "broken"),
        (["ok"] * 7, ["ok", *["crashed"] * 6], "broken"),
        (["ok"] * 5, ["timeout"] * 5, None),  # 1/32: too few to be sure
        (["ok"] * 30, ["ok"] * 27 + ["timeout"] * 3, None),
        (["ok"] * 9 + ["timeout"] * 3, ["timeout"] * 8 + ["ok"] * 4, None),  # it fails on both sides
        (["timeout"] * 6, ["ok"] * 6, "improved"),
        (["timeout"] * 6, ["timeout"] * 5 + ["ok"], None),
        (["timeout"] * 6, ["crashed"] * 6, "not measured"),
        ([], ["ok"] * 6, "new"),
        ([], ["error"] * 6, "broken"),
        ([], ["ok"] * 5 + ["wrong"], "broken"),
        ([], ["crashed"] * 6, "broken"),
        ([], ["ok"] * 4 + ["crashed"] * 2, "inconclusive"),  # the machine may be the cause
        ([], ["ok"] * 5 + ["error"], "inconclusive"),  # a test that fails sometimes
        ([], ["unsupported"] * 6, "not measured"),
        (["changed"] * 6, ["changed"] * 6, "changed"),
        (["changed"] * 6, ["error"] * 6, "broken"),
        (["error"] * 6, ["changed"] * 6, "changed"),
        (["ok"] * 6, ["skipped"] * 6, "not measured"),
        (["skipped"] * 6, ["ok"] * 6, "not measured"),
        ([], ["skipped"] * 6, "not measured"),
        (["error"] * 6, [], "gone"),
        (["ok"] * 6, [], "gone"),
        (["ok"] * 6, ["ok"] * 6, None),
    ],
)
def test_the_fate_of_a_row(base, head, verdict):
    found = status_changes(samples(base, head)).get(ROW)
    assert (found and found[0]) == verdict


def test_the_reason_names_both_sides():
    (_, reason) = status_changes(samples(["timeout"] * 6, ["crashed"] * 6))[ROW]
    assert reason == "timeout (why) in base, crashed (why) in head"


def test_a_reason_that_both_sides_share_is_given_once():
    (_, reason) = status_changes(samples(["error"] * 6, ["error"] * 6))[ROW]
    assert reason == "error (why) in base and head"


def test_a_pair_that_lacks_a_side_says_nothing():
    assert ROW not in status_changes(samples([None, *["ok"] * 5], ["timeout", *["ok"] * 5]))
