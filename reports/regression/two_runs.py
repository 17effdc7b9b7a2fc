"""Comparison of two runs that were made at different times, so their passes are not paired."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jacobench.bench.row.columns import FORWARD
from jacobench.graphs.errors import BadInput
from jacobench.reports.regression.conclusion import in_order, state_of, verdicts_of, without_verdict
from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, KNOBS, ROW, SAMPLE_COLUMNS, Outcome, verdict_table
from jacobench.reports.regression.paired_test import OPEN, SLOWER
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds
from jacobench.reports.regression.unpaired_test import KEYS, MIN_PASSES, judge_unpaired
from jacobench.reports.regression.untimed import count_lines, status_changes
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.regression.conclusion import Line

FLOOR = 0.05
"""Default threshold. Two blocks of ten identical processes differ 'significantly' in every tenth row: docs/gate.md."""

PROCESS = ("side", "case", "pair", "worker")
"""Columns that identify one process's measurements of a case."""


def compare(base: Run, head: Run, *, floor: float = FLOOR, across_machines: bool = False) -> Outcome:
    """Compare two runs, as returned by `pytest_benchmark_json.read_any`.

    Parameters
    ----------
    base, head : Run
        The older and the newer run.
    floor : float
        Threshold of time, relative.
    across_machines : bool
        Allow different machines, controls and numbers of threads. This compares ratios of times from one process: to
        vjp, to the forward pass and to the floor. A ratio that grew is inconclusive: the machine may be the cause.

    Returns
    -------
    Outcome
        Rows with fewer than eight passes per side are inconclusive. The notes name the commands that decide them.

    Raises
    ------
    BadInput
        If the settings of the runs differ and ``across_machines`` is false, or if the floor is not between 0 and 1.
    """
    if not 0 < floor < 1:
        raise BadInput(f"floor is {floor}: expected a share above 0 and below 1, such as 0.05 for 5 %")
    if not across_machines:
        for what, of_base, of_head in differing_settings(base, head):
            raise BadInput(
                f"the runs have different {what}, {of_base!r} and {of_head!r}, so their times cannot be compared; "
                "--across-machines compares ratios to the reference within each run"
            )
    thresholds = GateThresholds(Thresholds(time=floor))
    samples = pd.concat([_samples(base, BASE), _samples(head, HEAD)], ignore_index=True)
    shift = None if across_machines else _calibration_shift(base, head)
    timed = _over_references(samples, base, head) if across_machines else samples.assign(quantity="seconds")
    found = judge_unpaired(timed, thresholds, shift or 0.0)
    lines = list(_row_lines(samples, timed, found))
    if across_machines:
        reason = "slower relative to its reference; the machine may be the cause"
        doubtful = {"verdict": "inconclusive", "reason": reason}
        lines = [line | doubtful if line["verdict"] == "regressed" else line for line in lines]
    else:
        lines += _untested_lines(base, head, samples, lines)
        lines += _growth_lines(samples, thresholds, verdicts_of(lines))
    shifted = shift is not None and abs(shift) > math.log1p(floor)
    if shifted:
        lines = [without_verdict(line, math.exp(shift or 0.0)) for line in lines]
    tools = [_values(run, "memory_tool") for run in (base, head)]
    counted = list(count_lines(samples, thresholds)) if tools[0] == tools[1] or not all(tools) else []
    table = verdict_table(in_order([*lines, *counted], samples))
    notes = tuple(_notes(base, head, table, floor, shift, across_machines=across_machines))
    return Outcome(state_of(table, shifted=shifted, unstable=False), table, notes=notes)


def differing_settings(base: Run, head: Run) -> list[tuple[str, str, str]]:
    """Return name, base value and head value of the known settings that make times incomparable."""
    values = {
        "machines": [_values(run, "machine") for run in (base, head)],
        "controls": [_values(run, "controls") for run in (base, head)],
        "numbers of threads": [[str(run.facts["threads"])] if run.facts.get("threads") else [] for run in (base, head)],
    }
    return [
        (what, " and ".join(before), " and ".join(after))
        for what, (before, after) in values.items()
        if before and after and before != after
    ]


