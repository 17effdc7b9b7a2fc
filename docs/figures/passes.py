"""Simulate runs that measure until their cases are decided, for docs/measurement.md. Run: python docs/figures/passes.py.

passes.csv has the recorded noise, in units of 10 ns. To record it again:

    jacobench run --suite docs/figures/twins.toml --passes 40 --out runs/twins
    python docs/figures/passes.py runs/twins
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import log_median, robust_interval
from jacobench.bench.row.stopping import LEAST_PASSES, MOST_REPETITIONS, leader, pass_disturbed, undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LOADED = Path(__file__).with_name("passes.csv")
"""Forty passes of twins.toml on two shared cores, while eight other users worked: one line per case, strategy and process of a
pass. The lines without a case have the calibration kernel."""

IDLE = Path(__file__).with_name("processes.csv.gz")
"""2,184 processes without other load: three workloads, twenty rounds each; see gate.py."""

CALIBRATION = "control"  # strategy and phase of the calibration kernel in a journal
UNIT = 1e-8  # seconds
MOST_PASSES = 30
N_RUNS = 1000

FACTORS: Mapping[str, Mapping[str, float]] = {
    "tie": {"a": 1.0, "b": 1.0},
    "tie of three": {"a": 1.0, "b": 1.0, "c": 1.0},
    "tie and another": {"a": 1.0, "b": 1.0, "c": 2.0},
    "5 %": {"a": 1.0, "b": 1.05, "c": 2.0},
    "20 %": {"a": 1.0, "b": 1.2, "c": 2.0},
    "80 %": {"a": 1.0, "b": 1.8, "c": 2.0},
}
"""Cases of the synthetic runs: the true time of each strategy."""


@dataclass(frozen=True)
class Noise:
    """Noise of passes.

    - ``draw``: from a generator to a pass, that is (case, strategy) → seconds, and the seconds of the calibration kernel.
    - ``truth``: from a case and two strategies to the true ratio of their times, the median over all processes.
    """

    draw: Callable[[np.random.Generator], tuple[dict[tuple[str, str], float], float]]
    truth: Callable[[str, str, str], float]


def synthetic(deviations: Callable[[np.random.Generator, int], Any]) -> Noise:
    """Return noise whose logarithms are `deviations`: from a generator and the number of cells of a pass to an array."""
    times = {(case, name): factor for case, own in FACTORS.items() for name, factor in own.items()}

    def draw(rng: np.random.Generator) -> tuple[dict[tuple[str, str], float], float]:
        seconds = np.array(list(times.values())) * np.exp(deviations(rng, len(times)))
        return dict(zip(times, seconds.tolist(), strict=True)), 1.0

    return Noise(draw, lambda case, one, other: times[case, one] / times[case, other])


def normal(rng: np.random.Generator, n: int, sigma: float = 0.015) -> Any:
    """Return normal noise: ratios within ±3.5 % in 90 % of the processes."""
    return sigma * rng.standard_normal(n)


def slow_cells(rng: np.random.Generator, n: int) -> Any:
    """Make one of ten cells 1.1 to 3 times slower, in addition to normal noise."""
    return normal(rng, n) + (rng.random(n) < 0.1) * rng.uniform(log(1.1), log(3), n)


def slow_passes(rng: np.random.Generator, n: int) -> Any:
    """Make three of four cells of one of ten processes 1.1 to 3 times slower, in addition to normal noise."""
    slow = (rng.random() < 0.1) & (rng.random(n) < 0.75)
    return normal(rng, n) + slow * rng.uniform(log(1.1), log(3), n)


def two_modes(rng: np.random.Generator, n: int) -> Any:
    """Make one of three cells 6 % slower, in addition to normal noise of 1 %: an effect of memory placement."""
    return normal(rng, n, 0.01) + 0.06 * (rng.random(n) < 1 / 3)


def heavy_tails(rng: np.random.Generator, n: int) -> Any:
    """Return Student's t with two degrees of freedom (infinite variance): quartiles at ±1.2 %."""
    return 0.015 * rng.standard_t(2, n)


