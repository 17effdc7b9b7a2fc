"""The cells of a suite and the order of a pass."""

from dataclasses import replace
from itertools import groupby

import pytest

from jacobench.bench.cell.phase_costs import FORWARD, TASKS, needing_phases
from jacobench.bench.suites.case import BY_STRATEGY, Cell, Suite, cells_of, ordered
from jacobench.graphs.errors import BadInput


@pytest.fixture
def suite(make_case):
    return Suite("mine", (make_case("a", ("dense", "sparse", "vjp")), make_case("b", ("vjp",))))


def test_each_case_has_its_forward_pass_first_then_the_reference_then_the_others(suite):
    expected = [Cell("a", FORWARD, FORWARD)]
    expected += [Cell("a", strategy, phase) for strategy in ("vjp", "dense", "sparse") for phase in BY_STRATEGY]
    expected += [Cell("b", FORWARD, FORWARD), *(Cell("b", "vjp", phase) for phase in BY_STRATEGY)]
    assert cells_of(suite) == expected


def test_strategies_that_are_asked_for_take_the_place_of_each_cases_own(suite):
    found = {(cell.case, cell.strategy) for cell in cells_of(suite, ["sparse"])}
    assert found == {(case, strategy) for case in "ab" for strategy in (FORWARD, "sparse")}


def test_what_is_asked_for_twice_is_measured_once(suite, plugin_file, monkeypatch):
    file = plugin_file("")
    monkeypatch.chdir(file.parent)
    cells = cells_of(suite, ["vjp", "vjp", "plugin.py:Right", f"{file}:Right"])
    assert len(cells) == len(set(cells)) == 2 * (1 + 2 * len(BY_STRATEGY))


def test_a_strategys_file_means_the_same_in_every_folder(suite, plugin_file, monkeypatch, tmp_path):
    file = plugin_file("")
    monkeypatch.chdir(tmp_path)
    assert {cell.strategy for cell in cells_of(suite, ["plugin.py:Right"])} == {FORWARD, f"{file}:Right"}


@pytest.mark.parametrize(
    ("strategy", "message"),
    [("dnse", "did you mean 'dense'"), ("nowhere.py:Mine", "no file nowhere.py"), ("package.module:", "expected")],
)
def test_an_unknown_strategy_is_named(suite, strategy, message):
    with pytest.raises(BadInput, match=message):
        cells_of(suite, [strategy])


def test_every_other_pass_reverses_the_strategies_of_each_case_and_nothing_else(suite):
    cells = cells_of(suite)
    assert ordered(cells, 0) == ordered(cells, 2) == cells
    odd = ordered(cells, 1)
    assert odd == ordered(cells, 3) != cells
    assert sorted(odd, key=repr) == sorted(cells, key=repr)
    assert [case for case, _ in groupby(odd, key=lambda cell: cell.case)] == ["a", "b"]
    strategies = [name for name, _ in groupby(odd, key=lambda cell: cell.strategy)]
    assert strategies == ["sparse", "dense", "vjp", FORWARD, "vjp", FORWARD]
    for strategy in ("dense", "sparse", "vjp"):
        phases = [cell.phase for cell in odd if (cell.case, cell.strategy) == ("a", strategy)]
        assert phases == list(BY_STRATEGY)


def test_a_phase_that_fails_costs_those_that_need_it():
    assert TASKS == {"gradient": BY_STRATEGY, "jacobian": ("prepare", "jacobian")}
    assert needing_phases("gradient", "prepare") == BY_STRATEGY
    assert needing_phases("gradient", "linearize") == ("linearize", "pullback", "gradient")
    assert needing_phases("gradient", "pullback") == ("pullback", "gradient")
    assert needing_phases("jacobian", "prepare") == ("prepare", "jacobian")
    assert needing_phases("jacobian", "jacobian") == ("jacobian",)
    assert needing_phases("jacobian", FORWARD) == (FORWARD,)


def test_a_whole_jacobian_has_its_own_phases(make_case):
    suite = Suite("mine", (replace(make_case("a", ("vjp", "sparse")), task="jacobian"),))
    assert cells_of(suite) == [
        Cell("a", FORWARD, FORWARD),
        *(Cell("a", strategy, phase) for strategy in ("vjp", "sparse") for phase in ("prepare", "jacobian")),
    ]


def test_ids_are_distinct_and_contain_no_folder(suite, plugin_file):
    file = plugin_file("")
    cells = cells_of(suite, ["vjp", f"{file}:Right"])
    assert len({cell.id for cell in cells}) == len(cells)
    assert not any("/" in cell.id for cell in cells)
