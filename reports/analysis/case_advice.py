"""Which strategy to take for a case that need not have been measured: from measurements at it or near it, else by the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.analysis.cost_model import comparable, distance, estimate_bytes, estimate_seconds
from jacobench.reports.analysis.nearby import nearby
from jacobench.reports.analysis.reuse import reuse
from jacobench.reports.analysis.single_verdict import COLUMNS, Place, by_model, measured_bytes, measured_seconds
from jacobench.reports.data.provenance import provenance
from jacobench.reports.data.vocabulary import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.analysis.cost_model import Estimate
    from jacobench.reports.data.run_data import Run

STRATEGY_COLUMNS = ("strategy", "status", "seconds", "seconds_off", "bytes", "bytes_off", "needs_bytes")
UNTRIED = ("over_budget", "not_tried")
"""Statuses of a cell that say nothing of a run with another budget."""

FOUNDED = ("measured", "near", "model", "")
"""What time may rest on, the best first."""


@dataclass(frozen=True)
class Advice:
    """What to take for one case, and why.

    Attributes
    ----------
    case : str
        Its name.
    source : str
        The run that it goes by; empty for what was measured on the spot.
    measured_on : list of str
        What measured there, as `provenance` says it.
    budget_bytes : float
        What may be used.
    verdicts : DataFrame
        Two lines, ``quantity`` ``"seconds"`` and ``"bytes"``:

        - ``strategy``, ``factor`` with ``low`` and ``high``, ``runner_up``: as in `recommend`;
        - ``sure``: ``"clear"`` only if ``low`` is above one (peaks, which have no interval: if they differ by more than one per cent);
          ``"undecided"``; ``"one pass"``; ``"alone"`` if no other came into question; ``"nothing"`` if none did;
        - ``by``: ``"measured"``: at the case itself; ``"near"``: at one near it, then ``low`` and ``high`` are widened by how much the ratio
          may differ there; ``"model"``: then they are what 95 % of such estimates of the run's own cells lay within; missing if nothing can
          be said;
        - ``at``: the case measured; ``away``: the factor between it and this case (for the model, to the nearest cell, in flops or bytes);
          ``differs``: in what, in words; ``n``: the passes or, for the model, the cases that it was tested on.
    strategies : DataFrame
        One line a strategy: ``seconds`` and ``bytes`` of the phase, measured where ``by`` says so (near: at that other case), else
        estimated, then off by at most a factor ``seconds_off``, ``bytes_off`` in 95 % of the run's own cells; ``needs_bytes``, what its
        heaviest phase is predicted to need; ``status``: ``"ok"``; ``"over_budget"``: more than there is, never recommended; the status
        of a cell that was tried in vain; ``"no estimate"``. Who can build the graph may add ``largest_batch``.
    pays : DataFrame
        Where the case or one near was measured: after how many uses each strategy is cheaper than vjp, as `reuse`.
    """

    case: str
    source: str
    measured_on: list[str]
    budget_bytes: float
    verdicts: pd.DataFrame
    strategies: pd.DataFrame
    pays: pd.DataFrame

    @property
    def by(self) -> str:
        """What the verdict on time rests on; empty if there is none."""
        by = self.verdicts["by"].iloc[0]
        return by if isinstance(by, str) else ""

    @property
    def all_over_budget(self) -> bool:
        """Whether there are strategies, and each needs more than may be used."""
        return bool(len(self.strategies) and (self.strategies["status"] == "over_budget").all())

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it: lists of objects, what is missing is None."""
        tables = {"verdicts": self.verdicts, "strategies": self.strategies, "pays": self.pays}
        scalars = {name: value for name, value in vars(self).items() if name not in tables}
        return scalars | {
            name: [{str(key): _or_none(value) for key, value in line.items()} for line in table.to_dict("records")]
            for name, table in tables.items()
        }


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rank(advice: Advice) -> tuple[int, float]:
    """Return what sorts advice on one case from several runs, the best founded first."""
    return FOUNDED.index(advice.by), float(advice.verdicts["away"].iloc[0]) if advice.by else math.inf


