"""Two runs compared: what can be said of measurements that were made at different times."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.graphs.errors import BadInput
from jacobench.reports.regression.conclusion import in_order, state_of, verdicts_of, without_verdict
from jacobench.reports.regression.counts import count_lines
from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.outcome import BASE, COUNTS, HEAD, KNOBS, ROW, SAMPLE_COLUMNS, Outcome, verdict_table
from jacobench.reports.regression.paired_test import OPEN, SLOWER
from jacobench.reports.regression.references import over_references
from jacobench.reports.regression.status_changes import fates
from jacobench.reports.regression.thresholds import Limits, Thresholds
from jacobench.reports.regression.unpaired_test import FEWEST_PASSES, KEYS, judge_unpaired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jacobench.reports.data.run_data import Run

FLOOR = 0.05
"""Twenty identical processes in two blocks of ten differ 'significantly' in every tenth row: see docs/gate.md."""

Line = dict[str, Any]


def compare(base: Run, head: Run, *, floor: float = FLOOR, across_machines: bool = False) -> Outcome:
    """Compare two runs.

    Parameters
    ----------
    base, head : Run
        As `jacobench.reports.data.run_data.read` returns them.
    floor : float
        What a row may become slower by, relative.
    across_machines : bool
        Let machines and controls differ. Compared are then no times but their ratios to what the same process measured beside them: to vjp,
        to the forward pass, and to the floor; what grew there may be the machine's doing, and is inconclusive.

    Returns
    -------
    Outcome
        Rows with fewer than eight passes a side are inconclusive, and the notes say what would decide them.

    Raises
    ------
    BadInput
        If the runs are of different machines or controls, and that was not asked for, or the floor is no share.
    """
    if not 0 < floor < 1:
        raise BadInput(f"floor is {floor}: expected a share above 0 and below 1, such as 0.05 for 5 %")
    if not across_machines:
        _check_alike(base, head)
    limits = Limits(Thresholds(time=floor))
    samples = pd.concat([samples_of(base, BASE), samples_of(head, HEAD)], ignore_index=True)
    drift = None if across_machines else control_drift(base, head)
    timed = over_references(samples, base, head) if across_machines else samples.assign(quantity="seconds")
    found = judge_unpaired(timed, limits, drift or 0.0)
    lines = list(_row_lines(samples, timed, found, across_machines=across_machines))
    lines += [] if across_machines else list(_growth_lines(samples, limits, verdicts_of(lines)))
    if across_machines:
        lines = [_of_the_machine(line) for line in lines]
    moved = drift is not None and abs(drift) > math.log1p(floor)
    if drift is not None and moved:
        lines = [without_verdict(line, math.exp(drift)) for line in lines]
    counted = list(count_lines(samples, limits)) if _same(base, head, "memory_tool") else []
    table = verdict_table(in_order([*lines, *counted], samples))
    state = state_of(table, moved=moved, unsure=False)
    return Outcome(state, table, notes=tuple(_notes(base, head, table, floor, drift, across_machines=across_machines)))


def _check_alike(base: Run, head: Run) -> None:
    for column, what in (("machine", "machines"), ("controls", "controls")):
        if not _same(base, head, column):
            of_base, of_head = (" and ".join(_values(run, column)) for run in (base, head))
            raise BadInput(
                f"the runs are of different {what}, {of_base!r} and {of_head!r}: their times do not compare; "
                "--across-machines compares ratios to the reference within each run"
            )


def _values(run: Run, column: str) -> list[str]:
    return sorted(map(str, run.table[column].dropna().unique()))


def _same(base: Run, head: Run, column: str) -> bool:
    """Say whether the runs name nothing different; what one does not name at all is no difference."""
    of_base, of_head = _values(base, column), _values(head, column)
    return not of_base or not of_head or of_base == of_head


def samples_of(run: Run, side: str) -> pd.DataFrame:
    """Return a run as samples of one side, a pass standing for a pair.

    Returns
    -------
    DataFrame
        ``SAMPLE_COLUMNS`` and ``worker``. A row that failed has one line, as the run's own table does not say in how many passes.
    """
    table = run.table[[*ROW, "status", "reason", *COUNTS, *KNOBS]]
    ok = table[table["status"] == "ok"].merge(run.passes, on=list(ROW), how="left")
    failed = table[table["status"] != "ok"]
    parts = [part for part in (ok, failed) if len(part)] or [ok]
    found = pd.concat(parts, ignore_index=True).rename(columns={"pass": "pair"})
    found["pair"] = found["pair"].fillna(0)
    return found.assign(stage=1, side=side, position=0).reindex(columns=[*SAMPLE_COLUMNS, "worker"])


def control_drift(base: Run, head: Run) -> float | None:
    """Return log(head / base) of the medians of the control kernel; None where a run did not time it."""
    times = [[float(t) for t in run.facts.get("calibration_seconds") or () if t] for run in (base, head)]
    if not all(times):
        return None
    before, after = (float(np.median(own)) for own in times)
    return math.log(after / before)


def _row_lines(
    samples: pd.DataFrame, timed: pd.DataFrame, found: pd.DataFrame, *, across_machines: bool
) -> Iterator[Line]:
    ends = fates(samples)
    medians = timed.groupby([*KEYS, "side"])["seconds"].median().to_dict()
    for line in found.reset_index().to_dict("records"):
        row = tuple(line[name] for name in ROW)
        if row not in ends:
            values = {side: medians.get((*row, line["quantity"], side), math.nan) for side in (BASE, HEAD)}
            yield {str(key): value for key, value in line.items()} | values | _final(line)
    for row, (verdict, reason) in ends.items():
        yield dict(zip(ROW, row, strict=True)) | {"quantity": "seconds", "verdict": verdict, "reason": reason}
    if across_machines:
        return
    known = {*ends, *(key[:3] for key in found.index)}
    for row in samples[list(ROW)].drop_duplicates().itertuples(index=False, name=None):
        if row not in known:
            why = "failed on one side, or nothing says what each pass measured"
            yield dict(zip(ROW, row, strict=True)) | {"quantity": "seconds", "verdict": "inconclusive", "reason": why}


def _final(line: dict[Any, Any]) -> Line:
    if line["verdict"] == SLOWER:
        return {"verdict": "regressed", "reason": ""}
    if line["verdict"] != OPEN:
        return {"verdict": line["verdict"], "reason": ""}
    if line["n_pairs"] < FEWEST_PASSES:
        return {"verdict": "inconclusive", "reason": _too_few(line["n_pairs"])}
    return {
        "verdict": "inconclusive",
        "reason": "the interval neither excludes nor proves a change beyond the threshold",
    }


def _too_few(passes: float) -> str:
    return f"{passes:.0f} passes: it takes {FEWEST_PASSES} a side"


def _growth_lines(samples: pd.DataFrame, limits: Limits, rows: Mapping[tuple[str, str, str], str]) -> Iterator[Line]:
    for growth in growths(samples, limits):
        line = bounded_by_rows(growth, rows).line
        verdict = {SLOWER: "regressed", OPEN: "inconclusive"}.get(line["verdict"], line["verdict"])
        if line["n_pairs"] < FEWEST_PASSES:
            verdict, line = "inconclusive", line | {"reason": _too_few(line["n_pairs"])}
        elif verdict == "regressed" and line["low"] < 2 ** line["threshold"]:
            verdict = "inconclusive"  # runs do not pair: the whole interval must lie beyond the threshold
        yield line | {"verdict": verdict}


def _of_the_machine(line: Line) -> Line:
    if line["verdict"] != "regressed":
        return line
    return line | {
        "verdict": "inconclusive",
        "reason": "it grew against its reference, which may be the machine's doing",
    }


def _notes(
    base: Run, head: Run, table: pd.DataFrame, floor: float, drift: float | None, *, across_machines: bool
) -> Iterator[str]:
    yield (
        f"Unpaired: the runs were made at different times, so that only a change beyond {floor:.0%} counts, after a correction over "
        f"all rows, with at least {FEWEST_PASSES} passes a side."
    )
    if across_machines:
        yield "Across machines: compared are ratios to vjp, to the forward pass and to the floor, each from its own process."
    elif drift is None:
        yield "The control kernel was not timed in both runs, so that a machine that moved would not be seen."
    elif abs(drift) > math.log1p(floor):
        yield f"The control kernel moved by {math.expm1(drift):+.1%} between the runs: times have no verdict."
    else:
        yield f"The control kernel moved by {math.expm1(drift):+.1%}; a change must exceed that too."
    if "inconclusive" in set(table["verdict"]):
        yield f"What decides: {' · or '.join(_commands(base, head))}"


def _commands(base: Run, head: Run) -> Iterator[str]:
    """Return what would decide: the gate where base is a commit, else both runs again with enough passes."""
    commits, suites = _values(base, "commit"), _values(head, "suite")
    if commits and suites:
        yield f"jacobench gate --against {commits[0].removesuffix('-dirty')} --suite {suites[0]}"
    command = head.facts.get("command")
    if isinstance(command, str):
        yield "both again with: " + re.sub(r"--passes \d+", f"--passes {max(FEWEST_PASSES, 10)}", command)
    elif not suites:
        yield f"{FEWEST_PASSES} runs a side, in turns, each with --benchmark-json=FILE into a folder a side, and compare the folders"
