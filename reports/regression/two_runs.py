"""Comparison of two runs that were made at different times, so their passes are not paired."""

from __future__ import annotations

import math
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jacobench.bench.row.columns import FORWARD
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted
from jacobench.reports.data.former_names import with_current_names
from jacobench.reports.data.machine_parts import by_machine, machine_of_rows
from jacobench.reports.regression import gate_sentences
from jacobench.reports.regression.conclusion import (
    in_order,
    state_of,
    unmeasured_phases,
    untimed_notes,
    verdicts_of,
    without_verdict,
)
from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, KNOBS, ROW, SAMPLE_COLUMNS, Outcome, verdict_table
from jacobench.reports.regression.paired_test import OPEN, SLOWER
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds
from jacobench.reports.regression.unpaired_test import KEYS, MIN_PASSES, judge_unpaired
from jacobench.reports.regression.untimed import count_lines, how_it_ended, status_changes
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.regression.conclusion import Line

FLOOR = 0.05
"""Default threshold. Two blocks of ten identical processes differ 'significantly' in every tenth row: docs/gate.md."""

MOST_CASES = 10
"""A command names no more cases; it measures the whole suite instead."""

PROCESS = ("side", "case", "pair", "worker")
"""Columns that identify one process's measurements of a case."""

NOT_TRIED = ("unsupported", "over_budget")
"""Statuses of cells that were not tried. In both runs, they leave nothing undecided."""


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
    base, head = with_current_names(base, head)
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
        doubtful = {"verdict": "inconclusive", "reason": gate_sentences.slower_than_its_reference()}
        lines = [line | doubtful if line["verdict"] == "regressed" else line for line in lines]
        failed = (samples["status"] != "ok").groupby([samples[name] for name in ROW]).transform("any")
        lines += _untested_lines(base, head, samples[failed], lines)
    else:
        lines += _untested_lines(base, head, samples, lines)
        lines += _growth_lines(samples, thresholds, verdicts_of(lines))
    shifted = shift is not None and abs(shift) > math.log1p(floor)
    if shifted:
        lines = [without_verdict(line, math.exp(shift or 0.0)) for line in lines]
    tools = [_values(run, "memory_tool") for run in (base, head)]
    counted = list(count_lines(samples, thresholds)) if tools[0] == tools[1] or not all(tools) else []
    table = verdict_table(in_order([*lines, *counted], samples))
    unmeasured = unmeasured_phases(samples, table)
    notes = tuple(_notes(base, head, table, floor, shift, across_machines=across_machines))
    # Two runs may list a strategy that was not tried, such as a peer that is not installed.
    tried = unmeasured_phases(samples[~samples["status"].isin(NOT_TRIED)], table)
    state = state_of(table, shifted=shifted, undecided=bool(tried))
    return Outcome(state, table, notes=(*notes, *untimed_notes(state, table, unmeasured)))


def differing_settings(base: Run, head: Run) -> list[tuple[str, str, str]]:
    """Return name, base value and head value of the known settings that make times incomparable."""
    machines, moved = _moved(base, head)
    values = {
        machines: moved,
        "controls": [_values(run, "controls") for run in (base, head)],
        "numbers of threads": [[str(run.facts["threads"])] if run.facts.get("threads") else [] for run in (base, head)],
    }
    return [
        (what, " and ".join(before), " and ".join(after))
        for what, (before, after) in values.items()
        if before and after and before != after
    ]


def _moved(base: Run, head: Run) -> tuple[str, list[list[str]]]:
    """Return in words what differs if machines do, and the machines of both sides in the first case where they do."""
    both = pd.concat([_machine_of_cases(run) for run in (base, head)], axis=1, keys=[BASE, HEAD], join="inner")
    known = both[(both != "").all(axis=1)]
    moved = known[known[BASE] != known[HEAD]]
    what = "machines" if len(moved) == len(known) else f"machines for {len(moved)} of {counted(len(known), 'case')}"
    return what, [moved[side].head(1).tolist() for side in (BASE, HEAD)]


def _machine_of_cases(run: Run) -> pd.Series[str]:
    return run.table.assign(machine=machine_of_rows(run.table)).drop_duplicates("case").set_index("case")["machine"]


def _values(run: Run, column: str) -> list[str]:
    return sorted(map(str, run.table[column].dropna().unique()))


def _samples(run: Run, side: str) -> pd.DataFrame:
    """Return a run as samples of one side, where a pass is a pair; a failed row has one sample."""
    table = run.table.assign(machine=machine_of_rows(run.table))
    table = table[[*ROW, "status", "reason", *COUNTS, "memory_tool", *KNOBS]]
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
    """Return log(head / base) of the medians of the calibration kernel; None if a run did not time it.

    Of several machines, that with the largest change counts.
    """
    parts = [by_machine(run) for run in (base, head)]
    pairs = [(before, parts[1][key]) for key, before in parts[0].items() if key in parts[1]]
    if len(parts[0]) == len(parts[1]) == 1:
        pairs = [(base, head)]  # a machine may be unknown
    times = [[_calibration(run) for run in pair] for pair in pairs]
    shifts = [math.log(np.median(after) / np.median(before)) for before, after in times if before and after]
    return max(shifts, key=abs, default=None)


