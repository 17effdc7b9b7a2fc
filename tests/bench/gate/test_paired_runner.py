"""Strategies that fail under the gate affect only their own rows, in real processes."""

from __future__ import annotations

import math
import sys

import pandas as pd
import pytest

from jacobench.bench.gate.gate_client import Injection
from jacobench.bench.gate.gate_config import GateConfig
from jacobench.bench.gate.sides import here_twice
from jacobench.graphs.errors import BadInput
from jacobench.strategies.contract import PHASES

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

STRATEGIES = """
import os, time
import jacobench as jb


class Fine:
    name = "fine"

    def prepare(self, graph):
        self.prepared = jb.strategy("vjp").prepare(graph)
        return self

    def linearize(self, leaves):
        self.linearized = self.prepared.linearize(leaves)
        self.output = self.linearized.output
        return self

    def pullback(self, seeds):
        return self.linearized.pullback(seeds)


class Dies(Fine):
    name = "dies"

    def linearize(self, leaves):
        os._exit(3)


class Late(Fine):
    '''Passes the precheck and dies when it is timed.'''
    name = "late"
    prepares, verified = 0, False

    def prepare(self, graph):
        Late.prepares += 1
        return super().prepare(graph)

    def pullback(self, seeds):
        Late.verified |= Late.prepares == 1  # the precheck verifies after one prepare; timing begins with many
        if not Late.verified:
            print("no more", flush=True)
            os._exit(5)
        return super().pullback(seeds)


class Hangs(Fine):
    name = "hangs"

    def prepare(self, graph):
        time.sleep(1000)


class Picky(Fine):
    name = "picky"

    def prepare(self, graph):
        raise type("Unsupported", (Exception,), {})("no perceptrons")
"""

SUITE = '[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n'


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Return the samples of one pair, in which everything goes wrong that can."""
    folder = tmp_path_factory.mktemp("runner")
    (folder / "my.py").write_text(STRATEGIES)
    (folder / "my.toml").write_text(SUITE)
    names = tuple(f"{folder}/my.py:{name}" for name in ("Dies", "Late", "Hangs", "Picky", "Fine"))
    with here_twice(GateConfig(suite=str(folder / "my.toml"), strategies=names, timeout_seconds=5)) as runner:
        runner.precheck()
        return pd.DataFrame(runner.measure(None, range(1, 2), 1))


EXPECTED = {
    "fine": ("ok", "", PHASES),
    "dies": ("crashed", "status 3", PHASES),
    "late": ("crashed", "status 5: no more", PHASES[2:]),
    "Hangs": ("timeout", "5 s", PHASES),
    "picky": ("unsupported", "no perceptrons", PHASES),
}
"""Strategy → its status, why, and the phases that have it; one that was never loaded is named by its class."""


@pytest.mark.parametrize("strategy", EXPECTED)
def test_a_fault_costs_its_own_rows_and_says_why(strategy, samples):
    status, why, phases = EXPECTED[strategy]
    rows = samples[samples["strategy"].str.lower() == strategy.lower()]
    assert sorted(rows["phase"]) == sorted(PHASES * 2)
    for row in rows.to_dict("records"):
        assert (row["status"], why in row["reason"]) == (status if row["phase"] in phases else "ok", True) or (
            row["phase"] not in phases and row["status"] == "ok"
        )
        assert math.isnan(row["seconds"]) == (row["status"] != "ok")


def test_an_odd_pair_runs_head_first_and_times_the_calibration_kernel(samples):
    control = samples[samples["strategy"] == "control"]
    assert control[["side", "position", "pair"]].to_numpy().tolist() == [["head", 0, 1], ["base", 1, 1]]
    assert (control["seconds"] > 0).all()


def test_each_row_has_the_memory_of_the_precheck(samples):
    fine = samples[samples["strategy"] == "fine"]
    assert fine["memory_tool"].notna().all()
    assert set(fine["width"]) == {4}


def test_memory_is_measured_again_in_fresh_processes(tmp_path):
    """With the memory that a self-test adds to head; the processes time nothing."""
    path = tmp_path / "my.toml"
    path.write_text(SUITE.replace("width = 4", "width = 64"))
    with here_twice(GateConfig(suite=str(path), strategies=("dense",))) as runner:
        (case,) = runner.cases
        runner.injections = {(case.name, "dense"): Injection(larger=1.0)}
        runner.precheck()
        found = pd.DataFrame(runner.measure_memory([(case.name, "dense")], range(1, 3)))
        before = pd.DataFrame(runner.prechecked())
    assert before[["side", "phase"]].to_numpy().tolist() == [
        [side, phase] for side in ("base", "head") for phase in PHASES
    ]
    assert found["side"].unique().tolist() == ["head", "base"]  # an odd pair begins with head
    assert len(found) == 2 * 2 * len(PHASES)
    assert found["seconds"].isna().all()
    for table in (before, found):
        peaks = table[table["phase"] == "gradient"].groupby("side")["peak_bytes"].median()
        assert peaks["head"] == pytest.approx(2 * peaks["base"], rel=0.02)
        assert table["memory_tool"].notna().all()


def test_a_strategy_that_neither_side_has_is_bad_input(tmp_path):
    (tmp_path / "my.toml").write_text(SUITE)
    config = GateConfig(suite=str(tmp_path / "my.toml"), strategies=("vjpp",))
    with (
        here_twice(config) as runner,
        pytest.raises(BadInput, match="neither side has strategy 'vjpp': unknown strategy"),
    ):
        runner.precheck()


def test_a_whole_jacobian_is_prechecked_and_timed_in_its_own_phases(tmp_path):
    path = tmp_path / "whole.toml"
    keys = 'loss = "none"\ntask = "jacobian"\nwrt = "inputs"'
    path.write_text(f'[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n{keys}\n')
    strategies = ("vjp", "forward-sparse", "dense")
    with here_twice(GateConfig(suite=str(path), strategies=strategies, timeout_seconds=60)) as runner:
        runner.precheck()
        for found in runner.statuses.values():
            assert {(spec, phase) for _, spec, phase in found} == {
                (spec, phase) for spec in strategies for phase in ("prepare", "jacobian")
            }
            assert {status.status for status in found.values()} == {"ok"}
        rows = pd.DataFrame(runner.measure(None, range(1), 1))
    timed = rows[rows["phase"].isin(["prepare", "jacobian"])]
    assert len(timed) == 2 * 2 * len(strategies)
    assert (timed["seconds"] > 0).all()
    assert set(timed["wrt"]) == {"inputs"}
    assert set(timed["task"]) == {"jacobian"}
