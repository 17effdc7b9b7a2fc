"""Published networks: numbers of parameters, counted by hand, and structure."""

import numpy as np
import pytest

from jacobench.graphs.architectures import ARCHITECTURES, architecture, architecture_graph
from jacobench.graphs.errors import BadInput

N_PARAMETERS = {
    # 784·300 + 300 + 300·100 + 100 + 100·10 + 10
    "lenet-300-100": 266_610,
    # 6·25 + 6 + 16·6·25 + 16 + 400·120 + 120 + 120·84 + 84 + 84·10 + 10
    "lenet-5": 61_706,
    # 785,000 + 500,500 + 125,250 + 7,530 down, 7,750 + 125,500 + 501,000 + 784,784 up
    "hinton-autoencoder": 2_837_314,
    # 2·768·3072 + 3072 + 768
    "transformer-ffn-base": 4_722_432,
    # 2·1024·4096 + 4096 + 1024
    "transformer-ffn-large": 8_393_728,
    # 4·(768² + 768)
    "transformer-attention-base": 2_362_368,
    # 60·256 + 256, six times 256² + 256, (256 + 60)·256 + 256; heads 257, 65,792, (256 + 24)·128 + 128, 128·3 + 3
    "nerf": 15_616 + 6 * 65_792 + 81_152 + 257 + 65_792 + 35_968 + 387,
    # the paper's own count
    "pinn": 3_021,
    # 2·256 + 256, three times 256² + 256, 256 + 1
    "siren": 768 + 3 * 65_792 + 257,
    # 13·512 + 512 + 512·256 + 256 + 256·128 + 128
    "dlrm-bottom": 171_392,
    # 479·1024 + 1024 + 1024² + 1024 + 1024·512 + 512 + 512·256 + 256 + 256 + 1
    "dlrm-top": 2_197_505,
    "mixer-mlp": 4_722_432,
    # 2·196·384 + 384 + 196
    "mixer-token-mlp": 151_108,
    # 3·64 + 64 + 2·(64² + 64) + 64·128 + 128 + 128·1024 + 1024
    "pointnet-shared-mlp": 148_992,
}

OUTPUTS = {
    "lenet-300-100": (2, 10),
    "lenet-5": (2, 10),
    "hinton-autoencoder": (2, 784),
    "transformer-ffn-base": (2, 768),
    "transformer-ffn-large": (2, 1024),
    "transformer-attention-base": (2, 128, 768),
    "nerf": (2, 4),
    "pinn": (2, 1),
    "siren": (2, 1),
    "dlrm-bottom": (2, 128),
    "dlrm-top": (2, 1),
    "mixer-mlp": (2, 196, 768),
    "mixer-token-mlp": (2, 768, 196),
    "pointnet-shared-mlp": (2, 1024, 1024),
}


