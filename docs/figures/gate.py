"""Print the tables of docs/gate.md: the gate and the rules of other tools on recorded noise. Run: python docs/figures/gate.py."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, ttest_ind, wilcoxon

from jacobench.bench.row.columns import tidy
from jacobench.bench.row.statistics import clopper_pearson
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.outcome import BASE, CONTROL_ROW, HEAD, ROW
from jacobench.reports.regression.thresholds import MAX_PAIRS, GateThresholds, Thresholds
from jacobench.reports.regression.two_runs import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jacobench.reports.regression.outcome import Outcome

RECORDING = Path(__file__).with_name("processes.csv.gz")
"""2,184 consecutive fresh processes of the same code, on two shared cores, within 18 minutes: three workloads, twenty rounds each,
in units of 10 ns."""

WORKLOADS = ("vjp", "dense", "sparse")

SLOWDOWNS = (0.0, 0.03, 0.05, 0.10)

PAIRS = 2 * MAX_PAIRS
"""Largest number per row, of both stages."""


def recording(half: int) -> Any:
    """Return the first half of the recording (0, used to tune the gate) or the second (1, which is reported).

    Returns
    -------
    ndarray, shape (processes, 3, 20)
        Seconds per call of each workload and round.
    """
    seconds = pd.read_csv(RECORDING).to_numpy(dtype=np.float64).reshape(-1, len(WORKLOADS), 20) * 1e-8
    middle = len(seconds) // 4 * 2
    return seconds[:middle] if half == 0 else seconds[middle:]


def windows(logs: Any, rows: int, pairs: int, rng: np.random.Generator, *, shuffled: bool = False) -> Any:
    """Cut rows of pairs of consecutive processes from a recording.

    Parameters
    ----------
    logs : ndarray, shape (processes,)
        One number per process.
    rows, pairs : int
        Numbers of rows, and of pairs per row.
    rng : Generator
        Chooses where the windows begin.
    shuffled : bool
        Draw each pair from the whole recording, so that rows are almost independent; else a row's pairs are consecutive.

    Returns
    -------
    ndarray, shape (rows, pairs, 2)
        Rows overlap if there are more than fit.
    """
    there = len(logs) // 2
    begin = (
        rng.integers(0, there, (rows, pairs))
        if shuffled
        else rng.integers(0, there - pairs + 1, (rows, 1)) + np.arange(pairs)
    )
    return np.stack([logs[2 * begin], logs[2 * begin + 1]], axis=-1)


# Synthetic noise that the recording may lack: from a generator, rows and pairs to logarithms of seconds.


def heavy_tails(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Draw from Student's t with two degrees of freedom (infinite variance): quartiles at ±1.2 %."""
    return 0.015 * rng.standard_t(2, (rows, pairs, 2))