def _values(run: Run, column: str) -> list[str]:
    return sorted(map(str, run.table[column].dropna().unique()))


def _samples(run: Run, side: str) -> pd.DataFrame:
    """Return a run as samples of one side, where a pass is a pair; a failed row has one sample."""
    table = run.table[[*ROW, "status", "reason", *COUNTS, *KNOBS]]
    ok = table[table["status"] == "ok"].merge(run.passes, on=list(ROW), how="left")
    failed = table[table["status"] != "ok"]
    parts = [part for part in (ok, failed) if len(part)] or [ok]
    found = pd.concat(parts, ignore_index=True).rename(columns={"pass": "pair"})
    found["pair"] = found["pair"].fillna(0) if "pair" in found else 0
    return found.assign(stage=1, side=side, position=0).reindex(columns=[*SAMPLE_COLUMNS, "worker"])


def _over_references(samples: pd.DataFrame, base: Run, head: Run) -> pd.DataFrame:
    """Divide each time by that of vjp in the same phase and process, by that of the forward pass, and by the floor.

    The samples are repeated for each reference, except for itself; ``quantity`` is such as ``seconds/vjp``.
    """
    vjp, forward = (samples[samples["strategy"] == name] for name in (REFERENCE, FORWARD))
    floors = pd.concat([run.table.assign(side=side) for side, run in ((BASE, base), (HEAD, head))])
    floors = floors.assign(seconds=floors["floor_seconds"])
    others = samples[samples["strategy"] != FORWARD]
    parts = (
        _divided(others[others["strategy"] != REFERENCE], vjp, [*PROCESS, "phase"], REFERENCE),
        _divided(others, forward, list(PROCESS), FORWARD),
        _divided(samples, floors, ["side", *ROW], "floor"),
    )
    return pd.concat(parts, ignore_index=True)


def _divided(samples: pd.DataFrame, references: pd.DataFrame, on: list[str], name: str) -> pd.DataFrame:
    known = references[references["seconds"] > 0].drop_duplicates(on)[[*on, "seconds"]]
    found = samples.merge(known.rename(columns={"seconds": "reference"}), on=on)
    quotient = found["seconds"] / found["reference"]
    return found.assign(seconds=quotient, quantity=f"seconds/{name}").drop(columns="reference")


def _calibration_shift(base: Run, head: Run) -> float | None:
    """Return log(head / base) of the medians of the calibration kernel; None if a run did not time it."""
    before, after = ([float(t) for t in run.facts.get("calibration_seconds") or () if t] for run in (base, head))
    return math.log(np.median(after) / np.median(before)) if before and after else None


def _row_lines(samples: pd.DataFrame, timed: pd.DataFrame, found: pd.DataFrame) -> Iterator[Line]:
    """Return the lines of the rows that have times on both sides, and of those with a status change."""
    ended = status_changes(samples)
    medians = timed.groupby([*KEYS, "side"])["seconds"].median().to_dict()
    for line in found.reset_index().to_dict("records"):
        row = tuple(line[name] for name in ROW)
        if row not in ended:
            values = {side: medians.get((*row, line["quantity"], side), math.nan) for side in (BASE, HEAD)}
            yield line | values | _final(line)
    for row, (verdict, reason) in ended.items():
        yield dict(zip(ROW, row, strict=True)) | {"quantity": "seconds", "verdict": verdict, "reason": reason}


def _untested_lines(base: Run, head: Run, samples: pd.DataFrame, lines: list[Line]) -> list[Line]:
    """Return lines with medians for the other rows: they failed on one side, or have no times per pass."""
    known = set(verdicts_of(lines))
    medians = [run.table.drop_duplicates(list(ROW)).set_index(list(ROW))["seconds_median"] for run in (base, head)]
    found = []
    for row in samples[list(ROW)].drop_duplicates().itertuples(index=False, name=None):
        if row not in known:
            before, after = (float(own.get(row, math.nan)) for own in medians)
            why = "failed on one side" if math.isnan(before) or math.isnan(after) else "no times per pass"
            if 0 in {before, after}:
                why = "a time of 0 s: shorter than the clock can measure"
            ratio = after / before if before and after else math.nan
            line: Line = {"quantity": "seconds", BASE: before, HEAD: after, "ratio": ratio}
            line |= {"verdict": "inconclusive", "reason": why, "n_pairs": 0}
            found.append(dict(zip(ROW, row, strict=True)) | line)
    return found


