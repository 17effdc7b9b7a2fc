"""Advice on a case that may not have been measured: from measurements at it or near it, otherwise from the models.

The measurements are those of finished runs. The time model uses the profile of this machine.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.floor.predicted_rows import (
    NO_PREDICTION,
    needed_bytes,
    one_case,
    predicted_rows,
    sweep_of,
    validation_rows,
)
from jacobench.bench.row.columns import FORWARD, in_phase, tidy
from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.bench.suites.model_sweep import sweep_text
from jacobench.reports.analysis.doubts import floor_note
from jacobench.reports.analysis.estimates import distance, estimate_bytes, estimate_seconds
from jacobench.reports.analysis.model_quality import quality
from jacobench.reports.analysis.reuse import reuse, with_uses
from jacobench.reports.analysis.single_verdict import (
    COLUMNS,
    estimated,
    measured_bytes,
    measured_seconds,
    nearby,
    with_unknown,
)
from jacobench.reports.analysis.size_limits import SizeLimit, largest_batch
from jacobench.reports.data.machine_parts import machine_of, parts_of
from jacobench.reports.data.run_data import Run
from jacobench.reports.data.vocabulary import in_order, provenance
from jacobench.strategies.registry import registered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.floor.stored_profile import StoredProfile
    from jacobench.bench.suites.case import Case
    from jacobench.reports.analysis.estimates import Estimate
    from jacobench.reports.analysis.single_verdict import NearCase

STRATEGY_COLUMNS = (
    "strategy", "status", "seconds", "seconds_error_factor", "bytes", "bytes_error_factor", "needs_bytes",
    "largest_batch", "largest_batch_basis",
)  # fmt: skip
UNTRIED = ("over_budget", "not_tried")  # statuses that do not apply to a run with another budget
BASES = ("measured", "near", "model", "")  # bases of the verdict on time, best first


@dataclass(frozen=True)
class CaseAdvice:
    """Recommended strategies for one case, with the reasons.

    ``source`` is the run that was used, empty if none was; ``measured_on``, its machine and settings; ``machine``, the
    key of this machine, and ``n_machines``, how many machines all given runs have; ``reuse``, the table of `reuse` for
    the case or a near one; ``n_uses``, the number of pullbacks per linearization, 0 for one gradient.

    ``profile_age`` is the age of the machine profile in words, empty if it was not used. ``model_errors`` has the errors
    |predicted / measured − 1| of the time model in ``n`` measured cells of this phase: ``median``, and ``p90``, within
    which 90 % of the cells are. ``without_model``: strategy without a prediction → reason.

    ``verdicts`` has two lines, ``quantity`` ``"seconds"`` and ``"bytes"``:

    - ``strategy``, ``runner_up``, ``factor`` with ``low`` and ``high``, ``open_rivals``: as in `recommend`.
    - ``could_win``: the slower strategies that could win at their own limit: strategy → time over floor, NaN without a
      floor, as in `recommend`; empty for bytes, and for times from the model.
    - ``decision``: as in `recommend`, but ``"undecided"`` if a candidate has no estimate. For bytes, ``"ahead"`` if the
      peaks differ by more than 1 %. ``"alone"`` if there is no other candidate, ``"nothing"`` if there is none.
    - ``without_estimate``: candidates without a measurement or estimate, separated by commas; missing if there are none.
    - ``basis``: ``"measured"`` at the case; ``"near"``: measured at a near case, ``low`` and ``high`` widened by the
      uncertainty of the ratio; ``"model"``: 95 % of such estimates of the run's own cells are within ``low`` and
      ``high``; missing if nothing is known.
    - ``at``: the measured case; ``distance_factor``: the factor between it and this case (model: to the nearest cell,
      in flops, bytes or a size); ``differs``: in which sizes; ``n``: passes or, for the model, tested cases.

    ``strategies`` has one line per strategy: ``seconds`` and ``bytes`` of the phase, measured or estimated according to
    the basis. An estimate is wrong by at most the factor ``seconds_error_factor``, ``bytes_error_factor`` in 95 % of
    the run's own cells. ``needs_bytes``: predicted memory of its largest phase, with leaves, inputs and targets.
    ``status``: ``"ok"``; ``"over_budget"``, never recommended; the status of a cell that failed; ``"no estimate"``.
    ``largest_batch`` and ``largest_batch_basis``: the `size_limits.SizeLimit` of the batch, added by the caller.

    ``limits_unknown``: the strategies without a floor, in a sentence; empty if there are none.

    ``measured_batch``: the largest batch of the run's cells, or the case's own if that is larger. ``command``: measures
    the case, for a POSIX shell; empty if the verdict on time is from measurements of all candidates.
    """

    case: str
    task: str
    source: str
    measured_on: list[str]
    budget_bytes: float
    verdicts: pd.DataFrame
    strategies: pd.DataFrame
    reuse: pd.DataFrame
    limits_unknown: str = ""
    measured_batch: float = 1.0
    command: str = ""
    n_uses: int = 0
    machine: str = ""
    n_machines: int = 0
    profile_age: str = ""
    model_errors: Mapping[str, float] = field(default_factory=dict)
    without_model: Mapping[str, str] = field(default_factory=dict)

    @property
    def basis(self) -> str:
        """The basis of the verdict on time; empty if there is none."""
        basis = self.verdicts["basis"].iloc[0]
        return basis if isinstance(basis, str) else ""

    @property
    def by_profile(self) -> bool:
        """Whether times are by the time model, with the profile of this machine."""
        return self.basis == "model" and math.isnan(self.verdicts["distance_factor"].iloc[0])

    @property
    def all_over_budget(self) -> bool:
        """Whether there are strategies, and each needs more memory than the budget."""
        return bool(len(self.strategies) and (self.strategies["status"] == "over_budget").all())

    @property
    def rank(self) -> tuple[int, float]:
        """Sort key for advice on one case from several runs: best basis first, then the smallest distance."""
        return BASES.index(self.basis), float(self.verdicts["distance_factor"].iloc[0]) if self.basis else math.inf

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values: tables as lists of objects, missing values as None."""
        return {
            name: [_json_object(line) for line in value.to_dict("records")]
            if isinstance(value, pd.DataFrame)
            else value
            for name, value in vars(self).items()
        }


