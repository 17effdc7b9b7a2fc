"""Print the tables of docs/gate.md: python docs/figures/gate.py. The gate, and other tools' rules, on recorded process noise."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import betaincinv
from scipy.stats import mannwhitneyu, ttest_ind, wilcoxon

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.replay import Replay
from jacobench.reports.regression.thresholds import Limits
from jacobench.reports.regression.two_runs import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jacobench.reports.regression.outcome import Outcome

RECORDING = Path(__file__).with_name("processes.csv.gz")
"""2,184 consecutive fresh processes that run the same code, on two shared cores, within 18 minutes: three workloads, twenty rounds
each, in units of 10 ns."""

WORKLOADS = ("vjp", "dense", "sparse")

SLOWDOWNS = (0.0, 0.03, 0.05, 0.10)

PAIRS = 60
"""The most that a row can take: thirty in each stage."""


def recording(half: int) -> Any:
    """Return the first half of the recording (0, on which the gate was tuned) or the second (1, which is reported).

    Returns
    -------
    ndarray, shape (processes, 3, 20)
        Seconds per call of each workload and round.
    """
    seconds = pd.read_csv(RECORDING).to_numpy(dtype=np.float64).reshape(-1, len(WORKLOADS), 20) * 1e-8
    middle = len(seconds) // 4 * 2
    return seconds[:middle] if half == 0 else seconds[middle:]


def windows(logs: Any, rows: int, pairs: int, rng: np.random.Generator, *, shuffled: bool = False) -> Any:
    """Cut rows of pairs of neighbouring processes out of a recording.

    Parameters
    ----------
    logs : ndarray, shape (processes,)
        One number a process.
    rows, pairs : int
        How many.
    rng : Generator
        Where the windows begin.
    shuffled : bool
        Draw each pair from anywhere, so that rows hardly depend on each other; else a row's pairs follow each other as they did.

    Returns
    -------
    ndarray, shape (rows, pairs, 2)
        Overlapping where there are more rows than fit.
    """
    there = len(logs) // 2
    begin = (
        rng.integers(0, there, (rows, pairs))
        if shuffled
        else rng.integers(0, there - pairs + 1, (rows, 1)) + np.arange(pairs)
    )
    return np.stack([logs[2 * begin], logs[2 * begin + 1]], axis=-1)


# Noise that was made up, for what the recording may not hold: from a generator, rows and pairs to logarithms of seconds.


def heavy_tails(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Draw from Student's t with two degrees of freedom, which has no variance: quartiles at ±1.2 %."""
    return 0.015 * rng.standard_t(2, (rows, pairs, 2))


