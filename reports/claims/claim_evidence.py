"""Findings on a claim, the cases of the suite ``claims`` that each claim uses, and their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from jacobench.bench.row.columns import FORWARD, in_phase, peak_bounds
from jacobench.bench.row.name_patterns import matching
from jacobench.bench.row.statistics import decide, log_median, robust_interval
from jacobench.reports.analysis.doubts import could_win_in, spreads
from jacobench.reports.data.limit_sentences import but, could_win
from jacobench.reports.data.units import format_interval, format_peak
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.reports.data.run_data import Run

Verdict = Literal["holds", "holds with a bound", "wrong as stated", "not shown on this machine"]

HOLDS: Verdict = "holds"
BOUNDED: Verdict = "holds with a bound"
WRONG: Verdict = "wrong as stated"
NOT_SHOWN: Verdict = "not shown on this machine"

# t = W z, differentiated with respect to W, and to z; and with respect to W with different n and m, and n·m constant.
BY_WEIGHTS, BY_INPUT, UNEQUAL = "mlp-w*-d1-b1-noloss", "chain-affine-w*", "mlp-*x*-b1-noloss"

# g = A B C D e with four links of one kind; and a net of layers, for the order of multiplication.
LINKS = ("neg", "permute", "cross", "conv1d")
ORDER = "chain-affine-tanh-w*"


@dataclass(frozen=True)
class ClaimFinding:
    """Finding of one run on one claim.

    ``sentence``: the reason, with numbers; plain text on one line. ``evidence``: table of the rows used, formatted for
    readers. ``doubt``: who could win at its own limit, which would change the verdict; empty for nobody.
    """

    verdict: Verdict
    sentence: str
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)
    doubt: str = ""

    @property
    def guarded(self) -> str:
        """The verdict with its doubt; the verdict comes first."""
        return f"{self.verdict}{but(self.doubt)}"


def not_shown(why: str, evidence: pd.DataFrame | None = None) -> ClaimFinding:
    """Return the finding that the run neither supports nor refutes the claim."""
    return ClaimFinding(NOT_SHOWN, why, pd.DataFrame() if evidence is None else evidence)


@dataclass(frozen=True)
class TimeRatio:
    """Times of one strategy over those of another, paired within each process.

    ``factor``, ``low``, ``high``: median and its 95 % interval; all NaN without pairs, the interval NaN for one
    pair. ``is_slower``, ``is_faster``: whether the first strategy is clearly slower, or faster, by `decide`.
    ``could_win``: the slower one, if it could win at its own limit, as in `recommend`.
    """

    factor: float
    low: float
    high: float
    is_slower: bool
    is_faster: bool
    could_win: Mapping[str, float]

    @property
    def has_interval(self) -> bool:
        """Whether there are two pairs or more."""
        return not math.isnan(self.low)

    def __str__(self) -> str:
        return format_interval(self.factor, self.low, self.high)


def time_ratio(run: Run, case: str, pair: Sequence[str], phase: str = "gradient") -> TimeRatio:
    """Return how many times as long the first of two strategies takes."""
    own = run.passes[(run.passes["case"] == case) & in_phase(run.passes, phase)]
    first, second = (own[own["strategy"] == name].set_index(["pass", "worker"])["seconds"] for name in pair)
    ratios = (first / second).dropna().tolist()
    inverse = [1 / ratio for ratio in ratios]
    is_slower, is_faster = (decide({"rival": sides}).status == "ahead" for sides in (ratios, inverse))
    winner = pair[1] if is_slower else pair[0] if is_faster else ""
    table = run.table
    doubts = could_win_in(table[in_phase(table, phase)], case, winner, pair)
    return TimeRatio(log_median(ratios), *robust_interval(ratios), is_slower, is_faster, doubts)


def finding(
    verdict: Verdict, sentence: str, evidence: pd.DataFrame, doubts: Sequence[Mapping[str, float]], noun: str = "case"
) -> ClaimFinding:
    """Return a finding from comparisons of times, with its doubts: for each comparison, who could win at its limit."""
    doubt = "" if verdict == NOT_SHOWN else could_win(spreads(doubts), len(doubts), noun)
    return ClaimFinding(verdict, sentence, evidence, doubt)


def rows_of(run: Run, cases: str, phase: str = "gradient") -> pd.DataFrame:
    """Return the rows of a phase whose cases match a glob, without those of the forward pass."""
    table = run.table
    own = table["case"].isin(matching(cases, table["case"].unique()))
    return table[own & in_phase(table, phase) & (table["strategy"] != FORWARD)]


def value(rows: pd.DataFrame, case: str, strategy: str, column: str) -> float:
    """Return one number of one successful cell; NaN where there is none."""
    found = rows[(rows["case"] == case) & (rows["strategy"] == strategy) & (rows["status"] == "ok")][column]
    return float(found.iloc[0]) if len(found) else float("nan")


def peak_bound(rows: pd.DataFrame, case: str, strategy: str) -> float:
    """Return the peak of a cell, or the tool's resolution if the peak is below it; NaN where it was not measured."""
    return value(rows.assign(bound=peak_bounds(rows)), case, strategy, "bound")


def peak_in_words(rows: pd.DataFrame, case: str, strategy: str) -> str:
    """Return the peak memory of a cell, or how the cell ended."""
    own = rows[(rows["case"] == case) & (rows["strategy"] == strategy)]
    if own.empty:
        return "not measured"
    row = own.iloc[0].to_dict()
    return format_peak(row) if row["status"] == "ok" else words(row["status"])