def _json_object(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _json_value(value) for key, value in values.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _json_object(value)
    if not isinstance(value, float):
        return value
    return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 2**53 else value


def advise(
    target: pd.DataFrame,
    run: Run,
    budget_bytes: float,
    phase: str = "gradient",
    needed: Mapping[str, float] | None = None,
    tested: pd.DataFrame | None = None,
) -> CaseAdvice:
    """Recommend strategies for a case, given as its predicted rows, by a run's measurements of one phase.

    A strategy that is predicted to need more than the budget in any phase is no candidate. `needed` are the bytes of
    `predicted_rows.needed_bytes`; default: the peaks in `target`. `tested` are cells that test the time model, in addition to
    those of the run. Time is that of the case itself if it was measured, otherwise of the nearest case, otherwise by the time model. Memory is that of the case
    itself if it was measured and is 8 KiB or more, otherwise by the byte model, which uses the exact shapes.
    """
    needs = target.groupby("strategy", sort=False)["predicted_bytes"].max()
    needs = needs.index.to_series().map(needed).astype(float) if needed is not None else needs
    over = set(needs[needs > budget_bytes].index)
    own = target[in_phase(target, phase)]
    near = _near_case(own.iloc[0].to_dict(), run, phase)
    known = run.table if tested is None else pd.concat([run.table, tested], ignore_index=True)
    seconds, n_bytes = estimate_seconds(known, own), estimate_bytes(known, own)
    peaks = _peaks(near, run.table, phase)
    there = run.table[(run.table["case"] == (near and near.case)) & in_phase(run.table, phase)]
    times = _times(there)
    candidates = [name for name in _candidates(run.table, own, phase) if name not in over]
    if near:
        time = measured_seconds(near, run.table[~run.table["strategy"].isin(over)], run.passes, phase)
        time = with_unknown(time, [name for name in candidates if name not in times])
    else:
        time = with_unknown(estimated(_without(seconds, over)), [name for name in candidates if name not in seconds])
        if time["basis"] == "model" and own.set_index("strategy")["predicted_seconds"].isna()[time["strategy"]]:
            time |= {"distance_factor": distance(known, own, time["strategy"])}
    failed = {name for name, line in times.items() if line["status"] != "ok"}
    if near and peaks:
        memory = measured_bytes(near.case, _without(peaks, over))
        unknown = [name for name in candidates if name not in failed and name not in peaks]
    else:
        memory = estimated(_without(n_bytes, over | failed))
        unknown = [name for name in candidates if name not in failed and name not in n_bytes]
    memory = with_unknown(memory, unknown)
    verdicts = [{"quantity": "seconds", **time}, {"quantity": "bytes", **memory}]
    return CaseAdvice(
        case=str(own["case"].iloc[0]),
        task=str(own["task"].iloc[0]),
        source=run.name,
        measured_on=provenance(run.table),
        machine=machine_of(run),
        budget_bytes=budget_bytes,
        verdicts=pd.DataFrame(verdicts, columns=["quantity", *COLUMNS]),
        strategies=_strategies(needs, over, times if near else _estimates(seconds), peaks, n_bytes),
        reuse=reuse(run.passes[run.passes["case"] == (near and near.case)], table=run.table),
        limits_unknown=floor_note(there, phase) if near else "",
        measured_batch=_measured_batch(run.table, own),
        model_errors=_model_errors(known, phase),
        without_model=_without_model(own),
    )


def _without_model(own: pd.DataFrame) -> dict[str, str]:
    """Return why strategies have no prediction."""
    reasons = zip(own["strategy"], own["reason"].fillna(""), strict=True)
    return {name: reason.removeprefix(NO_PREDICTION) for name, reason in reasons if reason.startswith(NO_PREDICTION)}


def _model_errors(table: pd.DataFrame, phase: str) -> dict[str, float]:
    overall = quality(table, phase).tail(1).to_dict("records")
    return (
        {"n": overall[0]["n_cells"], "median": overall[0]["median_error"], "p90": overall[0]["p90_error"]}
        if overall
        else {}
    )


def _candidates(table: pd.DataFrame, own: pd.DataFrame, phase: str) -> list[str]:
    """Return the strategies of a case and of a run, without those that failed wherever the run tried them."""
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD) & ~table["status"].isin(UNTRIED)]
    failed = set(rows["strategy"]) - set(rows.loc[rows["status"] == "ok", "strategy"])
    names = in_order([*own["strategy"], *table.loc[table["strategy"].ne(FORWARD), "strategy"]])
    return [name for name in names if name not in failed]