def two_modes(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make every third process 6 % slower, beside 1 % of normal noise: where memory happens to lie."""
    return 0.06 * (rng.random((rows, pairs, 2)) < 1 / 3) + 0.01 * rng.standard_normal((rows, pairs, 2))


def drift(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make each process 0.3 % slower than the one before, beside 1 %: a machine that warms up."""
    return 0.003 * np.arange(2 * pairs).reshape(1, pairs, 2) + 0.01 * rng.standard_normal((rows, pairs, 2))


def second_is_slower(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Make the second process of each pair 2 % slower, beside 1 %."""
    return 0.02 * np.array([0.0, 1.0]) + 0.01 * rng.standard_normal((rows, pairs, 2))


def bursts(rng: np.random.Generator, rows: int, pairs: int) -> Any:
    """Let a neighbour come and go, some twelve processes at a time, and cost 15 %, beside 1 %."""
    flips = np.cumsum(rng.random((rows, 2 * pairs)) < 1 / 12, axis=1) % 2
    return 0.15 * flips.reshape(rows, pairs, 2) + 0.01 * rng.standard_normal((rows, pairs, 2))


MADE_UP: Mapping[str, Callable[[np.random.Generator, int, int], Any]] = {
    "heavy tails": heavy_tails,
    "two modes": two_modes,
    "drift": drift,
    "the second is slower": second_is_slower,
    "bursts": bursts,
}


def gate(times: Any, slowdown: float) -> Outcome:
    """Let the gate judge rows as if it measured them now, for as long as it likes."""
    replay = Replay(times, slowdown)
    return run_gate(replay, Limits(), max_seconds=1e9, clock=replay.clock)


def binomial_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson (1934)."""
    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0


# The rules of other tools, from base and head, shape (processes, rounds), to whether head is called slower. They are emulated: the
# statistics as their sources have them, on the recorded rounds.


def _mean(base: Any, head: Any) -> bool:
    return bool(head.mean() > 1.05 * base.mean())


def _min(base: Any, head: Any) -> bool:
    return bool(head.min() > 1.05 * base.min())


def _criterion(base: Any, head: Any) -> bool:
    """Ask for a t-test at 5 %, and for the interval of the change of the mean above the noise threshold of 1 %."""
    a, b = base.ravel(), head.ravel()
    error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    low = (b.mean() - a.mean() - 1.96 * error) / a.mean()
    return bool(low > 0.01 and ttest_ind(a, b, equal_var=False).pvalue < 0.05)


def _pyperf(base: Any, head: Any) -> bool:
    """Ask for Student's t-test at 5 %, on three values of each of twenty processes."""
    a, b = base[:, :3].ravel(), head[:, :3].ravel()
    return bool(b.mean() > a.mean() and ttest_ind(a, b).pvalue < 0.05)


def _asv(base: Any, head: Any) -> bool:
    """Ask for a Mann-Whitney test at 0.002, and for medians that differ by a factor of 1.1."""
    a, b = base.ravel(), head.ravel()
    return bool(np.median(b) > 1.1 * np.median(a) and mannwhitneyu(a, b).pvalue < 0.002)


def _ten_pairs(base: Any, head: Any) -> bool:
    """Ask for an exact Wilcoxon test at 1 %, and for a median ratio of 1.03 or more."""
    ratios = np.log(head.min(axis=1) / base.min(axis=1))
    return bool(
        np.median(ratios) >= np.log(1.03) and wilcoxon(ratios, alternative="greater", method="exact").pvalue < 0.01
    )


@dataclass(frozen=True)
class Rule:
    """How a tool decides.

    Attributes
    ----------
    slower : callable
        From base and head to whether head is called slower.
    processes : int
        A side.
    in_turns : bool
        Whether base and head alternate; else all of base runs first.
    """

    slower: Callable[[Any, Any], bool]
    processes: int
    in_turns: bool


RULES: Mapping[str, Rule] = {
    "pytest-benchmark, `mean:5%`": Rule(_mean, 1, in_turns=True),
    "pytest-benchmark, `min:5%`": Rule(_min, 1, in_turns=True),
    "criterion-like": Rule(_criterion, 1, in_turns=True),
    "pyperf-like, 20 processes a side": Rule(_pyperf, 20, in_turns=False),
    "asv-like, 2 processes a side": Rule(_asv, 2, in_turns=True),
    "ten pairs, Wilcoxon at 1 %, 3 %": Rule(_ten_pairs, 10, in_turns=True),
}


def called_slower(rule: Rule, slowdown: float, seconds: Any, rows: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return how many of how many rows of a recording a rule calls slower."""
    found = 0
    for _ in range(rows):
        own = seconds[:, rng.integers(len(WORKLOADS))]
        begin = 2 * rng.integers(0, len(own) // 2 - rule.processes + 1)
        block = own[begin : begin + 2 * rule.processes]
        base, head = (block[::2], block[1::2]) if rule.in_turns else (block[: rule.processes], block[rule.processes :])
        found += rule.slower(base, head * (1 + slowdown))
    return found, rows


def rules_table(rows: int) -> Iterator[list[str]]:
    """Yield a line a rule, and the gate's, on the second half of the recording."""
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
    """Yield a line a workload of the recording's second half, whole and shuffled, and one a noise that was made up."""
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
    for name, make in MADE_UP.items():
        yield [name, *_gated(make(np.random.default_rng(0), rows, PAIRS))]


def _gated(times: Any) -> list[str]:
    outcomes = [gate(times, slowdown) for slowdown in SLOWDOWNS]
    looks = {look.n_pairs: look.n_open for look in outcomes[0].looks if look.stage == 1}
    still_open = " · ".join(f"{looks.get(n, 0) / len(times):.0%}" for n in (6, 10, 16, 22))
    inconclusive = int((outcomes[0].verdicts["verdict"] == "inconclusive").sum())
    return [*(share(*_regressed(outcome)) for outcome in outcomes), still_open, share(inconclusive, len(times))]


def _regressed(outcome: Outcome) -> tuple[int, int]:
    return int((outcome.verdicts["verdict"] == "regressed").sum()), len(outcome.verdicts)


def whole_table(gates: int) -> Iterator[list[str]]:
    """Yield how whole gates end: two rows that share their processes, and the third workload as the control kernel."""
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
    return run_gate(replay, Limits(), max_seconds=1e9, clock=replay.clock)


def unpaired_table(rows: int, passes: int = 10) -> Iterator[list[str]]:
    """Yield what is said of two consecutive blocks of processes, row by row and workload by workload."""
    yield ["workload", "differ at p < 0.01 (Mann-Whitney)", "`compare`: same code", "+5%", "+10%", "+20%"]
    logs = np.log(recording(1).min(axis=2))
    for k, name in enumerate(WORKLOADS):
        times = windows(logs[:, k], rows, passes, np.random.default_rng(k)).reshape(rows, 2, passes)
        differ = sum(mannwhitneyu(base, head).pvalue < 0.01 for base, head in times)
        found = [_compared(times, slowdown) for slowdown in (0.0, 0.05, 0.10, 0.20)]
        yield [name, share(differ, rows), *(share(hits, rows) for hits in found)]


def _compared(times: Any, slowdown: float) -> int:
    """Return how many rows are regressed, each in a comparison of its own."""
    return sum(_regressed(compare(_run(base), _run(head + np.log1p(slowdown))))[0] for base, head in times)


def _run(logs: Any) -> Run:
    row = {"case": "replayed", "strategy": "replayed", "phase": "gradient", "status": "ok", "passes": len(logs)}
    lines = [("replayed", "replayed", "gradient", number, 0, seconds) for number, seconds in enumerate(np.exp(logs))]
    return Run(tidy([row]), pd.DataFrame(lines, columns=list(PASS_COLUMNS)))


def share(hits: int, n: int) -> str:
    """Return a share with its interval; of none, three over n, which bounds it at 95 %."""
    if not hits:
        return f"0 of {n:,} (< {3 / n:.2%})"
    low, high = binomial_interval(hits, n)
    return f"{hits / n:.1%} [{low:.1%}, {high:.1%}]"


TABLES: Mapping[str, Callable[[int], Iterator[list[str]]]] = {
    "Rules on the same samples": rules_table,
    "The gate, noise by noise": noise_table,
    "Whole gates": whole_table,
    "Two runs, unpaired": unpaired_table,
}


def main(rows: int) -> None:
    """Print all tables as Markdown, each rule and noise on so many rows."""
    for title, table in TABLES.items():
        lines = list(table(rows // 10 if table in {whole_table, unpaired_table} else rows))
        print(f"\n### {title}\n")
        print("\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ["---"] * len(lines[0]), *lines[1:])))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