def advise(target: pd.DataFrame, run: Run, budget_bytes: float, phase: str = "gradient") -> Advice:
    """Advise on a case.

    Parameters
    ----------
    target : DataFrame
        The case's rows by the model alone: each strategy and phase, with its knobs, and predictions where there are any.
    run : Run
        What to go by.
    budget_bytes : float
        What may be used: a strategy that is predicted to need more in any phase does not come into question.
    phase : str
        The phase that counts.

    Returns
    -------
    Advice
        Time goes by the case itself if it was measured, else by the nearest case, else by the model. Memory goes by the case
        itself if it was measured and takes 8 KiB or more, else by the model: it knows the very shapes, which a case that is only
        near does not share.
    """
    needs = target.groupby("strategy", sort=False)["predicted_bytes"].max()
    over = set(needs[needs > budget_bytes].index)
    own = target[target["phase"] == phase]
    place = _place(own.iloc[0].to_dict(), run, phase)
    rows = comparable(run.table, own, phase)
    seconds, n_bytes = estimate_seconds(rows, own), estimate_bytes(rows, own)
    peaks = _peaks(place, run.table, phase)
    inside = run.table[~run.table["strategy"].isin(over)]
    if place:
        time = measured_seconds(place, inside, run.passes, phase)
    else:
        time = by_model(_without(seconds, over))
        time |= {"away": distance(rows, own, time["strategy"])} if time["by"] == "model" else {}
    there = run.table[(run.table["case"] == (place and place.case)) & (run.table["phase"] == phase)]
    if place and peaks:
        memory = measured_bytes(place.case, _without(peaks, over))
    else:
        in_vain = set(there.loc[~there["status"].isin(["ok", *UNTRIED]), "strategy"])
        memory = by_model(_without(n_bytes, over | in_vain))
    return Advice(
        case=str(own["case"].iloc[0]),
        source=run.name,
        measured_on=provenance(run.table),
        budget_bytes=budget_bytes,
        verdicts=pd.DataFrame(
            [{"quantity": "seconds", **time}, {"quantity": "bytes", **memory}], columns=["quantity", *COLUMNS]
        ),
        strategies=_strategies(needs, over, _times(there) if place else _estimates(seconds), peaks, n_bytes),
        pays=reuse(run.passes[run.passes["case"] == (place and place.case)]),
    )


def _without(found: Mapping[str, Any], over: set[Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in over}


def _place(knobs: Mapping[Any, Any], run: Run, phase: str) -> Place | None:
    """Return the case to go by: one whose passes are known or, for the case itself, one where all failed."""
    rows = run.table[(run.table["phase"] == phase) & run.table["strategy"].ne("forward")]
    timed = set(run.passes.loc[run.passes["phase"] == phase, "case"])
    failed = set(rows["case"]) - set(rows.loc[rows["status"].isin(["ok", *UNTRIED]), "case"])
    for line in nearby(rows, knobs).to_dict("records"):
        exact = line["case"] == knobs["case"]
        if line["case"] in timed or (exact and line["case"] in failed):
            return Place(line["case"], line["factor"], line["drift"], line["differs"], exact)
    return None


def _peaks(place: Place | None, table: pd.DataFrame, phase: str) -> dict[str, float]:
    """Return the peaks measured at the very case, if a profiler could see all of each."""
    if place is None or not place.exact:
        return {}
    rows = table[(table["case"] == place.case) & (table["phase"] == phase) & (table["status"] == "ok")]
    seen = bool((rows["peak_bytes"] >= LEAST_BYTES).all())
    return dict(zip(rows["strategy"], rows["peak_bytes"], strict=True)) if seen else {}


def _times(there: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = there[there["strategy"].ne("forward") & ~there["status"].isin(UNTRIED)].to_dict("records")
    return {row["strategy"]: {"status": row["status"], "seconds": row["seconds_median"]} for row in rows}


def _estimates(found: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {
        name: {"status": "ok", "seconds": estimate.value, "seconds_off": estimate.off}
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
        line = {
            "strategy": name,
            "status": "no estimate",
            "needs_bytes": needs.get(name, math.nan),
            **times.get(name, {}),
        }
        if name in over:
            line |= {"status": "over_budget"}
        if name in peaks:
            line |= {"bytes": peaks[name]}
        elif name in n_bytes:
            line |= {"bytes": n_bytes[name].value, "bytes_off": n_bytes[name].off}
        lines.append(line)
    return pd.DataFrame(lines, columns=list(STRATEGY_COLUMNS))
