"""Public contract: every name, option and column that programs outside this repository use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

import pytest

import jacobench as jb
from jacobench.__main__ import main
from jacobench.bench.row.columns import COLUMNS
from jacobench.bench.suites.suite_files import suite_names
from jacobench.strategies.registry import registered

NAMES = """
    BadInput Graph GraphBuilder Unsupported attention chain compare crossovers explain from_jax from_onnx from_sklearn from_torch
    gate growth load load_passes mlp plot predict read recommend recommend_for reuse run strategies strategy strategy_names what_fits
"""

PARAMETERS = {
    "run": "suite model cluster out strategies cases passes max_minutes threads memory_budget timeout controls",
    "mlp": "widths batch activation loss dtype residual normalization weight_density rng_seed wrt",
    "recommend": "table passes phase",
    "what_fits": "table knob quantity limit",
}

OPTIONS = {
    "run": "suite model strategy case passes max-minutes out resume threads memory-budget timeout controls dry-run quiet cluster same-machine",
    "list": "suite",
    "verify": "strategy model",
    "explain": "widths architecture op graph model batch wrt json",
    "recommend": "widths model batch wrt from uses memory-budget json",
    "report": "out markdown",
    "compare": "across-machines",
    "gate": "against suite strategy case install max-minutes markdown junit self-test untracked base-with head-with "
    "memory pytest suite-from out",
    "bisect": "good bad package pytest suite-from memory out suite strategy case install max-minutes markdown junit untracked",
    "doctor": "json noise profile cluster",
    "history show": "file case branch",
    "history export": "format",
}
COMMANDS = "run list verify explain recommend table plot report compare gate bisect doctor history"
HISTORY = "add import show check plot report export rename merge"

COLUMN_NAMES = """
    run_id commit machine controls suite case graph depth width batch n_seeds activation loss residual normalization
    weight_density dtype wrt task n_parameters strategy phase status reason passes rounds seconds_min seconds_median seconds_iqr
    seconds_low seconds_high seconds_first ratio_to_vjp ratio_low ratio_high peak_bytes retained_bytes memory_tool predicted_bytes
    predicted_flops predicted_seconds n_nonzeros floor_seconds efficiency max_relative_error
"""

STRATEGIES = "dense dense-blocks sparse vjp forward-dense forward-sparse linear-operator"
PEERS = "torch-vjp torch-jacrev torch-original jax-vjp jax-jacrev jax-original autograd-vjp asdex"
SUITES = "smoke standard scaling crossover architectures claims gate peers models"


Help = Callable[[tuple[str, ...]], str]


def options_in(text: str) -> set[str]:
    return set(re.findall(r"--([a-z][a-z-]*)", text))


def commands_in(text: str) -> set[str]:
    return set(re.findall(r"^  ([a-z]+)  ", text.partition("Commands:")[2], re.MULTILINE))


def test_every_name_is_there() -> None:
    assert set(NAMES.split()) <= set(jb.__all__)
    assert all(getattr(jb, name) is not None for name in NAMES.split())
    assert inspect.ismodule(jb.strategies)
    assert isinstance(jb.strategy_names(), list)
    assert issubclass(jb.BadInput, ValueError)
    assert inspect.signature(main).return_annotation == "int"


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_there(name: str) -> None:
    found = set(inspect.signature(getattr(jb, name)).parameters)
    assert set(PARAMETERS[name].split()) <= found


@pytest.mark.parametrize("command", OPTIONS)
def test_every_option_is_there(command: str, help_of: Help) -> None:
    found = options_in(help_of(tuple(command.split())))
    assert set(OPTIONS[command].split()) <= found


def test_every_command_is_there(help_of: Help) -> None:
    found, history = commands_in(help_of(())), commands_in(help_of(("history",)))
    assert set(COMMANDS.split()) <= found
    assert set(HISTORY.split()) <= history


def test_every_column_is_there_with_its_description() -> None:
    assert set(COLUMN_NAMES.split()) <= set(COLUMNS)


def test_every_strategy_and_suite_is_there() -> None:
    assert {*STRATEGIES.split(), *PEERS.split()} <= set(registered())
    assert set(SUITES.split()) <= set(suite_names())
