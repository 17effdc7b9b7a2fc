"""The time model on a machine with known rates: exact for sizes, batches and networks that were not measured."""

from dataclasses import replace

import pytest

from jacobench.bench.floor.predicted_rows import one_case, predicted_rows, validation_rows
from jacobench.bench.floor.rule_work import jacobian_works
from jacobench.bench.floor.stored_profile import StoredProfile
from jacobench.bench.floor.time_model import WITH_RULES, TimeModel
from jacobench.bench.row.columns import tidy
from jacobench.bench.run import run_estimate
from jacobench.bench.run.run_plan import Plan
from jacobench.bench.suites.case import Suite, cells_of
from jacobench.reports.analysis.case_advice import advise_from_runs
from jacobench.strategies import registry

CASES = (
    {"width": 100, "depth": 5, "batch": 3},
    {"widths": [30, 90, 20], "batch": 2},
    {"name": "lenet-300-100", "batch": 7},
)


@pytest.mark.parametrize("knobs", CASES, ids=str)
def test_each_phase_of_each_strategy_has_its_seconds(knobs, known_times):
    profile, seconds = known_times
    graph = one_case(knobs).make()
    for spec in ("forward", *WITH_RULES):
        assert TimeModel(profile).seconds(graph, spec, 1) == pytest.approx(seconds(graph, spec), rel=0.01)


def test_each_seed_is_counted(known_times):
    profile, seconds = known_times
    graph = one_case({"width": 60, "depth": 2}).make()
    assert TimeModel(profile).seconds(graph, "dense", 8) == pytest.approx(seconds(graph, "dense", 8), rel=0.02)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.long
def test_a_whole_jacobian_has_its_seconds(known_times, batch):
    profile, seconds = known_times
    graph = one_case({"widths": [30, 40, 20], "batch": batch, "loss": "none"}).make()
    for spec in WITH_RULES:
        found = TimeModel(profile).seconds(graph, spec, 1, "jacobian")
        assert found == pytest.approx(seconds(graph, spec, 1, "jacobian"), rel=0.02)
        assert list(found) == ["prepare", "jacobian"]
        assert found["jacobian"] > TimeModel(profile).seconds(graph, spec, 1)["gradient"]


def test_samples_share_the_pullback_of_a_whole_jacobian():
    one, many = (one_case({"widths": [30, 40, 20], "batch": batch, "loss": "none"}).make() for batch in (1, 8))
    flops = {
        spec: [sum(work.flops for work in jacobian_works(graph, registry.load(spec))) for graph in (one, many)]
        for spec in ("vjp", "dense")
    }
    assert flops["vjp"][1] / flops["vjp"][0] == pytest.approx(8, rel=0.05)
    assert flops["dense"][1] / flops["dense"][0] > 60


def test_an_op_or_a_strategy_that_was_not_measured_is_not_predicted(known_times):
    model = TimeModel(known_times[0])
    assert not model.seconds(one_case({"width": 4, "depth": 2, "activation": "gelu"}).make(), "vjp", 1).get("gradient")
    assert model.seconds(one_case({"width": 4, "depth": 1}).make(), "forward-dense", 1) == {}


def test_dry_run_run_and_recommend_predict_the_same_seconds(known_times):
    stored = StoredProfile(0.0, 0.05, known_times[0])
    case = replace(one_case({"width": 100, "depth": 2}), strategies=("dense", "vjp"))
    plan = Plan(Suite("mine", (case,)), cells_of(Suite("mine", (case,))), 2**60)
    dry_run = run_estimate.estimate(run_estimate.predicted_table(plan, lambda _dtype: stored.model), 2**60)
    rows = [
        {"case": cell.case, "strategy": cell.strategy, "phase": cell.phase, "status": "ok", "machine": "m"}
        for cell in plan.cells
    ]
    run_estimate.add_seconds(rows, plan, "m", lambda _dtype: stored)
    assert dry_run["predicted_seconds"].notna().all()
    assert dry_run["predicted_seconds"].tolist() == pytest.approx([row["predicted_seconds"] for row in rows])
    advice = advise_from_runs(case, [], 2**60, stored)
    expected = dry_run[dry_run["phase"] == "gradient"].set_index("strategy")["predicted_seconds"]
    assert advice.basis == "model"
    assert advice.strategies.set_index("strategy")["seconds"].to_dict() == pytest.approx(expected.to_dict())


def test_the_tested_cells_have_measured_and_predicted_seconds(known_times):
    rows = validation_rows(StoredProfile(0.0, 0.05, known_times[0]))
    assert len(rows) == 6 * (1 + len(WITH_RULES) * 4)
    assert rows["predicted_seconds"].tolist() == pytest.approx(rows["seconds_median"].tolist(), rel=0.01)


def test_a_plugin_that_fails_is_the_reason_of_its_missing_prediction(known_times, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    name = 'mine'\n\n    def prepare(self, graph):\n        return None\n\n"
        "    def predict(self, graph, n_seeds):\n        raise ValueError('too\\nlarge')\n"
    )
    rows = tidy(
        predicted_rows(one_case({"widths": [4, 4]}), [f"{tmp_path / 'mine.py'}:Mine"], TimeModel(known_times[0]))
    )
    assert set(rows["reason"]) == {"no prediction: it fails: ValueError: too large"}
    assert rows["predicted_seconds"].isna().all()
