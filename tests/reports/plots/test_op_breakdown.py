"""What each op costs, as the model says."""

import pytest

from jacobench.reports.plots.op_breakdown import breakdown
from jacobench.reports.plots.plot_data import NoData
from jacobench.strategies import registry


def test_the_breakdown_shows_shares_of_what_the_model_says(one_case):
    picture = breakdown(one_case)
    assert [axes.get_title(loc="left").split(":")[0] for axes in picture.figure.axes] == ["dense", "sparse", "vjp"]
    own = picture.data[picture.data["strategy"] == "dense"]
    by_weight = own[(own["op"] == "affine") & (own["argument"] == "W")].iloc[0]
    assert by_weight["kept_bytes"] == 2 * 8 * 64**3
    longest = max(patch.get_width() for patch in picture.figure.axes[0].patches)
    shares = [by_weight[column] / own[column].sum() for column in ("flops", "bytes")]
    assert longest == pytest.approx(max(shares))


def test_a_name_in_a_runs_file_loads_no_plug_in(one_case, monkeypatch):
    loaded = []
    real = registry.load
    monkeypatch.setattr(registry, "load", lambda spec: loaded.append(spec) or real(spec))
    theirs = ["jax-vjp", "evil.module:Class", "evil.py:Class", "not there"]
    for name in theirs:
        with pytest.raises(NoData, match="no strategy of the run has a model"):
            breakdown(one_case.assign(strategy=name).drop_duplicates("phase"))
    assert loaded == []
