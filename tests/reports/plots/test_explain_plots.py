"""Plots of an explanation: marks are at the right place, and in the data."""

import numpy as np
import pytest

import jacobench as jb
from jacobench.graphs.architectures import architecture_graph
from jacobench.graphs.generators.one_op import op_graph
from jacobench.reports.explain.jacobian_costs import jacobian_costs
from jacobench.reports.plots.explain_plots import cost_bars, patterns
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.style import strategy_style

GIB = 2**30


@pytest.fixture
def found():
    return jacobian_costs(jb.mlp([6, 5, 4], batch=2)[0])


def panels(plot):
    plot.figure.draw_without_rendering()
    return {axes.get_title(loc="left"): axes for axes in plot.figure.axes}


def drawn_slope(axes):
    box = axes.get_window_extent()
    return box.height / box.width


def test_no_text_overlaps_another_or_leaves_the_paper(found):
    plot = patterns(found, "a name that is longer than the matrices are wide")
    boxes = {title: axes.get_tightbbox() for title, axes in panels(plot).items()}
    paper = plot.figure.bbox
    for title, box in boxes.items():
        assert paper.x0 <= box.x0 < box.x1 <= paper.x1, title
        assert paper.y0 <= box.y0 < box.y1 <= paper.y1, title
        assert not [other for other, its in boxes.items() if other != title and box.overlaps(its)], title


def test_each_jacobian_has_its_panel_drawn_to_scale(found):
    drawn = panels(patterns(found, "mine"))
    assert list(drawn) == [cost.jacobian for cost in found.jacobians]
    square = drawn["∂tanh/∂affine1"]
    assert drawn_slope(square) == pytest.approx(1)
    np.testing.assert_array_equal(square.images[0].get_array(), np.eye(10))
    assert "not to scale" not in square.get_xlabel()
    assert [tick.get_text() for tick in square.get_xticklabels()] == ["0", "10"]


def test_a_shape_too_long_for_the_paper_says_so(found):
    wide = panels(patterns(found, "mine"))["∂mse/∂affine2"]
    assert drawn_slope(wide) == pytest.approx(0.5)
    assert "not to scale: columns drawn 4.00× closer" in wide.get_xlabel()


def test_the_data_are_the_dark_points(found):
    data = patterns(found, "mine").data
    for name, runs in data.groupby("jacobian"):
        area = ((runs["row_to"] - runs["row_from"]) * (runs["column_to"] - runs["column_from"])).sum()
        assert area == next(cost.n_nonzeros for cost in found.jacobians if cost.jacobian == name)


def test_those_alike_are_drawn_once():
    graph, _ = jb.mlp([4] * 8)
    drawn = panels(patterns(jacobian_costs(graph), "mine"))
    assert "∂affine2/∂W2 and 5 more" in drawn or "∂affine1/∂W1 and 6 more" in drawn
    assert len(drawn) == 5


def test_a_petabyte_is_drawn_without_it():
    plot = patterns(jacobian_costs(architecture_graph("transformer-ffn-large", batch=2**13)), "large")
    assert len(panels(plot)) >= 8


def test_what_no_integer_can_place_is_not_drawn():
    with pytest.raises(NoData, match="64 bits"):
        patterns(jacobian_costs(op_graph("tanh", batch=2**31 - 1, size=2**31 - 1)), "beyond")
    some = patterns(jacobian_costs(op_graph("affine", batch=2**12, size=2**17)), "some")
    assert "∂affine/∂b" in panels(some)
    assert "(2 of 3 Jacobians)" in some.figure.get_suptitle().replace("\n", " ")


def test_bars_are_as_long_as_the_bytes(found):
    plot = cost_bars(found, "mine", 24 * GIB)
    (axes,) = panels(plot).values()
    ends = {
        strategy: [
            bar.get_x() + bar.get_width()
            for bar in axes.patches
            if np.allclose(
                bar.get_facecolor()[:3], [int(strategy_style(strategy).color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
            )
        ]
        for strategy in ("dense", "sparse")
    }
    assert ends["dense"] == [*(cost.dense_bytes for cost in found.jacobians), found.totals[0].total_bytes]
    assert ends["sparse"] == [*(cost.sparse_bytes for cost in found.jacobians), found.totals[1].total_bytes]
    assert 24 * GIB in {line.get_xdata()[0] for line in axes.lines}
    assert "0 B" in {text.get_text() for text in axes.texts}
    assert len(plot.data) == len(found.jacobians) + 1


def test_a_leaf_alone_has_nothing_to_draw():
    g = jb.GraphBuilder()
    nothing = jacobian_costs(g.build(g.parameter("p", (3,))))
    for draw in (lambda: patterns(nothing, "p"), lambda: cost_bars(nothing, "p", GIB)):
        with pytest.raises(NoData, match="no Jacobian"):
            draw()