def recorded(seconds: pd.DataFrame, kernel: Mapping[int, float]) -> Noise:
    """Return the recorded passes, drawn with replacement.

    `seconds` has a line per pass and a column per case and strategy. A strategy and its twin are the same code. Which of
    the two times belongs to which is drawn, so they tie exactly.
    """
    passes = [dict(zip(seconds.columns, row, strict=True)) for row in seconds.to_numpy().tolist()]
    twins = [(case, name) for case, name in seconds.columns if (case, f"{name}-twin") in seconds.columns]

    def draw(rng: np.random.Generator) -> tuple[dict[tuple[str, str], float], float]:
        k = int(rng.integers(len(passes)))
        found = dict(passes[k])
        for (case, name), swapped in zip(twins, rng.random(len(twins)) < 0.5, strict=True):
            if swapped:
                pair = (case, name), (case, f"{name}-twin")
                found[pair[0]], found[pair[1]] = found[pair[1]], found[pair[0]]
        return found, kernel[seconds.index[k]]

    def possible(case: str, name: str) -> list[str]:
        original = name.removesuffix("-twin")
        return [original, f"{original}-twin"] if (case, original) in twins else [name]

    @cache
    def truth(case: str, one: str, other: str) -> float:
        firsts, seconds = possible(case, one), possible(case, other)
        if firsts == seconds:
            return 1.0
        return log_median([own[case, a] / own[case, b] for own in passes for a in firsts for b in seconds])

    return Noise(draw, truth)


def loaded() -> Noise:
    """Return the noise of `LOADED`."""
    table = pd.read_csv(LOADED, keep_default_na=False)
    is_kernel = table["strategy"] == CALIBRATION
    kernel = table[is_kernel].groupby("pass")["seconds"].max()
    cells = table[~is_kernel].drop_duplicates(["case", "strategy", "pass"])
    wide = cells.pivot_table(index="pass", columns=["case", "strategy"], values="seconds").dropna()
    return recorded(wide * UNIT, (kernel * UNIT).to_dict())


def idle() -> Noise:
    """Return the noise of `IDLE`: the twin of a workload has every other round."""
    rounds = pd.read_csv(IDLE).to_numpy(dtype=np.float64).reshape(-1, 3, 10, 2) * UNIT
    columns = [(case, name) for case in ("vjp", "dense", "sparse") for name in ("one", "one-twin")]
    wide = pd.DataFrame(rounds.min(axis=2).reshape(len(rounds), -1), columns=pd.MultiIndex.from_tuples(columns))
    return recorded(wide, dict.fromkeys(range(len(wide)), 1.0))


NOISES: Mapping[str, Callable[[], Noise]] = {
    "recorded, idle": idle,
    "recorded, loaded": loaded,
    "normal": lambda: synthetic(normal),
    "slow cells": lambda: synthetic(slow_cells),
    "slow passes": lambda: synthetic(slow_passes),
    "two modes": lambda: synthetic(two_modes),
    "heavy tails": lambda: synthetic(heavy_tails),
}


@dataclass
class SimulatedRun:
    """A run whose passes are drawn. `seconds`: case → strategy → pass → seconds."""

    noise: Noise
    rng: np.random.Generator
    seconds: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    calibration: dict[int, list[float]] = field(default_factory=dict)
    repetitions: Counter[int] = field(default_factory=Counter)

    def measure(self, number: int, cases: Iterable[str] | None = None) -> None:
        """Measure a pass of some cases; default: of all."""
        drawn, kernel = self.noise.draw(self.rng)
        self.calibration[number] = [kernel]
        for (case, name), seconds in drawn.items():
            if cases is None or case in cases:
                self.seconds.setdefault(case, {}).setdefault(name, {})[number] = seconds

    def disturbed(self) -> int | None:
        """Return the first pass to repeat."""
        cells = [passes for own in self.seconds.values() for passes in own.values()]
        candidates = (number for number in self.calibration if self.repetitions[number] < MOST_REPETITIONS)
        return next((number for number in candidates if pass_disturbed(number, cells, self.calibration)), None)

    def finish(self) -> None:
        """Measure three passes, repeat disturbed ones, and measure undecided cases further."""
        for number in range(LEAST_PASSES):
            self.measure(number)
        while True:
            repeated = self.disturbed()
            if repeated is not None:
                self.repetitions[repeated] += 1
                cases = {
                    case for case, own in self.seconds.items() if any(repeated in passes for passes in own.values())
                }
                self.measure(repeated, cases)
                continue
            cases = {case for case, own in self.seconds.items() if undecided(own)}
            if not cases or len(self.calibration) == MOST_PASSES:
                return
            self.measure(len(self.calibration), cases)


