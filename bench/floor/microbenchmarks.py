"""Microbenchmarks: small cases measured in a fresh process, to fit rates of strategies without known rules."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell import heap_memory, timing
from jacobench.bench.cell.phase_costs import FORWARD
from jacobench.bench.cell.prepared_cell import PreparedCell
from jacobench.bench.cell.problem import Problem
from jacobench.bench.floor.predicted_rows import failure, n_seeds_of, predicted_rows
from jacobench.bench.machine import environment
from jacobench.bench.machine.machine_record import machine_key
from jacobench.bench.machine.worker_process import run_python
from jacobench.bench.suites.case import build
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.generators.mlp import ACTIVATIONS, LOSSES
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHAPES = (
    *({"width": width, "depth": 2, "batch": batch} for batch in (1, 8, 64) for width in (16, 32, 64, 128, 256)),
    *({"width": width, "depth": depth, "batch": 1} for width in (16, 64) for depth in (1, 6)),
)
"""Perceptrons over four orders of magnitude of work. Four have another depth, to separate cost per layer from cost per
call."""

ROUNDS, MIN_SECONDS = 7, 5e-4  # rounds of a call, and the length of the shortest; the fastest counts
LARGEST = 2**26  # Bytes. Cells that are predicted to need more take too long.
MEMORY_WIDTHS = (32, 64)  # widths whose peak memory is measured, too; this takes longer than timing
SAME_KNOBS = ("dtype", "task", "n_seeds", "weight_density")  # knobs that the small cases take over from a case


class SmallCases(msgspec.Struct, frozen=True):
    """Small cases with these knobs, measured under these strategies in these phases."""

    knobs: dict[str, Any]
    strategies: tuple[str, ...]
    phases: tuple[str, ...]
    with_memory: bool


def measure_like(
    knobs: Mapping[str, Any], specs: Sequence[str], phases: Sequence[str] = ("gradient",), *, with_memory: bool = True
) -> list[dict[str, Any]]:
    """Measure small cases that resemble a case, in a fresh process with the settings of a run; takes a few seconds.

    The small cases have the dtype, task, seeds and weight density of `knobs`, and a perceptron's activation and loss. The
    spec "forward" is the forward pass.

    Returns rows for `columns.tidy`, one per small case, strategy with a memory model, and phase. ``seconds_median`` is
    the fastest of seven rounds. A strategy that fails has one row, with status "error" and the reason. Raises subprocess.CalledProcessError if the process fails.
    """
    job = SmallCases(_knobs_like(knobs), tuple(specs), tuple(phases), with_memory)
    variables = environment.environment(environment.settings("tuned", 1), 0)
    module = "jacobench.bench.floor.microbenchmarks"
    found = run_python("-m", module, variables=variables, job=msgspec.json.encode(job), timeout=120)
    return msgspec.json.decode(found, type=list[dict[str, Any]])


def _knobs_like(knobs: Mapping[str, Any]) -> dict[str, Any]:
    like = {name: knobs[name] for name in SAME_KNOBS if knobs.get(name) is not None}
    if knobs.get("activation") in ACTIVATIONS:
        like["activation"] = knobs["activation"]
    return like | {"loss": knobs["loss"] if knobs.get("loss") in LOSSES else "none"}


def measure(job: SmallCases) -> Iterator[dict[str, Any]]:
    """Measure in this process."""
    failed: set[str] = set()
    for shape in SHAPES:
        (case,) = expand({"graph": "mlp", **shape, **job.knobs}, Path())
        graph, leaves = build(case)
        problem = Problem(graph, leaves, np.ones((n_seeds_of(case), *graph.output_shape), graph.dtype))
        rows = predicted_rows(replace(case, name=f"small-{case.name}"), job.strategies)
        for spec in (spec for spec in job.strategies if spec not in failed):
            own = [row for row in rows if row["strategy"] == spec and row["phase"] in (FORWARD, *job.phases)]
            if any(row["predicted_bytes"] is None or row["predicted_bytes"] >= LARGEST for row in own):
                continue
            try:
                yield from _measured(own, spec, problem, job)
            except Exception as error:  # noqa: BLE001  (a plug-in fails only its own rows)
                failed.add(spec)
                yield own[0] | {"status": "error", "reason": failure(error)}


def _measured(rows: Sequence[dict[str, Any]], spec: str, problem: Problem, job: SmallCases) -> Iterator[dict[str, Any]]:
    cell = PreparedCell(spec, problem)
    if spec != FORWARD:
        cell.strategy = registry.load(spec)
        cell.prepared = cell.strategy.prepare(problem.graph)
    for row in rows:
        call = cell.call(row["phase"])
        heap = heap_memory.measure(call) if job.with_memory and row["width"] in MEMORY_WIDTHS else None
        yield row | {
            "status": "ok",
            "reason": None,
            "machine": machine_key(),
            "controls": "tuned",
            "passes": 1,
            "seconds_median": timing.fastest(call, ROUNDS, MIN_SECONDS),
            **(heap.columns if heap else {}),
        }


if __name__ == "__main__":
    rows = list(measure(msgspec.json.decode(sys.stdin.buffer.read(), type=SmallCases)))
    sys.stdout.buffer.write(msgspec.json.encode(rows))
