"""Predicted cost of each op."""

import pandas as pd
import pytest

from jacobench.graphs.ops import OPS
from jacobench.reports.data.packaged_graphs import rebuilt
from jacobench.reports.data.run_data import Run
from jacobench.reports.explain.edge_costs import argument_name
from jacobench.reports.explain.jacobian_costs import jacobian_costs
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.share_bars import breakdowns
from jacobench.strategies import registry


def test_the_breakdown_shows_shares_of_what_the_model_says(one_case):
    plot = breakdowns(Run(one_case), "gradient")["ops"]
    assert [axes.get_title(loc="left").split(":")[0] for axes in plot.figure.axes] == ["dense", "sparse", "vjp"]
    own = plot.data[plot.data["strategy"] == "dense"]
    by_weight = own[(own["op"] == "affine") & (own["argument"] == "W")].iloc[0]
    assert by_weight["kept_bytes"] == 2 * 8 * 64**3
    longest = max(patch.get_width() for patch in plot.figure.axes[0].patches)
    shares = [by_weight[column] / own[column].sum() for column in ("flops", "bytes")]
    assert longest == pytest.approx(max(shares))


def test_bars_and_the_table_of_explain_agree(one_case):
    """Each bar is the share that the costs of `explain` give for its op and argument."""
    graph = rebuilt(one_case)["mlp-w64-d2-b1"][1]
    found = jacobian_costs(graph)
    by_rule = pd.DataFrame(
        {"op": [c.op for c in found.jacobians], "k": [c.argument for c in found.jacobians],
         "flops": [c.vjp_flops for c in found.jacobians]}
    ).groupby(["op", "k"])["flops"].sum()  # fmt: skip
    plot = breakdowns(Run(one_case), "gradient")["ops"]
    axes = next(axes for axes in plot.figure.axes if axes.get_title(loc="left").startswith("vjp"))
    labels = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    bars = {
        round(patch.get_y() + patch.get_height() / 2 + 0.18): patch.get_width()
        for patch in axes.patches
        if not patch.get_hatch()
    }
    for (op, k), flops in by_rule.items():
        label = f"{op} · {argument_name(OPS[op], k)}"
        assert bars[labels.index(label)] == pytest.approx(flops / found.totals[2].flops), label


def test_a_name_in_a_runs_file_loads_no_plug_in(one_case, monkeypatch):
    loaded = []
    real = registry.load
    monkeypatch.setattr(registry, "load", lambda spec: loaded.append(spec) or real(spec))
    theirs = ["jax-vjp", "evil.module:Class", "evil.py:Class", "not there"]
    for name in theirs:
        with pytest.raises(NoData, match="no strategy of the run has costs per op"):
            breakdowns(Run(one_case.assign(strategy=name).drop_duplicates("phase")), "gradient")
    assert loaded == []