def true_seconds(noise: Noise, n: int = 4000) -> dict[tuple[str, str], float]:
    """Return the median time of each cell over many processes."""
    rng = np.random.default_rng(n)
    passes = [noise.draw(rng)[0] for _ in range(n)]
    return {cell: log_median([one[cell] for one in passes]) for cell in passes[0]}


def outcomes(noise: Noise, n_runs: int, seed: int = 0) -> pd.DataFrame:
    """Simulate runs.

    Returns
    -------
    DataFrame
        One line per run and case: ``case``; ``tie``, whether no strategy is truly the fastest; ``decided``; ``wrong``, whether
        it has a winner that is not the fastest; ``covered``, whether the interval of the factor contains the true ratio; ``times_covered``, the share of strategies
        whose interval of the time contains the true time; ``passes``; and ``repetitions`` of the run.
    """
    lines = []
    true = true_seconds(noise)
    for own_seed in np.random.SeedSequence(seed).spawn(n_runs):
        run = SimulatedRun(noise, np.random.default_rng(own_seed))
        run.finish()
        for case, seconds in run.seconds.items():
            name, decision = leader(seconds)
            ahead_by = {one: min(noise.truth(case, rival, one) for rival in seconds if rival != one) for one in seconds}
            lines.append(
                {
                    "case": case,
                    "tie": max(ahead_by.values()) <= 1,
                    "decided": decision.status != "undecided",
                    "wrong": decision.status == "ahead" and ahead_by[name] <= 1,
                    "covered": decision.low <= noise.truth(case, decision.runner_up, name) <= decision.high,
                    "times_covered": np.mean(
                        [
                            low <= true[case, one] <= high
                            for one, passes in seconds.items()
                            for low, high in [robust_interval(list(passes.values()))]
                        ]
                    ),
                    "passes": len(seconds[name]),
                    "repetitions": run.repetitions.total(),
                }
            )
    return pd.DataFrame(lines)


def line(name: str, found: pd.DataFrame) -> str:
    """Return the line of the table: error rates and passes."""
    tied = found[found["tie"]]
    passes = found.groupby("case")["passes"].mean()
    clear = [f"{passes[case]:.1f}" if case in passes else "–" for case in ("5 %", "20 %", "80 %")]
    numbers = [
        f"{len(tied):,}",
        *(
            f"{100 * value:.2f} %"
            for value in (tied["wrong"].mean(), found["covered"].mean(), found["times_covered"].mean())
        ),
        f"{100 * found['decided'].mean():.0f} %",
        *(f"{value:.1f}" for value in (found["repetitions"].mean(), tied["passes"].mean())),
        *clear,
    ]
    return f"| {name} | {' | '.join(numbers)} |"


def record(run: Path) -> None:
    """Write `LOADED` from the journal of a run of twins.toml."""
    measurements = [json.loads(text) for text in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    wanted = [m for m in measurements if m.get("seconds") and m["phase"] in {"gradient", CALIBRATION}]
    lines = [
        (m["case"], m["strategy"], m.get("pass", 0), m.get("worker", 0), round(min(m["seconds"]) / UNIT))
        for m in wanted
    ]
    pd.DataFrame(lines, columns=["case", "strategy", "pass", "worker", "seconds"]).to_csv(LOADED, index=False)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        record(Path(sys.argv[1]))
    print(
        "| noise | tied cases | false winners | factor covered | time covered | decided | repetitions | passes: tie | 5 % | 20 % | 80 % |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, make in NOISES.items():
        print(line(name, outcomes(make(), N_RUNS)), flush=True)
