import matplotlib as mpl
import pytest

from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.style import STRATEGY_STYLES, strategy_style, styled


def test_built_in_strategies_differ_in_color_and_marker():
    assert len({style.color for style in STRATEGY_STYLES.values()}) == len(STRATEGY_STYLES)
    assert len({style.marker for style in STRATEGY_STYLES.values()}) == len(STRATEGY_STYLES)


def test_a_plug_in_keeps_its_style_and_has_none_of_ours():
    for name in ("mine", "yours", "jax-jacrev"):
        assert strategy_style(name) == strategy_style(name)
        assert strategy_style(name).marker not in {style.marker for style in STRATEGY_STYLES.values()}
    assert len({strategy_style(f"plugin-{number}") for number in range(40)}) > 20


def test_order_does_not_depend_on_the_table():
    assert in_order(["zeta", "vjp", "alpha", "dense", "vjp"]) == ["dense", "vjp", "zeta", "alpha"]


def test_the_readers_own_settings_are_neither_used_nor_changed():
    with mpl.rc_context({"font.size": 33, "axes.grid": False}):
        with styled():
            assert mpl.rcParams["font.size"] < 12
            assert mpl.rcParams["svg.hashsalt"] == "jacobench"
        assert mpl.rcParams["font.size"] == 33
        with pytest.raises(RuntimeError), styled():
            raise RuntimeError
        assert mpl.rcParams["font.size"] == 33


def test_no_two_other_libraries_look_alike():
    peers = [
        "jax-vjp",
        "jax-jacrev",
        "jax-original",
        "torch-vjp",
        "torch-jacrev",
        "torch-original",
        "autograd-vjp",
        "asdex",
    ]
    assert len({(style.color, style.marker) for style in map(strategy_style, peers)}) == len(peers)
