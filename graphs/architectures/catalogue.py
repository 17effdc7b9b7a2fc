"""Table of published networks: source, sizes and simplifications. A new network is a new entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from jacobench.graphs.architectures import networks
from jacobench.graphs.builder import GraphBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph


@dataclass(frozen=True)
class Architecture:
    """Published network.

    `source` names the paper and where it gives the sizes; `simplified` lists differences from it. ``network(g, batch)``
    adds inputs and layers to a builder and returns the output.
    """

    name: str
    title: str
    source: str
    simplified: str
    network: Callable[[GraphBuilder, int], Value]
    activation: str
    batch: int = 32
    loss: str = "mse"

    @cached_property
    def depth(self) -> int:
        """Number of affine layers."""
        return sum(node.op.name == "affine" for node in self._graph.nodes)

    @cached_property
    def width(self) -> int:
        """Largest number of inputs or units of a layer."""
        inputs = [leaf.shape[-1] for leaf in self._graph.leaves.values() if leaf.role == "input"]
        return max([*inputs, *(node.shape[-1] for node in self._graph.nodes if node.op.name == "affine")])

    @cached_property
    def residual(self) -> bool:
        """Whether a skip connection adds to the output."""
        return any(node.op.name == "add" for node in self._graph.nodes)

    @cached_property
    def normalization(self) -> str | None:
        """Op that normalizes, if there is one."""
        return "layer_norm" if any(node.op.name == "layer_norm" for node in self._graph.nodes) else None

    @cached_property
    def _graph(self) -> Graph:
        g = GraphBuilder()
        return g.build(self.network(g, 1))


_BERT_LEFT_OUT = "no dropout; layer norm without learned gain and offset"
_BERT_FFN = (
    "Devlin, Chang, Lee, Toutanova 2019, BERT, §3 (sizes), A.2 (GELU); "
    "block: Vaswani et al. 2017, Attention is all you need, §3.1, §3.3"
)
_MLPERF = "MLPerf's configuration, facebookresearch/dlrm bench/run_and_time.sh"

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    entry.name: entry
    for entry in (
        Architecture(
            name="lenet-300-100",
            title="LeNet-300-100 on 28×28 digits",
            source="LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, "
            "§III-C, two-hidden-layer fully connected network",
            simplified="tanh instead of 1.7159·tanh(2a/3); softmax cross-entropy instead of the squared error",
            network=partial(networks.perceptron, widths=(784, 300, 100, 10), activation="tanh"),
            activation="tanh",
            loss="cross_entropy",
        ),
        Architecture(
            name="lenet-5",
            title="LeNet-5 on 32×32 digits: convolutions of 6 and 16 channels, layers of 120, 84, 10",
            source="LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, §II-B",
            simplified="every channel of the third layer sees all of the second; averages without a learned coefficient and "
            "bias; tanh instead of 1.7159·tanh(2a/3); softmax cross-entropy instead of the radial basis functions",
            network=networks.lenet5,
            activation="tanh",
            loss="cross_entropy",
        ),
        Architecture(
            name="hinton-autoencoder",
            title="deep autoencoder 784-1000-500-250-30 and back, on 28×28 digits",
            source="Hinton, Salakhutdinov 2006, Reducing the dimensionality of data with neural networks, "
            "Science 313:504, the autoencoder for MNIST",
            simplified="mean squared error instead of the cross-entropy of pixel intensities; no pretraining",
            network=networks.autoencoder,
            activation="sigmoid",
        ),
        Architecture(
            name="transformer-ffn-base",
            title="Transformer feed-forward block of BERT base, 768-3072-768 (batch: tokens)",
            source=_BERT_FFN,
            simplified=_BERT_LEFT_OUT,
            network=partial(networks.feed_forward, width=768, hidden=3072, norm="after"),
            activation="gelu",
        ),
        Architecture(
            name="transformer-ffn-large",
            title="Transformer feed-forward block of BERT large, 1024-4096-1024 (batch: tokens)",
            source=_BERT_FFN,
            simplified=_BERT_LEFT_OUT,
            network=partial(networks.feed_forward, width=1024, hidden=4096, norm="after"),
            activation="gelu",
        ),
        Architecture(
            name="transformer-attention-base",
            title="self-attention block of BERT base, 12 heads of 64, 128 tokens of 768 (batch: sequences)",
            source="Devlin, Chang, Lee, Toutanova 2019, BERT, §3 (sizes), A.2 (128 tokens); "
            "block: Vaswani et al. 2017, Attention is all you need, §3.1, §3.2",
            simplified=_BERT_LEFT_OUT,
            network=partial(networks.self_attention, tokens=128, width=768, heads=12),
            activation="softmax",
            batch=1,
        ),
        Architecture(
            name="nerf",
            title="NeRF's 8×256 with its skip, density and colour heads (batch: points on rays)",
            source="Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng 2020, NeRF, supplement A, Figure 7",
            simplified="starts at the encoded position (60) and direction (24); the layer that gives density and feature "
            "is two, of 1 and 256 units; density before its ReLU, which at a small batch is often zero throughout; the "
            "loss is on colour and density, not on rendered pixels",
            network=networks.nerf,
            activation="relu",
        ),
        Architecture(
            name="pinn",
            title="physics-informed network for Burgers' equation, 9 layers, 20 units (batch: points)",
            source="Raissi, Perdikaris, Karniadakis 2019, Physics-informed neural networks, J. Comput. Phys. 378:686, "
            "Appendix A, Burgers' equation",
            simplified="only the loss on data; the equation's residual needs derivatives with respect to the inputs",
            network=partial(networks.perceptron, widths=(2, *[20] * 8, 1), activation="tanh"),
            activation="tanh",
        ),
        Architecture(
            name="siren",
            title="SIREN for an image, five layers, 256 units (batch: pixels)",
            source="Sitzmann, Martel, Bergman, Lindell, Wetzstein 2020, Implicit neural representations with periodic "
            "activation functions, §3.2; widths and one grey value out as in the authors' SingleBVPNet",
            simplified="",
            network=networks.siren,
            activation="sin",
        ),
        Architecture(
            name="dlrm-bottom",
            title="DLRM's bottom MLP for Criteo Terabyte, 13-512-256-128",
            source=f"Naumov et al. 2019, Deep learning recommendation model, §2; sizes: {_MLPERF}",
            simplified="ends in a loss of its own instead of the interaction with the embeddings",
            network=partial(networks.perceptron, widths=(13, 512, 256, 128), activation="relu", last="relu"),
            activation="relu",
        ),
        Architecture(
            name="dlrm-top",
            title="DLRM's top MLP for Criteo Terabyte, 479-1024-1024-512-256-1",
            source=f"Naumov et al. 2019, Deep learning recommendation model, §2; sizes: {_MLPERF}; 479 = 128 and the "
            "products of 27 vectors in pairs, 27·26/2 = 351",
            simplified="starts after the interaction; mean squared error instead of the binary cross-entropy",
            network=partial(
                networks.perceptron, widths=(479, 1024, 1024, 512, 256, 1), activation="relu", last="sigmoid"
            ),
            activation="relu",
        ),
        Architecture(
            name="mixer-mlp",
            title="channel-mixing block of MLP-Mixer B/16, 196 tokens of 768-3072-768 (batch: images)",
            source="Tolstikhin et al. 2021, MLP-Mixer, §2, Table 1 (B/16)",
            simplified="layer norm without learned gain and offset, with eps 1e-5",
            network=partial(networks.feed_forward, width=768, hidden=3072, axes=(196,), norm="before"),
            activation="gelu",
            batch=1,
        ),
        Architecture(
            name="mixer-token-mlp",
            title="token-mixing block of MLP-Mixer B/16, 768 channels of 196-384-196 (batch: images)",
            source="Tolstikhin et al. 2021, MLP-Mixer, §2, Table 1 (B/16)",
            simplified="starts and ends transposed; no layer norm, which acts along the other axis",
            network=partial(networks.feed_forward, width=196, hidden=384, axes=(768,)),
            activation="gelu",
            batch=1,
        ),
        Architecture(
            name="pointnet-shared-mlp",
            title="PointNet's shared MLP, 3-64-64-64-128-1024 at each of 1024 points (batch: clouds)",
            source="Qi, Su, Mo, Guibas 2017, PointNet, Figure 2, §5.1",
            simplified="no input and feature transforms, batch norm and max pooling",
            network=networks.pointnet,
            activation="relu",
            batch=1,
        ),
    )
}
