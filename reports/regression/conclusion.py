"""Conclusion of a gate: the verdict of each row, the state of the whole, and what to do next."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.columns import HEAP, TASKS
from jacobench.reports.regression import gate_sentences
from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.fresh_bytes import confirmed
from jacobench.reports.regression.outcome import (
    BASE,
    FAILING,
    HEAD,
    ROW,
    InterimLook,
    Outcome,
    has_other_verdict,
    of_benchmarks,
    verdict_table,
)
from jacobench.reports.regression.paired_test import OPEN, SLOWER, UNCHANGED, calibration_shift, without_calibration
from jacobench.reports.regression.untimed import count_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    from jacobench.reports.regression.exponents import Growth
    from jacobench.reports.regression.paired_test import CalibrationShift
    from jacobench.reports.regression.thresholds import GateThresholds

Line = dict[Any, Any]

UNTIMED = ("broken", "changed", "new", "gone", "not measured")

MOST_REASONS = 10
"""Notes on common reasons; each row has its own reason, too."""


@dataclass(frozen=True)
class StageResults:
    """Findings of each stage, each row at its last look; looks, pairs and duration of both stages.

    ``fresh``: samples of the fresh processes that confirm bytes; None if bytes are not confirmed.
    """

    first: pd.DataFrame
    second: pd.DataFrame
    interim_looks: tuple[InterimLook, ...]
    n_pairs: int
    seconds: float
    fresh: pd.DataFrame | None = None


def conclude(samples: pd.DataFrame, stages: StageResults, thresholds: GateThresholds) -> Outcome:
    """Turn the samples (``SAMPLE_COLUMNS``) and findings of both stages into an outcome.

    If the calibration kernel shifted, no row has a verdict on its time. Counts and broken rows keep theirs.
    """
    own = without_calibration(samples)
    shift = calibration_shift(samples, thresholds.tightest)
    rows = list(_row_lines(own, stages))
    growing = list(_growth_lines(own, thresholds, verdicts_of(rows), stages.fresh))
    timed = [*rows, *(line for _, line in growing)]
    if shift and shift.shifted:
        timed = [without_verdict(line, shift.ratio) for line in timed]
    counts = confirmed(count_lines(own, thresholds), stages.fresh, thresholds)
    table = verdict_table(in_order([*timed, *counts], own))
    shifted = shift is not None and shift.shifted
    unmeasured = unmeasured_phases(own, table)
    unstable = shift is not None and not shift.stable
    unsure = unstable or bool(unmeasured)
    state = state_of(table, shifted=shifted, undecided=unsure, one_sided=of_benchmarks(table))
    notes = (*_notes(own, table, shift, stages), *untimed_notes(state, table, unmeasured))
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
        return "inconclusive", first["reason"] or _open(first)
    if first["verdict"] != SLOWER:
        return first["verdict"], first["reason"] or _within_threshold(first)
    verdict = "no time" if second is None else second["verdict"]
    known = {"no time": "inconclusive", SLOWER: "regressed", OPEN: "inconclusive"}
    reason = second["reason"] if second is not None and verdict not in known else ""
    confirmation = verdict if verdict in known else UNCHANGED
    return known.get(verdict, verdict), reason or gate_sentences.candidate(first["ratio"], confirmation)


def _open(found: Line) -> str:
    """Return the reason of a row that the last look of stage one leaves open."""
    if not math.isfinite(found["detectable"]):
        return gate_sentences.too_few_pairs(found["n_pairs"])
    return gate_sentences.too_noisy(found["n_pairs"], found["detectable"])


def _within_threshold(found: Line) -> str:
    """Return the reason of a row that is unchanged although its interval excludes 1."""
    low, high = found["low"], found["high"]
    if found["verdict"] != "unchanged" or low <= 1 <= high:
        return ""
    if found["ratio"] * (1 + found["threshold"]) <= 1:
        return gate_sentences.not_slower(found["ratio"])
    return gate_sentences.within_threshold(found["ratio"], found["threshold"])


def verdicts_of(lines: Iterable[Line]) -> dict[tuple[str, str, str], str]:
    """Return the verdict of each row from its line of time."""
    return {(line["case"], line["strategy"], line["phase"]): line["verdict"] for line in lines}


def _growth_lines(
    samples: pd.DataFrame,
    thresholds: GateThresholds,
    rows: Mapping[tuple[str, str, str], str],
    fresh: pd.DataFrame | None,
) -> Iterator[tuple[Growth, Line]]:
    firsts, times = (growths(samples[samples["stage"] == stage], thresholds) for stage in (1, 2))
    again = [growth for growth in times if growth.is_timed]
    again += [] if fresh is None else growths(fresh, thresholds)
    seconds = {_name(growth.line): growth.line for growth in again}
    for growth in firsts:
        first = bounded_by_rows(growth, rows).line
        is_candidate = growth.is_candidate and (growth.is_timed or fresh is not None)
        second = seconds.get(_name(first)) if is_candidate else None
        line = second or first
        verdict = line["verdict"]
        if verdict == SLOWER:
            verdict = "regressed" if second or not is_candidate else "inconclusive"
        yield growth, line | {"verdict": "inconclusive" if verdict == OPEN else verdict}


def _name(line: Line) -> tuple[str, ...]:
    return tuple(line[name] for name in (*ROW, "quantity"))


def without_verdict(line: Line, ratio: float) -> Line:
    """Return a line of time as inconclusive, because the calibration kernel changed by a ratio; a growth of bytes as it is."""
    if line["verdict"] in UNTIMED or line["quantity"].partition("~")[0] in HEAP:
        return line
    return line | {"verdict": "inconclusive", "reason": gate_sentences.kernel_moved(ratio)}


def in_order(lines: list[Line], samples: pd.DataFrame) -> list[Line]:
    """Sort lines by row, rows as in the samples, sweeps last."""
    keys = [tuple(line[name] for name in ROW) for line in lines]
    rows = samples[list(ROW)].drop_duplicates().itertuples(index=False, name=None)
    order = {row: number for number, row in enumerate(dict.fromkeys([*rows, *keys]))}
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda keyed: order[keyed[0]])]


def state_of(table: pd.DataFrame, *, shifted: bool, undecided: bool, one_sided: bool = False) -> str:
    """Return the state of a verdict table.

    ``shifted``: the calibration kernel changed. ``undecided``: a change of it could not be excluded, or a strategy was
    measured on neither side. Rows that only head has are enough for a verdict, unless base has rows that head lacks.
    ``one_sided``: rows of either side are enough, but not rows that failed in base. Changed rows do not count.
    """
    verdicts = set(table["verdict"]) - {"changed"}
    if verdicts & set(FAILING):
        return "regressed"
    compared = bool(table["ratio"].notna().any())
    if one_sided:
        compared |= bool(verdicts) and verdicts <= {"new", "gone"}
    else:
        compared |= "improved" in verdicts
    is_first = "new" in verdicts and not verdicts & {"gone", "improved"}
    if not (is_first or compared):
        return "nothing"
    if shifted:
        return "contaminated"
    return "inconclusive" if undecided or "inconclusive" in verdicts else "clear"


def unmeasured_phases(samples: pd.DataFrame, table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the phases of each strategy that were ok in no process of either side, at no case, without broken ones.

    There are none among benchmarks of pytest-benchmark: each is a program of its own.
    """
    if of_benchmarks(table):
        return {}
    is_broken = table["verdict"] == "broken"
    broken = set(zip(table.loc[is_broken, "strategy"], table.loc[is_broken, "phase"], strict=True))
    found = samples.assign(ok=samples["status"] == "ok").groupby(["strategy", "phase"], sort=False)["ok"].any()
    unmeasured: dict[str, tuple[str, ...]] = {}
    for strategy, phase in found.index[~found.to_numpy(dtype=bool)]:
        if (strategy, phase) not in broken:
            unmeasured[strategy] = (*unmeasured.get(strategy, ()), phase)
    return unmeasured