def test_every_architecture_is_counted_here():
    assert N_PARAMETERS.keys() == OUTPUTS.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_number_of_parameters_is_the_published_one(name):
    assert architecture_graph(name).n_parameters == N_PARAMETERS[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_output_has_the_published_shape(name):
    assert architecture_graph(name, batch=2, loss=None).output_shape == OUTPUTS[name]


# name → depth, width, residual, normalization
FACTS = {
    "lenet-300-100": (3, 784, False, None),
    "lenet-5": (3, 120, False, None),
    "hinton-autoencoder": (8, 1000, False, None),
    "transformer-ffn-base": (2, 3072, True, "layer_norm"),
    "transformer-ffn-large": (2, 4096, True, "layer_norm"),
    "transformer-attention-base": (4, 768, True, "layer_norm"),
    "nerf": (12, 256, False, None),
    "pinn": (9, 20, False, None),
    "siren": (5, 256, False, None),
    "dlrm-bottom": (3, 512, False, None),
    "dlrm-top": (5, 1024, False, None),
    "mixer-mlp": (2, 3072, True, "layer_norm"),
    "mixer-token-mlp": (2, 384, True, None),
    "pointnet-shared-mlp": (5, 1024, False, None),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_entry_describes_its_graph(name):
    entry = architecture(name)
    graph = architecture_graph(name)
    ops = [node.op.name for node in graph.nodes]
    inputs = [leaf.shape for leaf in graph.leaves.values() if leaf.role == "input"]
    assert entry.name == name
    assert entry.title
    assert entry.source
    assert (entry.depth, entry.width, entry.residual, entry.normalization) == FACTS[name]
    assert entry.batch == inputs[0][0]
    assert entry.activation in ops
    assert ops[-1] == entry.loss


@pytest.mark.parametrize("name", ["lenet-300-100", "nerf", "siren", "transformer-ffn-base", "mixer-token-mlp"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks_evaluate_in_their_dtype(name, dtype):
    graph = architecture_graph(name, batch=1, loss=None, dtype=dtype)
    output = graph.evaluate(graph.sample(0))
    assert output.dtype == dtype
    assert output.shape == graph.output_shape
    assert np.all(np.isfinite(output))


def test_nerf_density_does_not_see_the_direction_and_the_skip_is_there():
    graph = architecture_graph("nerf", batch=3, loss=None)
    leaves = graph.sample(0)
    output = graph.evaluate(leaves)
    turned = graph.evaluate({**leaves, "direction": -leaves["direction"]})
    assert np.array_equal(output[:, 3], turned[:, 3])
    assert not np.any(output[:, :3] == turned[:, :3])
    assert graph.leaves["W6"].shape == (256, 316)
    # Without the first five layers, the output still depends on the position, through the skip.
    cut = {**leaves, "W1": 0 * leaves["W1"]}
    moved = {**cut, "x": -leaves["x"]}
    assert not np.any(graph.evaluate(cut)[:, :3] == graph.evaluate(moved)[:, :3])


def test_siren_samples_keep_the_standard_deviation():
    """The arguments of all sines but the first have a standard deviation near 1 (Sitzmann et al. 2020, §3.2)."""
    graph = architecture_graph("siren", batch=200, loss=None)
    leaves = graph.sample(0)
    h = np.sin(30 * (leaves["x"] @ leaves["W1"].T + leaves["b1"]))
    for k in (2, 3, 4):
        assert 0.8 < np.std(30 * (h @ leaves[f"W{k}"].T)) < 1.2
        h = np.sin(30 * (h @ leaves[f"W{k}"].T + leaves[f"b{k}"]))
    np.testing.assert_allclose(graph.evaluate(leaves), h @ leaves["W5"].T + leaves["b5"], rtol=1e-9, atol=1e-12)


def test_autoencoder_has_a_linear_code_and_logistic_units_elsewhere():
    ops = [node.op.name for node in architecture_graph("hinton-autoencoder").nodes]
    layers = "".join(op[0] for op in ops)  # a(ffine), s(igmoid), m(se)
    assert layers == "as" * 3 + "a" + "as" * 4 + "m"


def test_loss_can_be_overridden_and_lenet_classifies():
    assert architecture("lenet-300-100").loss == "cross_entropy"
    assert architecture_graph("lenet-300-100").leaves["target"].distribution == "one_hot"
    assert architecture_graph("lenet-300-100", loss="mse").leaves["target"].distribution == "uniform"
    assert "target" not in architecture_graph("lenet-300-100", loss=None).leaves


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "lenet-300-10"},
            "unknown architecture 'lenet-300-10': expected one of .*did you mean 'lenet-300-100'",
        ),
        ({"name": "pinn", "loss": "msee"}, "unknown loss 'msee'.*did you mean 'mse'"),
        ({"name": "pinn", "dtype": "float65"}, "unknown dtype 'float65'.*did you mean 'float64'"),
        ({"name": "pinn", "batch": 0}, "expected lengths of 1 or more"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(BadInput, match=message) as caught:
        architecture_graph(**arguments)
    assert "\n" not in str(caught.value)
