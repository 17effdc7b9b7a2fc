"""Confirmation of bytes in fresh processes, on peaks that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jacobench.reports.regression.fresh_bytes import PAIRS, confirm, confirmed
from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.outcome import KNOBS
from jacobench.reports.regression.thresholds import GateThresholds
from jacobench.reports.regression.untimed import count_lines

MIB = 2**20
CALM, HIGH = 4 * MIB, 5 * MIB

THRESHOLDS = GateThresholds()


def samples(base, head, case="a", **more):
    """Return the samples of one row: one process per value and side. None is an amount below the resolution."""
    row = {"case": case, "strategy": "dense", "phase": "gradient", "status": "ok", "memory_tool": "memray"} | more
    sides = {"base": base, "head": head}
    return pd.DataFrame(
        [
            row | {"stage": 1, "pair": pair, "side": side, "peak_bytes": peak}
            for side, peaks in sides.items()
            for pair, peak in enumerate(peaks)
        ]
    )


def judged(base, head):
    """Return verdict and reason of a row whose first peaks are calm in base and high in head, with these fresh peaks."""
    first = samples([CALM], [HIGH])
    fresh = confirm(first, lambda _cells, _pairs: samples(base, head), THRESHOLDS)
    (line,) = confirmed(count_lines(first, THRESHOLDS), fresh, THRESHOLDS)
    return line["verdict"], line["reason"].partition("; ")[2], line["ratio"]


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([CALM] * 6, [HIGH] * 6, ("regressed", "confirmed with fresh pairs", 1.25)),
        ([CALM] * 6, [CALM] * 6, ("unchanged", "not confirmed with fresh pairs", 1.0)),
        ([CALM] * 6, [CALM] * 4 + [HIGH] * 2, ("unchanged", "not confirmed with fresh pairs", 1.0)),
        ([CALM] * 6, [3 * MIB] * 6, ("improved", "not confirmed with fresh pairs", 0.75)),
        # One process of head needs no more than base: its code may need either.
        ([CALM] * 6, [HIGH] * 5 + [CALM], ("inconclusive", "fresh pairs neither confirm nor exclude it", 1.25)),
        ([CALM] * 5 + [HIGH], [HIGH] * 6, ("inconclusive", "fresh pairs neither confirm nor exclude it", 1.25)),
        # A process was lost: five do not exclude chance.
        ([CALM] * 6, [HIGH] * 5, ("inconclusive", "fresh pairs neither confirm nor exclude it", 1.25)),
        # Every process of head needs more, but less than 64 KiB.
        ([CALM] * 6, [CALM + 2**15] * 6, ("unchanged", "not confirmed with fresh pairs", 1 + 2**-7)),
    ],
)
def test_a_larger_peak_is_judged_by_fresh_processes_alone(base, head, expected):
    assert judged(base, head) == expected


def test_peaks_below_the_resolution_count_as_the_resolution():
    verdict, _, ratio = judged([None] * 6, [HIGH] * 6)
    assert verdict == "regressed"
    assert np.isnan(ratio)
    assert judged([None] * 6, [HIGH] * 5 + [None])[0] == "inconclusive"
    assert judged([None] * 6, [None] * 6)[0] == "unchanged"


def test_only_larger_rows_are_measured_again():
    first = pd.concat([samples([CALM], [HIGH]), samples([HIGH], [CALM], "b"), samples([CALM], [CALM], "c")])
    asked = []

    def measure(cells, pairs):
        asked.append((cells, pairs))
        return samples([CALM] * 6, [HIGH] * 6)

    confirm(first, measure, THRESHOLDS)
    assert asked == [([("a", "dense")], range(PAIRS))]
    confirm(samples([CALM], [CALM]), measure, THRESHOLDS)
    assert len(asked) == 1


def test_memory_that_grows_faster_is_confirmed_with_fresh_processes(machine, sweep):
    widths = (16, 64, 256)

    def peaks(power):
        knobs = dict.fromkeys(KNOBS) | {"graph": "mlp", "depth": 2.0, "batch": 1.0, "dtype": "float64"}
        return pd.concat(
            samples([1e4 * w**2] * 6, [1e4 * w**power] * 6, f"mlp-w{w}", **knobs | {"width": w}) for w in widths
        )

    rows = sweep(lambda w: 1e-6 * w**2, lambda w: 1e-6 * w**2, widths)
    grown = {
        key: (lambda side, stage, row=row, w=w: row(side, stage) | peak(side, w))
        for (key, row), w in zip(rows.items(), widths, strict=True)
    }
    for power, verdict in ((3.0, "regressed"), (2.0, "unchanged")):
        fresh = confirm(peaks(3.0), lambda _cells, _pairs, power=power: peaks(power), THRESHOLDS)
        tested = machine(grown)
        outcome = run_gate(tested, THRESHOLDS, max_seconds=600, clock=tested.clock, fresh=fresh)
        lines = outcome.verdicts.set_index("quantity")["verdict"]
        assert lines["peak_bytes~width"] == verdict


def peak(side, width):
    return {"peak_bytes": 1e4 * width ** (3.0 if side == "head" else 2.0), "memory_tool": "memray"}
