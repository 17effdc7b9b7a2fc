"""What the stages come to: the verdict of each row, the state of the whole, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.reports.regression.calibration_shift import control
from jacobench.reports.regression.counts import count_lines
from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.findings import without_control
from jacobench.reports.regression.outcome import BASE, HEAD, ROW, InterimLook, Outcome, verdict_table
from jacobench.reports.regression.paired_test import OPEN, SLOWER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    from jacobench.reports.regression.calibration_shift import Control
    from jacobench.reports.regression.thresholds import Limits

Line = dict[str, Any]

UNTIMED = ("broken", "new", "gone")


@dataclass(frozen=True)
class Stages:
    """What was found, and how.

    Attributes
    ----------
    first, second : DataFrame
        As `findings.findings` returns them, each row at the look that settled it, or at the last.
    interim_looks : tuple of InterimLook
        Of both stages.
    n_pairs : int
        Of both stages.
    seconds : float
        That it took.
    """

    first: pd.DataFrame
    second: pd.DataFrame
    interim_looks: tuple[InterimLook, ...]
    n_pairs: int
    seconds: float


def conclude(samples: pd.DataFrame, stages: Stages, limits: Limits) -> Outcome:
    """Turn what two stages found into an outcome.

    Parameters
    ----------
    samples : DataFrame
        Of both.
    stages : Stages
        What was found.
    limits : Limits
        The thresholds.

    Returns
    -------
    Outcome
        Where the control kernel moved, no row has a verdict by its time; what was counted, and what is broken, still has.
    """
    own = without_control(samples)
    machine = control(samples, limits.tightest)
    rows = list(_row_lines(own, stages))
    timed = [*rows, *_growth_lines(own, limits, verdicts_of(rows))]
    counted = list(count_lines(own, limits))
    if machine and machine.moved:
        timed = [without_verdict(line, machine.ratio) for line in timed]
    table = verdict_table(in_order([*timed, *counted], own))
    moved = machine is not None and machine.moved
    state = state_of(table, moved=moved, unsure=machine is not None and not machine.still)
    notes = tuple(_notes(state, table, machine, stages))
    return Outcome(state, table, samples, stages.n_pairs, stages.seconds, stages.interim_looks, notes)


def _row_lines(samples: pd.DataFrame, stages: Stages) -> Iterator[Line]:
    medians = {
        stage: own[own["status"] == "ok"].groupby([*ROW, "side"])["seconds"].median().to_dict()
        for stage, own in samples.groupby("stage")
    }
    second = _by_row(stages.second)
    for row, first in _by_row(stages.first).items():
        found, stage = (second[row], 2) if row in second else (first, 1)
        verdict, reason = _final(first, second.get(row))
        values = {side: medians.get(stage, {}).get((*row, side), math.nan) for side in (BASE, HEAD)}
        what = {"quantity": "seconds", **values, "verdict": verdict, "reason": reason}
        yield dict(zip(ROW, row, strict=True)) | found | what


def _by_row(found: pd.DataFrame) -> dict[tuple[str, ...], Line]:
    lines = found.reset_index().to_dict("records")
    return {tuple(line.pop(name) for name in ROW): {str(key): value for key, value in line.items()} for line in lines}


def _final(first: Line, second: Line | None) -> tuple[str, str]:
    """Return the verdict of a row, and why, from what each stage found."""
    if first["verdict"] == OPEN:
        return "inconclusive", first["reason"] or _too_noisy(first)
    if first["verdict"] != SLOWER:
        return first["verdict"], first["reason"] or _nearly(first)
    looked = f"looked {first['ratio'] - 1:.1%} slower in stage one"
    if second is None:
        return "inconclusive", f"{looked}, and there was no time left to confirm it"
    if second["verdict"] == SLOWER:
        return "regressed", f"{looked}, and was again with fresh pairs"
    if second["verdict"] == OPEN:
        return "inconclusive", f"{looked}; fresh pairs neither confirm nor exclude it"
    return second["verdict"], second["reason"] or f"{looked}, not with fresh pairs"


def _too_noisy(found: Line) -> str:
    n = found["n_pairs"]
    if math.isnan(n):
        return "too few pairs in which both sides were ok"
    if not math.isfinite(found["detectable"]):
        return f"{n:.0f} pairs are too few"
    return f"noisy: after {n:.0f} pairs only a slowdown of {found['detectable']:.1%} or more could have been seen"


def _nearly(found: Line) -> str:
    """Say of a row that is unchanged if it is not quite."""
    low, high = found["low"], found["high"]
    if found["verdict"] != "unchanged" or low <= 1 <= high:
        return ""
    if found["ratio"] * (1 + found["threshold"]) <= 1:
        return f"{found['ratio'] - 1:+.1%}: not slower, but not surely faster by the threshold either"
    return f"{found['ratio'] - 1:+.1%}, within the threshold of {found['threshold']:.1%}"


def verdicts_of(lines: Iterable[Line]) -> dict[tuple[str, str, str], str]:
    """Return the verdict of each row that lines of time are about."""
    return {(line["case"], line["strategy"], line["phase"]): line["verdict"] for line in lines}


def _growth_lines(samples: pd.DataFrame, limits: Limits, rows: Mapping[tuple[str, str, str], str]) -> Iterator[Line]:
    by_stage = [growths(samples[samples["stage"] == stage], limits) for stage in (1, 2)]
    again = {tuple(growth.line[name] for name in (*ROW, "quantity")): growth.line for growth in by_stage[1]}
    for growth in by_stage[0]:
        first = bounded_by_rows(growth, rows).line
        second = again.get(tuple(first[name] for name in (*ROW, "quantity"))) if growth.suspect else None
        line = second or first
        verdict = line["verdict"]
        if verdict == SLOWER:
            verdict = "regressed" if second or not growth.suspect else "inconclusive"
        yield line | {"verdict": "inconclusive" if verdict == OPEN else verdict}


def without_verdict(line: Line, ratio: float) -> Line:
    """Return a line of time as it stands when the control kernel has moved by a ratio."""
    if line["verdict"] in UNTIMED:
        return line
    return line | {"verdict": "inconclusive", "reason": f"the machine moved: control kernel {ratio - 1:+.1%}"}


def in_order(lines: list[Line], samples: pd.DataFrame) -> list[Line]:
    """Put the lines of a row beside each other, rows in the order of the samples, sweeps last."""
    keys = [tuple(line[name] for name in ROW) for line in lines]
    rows = samples[list(ROW)].drop_duplicates().itertuples(index=False, name=None)
    order = {row: number for number, row in enumerate(dict.fromkeys([*rows, *keys]))}
    return [line for _, line in sorted(zip(keys, lines, strict=True), key=lambda keyed: order[keyed[0]])]


def state_of(table: pd.DataFrame, *, moved: bool, unsure: bool) -> str:
    """Return what a verdict table comes to.

    Parameters
    ----------
    table : DataFrame
        The verdicts.
    moved : bool
        Whether the control kernel did, so that times have no verdict.
    unsure : bool
        Whether it is not known to have stood still.
    """
    verdicts = set(table["verdict"])
    if not (table["ratio"].notna().any() or "broken" in verdicts):
        return "nothing"
    if verdicts & {"regressed", "broken"}:
        return "regressed"
    if moved:
        return "contaminated"
    return "inconclusive" if unsure or "inconclusive" in verdicts else "clear"


def _notes(state: str, table: pd.DataFrame, machine: Control | None, stages: Stages) -> Iterator[str]:
    if state == "nothing":
        yield "Nothing was measured on both sides, so there is no verdict."
        return
    yield f"{stages.n_pairs} pairs of fresh processes in {stages.seconds:.0f} s, base and head first in turns."
    if machine:
        shift = f"{machine.ratio - 1:+.1%} [{machine.low - 1:+.1%}, {machine.high - 1:+.1%}]"
        if machine.moved:
            yield f"The control kernel, which no revision can change, moved by {shift}: times have no verdict. Measure again."
        elif not machine.still:
            yield f"The control kernel could not be shown to stand still: {shift} after {machine.n_pairs} pairs."
        else:
            yield f"The control kernel stood still: {shift}."
    else:
        yield "No control kernel was timed, so that a machine that moved would not be seen."
    if n := int((table["verdict"] == "inconclusive").sum()):
        yield (
            f"{n} of {len(table)} lines are inconclusive. What decides them: more time (--max-minutes), a quieter machine, or a "
            "higher threshold where a row is noisy (rows under [tool.jacobench.gate])."
        )