def two_modes(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make every third process 6 % slower, plus 1 % normal noise: an effect of memory placement."""
    return 0.06 * (rng.random((rows, pairs, 2)) < 1 / 3) + 0.01 * rng.standard_normal((rows, pairs, 2))


def drift(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make each process 0.3 % slower than the previous one, plus 1 % noise: a machine that warms up."""
    return 0.003 * np.arange(2 * pairs).reshape(1, pairs, 2) + 0.01 * rng.standard_normal((rows, pairs, 2))


def second_is_slower(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make the second process of each pair 2 % slower, plus 1 % noise."""
    return 0.02 * np.array([0.0, 1.0]) + 0.01 * rng.standard_normal((rows, pairs, 2))


def bursts(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Slow down about twelve consecutive processes by 15 %, again and again, plus 1 % noise: another tenant."""
    flips = np.cumsum(rng.random((rows, 2 * pairs)) < 1 / 12, axis=1) % 2
    return 0.15 * flips.reshape(rows, pairs, 2) + 0.01 * rng.standard_normal((rows, pairs, 2))


SYNTHETIC: Mapping[str, Callable[[np.random.Generator, int, int], Any]] = {
    "heavy tails": heavy_tails,
    "two modes": two_modes,
    "drift": drift,
    "the second is slower": second_is_slower,
    "bursts": bursts,
}


@dataclass
class Replay:
    """Recorded or synthetic times as the ``measure`` of `gate_loop.run_gate`: measures error rates in seconds instead of months.

    Attributes
    ----------
    times : ndarray, shape (rows, pairs, 2)
        Logarithms of the seconds of the first and second process of each pair, of identical code.
    slowdown : float or ndarray, shape (rows,)
        Slowdown of head, relative.
    control : ndarray, shape (pairs, 2), optional
        Logarithms of the calibration kernel's seconds.
    seconds : float
        Simulated duration of a process.
    now : float
        Simulated time; `clock` returns it.
    """

    times: Any
    slowdown: Any = 0.0
    control: Any = None
    seconds: float = 2.5
    now: float = 0.0

    def clock(self) -> float:
        """Return the simulated time."""
        return self.now

    def __call__(self, cells: Sequence[tuple[str, str]] | None, pairs: range, stage: int) -> pd.DataFrame:
        """Return the samples of pairs; the case of row k is k."""
        rows = np.arange(len(self.times)) if cells is None else np.array([int(case) for case, _ in cells])
        self.now += 2 * self.seconds * len(pairs)
        parts = [self._process(rows, pair, position) for pair in pairs for position in (0, 1)]
        return pd.concat(parts, ignore_index=True).assign(stage=stage, status="ok", reason="")

    def _process(self, rows: Any, pair: int, position: int) -> pd.DataFrame:
        side = HEAD if (pair + position) % 2 else BASE  # even pairs run base first
        slower = np.log1p(np.broadcast_to(self.slowdown, len(self.times))[rows]) if side == HEAD else 0.0
        found = pd.DataFrame({"case": rows.astype(str), "strategy": "replayed", "phase": "gradient"})
        found["seconds"] = np.exp(self.times[rows, pair, position] + slower)
        if self.control is not None:
            control = dict(zip(ROW, CONTROL_ROW, strict=True)) | {"seconds": np.exp(self.control[pair, position])}
            found = pd.concat([found, pd.DataFrame([control])])
        return found.assign(pair=pair, side=side, position=position)


def gate(times: Any, slowdown: Any, thresholds: GateThresholds | None = None, replayed: float = 1e9) -> Outcome:
    """Run the gate on recorded times; ``replayed`` is the time limit in simulated seconds."""
    replay = Replay(times, slowdown)
    return run_gate(replay, thresholds or GateThresholds(), max_seconds=replayed, clock=replay.clock)


# Rules of other tools: from base and head, shape (processes, rounds), to whether head is called slower. They emulate the statistics
# of the tools' sources on the recorded rounds.


def _mean(base: Any, head: Any) -> bool:
    return bool(head.mean() > 1.05 * base.mean())


def _min(base: Any, head: Any) -> bool:
    return bool(head.min() > 1.05 * base.min())


def _criterion(base: Any, head: Any) -> bool:
    """Require a t-test at 5 %, and an interval of the change of the mean above the noise threshold of 1 %."""
    a, b = base.ravel(), head.ravel()
    error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    low = (b.mean() - a.mean() - 1.96 * error) / a.mean()
    return bool(low > 0.01 and ttest_ind(a, b, equal_var=False).pvalue < 0.05)


def _pyperf(base: Any, head: Any) -> bool:
    """Require Student's t-test at 5 %, on three values of each of twenty processes."""
    a, b = base[:, :3].ravel(), head[:, :3].ravel()
    return bool(b.mean() > a.mean() and ttest_ind(a, b).pvalue < 0.05)


def _asv(base: Any, head: Any) -> bool:
    """Require a Mann-Whitney test at 0.002, and medians that differ by a factor of 1.1."""
    a, b = base.ravel(), head.ravel()
    return bool(np.median(b) > 1.1 * np.median(a) and mannwhitneyu(a, b).pvalue < 0.002)


def _ten_pairs(base: Any, head: Any) -> bool:
    """Require an exact Wilcoxon test at 1 %, and a median ratio of 1.03 or more."""
    ratios = np.log(head.min(axis=1) / base.min(axis=1))
    return bool(
        np.median(ratios) >= np.log(1.03) and wilcoxon(ratios, alternative="greater", method="exact").pvalue < 0.01
    )


@dataclass(frozen=True)
class ToolRule:
    """Decision rule of a tool.

    Attributes
    ----------
    slower : callable
        Takes base and head; returns whether head is called slower.
    processes : int
        Per side.
    in_turns : bool
        Whether base and head alternate; else all of base runs first.
    """

    slower: Callable[[Any, Any], bool]
    processes: int
    in_turns: bool


RULES: Mapping[str, ToolRule] = {
    "pytest-benchmark, `mean:5%`": ToolRule(_mean, 1, in_turns=True),
    "pytest-benchmark, `min:5%`": ToolRule(_min, 1, in_turns=True),
    "criterion-like": ToolRule(_criterion, 1, in_turns=True),
    "pyperf-like, 20 processes a side": ToolRule(_pyperf, 20, in_turns=False),
    "asv-like, 2 processes a side": ToolRule(_asv, 2, in_turns=True),
    "ten pairs, Wilcoxon at 1 %, 3 %": ToolRule(_ten_pairs, 10, in_turns=True),
}


def called_slower(
    rule: ToolRule, slowdown: float, seconds: Any, rows: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return how many rows of a recording a rule calls slower, and the number of rows."""
    found = 0
    for _ in range(rows):
        own = seconds[:, rng.integers(len(WORKLOADS))]
        begin = 2 * rng.integers(0, len(own) // 2 - rule.processes + 1)
        block = own[begin : begin + 2 * rule.processes]
        base, head = (block[::2], block[1::2]) if rule.in_turns else (block[: rule.processes], block[rule.processes :])
        found += rule.slower(base, head * (1 + slowdown))
    return found, rows


def rules_table(rows: int) -> Iterator[list[str]]:
    """Yield one line per rule, and one for the gate, on the second half of the recording."""
    yield ["rule", "called slower: same code", *(f"+{slowdown:.0%}" for slowdown in SLOWDOWNS[1:])]
    seconds = recording(1)
    for name, rule in RULES.items():
        rng = np.random.default_rng(0)
        yield [name, *(share(*called_slower(rule, slowdown, seconds, rows, rng)) for slowdown in SLOWDOWNS)]
    logs = np.log(seconds.min(axis=2))
    times = np.concatenate([windows(logs[:, k], rows // 3 + 1, PAIRS, np.random.default_rng(k)) for k in range(3)])[
        :rows
    ]
    yield ["**this gate**", *(share(*_regressed(gate(times, slowdown))) for slowdown in SLOWDOWNS)]


def noise_table(rows: int) -> Iterator[list[str]]:
    """Yield one line per workload of the recording's second half, as recorded and shuffled, and one per synthetic noise."""
    headings = (
        "called slower: same code",
        "+3%",
        "+5%",
        "+10%",
        "same code: open after 6, 10, 16, 22 pairs",
        "inconclusive",
    )
    yield ["noise", *headings]
    logs = np.log(recording(1).min(axis=2))
    for k, name in enumerate(WORKLOADS):
        for shuffled in (False, True):
            times = windows(logs[:, k], rows, PAIRS, np.random.default_rng(k), shuffled=shuffled)
            yield [f"{name}, {'shuffled' if shuffled else 'as recorded'}", *_gated(times)]
    for name, make in SYNTHETIC.items():
        yield [name, *_gated(make(np.random.default_rng(0), rows, PAIRS))]


def _gated(times: Any) -> list[str]:
    outcomes = [gate(times, slowdown) for slowdown in SLOWDOWNS]
    looks = {look.n_pairs: look.n_open for look in outcomes[0].interim_looks if look.stage == 1}
    still_open = " · ".join(f"{looks.get(n, 0) / len(times):.0%}" for n in (6, 10, 16, 22))
    inconclusive = int((outcomes[0].verdicts["verdict"] == "inconclusive").sum())
    return [*(share(*_regressed(outcome)) for outcome in outcomes), still_open, share(inconclusive, len(times))]


def _regressed(outcome: Outcome) -> tuple[int, int]:
    return int((outcome.verdicts["verdict"] == "regressed").sum()), len(outcome.verdicts)


def whole_table(gates: int) -> Iterator[list[str]]:
    """Yield the states of whole gates: two rows of the same processes, and the third workload as calibration kernel."""
    yield [
        "head",
        "clear",
        "regressed",
        "inconclusive",
        "contaminated",
        "pairs, median and worst",
        "intervals that cover",
    ]
    logs = np.log(recording(1).min(axis=2))
    changes = {"same code": (0.0, 0.0), "+5% in one row": (0.05, 0.0), "+5% in the whole process": (0.05, 0.05)}
    for name, (slowdown, of_control) in changes.items():
        rng = np.random.default_rng(0)
        found = [_whole(logs, rng, slowdown, of_control) for _ in range(gates)]
        states = [
            sum(outcome.state == state for outcome in found)
            for state in ("clear", "regressed", "inconclusive", "contaminated")
        ]
        pairs = [outcome.n_pairs for outcome in found]
        truth = np.array([1 + slowdown, 1 + of_control])
        covered = sum(int(((o.verdicts["low"] <= truth) & (truth <= o.verdicts["high"])).sum()) for o in found)
        yield [
            name,
            *(share(n, gates) for n in states),
            f"{np.median(pairs):.0f}, {max(pairs)}",
            share(covered, 2 * gates),
        ]


def _whole(logs: Any, rng: np.random.Generator, slowdown: float, of_control: float) -> Outcome:
    begin = 2 * rng.integers(0, len(logs) // 2 - PAIRS + 1)
    control, dense, sparse = (logs[begin : begin + 2 * PAIRS, k].reshape(PAIRS, 2) for k in range(3))
    head = np.arange(PAIRS)[:, None] % 2 != np.array([[0, 1]])  # even pairs run base first
    replay = Replay(np.stack([dense, sparse]), np.array([slowdown, of_control]), control + np.log1p(of_control) * head)
    return run_gate(replay, GateThresholds(), max_seconds=1e9, clock=replay.clock)


TIGHT = GateThresholds(Thresholds(time=0.01))

TEN = 10  # rows of a gate with this threshold

TEN_SECONDS = 600.0  # its time limit


def tight_table(gates: int) -> Iterator[list[str]]:
    """Yield the verdicts of gates with ten rows, a threshold of 1 % and a time limit of ten minutes."""
    yield ["half", "head", "regressed, +2%", "regressed, same code", "inconclusive", "minutes, median and worst"]
    for half, name in enumerate(("first (tuned)", "second")):
        logs = np.log(recording(half).min(axis=2))
        for n_slower in (0, TEN // 2, TEN):
            rng = np.random.default_rng(n_slower)
            slowdown = np.where(np.arange(TEN) < n_slower, 0.02, 0.0)[rng.permutation(TEN)]
            found = [gate(_ten_rows(logs, rng), slowdown, TIGHT, TEN_SECONDS) for _ in range(gates)]
            yield [name, f"+2% in {n_slower} of {TEN} rows" if n_slower else "same code", *_tight(found, slowdown > 0)]


def _ten_rows(logs: Any, rng: np.random.Generator) -> Any:
    """Return the times of ten rows, each of a random workload and from a random place in the recording."""
    return np.concatenate([windows(logs[:, k], 1, PAIRS, rng) for k in rng.integers(0, len(WORKLOADS), TEN)])


def _tight(found: Sequence[Outcome], slower: Any) -> list[str]:
    verdicts = np.array([outcome.verdicts["verdict"] for outcome in found])
    regressed = [verdicts[:, rows] == "regressed" for rows in (slower, ~slower)]
    minutes = [outcome.seconds / 60 for outcome in found]
    return [
        *(share(int(hits.sum()), hits.size) if hits.size else "–" for hits in regressed),
        share(int((verdicts == "inconclusive").sum()), verdicts.size),
        f"{np.median(minutes):.1f}, {max(minutes):.1f}",
    ]


def unpaired_table(rows: int, passes: int = 10) -> Iterator[list[str]]:
    """Yield the verdicts on two consecutive blocks of processes, per workload."""
    yield ["workload", "differ at p < 0.01 (Mann-Whitney)", "`compare`: same code", "+5%", "+10%", "+20%"]
    logs = np.log(recording(1).min(axis=2))
    for k, name in enumerate(WORKLOADS):
        times = windows(logs[:, k], rows, passes, np.random.default_rng(k)).reshape(rows, 2, passes)
        differ = sum(mannwhitneyu(base, head).pvalue < 0.01 for base, head in times)
        found = [_compared(times, slowdown) for slowdown in (0.0, 0.05, 0.10, 0.20)]
        yield [name, share(differ, rows), *(share(hits, rows) for hits in found)]


def _compared(times: Any, slowdown: float) -> int:
    """Return how many rows are regressed, each in its own comparison."""
    return sum(_regressed(compare(_run(base), _run(head + np.log1p(slowdown))))[0] for base, head in times)


def _run(logs: Any) -> Run:
    row = {"case": "replayed", "strategy": "replayed", "phase": "gradient", "status": "ok", "passes": len(logs)}
    lines = [
        ("replayed", "replayed", "gradient", number, 0, "", seconds) for number, seconds in enumerate(np.exp(logs))
    ]
    return Run(tidy([row]), pd.DataFrame(lines, columns=list(PASS_COLUMNS)))


def share(hits: int, n: int) -> str:
    """Return a share with its two-sided 95 % interval (Clopper and Pearson 1934); of none, the upper end."""
    low, high = clopper_pearson(hits, n)
    return f"{hits / n:.1%} [{low:.1%}, {high:.1%}]" if hits else f"0 of {n:,} (< {high:.2%})"


TABLES: Mapping[str, Callable[[int], Iterator[list[str]]]] = {
    "Rules on the same samples": rules_table,
    "The gate, noise by noise": noise_table,
    "Whole gates": whole_table,
    "A threshold of 1 %": tight_table,
    "Two runs, unpaired": unpaired_table,
}


def main(rows: int, titles: Sequence[str]) -> None:
    """Print tables as Markdown, all if ``titles`` is empty; ``rows`` is the number of rows per rule and noise."""
    for title, table in TABLES.items():
        if titles and title not in titles:
            continue
        lines = list(table(rows if table in {rules_table, noise_table} else rows // 10))
        print(f"\n### {title}\n")
        print("\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ["---"] * len(lines[0]), *lines[1:])))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2:])