def _measured_batch(table: pd.DataFrame, own: pd.DataFrame) -> float:
    batches = pd.concat([table.loc[table["status"] == "ok", "batch"], own["batch"]])
    return float(batches.max()) if batches.notna().any() else 1.0


def _without(found: Mapping[str, Any], over: set[Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in over}


def _near_case(knobs: Mapping[Any, Any], run: Run, phase: str) -> NearCase | None:
    """Return the measured case to use: one with recorded passes or, for the case itself, one where all failed."""
    rows = run.table[in_phase(run.table, phase) & run.table["strategy"].ne(FORWARD)]
    timed = set(run.passes.loc[in_phase(run.passes, phase), "case"])
    failed = set(rows["case"]) - set(rows.loc[rows["status"].isin(["ok", *UNTRIED]), "case"])
    usable = (near for near in nearby(rows, knobs) if near.case in timed or (near.exact and near.case in failed))
    return next(usable, None)


def _peaks(near: NearCase | None, table: pd.DataFrame, phase: str) -> dict[str, float]:
    """Return the peaks measured at the case itself, if all are large enough for a profiler."""
    if near is None or not near.exact:
        return {}
    rows = table[(table["case"] == near.case) & in_phase(table, phase) & (table["status"] == "ok")]
    seen = bool((rows["peak_bytes"] >= LEAST_BYTES).all())
    return dict(zip(rows["strategy"], rows["peak_bytes"], strict=True)) if seen else {}


def _times(there: pd.DataFrame) -> dict[str, dict[str, Any]]:
    known = ~there["status"].isin(UNTRIED) & (there["status"].ne("ok") | (there["seconds_median"] > 0))
    rows = there[there["strategy"].ne(FORWARD) & known].to_dict("records")
    return {row["strategy"]: {"status": row["status"], "seconds": row["seconds_median"]} for row in rows}


def _estimates(found: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {
        name: {"status": "ok", "seconds": estimate.value, "seconds_error_factor": estimate.error_factor}
        for name, estimate in found.items()
    }


def _strategies(
    needs: pd.Series[float],
    over: set[Any],
    times: Mapping[str, Mapping[str, Any]],
    peaks: Mapping[str, float],
    n_bytes: Mapping[str, Estimate],
) -> pd.DataFrame:
    lines = []
    for name in in_order([*map(str, needs.index), *times]):
        line = {"strategy": name, "status": "no estimate", "needs_bytes": needs.get(name, math.nan)}
        line |= times.get(name, {})
        if name in over:
            line |= {"status": "over_budget"}
        if name in peaks:
            line |= {"bytes": peaks[name]}
        elif name in n_bytes:
            line |= {"bytes": n_bytes[name].value, "bytes_error_factor": n_bytes[name].error_factor}
        lines.append(line)
    return pd.DataFrame(lines, columns=list(STRATEGY_COLUMNS))


def advise_from_runs(
    case: Case, runs: Sequence[Run], budget_bytes: float, stored: StoredProfile | None = None, n_uses: int = 0
) -> CaseAdvice | None:
    """Return the advice of the run that knows most about a case; None without runs and without a profile.

    Cases that no run measured are estimated with the machine profile, or else with rates fitted to the run. `n_uses` is the
    number of pullbacks per linearization; 0 for one gradient.
    """
    found = []
    parts = parts_of(runs) or ([Run(tidy([]))] if stored else [])
    for run in parts:
        specs = [name for name in run.table["strategy"].unique() if name in registered()]
        found.append(_advise(case, specs or case.strategies, run, budget_bytes, stored, n_uses))
    n_machines = len({machine_of(part) for part in parts} - {""})
    return replace(min(found, key=lambda advice: advice.rank), n_machines=n_machines) if found else None


def _advise(
    case: Case, specs: Sequence[str], run: Run, budget_bytes: float, stored: StoredProfile | None, n_uses: int
) -> CaseAdvice:
    target, needed = tidy(predicted_rows(case, specs, stored.model if stored else None)), needed_bytes(case, specs)
    tested = validation_rows(stored) if stored else None
    measured = run
    if n_uses:
        table, passes = with_uses(run.table, run.passes, n_uses)
        run = replace(run, table=table, passes=passes)
        target, _ = with_uses(target, passes, n_uses)
        tested = tested if tested is None else with_uses(tested, passes, n_uses)[0]
    advice = advise(target, run, budget_bytes, needed=needed, tested=tested)
    if n_uses:
        own = measured.passes[measured.passes["case"] == advice.verdicts["at"].iloc[0]]
        advice = replace(advice, reuse=reuse(own, table=measured.table), n_uses=n_uses)
    used = advice.basis == "model"
    return replace(advice, profile_age=stored.age if stored and used else "")


def completed(advice: CaseAdvice, knobs: Mapping[str, Any]) -> CaseAdvice:
    """Add what depends on the knobs of the case: the largest batches, and the command that measures it."""
    time = advice.verdicts.iloc[0]
    is_measured = advice.basis in ("measured", "near") and not isinstance(time["without_estimate"], str)
    command = "" if is_measured or advice.all_over_budget else _command(advice, knobs)
    return replace(_with_largest_batches(advice, knobs), command=command)


def _command(advice: CaseAdvice, knobs: Mapping[str, Any]) -> str:
    """Return a line for a POSIX shell that writes a suite with the case and runs it."""
    swept = {name: [value] if name == "widths" else value for name, value in knobs.items()}
    lines = sweep_text(sweep_of(swept)).splitlines()
    file = f"{advice.case}.toml"
    named = [name for name in advice.strategies["strategy"] if name in registered()]
    options = [part for name in named for part in ("--strategy", name)]
    options += ["--memory-budget", f"{advice.budget_bytes / 2**20:.0f}MiB"]
    return f"printf '%s\\n' {shlex.join(lines)} > {shlex.quote(file)} && jacobench run --suite {shlex.join([file, *options])}"


def _with_largest_batches(advice: CaseAdvice, knobs: Mapping[str, Any]) -> CaseAdvice:
    """Add the largest batch of each strategy that fits in the budget; NaN for a strategy without a byte model.

    An imported model has none: it would be imported again for each batch.
    """
    if "file" in knobs:
        return advice

    def case_of(batch: int) -> Case:
        return one_case({**knobs, "batch": batch})

    found = [
        largest_batch(case_of, name, advice.budget_bytes, advice.measured_batch) or SizeLimit(math.nan, "")
        for name in advice.strategies["strategy"]
    ]
    sizes = [0.0 if limit.basis == "none" else limit.size for limit in found]
    bases = [limit.basis for limit in found]
    return replace(advice, strategies=advice.strategies.assign(largest_batch=sizes, largest_batch_basis=bases))
