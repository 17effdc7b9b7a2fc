"""Noise of this machine: identical code timed in many fresh processes, with and without each setting.

``python -m jacobench.bench.machine.noise`` is one of these processes. It times each workload as two equal strategies.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from math import exp, log
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell import timing
from jacobench.bench.machine import blas_kernel, environment
from jacobench.bench.machine.worker_process import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROUNDS, ROUND_SECONDS = 12, 2e-3

WORKLOADS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vjp": ("vjp", {"widths": [128] * 7, "batch": 32}),
    "dense": ("dense", {"widths": [64] * 3, "batch": 4}),
    "sparse": ("sparse", {"widths": [128] * 3, "batch": 8}),
}
"""Workload → strategy, and arguments of the `mlp` whose gradient is timed."""

CONDITIONS: Mapping[str, Sequence[str]] = {
    "default settings, one thread": environment.THREAD_VARIABLES,
    "malloc": (*environment.THREAD_VARIABLES, *environment.MALLOC),
    "BLAS kernel": (*environment.THREAD_VARIABLES, blas_kernel.VARIABLE),
    "both (tuned)": (*environment.THREAD_VARIABLES, "XLA_FLAGS", *environment.MALLOC, blas_kernel.VARIABLE),
}
"""Condition → the tuned variables that it sets."""


class Sample(msgspec.Struct, frozen=True):
    """Measurements of one process: workload → seconds per call of each round, of two equal strategies in turns."""

    first: dict[str, tuple[float, ...]]
    second: dict[str, tuple[float, ...]]


def sample_here() -> Sample:
    """Time each workload in this process, alternating between two equal strategies."""
    first, second = {}, {}
    for workload, (strategy, knobs) in WORKLOADS.items():
        first[workload], second[workload] = _in_turns(_gradient(strategy, knobs), _gradient(strategy, knobs))
    return Sample(first, second)


def _gradient(strategy: str, knobs: Mapping[str, Any]) -> Callable[[], Any]:
    from jacobench.graphs.generators.mlp import mlp  # noqa: PLC0415  (only the timing processes need them)
    from jacobench.strategies import registry  # noqa: PLC0415

    graph, leaves = mlp(**knobs)
    prepared = registry.load(strategy).prepare(graph)
    seeds = np.ones((1, *graph.output_shape), graph.dtype)
    return lambda: prepared.linearize(leaves).pullback(seeds)


def _in_turns(a: Callable[[], Any], b: Callable[[], Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    calls = max(1, int(ROUND_SECONDS / min(_round(a, 1) for _ in range(3))))
    found = [(_round(a, calls), _round(b, calls)) for _ in range(ROUNDS)]
    first, second = zip(*found, strict=True)
    return first, second


def _round(call: Callable[[], Any], calls: int) -> float:
    return timing.round_seconds(call, calls) / calls


def sample(settings: Mapping[str, str]) -> Sample:
    """Measure in a fresh process with these variables; raises subprocess.CalledProcessError if it fails."""
    variables = environment.environment(settings, 0)
    found = run_python("-m", "jacobench.bench.machine.noise", variables=variables, timeout=120)
    return msgspec.json.decode(found, type=Sample)


def experiment(pairs: int) -> Iterator[tuple[str | None, Sample]]:
    """Yield samples of 2 × `pairs` tuned processes (condition None), and one per condition after every eighth."""
    tuned = environment.settings("tuned", 1)
    for number in range(2 * pairs):
        yield None, sample(tuned)
        if number % 8 == 7:
            for condition, names in CONDITIONS.items():
                chosen = {name: value for name, value in tuned.items() if name in names}
                yield condition, sample(chosen)


def spreads(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return the spreads of measurements of identical code, per workload, from two or more consecutive processes.

    Each is half the range of the middle 90 %, relative: ``inside`` (rounds of one process; median over processes),
    ``between`` (minima of all processes), ``neighbours`` (ratios of the minima of processes 2k and 2k + 1) and
    ``paired`` (ratios of the minima of the two equal strategies of one process).
    """
    found = {}
    for workload in samples[0].first:
        minima = [min(sample.first[workload]) for sample in samples]
        neighbours = [log(a / b) for a, b in list(pairwise(minima))[::2]]
        paired = [log(min(sample.first[workload]) / min(sample.second[workload])) for sample in samples]
        found[workload] = {
            "inside": float(np.median([_spread(np.log(sample.first[workload])) for sample in samples])),
            "between": _spread(np.log(minima)),
            "neighbours": _spread(neighbours),
            "paired": _spread(paired),
        }
    return found


def _spread(logs: Sequence[float] | np.ndarray[Any, Any]) -> float:
    low, high = np.quantile(logs, [0.05, 0.95])
    return float(high - low) / 2


def gains(by_condition: Mapping[str, Sequence[Sample]]) -> dict[str, dict[str, float]]:
    """Return the speed-up of each workload under each condition, relative to the first condition.

    The k-th samples of all conditions were measured at about the same time; the speed-up is the median of their ratios.
    """
    base, *others = by_condition

    def gain(condition: str, workload: str) -> float:
        pairs = zip(by_condition[base], by_condition[condition], strict=True)
        return exp(float(np.median([log(min(a.first[workload]) / min(b.first[workload])) for a, b in pairs])))

    return {condition: {workload: gain(condition, workload) for workload in WORKLOADS} for condition in others}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(sample_here()))