def _final(line: Line) -> Line:
    verdict, reason = {SLOWER: "regressed", OPEN: "inconclusive"}.get(line["verdict"], line["verdict"]), ""
    if verdict == "inconclusive" and line["n_pairs"] < MIN_PASSES:
        reason = _too_few(line["n_pairs"])
    elif verdict == "inconclusive":
        reason = "the interval neither confirms nor excludes a change beyond the threshold"
    return {"verdict": verdict, "reason": reason}


def _too_few(passes: float) -> str:
    return f"{passes:.0f} {'pass' if passes == 1 else 'passes'}: expected at least {MIN_PASSES} per side"


def _growth_lines(
    samples: pd.DataFrame, thresholds: GateThresholds, rows: Mapping[tuple[str, str, str], str]
) -> Iterator[Line]:
    for growth in growths(samples, thresholds):
        line = bounded_by_rows(growth, rows).line
        verdict = {SLOWER: "regressed", OPEN: "inconclusive"}.get(line["verdict"], line["verdict"])
        if line["n_pairs"] < MIN_PASSES:
            verdict, line = "inconclusive", line | {"reason": _too_few(line["n_pairs"])}
        elif verdict == "regressed" and line["low"] < 2 ** line["threshold"]:
            verdict = "inconclusive"  # runs are not paired: the whole interval must exceed the threshold
        yield line | {"verdict": verdict}


def _notes(
    base: Run, head: Run, table: pd.DataFrame, floor: float, shift: float | None, *, across_machines: bool
) -> Iterator[str]:
    read_as = [run.facts.get("read_as") or _passes(run) for run in (base, head)]
    yield f"Base: {read_as[0]}. Head: {read_as[1]}."
    yield from dict.fromkeys(note for run in (base, head) for note in run.facts.get("read_notes", ()))
    yield (
        f"The runs were made at different times and are not paired. Only changes of {floor:.0%} or more are detected, corrected "
        f"over all rows, with at least {MIN_PASSES} passes per side."
    )
    if across_machines:
        yield "Across machines: the table compares ratios to vjp, to the forward pass and to the floor, each within one process."
    elif shift is None:
        yield "The calibration kernel was not timed in both runs, so a change of the machine would not be detected."
    elif abs(shift) > math.log1p(floor):
        yield f"The calibration kernel changed by {math.expm1(shift):+.1%} between the runs, so times have no verdict."
    else:
        yield f"The calibration kernel changed by {math.expm1(shift):+.1%}; a change must exceed this, too."
    if "inconclusive" in set(table["verdict"]):
        yield f"To decide the inconclusive rows: {' · or '.join(_commands(base, head))}"


def _passes(run: Run) -> str:
    n = run.passes["pass"].nunique()
    return f"{n} {'pass' if n == 1 else 'passes'} of {len(run.table)} rows"


def _commands(base: Run, head: Run) -> Iterator[str]:
    """Return the commands that decide: the gate if base is a commit, or both runs again with enough passes."""
    commits, suites = _values(base, "commit"), _values(head, "suite")
    if commits and suites:
        yield f"jacobench gate --against {commits[0].removesuffix('-dirty')} --suite {suites[0]}"
    command = head.facts.get("command")
    if isinstance(command, str):
        yield f"both again with: {re.sub(r' --passes [0-9]+', '', command)} --passes {max(MIN_PASSES, 10)}"
    elif not suites:
        yield (
            f"{MIN_PASSES} runs per side, alternating, each with --benchmark-json=FILE into one folder per side; "
            "then compare the folders"
        )