def _undecided(table: pd.DataFrame, samples: pd.DataFrame, growing: Iterable[tuple[Growth, Line]]) -> Iterable[str]:
    """Return the cases of rows and sweeps without a verdict; all cases if only the calibration kernel is undecided."""
    cases = list(dict.fromkeys(samples["case"]))
    undecided = set(table.loc[table["verdict"].isin(["inconclusive", "not measured"]), "case"])
    undecided |= {case for growth, line in growing if line["verdict"] == "inconclusive" for case, _ in growth.cells}
    return [case for case in cases if case in undecided] or cases


def _notes(
    samples: pd.DataFrame, table: pd.DataFrame, shift: CalibrationShift | None, stages: StageResults
) -> Iterator[str]:
    if samples.loc[samples["status"] == "ok", "seconds"].isna().all():
        return
    yield gate_sentences.pairs_measured(stages.n_pairs, stages.seconds)
    if shift is None:
        yield gate_sentences.kernel_not_timed(runs=False)
    elif shift.shifted:
        yield gate_sentences.kernel_shifted(shift.text)
    elif shift.stable:
        yield gate_sentences.kernel_stable(shift.text)
    else:
        yield gate_sentences.kernel_undecided(shift.text, shift.n_pairs)
    if n := int((table["verdict"] == "inconclusive").sum()):
        yield gate_sentences.inconclusive_results(n, len(table))


def untimed_notes(state: str, table: pd.DataFrame, unmeasured: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Return the notes on rows that have no times on both sides; the reason of several rows is one note.

    A reason with the name of another failing verdict is a note, too, because the line of its row leaves it out.
    """
    verdicts = table["verdict"]
    if state == "nothing":
        yield gate_sentences.nothing_compared()
        for reason, n in Counter(table.loc[verdicts == "improved", "reason"]).most_common(MOST_REASONS):
            yield gate_sentences.explained("improved", n, reason)
    for strategy, phases in unmeasured.items():
        whole = any(set(every) <= set(phases) for every in TASKS.values())
        yield gate_sentences.strategy_not_measured(strategy, phases, whole=whole)
    reasons = Counter(table.loc[verdicts == "not measured", "reason"])
    shared = [(n, reason) for reason, n in reasons.items() if n > 1 or has_other_verdict("not measured", reason)]
    for n, reason in shared[:MOST_REASONS]:
        yield gate_sentences.not_measured(n, reason)
    hidden = Counter(
        (verdict, reason)
        for verdict, reason in zip(verdicts, table["reason"], strict=True)
        if verdict != "not measured" and isinstance(reason, str) and has_other_verdict(verdict, reason)
    )
    for (verdict, reason), n in hidden.most_common(MOST_REASONS):
        yield gate_sentences.explained(verdict, n, reason)
    for reason, n in Counter(table.loc[verdicts == "changed", "reason"]).most_common(MOST_REASONS):
        is_source = reason == gate_sentences.source_differs()
        yield gate_sentences.sources_changed(n) if is_source else gate_sentences.options_changed(n, reason)
    notes = {
        "new": gate_sentences.first_measured,
        "gone": gate_sentences.gone_from_head,
    }
    for verdict, sentence in notes.items():
        if n := int((verdicts == verdict).sum()):
            yield sentence(n)
