"""Facts of a run for its page: measurement quality, details of the machine, and the commands that reproduce the run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.machine.doctor_sentences import variable_sentences
from jacobench.bench.row.columns import CELL_KEYS
from jacobench.bench.row.statistics import plausible
from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.data.units import format_interval, format_ratio, format_seconds
from jacobench.reports.page import page_sentences, quality_sentences
from jacobench.reports.page.page_tables import decision_phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from jacobench.reports.data.run_data import Run

# Detail of the machine as the page shows it → key in run.json.
DETAILS = {"label": "label", "processor": "processor", "caches": "caches", "frequency governor": "governor"}
DETAILS |= {"boost": "boost", "system": "system", "C library": "libc", "Python": "python"}
PACKAGES = ("numpy", "scipy")  # they do the arithmetic: their versions affect the times most
UNDECIDED = ("undecided", "one pass", "no passes")  # decisions of `recommend` that leave the fastest strategy open

MOST_HOSTS = 3  # that are named as the slowest
MOST_NAMES = 20  # of hosts in the details of a machine

# A cell is disturbed if its slowest pass takes this many times as long as its fastest. Two processes of identical code
# differ by 2 to 8 % (docs/measurement.md).
DISTURBED = 1.2


@dataclass(frozen=True)
class UncertainCell:
    """Undecided or disturbed cell, as text.

    Undecided: the fastest strategy and its runner-up; ``values`` is their ratio with its 95 % interval. Disturbed: the
    ratio of the slowest to the fastest pass, and the 95 % interval of the time.
    """

    case: str
    strategies: str
    phase: str
    problem: str
    values: str


@dataclass(frozen=True)
class Stability:
    """Measurement quality of a run: numbers of undecided and disturbed cells in one sentence, and these cells.

    ``findings``: calibration kernel, load, intervals and controls, one sentence each.
    """

    summary: str
    cells: list[UncertainCell]
    findings: list[str]


def undecided_counts(run: Run, phase: str = "gradient") -> tuple[int, int]:
    """Return the number of cases whose fastest strategy is not decided, and the number of all."""
    decisions = recommend(run.table, run.passes, phase)["decision"]
    return int(decisions.isin(UNDECIDED).sum()), len(decisions)


def stability(run: Run, phase: str = "gradient") -> Stability:
    """Describe the measurement quality of a run; ``phase`` is the one in which cases are decided."""
    found = recommend(run.table, run.passes, phase)
    undecided = found[found["decision"].isin(UNDECIDED)]
    spreads = _spreads(run.passes)
    disturbed = spreads[spreads >= DISTURBED].sort_values(ascending=False)
    cells = [_undecided(line, phase) for line in undecided.to_dict("records")] + _disturbed(run, disturbed)
    findings = [*_calibration(run), *_hosts(run), *_repetitions(run), *_load(run), *_intervals(run.table)]
    findings += [*_controls(run.table), *_variables(run)]
    return Stability(
        _summary(run, phase, (len(undecided), len(found)), (len(disturbed), len(spreads))), cells, findings
    )


def _summary(run: Run, phase: str, undecided: tuple[int, int], disturbed: tuple[int, int]) -> str:
    """Return the counts in words; each pair is a number of all."""
    if not undecided[1]:
        return quality_sentences.no_case(phase)
    if not (run.table["status"] == "ok").any():
        return quality_sentences.nothing_timed()
    if run.passes.empty:
        return quality_sentences.no_passes()
    counts = quality_sentences.undecided_cases(phase, *undecided)
    return f"{counts} {quality_sentences.disturbed_cells(*disturbed, DISTURBED)}"


def _spreads(passes: pd.DataFrame) -> pd.Series[float]:
    """Return the slowest over the fastest pass of each cell with several passes."""
    grouped = passes.groupby(list(CELL_KEYS), sort=False)["seconds"]
    return (grouped.max() / grouped.min())[grouped.count() > 1]


def _undecided(line: Mapping[Any, Any], phase: str) -> UncertainCell:
    names = [name for name in (line["strategy"], line["runner_up"]) if isinstance(name, str)]
    values = format_interval(float(line["factor"]), float(line["low"]), float(line["high"]))
    problem = decision_phrase(line)
    return UncertainCell(line["case"], ", ".join(names), phase, problem, values)


def _disturbed(run: Run, spreads: pd.Series[float]) -> list[UncertainCell]:
    times = run.table.set_index(list(CELL_KEYS))
    on_hosts = run.passes[run.passes["host"] != ""].sort_values("seconds").drop_duplicates([*CELL_KEYS], keep="last")
    slowest = on_hosts.set_index(list(CELL_KEYS))[["pass", "host"]].to_dict("index")
    cells = []
    for key, spread in spreads.items():
        low, high = times.loc[[key], ["seconds_low", "seconds_high"]].iloc[0]
        case, strategy, phase = key if isinstance(key, tuple) else (key, "", "")
        values = f"{format_ratio(spread)}, time [{format_seconds(max(low, 0.0))}, {format_seconds(high)}]"
        if key in slowest:
            values += page_sentences.slowest_pass(slowest[key]["pass"] + 1, slowest[key]["host"])
        cells.append(UncertainCell(str(case), str(strategy), str(phase), "disturbed", values))
    return cells


def _calibration(run: Run) -> list[str]:
    seconds = np.asarray(run.facts.get("calibration_seconds") or (), dtype=np.float64)
    seconds = seconds[plausible(seconds)]
    if seconds.size < 2:
        return []
    low, high = np.percentile(seconds, [5, 95])
    return [quality_sentences.calibration(high / low, seconds.size)]


def _hosts(run: Run) -> list[str]:
    """State which hosts of a cluster are the slowest, by the calibration kernel."""
    times = {
        host: [s for s in own if plausible(s)] for host, own in (run.facts.get("calibration_of_hosts") or {}).items()
    }
    medians = {host: float(np.median(own)) for host, own in times.items() if own}
    if len(medians) < 2:
        return []
    usual = float(np.median(list(medians.values())))
    slowest = sorted(medians, key=lambda host: -medians[host])[:MOST_HOSTS]
    return [quality_sentences.hosts([(host, medians[host] / usual) for host in slowest], len(medians))]


def _repetitions(run: Run) -> list[str]:
    return [quality_sentences.repetition(number + 1, cause) for number, cause in run.facts.get("repetitions") or ()]


def _load(run: Run) -> list[str]:
    machine = run.facts.get("machine") or {}
    before, after = machine.get("load"), run.facts.get("load_after")
    return [] if before is None or after is None else [quality_sentences.load(before, after, machine.get("cores"))]


def _intervals(table: pd.DataFrame) -> list[str]:
    ok = table[table["status"] == "ok"]
    passes = ok["passes"].dropna()
    if passes.empty:
        return []
    if passes.max() < 2:
        return [quality_sentences.one_process()]
    half = (ok["seconds_high"] / ok["seconds_low"]).where(ok["seconds_low"] > 0).dropna() ** 0.5 - 1
    return [quality_sentences.intervals(float(half.median()), float(half.quantile(0.9)))] if len(half) else []


def _controls(table: pd.DataFrame) -> list[str]:
    sentences = map(quality_sentences.controls, table["controls"].dropna().unique())
    return [sentence for sentence in sentences if sentence]


def _variables(run: Run) -> list[str]:
    return variable_sentences((run.facts.get("machine") or {}).get("variables") or {})


def _host_names(run: Run) -> list[str]:
    """Return the hosts that measured, of many only the first."""
    names = sorted({str(host) for host in run.passes["host"] if host})
    more = len(names) - MOST_NAMES
    return [*names[:MOST_NAMES], f"{more} more"] if more > 0 else names


def machine_details(run: Run) -> list[tuple[str, str]]:
    """Return the recorded facts of the machine as pairs of name and value; on a cluster, first the hosts that measured."""
    machine = run.facts.get("machine") or {}
    blas = [
        " ".join(str(library[key]) for key in ("internal_api", "version", "architecture") if library.get(key))
        for library in machine.get("blas") or ()
    ]
    found: list[tuple[str, Any]] = [
        ("hosts", _host_names(run)),
        *((name, machine.get(key)) for name, key in DETAILS.items()),
        ("packages", [f"{name} {version}" for name, version in (machine.get("packages") or {}).items()]),
        ("BLAS", list(dict.fromkeys(blas))),
        ("environment of every process", [f"{key}={value}" for key, value in (machine.get("settings") or {}).items()]),
    ]
    return [(name, ", ".join(value) if isinstance(value, list) else str(value)) for name, value in found if value]


def commands(run: Run) -> list[tuple[str, str]]:
    """Return the commands that reproduce a run, in order, each with its purpose. Unrecorded facts are left out."""
    machine = run.facts.get("machine") or {}
    commits = [str(commit) for commit in run.table["commit"].dropna().unique()]
    found = []
    if len(commits) == 1:
        commit, _, suffix = commits[0].partition("-")
        found.append((f"git checkout {shlex.quote(commit)}", page_sentences.check_out(suffix)))
    versions = machine.get("packages") or {}
    if pins := [f"{name}=={versions[name]}" for name in PACKAGES if name in versions]:
        found.append((shlex.join(["python", "-m", "pip", "install", *pins]), page_sentences.install()))
    if command := run.facts.get("command"):
        found.append((str(command), page_sentences.repeat()))
    folder = shlex.quote(f"runs/{run.name or 'RUN'}")
    found.append((f"jacobench report {folder}", page_sentences.write_page()))
    return found
