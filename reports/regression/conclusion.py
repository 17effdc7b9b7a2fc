"""Conclusion of a gate: the verdict of each row, the state of the whole, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.outcome import BASE, FAILING, HEAD, ROW, InterimLook, Outcome, verdict_table
from jacobench.reports.regression.paired_test import OPEN, SLOWER, calibration_shift, without_calibration
from jacobench.reports.regression.untimed import count_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    from jacobench.reports.regression.exponents import Growth
    from jacobench.reports.regression.paired_test import CalibrationShift
    from jacobench.reports.regression.thresholds import GateThresholds

Line = dict[Any, Any]

UNTIMED = ("broken", "new", "gone", "not measured")


@dataclass(frozen=True)
class StageResults:
    """Findings of each stage, each row at its last look; looks, pairs and duration of both stages."""

    first: pd.DataFrame
    second: pd.DataFrame
    interim_looks: tuple[InterimLook, ...]
    n_pairs: int
    seconds: float


def conclude(samples: pd.DataFrame, stages: StageResults, thresholds: GateThresholds) -> Outcome:
    """Turn the samples (``SAMPLE_COLUMNS``) and findings of both stages into an outcome.

    If the calibration kernel shifted, no row has a verdict on its time. Counts and broken rows keep theirs.
    """
    own = without_calibration(samples)
    shift = calibration_shift(samples, thresholds.tightest)
    rows = list(_row_lines(own, stages))
    growing = list(_growth_lines(own, thresholds, verdicts_of(rows)))
    timed = [*rows, *(line for _, line in growing)]
    if shift and shift.shifted:
        timed = [without_verdict(line, shift.ratio) for line in timed]
    table = verdict_table(in_order([*timed, *count_lines(own, thresholds)], own))
    shifted = shift is not None and shift.shifted
    state = state_of(table, shifted=shifted, unstable=shift is not None and not shift.stable)
    notes = tuple(_notes(state, table, shift, stages))
    undecided = tuple(_undecided(table, own, growing)) if state in {"inconclusive", "contaminated"} else ()
    return Outcome(state, table, samples, stages.n_pairs, stages.seconds, stages.interim_looks, notes, undecided)


def _row_lines(samples: pd.DataFrame, stages: StageResults) -> Iterator[Line]:
    medians = samples[samples["status"] == "ok"].groupby(["stage", *ROW, "side"])["seconds"].median().to_dict()
    firsts: dict[Any, Line] = stages.first.to_dict("index")
    seconds: dict[Any, Line] = stages.second.to_dict("index")
    for row, first in firsts.items():
        found, stage = (seconds[row], 2) if row in seconds else (first, 1)
        verdict, reason = _final(first, seconds.get(row))
        values = {side: medians.get((stage, *row, side), math.nan) for side in (BASE, HEAD)}
        line = {"quantity": "seconds", **values, "verdict": verdict, "reason": reason}
        yield dict(zip(ROW, row, strict=True)) | found | line


def _final(first: Line, second: Line | None) -> tuple[str, str]:
    """Return the verdict of a row and its reason, from the findings of each stage."""
    if first["verdict"] == OPEN:
        return "inconclusive", first["reason"] or _too_noisy(first)
    if first["verdict"] != SLOWER:
        return first["verdict"], first["reason"] or _within_threshold(first)
    looked = f"{first['ratio'] - 1:.1%} slower in stage one"
    if second is None:
        return "inconclusive", f"{looked}; no time was left to confirm it"
    if second["verdict"] == SLOWER:
        return "regressed", f"{looked}; confirmed with fresh pairs"
    if second["verdict"] == OPEN:
        return "inconclusive", f"{looked}; fresh pairs neither confirm nor exclude it"
    return second["verdict"], second["reason"] or f"{looked}; not confirmed with fresh pairs"


def _too_noisy(found: Line) -> str:
    n = found["n_pairs"]
    if math.isnan(n):
        return "too few pairs in which both sides were ok"
    if not math.isfinite(found["detectable"]):
        return f"{n:.0f} pairs are too few"
    return f"noisy: {n:.0f} pairs detect only a slowdown of {found['detectable']:.1%} or more"


def _within_threshold(found: Line) -> str:
    """Return the reason of a row that is unchanged although its interval excludes 1."""
    low, high = found["low"], found["high"]
    if found["verdict"] != "unchanged" or low <= 1 <= high:
        return ""
    if found["ratio"] * (1 + found["threshold"]) <= 1:
        return f"{found['ratio'] - 1:+.1%}: not slower; too few pairs to confirm that it is faster"
    return f"{found['ratio'] - 1:+.1%}, within the threshold of {found['threshold']:.1%}"


def verdicts_of(lines: Iterable[Line]) -> dict[tuple[str, str, str], str]:
    """Return the verdict of each row from its line of time."""
    return {(line["case"], line["strategy"], line["phase"]): line["verdict"] for line in lines}


def _growth_lines(
    samples: pd.DataFrame, thresholds: GateThresholds, rows: Mapping[tuple[str, str, str], str]
) -> Iterator[tuple[Growth, Line]]:
    firsts, seconds = (growths(samples[samples["stage"] == stage], thresholds) for stage in (1, 2))
    confirmed = {tuple(growth.line[name] for name in (*ROW, "quantity")): growth.line for growth in seconds}
    for growth in firsts:
        first = bounded_by_rows(growth, rows).line
        second = confirmed.get(tuple(first[name] for name in (*ROW, "quantity"))) if growth.is_candidate else None
        line = second or first
        verdict = line["verdict"]
        if verdict == SLOWER:
            verdict = "regressed" if second or not growth.is_candidate else "inconclusive"
        yield growth, line | {"verdict": "inconclusive" if verdict == OPEN else verdict}


def without_verdict(line: Line, ratio: float) -> Line:
    """Return a line of time as inconclusive, because the calibration kernel changed by a ratio."""
    if line["verdict"] in UNTIMED:
        return line
    return line | {"verdict": "inconclusive", "reason": f"the calibration kernel changed by {ratio - 1:+.1%}"}


def in_order(lines: list[Line], samples: pd.DataFrame) -> list[Line]:
    """Sort lines by row, rows as in the samples, sweeps last."""
    keys = [tuple(line[name] for name in ROW) for line in lines]
    rows = samples[list(ROW)].drop_duplicates().itertuples(index=False, name=None)
    order = {row: number for number, row in enumerate(dict.fromkeys([*rows, *keys]))}
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda keyed: order[keyed[0]])]


def state_of(table: pd.DataFrame, *, shifted: bool, unstable: bool) -> str:
    """Return the state of a verdict table: the calibration kernel shifted, or a shift of it could not be excluded."""
    verdicts = set(table["verdict"])
    if not (table["ratio"].notna().any() or "broken" in verdicts):
        return "nothing"
    if verdicts & set(FAILING):
        return "regressed"
    if shifted:
        return "contaminated"
    return "inconclusive" if unstable or "inconclusive" in verdicts else "clear"


def _undecided(table: pd.DataFrame, samples: pd.DataFrame, growing: Iterable[tuple[Growth, Line]]) -> Iterable[str]:
    """Return the cases of inconclusive rows and sweeps; all cases if only the calibration kernel is undecided."""
    cases = list(dict.fromkeys(samples["case"]))
    undecided = set(table.loc[table["verdict"] == "inconclusive", "case"])
    undecided |= {case for growth, line in growing if line["verdict"] == "inconclusive" for case, _ in growth.cells}
    return [case for case in cases if case in undecided] or cases


def _notes(state: str, table: pd.DataFrame, shift: CalibrationShift | None, stages: StageResults) -> Iterator[str]:
    if state == "nothing":
        yield "Nothing was measured on both sides, so there is no verdict."
        return
    yield f"{stages.n_pairs} pairs of fresh processes in {stages.seconds:.0f} s; base and head alternate."
    if shift is None:
        yield "The calibration kernel was not timed, so a change of the machine would not be detected."
    elif shift.shifted:
        yield f"The calibration kernel changed by {shift.text}: the machine changed, so times have no verdict. Measure again."
    elif shift.stable:
        yield f"The calibration kernel did not change: {shift.text}."
    else:
        yield f"A change of the calibration kernel could not be excluded: {shift.text} after {shift.n_pairs} pairs."
    if n := int((table["verdict"] == "inconclusive").sum()):
        yield (
            f"{n} of {len(table)} results are inconclusive. Use more time (--max-minutes), a quieter machine, or a higher "
            "threshold for noisy rows (rows under [tool.jacobench.gate])."
        )
