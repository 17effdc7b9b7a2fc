"""Small cases measured on the spot, in one fresh process: rates to go by where there is no run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell import heap_memory
from jacobench.bench.cell.prepared_cell import PreparedCell, Problem
from jacobench.bench.floor.floors import fastest
from jacobench.bench.floor.predicted_rows import n_seeds_of, predicted_rows
from jacobench.bench.machine import environment
from jacobench.bench.machine.machine_record import machine_key
from jacobench.bench.suites.case import build
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.generators.mlp import ACTIVATIONS, LOSSES
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jacobench.bench.suites.case import Case

SHAPES = (
    *({"width": width, "depth": 2, "batch": batch} for batch in (1, 8, 64) for width in (16, 32, 64, 128, 256)),
    *({"width": width, "depth": depth, "batch": 1} for width in (16, 64) for depth in (1, 6)),
)
"""Perceptrons whose work spans four orders of magnitude; four are shallow or deep, to tell a layer's cost from a call's."""

LARGEST = 2**26
"""Bytes: what is predicted to need more takes too long to be measured on the spot."""

WEIGHED = (32, 64)
"""The widths whose heap is measured too; that takes longer than timing does."""

LIKE = ("dtype", "n_seeds", "weight_density")
"""Knobs in which the small cases are as the case at hand."""


class Job(msgspec.Struct, frozen=True):
    """What a fresh process measures: small cases with these knobs, under these strategies, one phase."""

    knobs: dict[str, Any]
    strategies: tuple[str, ...]
    phase: str


def probe(case: Case, specs: Sequence[str], phase: str = "gradient") -> list[dict[str, Any]]:
    """Measure strategies in small cases like one, in a fresh process with the settings of a run.

    Parameters
    ----------
    case : Case
        Its dtype, seeds and density of weights are taken over, and activation and loss where perceptrons have them.
    specs : sequence of str
        Strategies.
    phase : str
        What is timed.

    Returns
    -------
    list of dict
        For `columns.tidy`: a row for each small case and strategy with a model, with seconds (the fastest of seven rounds)
        and, of some of them, peak bytes. It takes a few seconds.

    Raises
    ------
    subprocess.CalledProcessError
        If the process fails.
    """
    job = Job(_like(case), tuple(specs), phase)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jacobench.bench.floor.microbenchmarks"],
        env=environment.environment(environment.settings("tuned", 1), 0),
        input=msgspec.json.encode(job), capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    return msgspec.json.decode(done.stdout, type=list[dict[str, Any]])


def _like(case: Case) -> dict[str, Any]:
    like = {name: case.knobs[name] for name in LIKE if case.knobs.get(name) is not None}
    if case.knobs.get("activation") in ACTIVATIONS:
        like["activation"] = case.knobs["activation"]
    loss = case.knobs.get("loss")
    return like | {"loss": loss if loss in LOSSES else "none"}


def measure(job: Job) -> Iterator[dict[str, Any]]:
    """Measure in this process."""
    for shape in SHAPES:
        (case,) = expand({"graph": "mlp", **shape, **job.knobs}, Path())
        yield from _rows(replace(case, name=f"probe-{case.name}"), job)


def _rows(case: Case, job: Job) -> Iterator[dict[str, Any]]:
    graph, leaves = build(case)
    point = Problem(graph, leaves, np.ones((n_seeds_of(case), *graph.output_shape), graph.dtype), {})
    for row in predicted_rows(case, job.strategies):
        if row["phase"] != job.phase or not (row["predicted_bytes"] or LARGEST) < LARGEST:
            continue
        strategy = registry.load(row["strategy"])
        trial = PreparedCell(row["strategy"], point, strategy, strategy.prepare(graph))
        call = trial.call(job.phase)
        seconds = fastest(call)
        heap = heap_memory.measure(call) if case.knobs["width"] in WEIGHED else None
        yield row | {
            "status": "ok",
            "reason": None,
            "machine": machine_key(),
            "controls": "tuned",
            "passes": 1,
            "seconds_median": seconds,
            "peak_bytes": heap and heap.peak_bytes,
            "memory_tool": heap and heap.tool,
        }


if __name__ == "__main__":
    rows = list(measure(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
    sys.stdout.buffer.write(msgspec.json.encode(rows))