def _calibration(run: Run) -> list[float]:
    return [float(seconds) for seconds in run.facts.get("calibration_seconds") or () if seconds]


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
    for row, own in samples.groupby(list(ROW), sort=False):
        if row not in known:
            before, after = (float(median.get(row, math.nan)) for median in medians)
            why = gate_sentences.no_times_per_pass()
            if (own["status"] != "ok").any():
                why = gate_sentences.failed_on_one_side(how_it_ended(own, BASE), how_it_ended(own, HEAD))
            elif 0 in {before, after}:
                why = gate_sentences.time_of_zero()
            ratio = after / before if before and after else math.nan
            line: Line = {"quantity": "seconds", BASE: before, HEAD: after, "ratio": ratio}
            line |= {"verdict": "inconclusive", "reason": why, "n_pairs": 0}
            found.append(dict(zip(ROW, row, strict=True)) | line)
    return found


def _final(line: Line) -> Line:
    verdict, reason = {SLOWER: "regressed", OPEN: "inconclusive"}.get(line["verdict"], line["verdict"]), ""
    if verdict == "inconclusive" and line["n_pairs"] < MIN_PASSES:
        reason = gate_sentences.too_few_passes(line["n_pairs"], MIN_PASSES)
    elif verdict == "inconclusive":
        reason = gate_sentences.undecided_interval()
    return {"verdict": verdict, "reason": reason}


def _growth_lines(
    samples: pd.DataFrame, thresholds: GateThresholds, rows: Mapping[tuple[str, str, str], str]
) -> Iterator[Line]:
    for growth in growths(samples, thresholds):
        line = bounded_by_rows(growth, rows).line
        verdict = {SLOWER: "regressed", OPEN: "inconclusive"}.get(line["verdict"], line["verdict"])
        n = 1 if math.isnan(line["n_pairs"]) else line["n_pairs"]  # NaN: without repetitions
        if line["quantity"].startswith("seconds") and n < MIN_PASSES:
            verdict, line = "inconclusive", line | {"reason": gate_sentences.too_few_passes(n, MIN_PASSES)}
        elif verdict == "regressed" and line["low"] < 2 ** line["threshold"]:
            verdict = "inconclusive"  # runs are not paired: the whole interval must exceed the threshold
        yield line | {"verdict": verdict}


def _notes(
    base: Run, head: Run, table: pd.DataFrame, floor: float, shift: float | None, *, across_machines: bool
) -> Iterator[str]:
    read_as = [run.facts.get("read_as") or _passes(run) for run in (base, head)]
    yield gate_sentences.read_as(*read_as)
    yield from dict.fromkeys(note for run in (base, head) for note in run.facts.get("read_notes", ()))
    yield gate_sentences.runs_not_paired(floor, MIN_PASSES)
    if across_machines:
        yield gate_sentences.ratios_across_machines()
    elif shift is None:
        yield gate_sentences.kernel_not_timed(runs=True)
    elif abs(shift) > math.log1p(floor):
        yield gate_sentences.runs_shifted(math.exp(shift))
    else:
        yield gate_sentences.runs_drifted(math.exp(shift))
    rows = table[(table["verdict"] == "inconclusive") & ~table["quantity"].str.contains("~")]  # a sweep is not a case
    if "inconclusive" in set(table["verdict"]) and (
        ways := tuple(_ways(base, head, list(dict.fromkeys(rows["case"])), across_machines=across_machines))
    ):
        yield gate_sentences.to_decide_rows(ways)


def _passes(run: Run) -> str:
    return gate_sentences.run_read_as(run.passes["pass"].nunique(), len(run.table))


def _ways(base: Run, head: Run, cases: list[str], *, across_machines: bool) -> Iterator[str]:
    """Return what decides cases: the gate if base is a commit, or both runs again with enough passes."""
    commits, command = _values(base, "commit"), head.facts.get("command")
    again = _without_passes(shlex.split(command)) if isinstance(command, str) else []
    suites = _given(again, "--suite") or _values(head, "suite")
    if len(commits) == 1 and suites and not commits[0].endswith("-dirty"):
        strategies = _given(again, "--strategy") or [name for name in _values(head, "strategy") if name != FORWARD]
        options = {"--suite": suites[:1], "--strategy": strategies, "--case": cases if len(cases) <= MOST_CASES else []}
        words = [word for option, values in options.items() for value in values for word in (option, value)]
        yield shlex.join(["jacobench", "gate", "--against", commits[0], *words])
    if again:
        both = gate_sentences.run_both_on_one_machine if across_machines else gate_sentences.run_both_again
        yield both(shlex.join([*again, "--passes", str(max(MIN_PASSES, 10))]))
    elif not suites:
        yield gate_sentences.record_again(MIN_PASSES)


def _given(words: list[str], option: str) -> list[str]:
    """Return the values of an option of a command."""
    return [value for name, value in pairwise(words) if name == option]


def _without_passes(words: list[str]) -> list[str]:
    """Return a command that repeats a run, without its number of passes."""
    numbers = {n for n, word in enumerate(words) if "--passes" in words[max(n - 1, 0) : n + 1]}
    return [word for n, word in enumerate(words) if n not in numbers]
