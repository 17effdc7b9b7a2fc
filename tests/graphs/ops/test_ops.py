"""Rules of all ops: derivatives, matrices and side effects."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops import OPS
from jacobench.graphs.ops.masked_linear import CHUNK, DENSE_FROM, FEW_ROWS
from jacobench.graphs.structures import sparse_products
from jacobench.graphs.structures.sparse_products import FEW_VECTORS, is_thin
from jacobench.graphs.structures.sparsity import INT32_MAX, index_bytes, index_dtype
from jacobench.strategies import dense, sparse
from jacobench.strategies.registry import load


def wide_mask(n, m, n_positions, rng_seed=0):
    mask = np.zeros(n * m, bool)
    mask[np.random.default_rng(rng_seed).choice(n * m, n_positions, replace=False)] = True
    return mask.reshape(n, m)


def masked(g, z_shape, n, n_positions):
    m = z_shape[-1]
    mask = wide_mask(n, m, n_positions)
    return g.masked_affine(g.input("z", z_shape), g.parameter("v", (n_positions,)), g.parameter("b", (n,)), mask=mask)


# In addition to the ops' own examples: other numbers of axes, a single sample or entry, exchanged roles of data and weights,
# and sizes at which masked_affine uses other algorithms.
EXAMPLES = {
    **{name: op.example for name, op in OPS.items() if op.is_differentiable},
    "affine-3d": lambda g: g.affine(g.input("z", (2, 3, 4)), g.parameter("W", (5, 4)), g.parameter("b", (5,))),
    "affine-vector": lambda g: g.affine(g.input("z", (4,)), g.parameter("W", (5, 4)), g.parameter("b", (5,))),
    "affine-one": lambda g: g.affine(g.input("z", (1, 1)), g.parameter("W", (1, 1)), g.parameter("b", (1,))),
    "affine-one-sample": lambda g: g.affine(g.input("z", (1, 4)), g.parameter("W", (3, 4)), g.parameter("b", (3,))),
    "affine-weight-is-data": lambda g: g.affine(g.input("z", (3, 4)), g.input("W", (3, 4)), g.input("b", (3,))),
    "affine-only-weight-is-data": lambda g: g.affine(g.parameter("z", (2, 4)), g.input("W", (3, 4)), g.parameter("b", (3,))),
    "masked-3d": lambda g: masked(g, (2, 3, 4), 5, 6),
    "masked-vector": lambda g: masked(g, (4,), 5, 6),
    "masked-one-sample": lambda g: masked(g, (1, 4), 5, 6),
    "masked-two-samples": lambda g: masked(g, (2, 20), 20, 11),
    "masked-gathered": lambda g: masked(g, (5, 20), 20, 11),
    "masked-chunks": lambda g: masked(g, (5, 230), 240, 1700),
    "masked-thin": lambda g: masked(g, (4, 270), 280, 50),
    "masked-dense": lambda g: masked(g, (2, 2, 4), 5, 10),
    "add-weight": lambda g: g.add(g.input("x", (3, 4)), g.parameter("w", (3, 4))),
    "multiply-weight": lambda g: g.multiply(g.parameter("w", (3, 4)), g.input("x", (3, 4))),
    "multiply-scalars": lambda g: g.multiply(g.parameter("x", ()), g.parameter("y", ())),
    "tanh-scalar": lambda g: g.tanh(g.parameter("x", ())),
    "add-row": lambda g: g.add(g.input("x", (3, 4)), g.parameter("b", (4,))),
    "subtract-with-more-axes": lambda g: g.subtract(g.parameter("b", (4,)), g.input("x", (2, 3, 4))),
    "multiply-by-a-number": lambda g: g.multiply(g.input("x", (3, 4)), g.parameter("s", ())),
    "multiply-samples": lambda g: g.multiply(g.input("x", (3, 1, 4)), g.input("y", (3, 5, 1))),
    "multiply-one-sample": lambda g: g.multiply(g.input("x", (3, 4)), g.parameter("y", (1, 4))),
    "multiply-column-and-row": lambda g: g.multiply(g.parameter("x", (3, 1)), g.parameter("y", (4,))),
    "multiply-new-axis": lambda g: g.multiply(g.parameter("x", (3,)), g.parameter("y", (1, 3))),
    "divide-by-column": lambda g: g.divide(g.input("x", (3, 4)), g.input("y", (3, 1), distribution="positive")),
    "divide-a-number": lambda g: g.divide(g.parameter("x", ()), g.input("y", (2, 3, 1), distribution="positive")),
    "maximum-channels": lambda g: g.maximum(g.input("x", (2, 3, 4)), g.parameter("y", (3, 1))),
    "where-all-stretched": lambda g: g.where(g.constant([True, False, True]), g.parameter("x", (2, 1)), g.parameter("y", ())),
    "where-by-sample": lambda g: g.where(g.constant([[True], [False]]), g.input("x", (2, 3)), g.parameter("y", (3,))),
    "clamp-below": lambda g: g.clamp(g.input("x", (3, 4)), low=-0.2),
    "clamp-half-slopes": lambda g: g.clamp(g.input("x", (3, 4)), high=0.3, ends=0.5),
    "softplus-scaled": lambda g: g.softplus(g.input("x", (3, 4)), beta=2.0, threshold=0.5),
    "leaky_relu-steep": lambda g: g.leaky_relu(g.input("x", (3, 4)), slope=1.5),
    "leaky_relu-negative": lambda g: g.leaky_relu(g.input("x", (3, 4)), slope=-0.5),
    "leaky_relu-flat": lambda g: g.leaky_relu(g.input("x", (3, 4)), slope=0),
    "power_of-inverse": lambda g: g.power_of(g.input("x", (3, 4), distribution="positive"), exponent=-2),
    "power_of-root": lambda g: g.power_of(g.input("x", (3, 4), distribution="positive"), exponent=0.4),
    "power_of-7": lambda g: g.power_of(g.input("x", (3, 4)), exponent=7),
    "power_of-1": lambda g: g.power_of(g.input("x", (3, 4)), exponent=1),
    "power_of-0": lambda g: g.power_of(g.input("x", (3, 4)), exponent=0),
    "mod-trunc": lambda g: g.mod(g.input("x", (3, 4)), g.parameter("y", (4,)), kind="trunc"),
    "concat-one": lambda g: g.concat(g.input("x", (3, 4))),
    "concat-vectors": lambda g: g.concat(g.input("x", (3,)), g.parameter("y", (2,))),
    "concat-3d": lambda g: g.concat(g.input("x", (2, 3, 1)), g.parameter("y", (2, 3, 2)), g.input("z", (2, 3, 1))),
    "concat-axis": lambda g: g.concat(g.input("x", (2, 1, 3)), g.parameter("y", (2, 2, 3)), axis=1),
    "concat-batch": lambda g: g.concat(g.input("x", (2, 3)), g.input("y", (1, 3)), axis=0),
    "softmax-vector": lambda g: g.softmax(g.input("x", (3,))),
    "softmax-3d": lambda g: g.softmax(g.input("x", (2, 3, 4))),
    "softmax-one": lambda g: g.softmax(g.input("x", (2, 1))),
    "layer_norm-vector": lambda g: g.layer_norm(g.parameter("x", (5,))),
    "layer_norm-3d": lambda g: g.layer_norm(g.input("x", (2, 3, 4))),
    "reshape-mixes": lambda g: g.reshape(g.input("x", (2, 3, 4)), shape=(-1, 6)),
    "reshape-drops-an-axis": lambda g: g.reshape(g.input("x", (3, 1)), shape=(3,)),
    "transpose-mixes": lambda g: g.transpose(g.input("x", (2, 3, 4)), axes=(1, 2, 0)),
    "transpose-nothing": lambda g: g.transpose(g.input("x", (2, 3)), axes=(0, 1)),
    "permute-3d": lambda g: g.permute(g.input("x", (2, 3, 4)), order=[2, 0, 3, 1]),
    "flip-vector": lambda g: g.flip(g.parameter("x", (4,))),
    "flip-axes": lambda g: g.flip(g.input("x", (2, 3, 2)), axes=(1, -1)),
    "flip-batch": lambda g: g.flip(g.input("x", (2, 3)), axes=(0,)),
    "slice-steps": lambda g: g.slice(g.input("x", (2, 4, 5)), starts=(0, 3, 1), stops=(2, None, 5), steps=(1, -2, 3)),
    "slice-batch": lambda g: g.slice(g.input("x", (4, 3)), starts=(1, 0), stops=(3, 2), steps=(1, 1)),
    "slice-part": lambda g: g.slice(g.parameter("x", (4, 3)), starts=(3, 1), stops=(None, 3), steps=(-3, 1)),
    "slice-scalar": lambda g: g.slice(g.parameter("x", ())),
    "gather-rows": lambda g: g.gather(g.parameter("x", (3, 4)), positions=4 * np.array([[2], [0], [2]]) + np.arange(4)),
    "gather-rows-and-none": lambda g: g.gather(g.parameter("x", (3, 2)), positions=[[4, 5], [-1, -1], [0, 1]], fill=2.5),
    "gather-repeats-and-none": lambda g: g.gather(g.input("x", (2, 3)), positions=[[1, -1, 1, 2], [4, 5, -1, 4]]),
    "gather-mixes": lambda g: g.gather(g.input("x", (2, 3)), positions=[[1, 5, 3], [0, 2, 1]]),
    "gather-one": lambda g: g.gather(g.parameter("x", (3,)), positions=2),
    "gather-nothing": lambda g: g.gather(g.parameter("x", (3,)), positions=[-1, -1], fill=1),
    "scatter-repeats": lambda g: g.scatter(g.input("x", (2, 3)), g.input("u", (2, 3)), positions=[[2, 0, 2], [4, -1, 4]]),
    "scatter-rows": lambda g: g.scatter(g.parameter("x", (3, 2)), g.parameter("u", (2, 2)), positions=[[4, 5], [0, 1]]),
    "scatter-all": lambda g: g.scatter(g.parameter("x", (2,)), g.parameter("u", (2,)), positions=[1, 0]),
    "scatter-number": lambda g: g.scatter(g.parameter("x", (3,)), g.parameter("u", ()), positions=1),
    "scatter-add": lambda g: g.scatter(g.input("x", (2, 3)), g.input("u", (2, 4)), positions=[[2, 0, 2, 1], [4, -1, 4, 4]], mode="add"),
    "scatter-add-rows": lambda g: g.scatter(g.parameter("x", (3, 2)), g.parameter("u", (2, 2)), positions=[[4, 5], [4, 5]], mode="add"),
    "scatter-multiply": lambda g: g.scatter_reduce(g.input("x", (2, 3)), g.input("u", (2, 4)), positions=[[2, 0, 2, 2], [4, -1, 4, 5]]),
    "scatter-max": lambda g: g.scatter_reduce(g.input("x", (2, 3)), g.parameter("u", (2, 4)), positions=[[2, 0, 2, 2], [4, -1, 4, 5]], mode="max"),
    "scatter-min": lambda g: g.scatter_reduce(g.parameter("x", (3,)), g.parameter("u", (4,)), positions=[2, 0, 2, 2], mode="min"),
    "broadcast-number": lambda g: g.broadcast(g.parameter("x", ()), shape=(2, 3)),
    "broadcast-weight": lambda g: g.broadcast(g.parameter("w", (3, 1)), shape=(2, 3, 2)),
    "broadcast-one-sample": lambda g: g.broadcast(g.input("x", (1, 3)), shape=(2, 3)),
    "broadcast-nothing": lambda g: g.broadcast(g.input("x", (2, 3)), shape=(2, 1, 3, 1), axes=(0, 2)),
    "roll-axes": lambda g: g.roll(g.input("x", (2, 3, 4)), shifts=(-1, 2), axes=(1, 2)),
    "roll-batch": lambda g: g.roll(g.input("x", (3, 2)), shifts=(1,), axes=(0,)),
    "roll-nothing": lambda g: g.roll(g.input("x", (3, 2)), shifts=(2, 0), axes=(1, 0)),
    "pad-axes": lambda g: g.pad(g.input("x", (2, 2, 3)), pairs=((0, 0), (1, 0), (2, 1)), value=-1.5),
    "pad-batch": lambda g: g.pad(g.input("x", (2, 2)), pairs=((1, 0), (0, 1))),
    "pad-interior": lambda g: g.pad(g.input("x", (2, 2, 3)), pairs=((0, 0), (1, 2), (0, 1)), interior=(0, 2, 1)),
    "pad-crop": lambda g: g.pad(g.input("x", (2, 5, 3)), pairs=((0, 0), (-2, 1), (-1, -1)), interior=(0, 1, 0)),
    "pad-crop-batch": lambda g: g.pad(g.input("x", (3, 2)), pairs=((-1, 1), (0, 0))),
    "pad-number": lambda g: g.pad(g.parameter("x", ())),
    "pad-vector": lambda g: g.pad(g.parameter("x", (4,)), after=2),
    "pad-nothing": lambda g: g.pad(g.input("x", (2, 2, 2))),
    "embedding-repeats": lambda g: g.embedding(g.parameter("t", (3, 2)), indices=[2, 2, 0, 2]),
    "embedding-one": lambda g: g.embedding(g.parameter("t", (3, 2)), indices=1),
    "cross-vector": lambda g: g.cross(g.parameter("x", (3,)), g.parameter("y", (3,))),
    "cross-constant": lambda g: g.cross(g.input("x", (4, 3)), g.parameter("y", (4, 3))),
    "dot-vectors": lambda g: g.dot(g.parameter("x", (4,)), g.parameter("y", (4,))),
    "dot-3d": lambda g: g.dot(g.input("x", (2, 3, 4)), g.input("y", (2, 3, 4))),
    "outer-vectors": lambda g: g.outer(g.parameter("x", (3,)), g.parameter("y", (2,))),
    "outer-3d": lambda g: g.outer(g.input("x", (2, 3, 4)), g.parameter("y", (2, 3, 2))),
    "matmul-2d": lambda g: g.matmul(g.input("x", (3, 4)), g.parameter("y", (4, 2))),
    "matmul-4d": lambda g: g.matmul(g.input("x", (2, 3, 2, 4)), g.parameter("y", (2, 3, 4, 1))),
    "sum-vector": lambda g: g.sum(g.parameter("x", (3,))),
    "sum-3d": lambda g: g.sum(g.input("x", (2, 3, 4))),
    "sum-first": lambda g: g.sum(g.input("x", (3, 4)), axes=(0,)),
    "sum-apart": lambda g: g.sum(g.input("x", (2, 3, 4)), axes=(-1, 0), keepdims=True),
    "sum-middle": lambda g: g.sum(g.input("x", (2, 3, 4)), axes=(1,)),
    "sum-all": lambda g: g.sum(g.input("x", (3, 4)), axes=None),
    "sum-scalar": lambda g: g.sum(g.parameter("x", ()), axes=None),
    "mean-two": lambda g: g.mean(g.input("x", (2, 3, 4)), axes=(1, 2)),
    "mean-first": lambda g: g.mean(g.input("x", (3, 4)), axes=(0,), keepdims=True),
    "max-all": lambda g: g.max(g.input("x", (3, 4)), axes=None),
    "max-middle": lambda g: g.max(g.input("x", (2, 3, 4)), axes=(1,)),
    "max-first-of": lambda g: g.max(g.input("x", (2, 3, 4)), axes=(0, 2), ties="first"),
    "max-scalar": lambda g: g.max(g.parameter("x", ()), axes=None, ties="first"),
    "min-first-of": lambda g: g.min(g.input("x", (2, 3, 4)), axes=(1,), ties="first", keepdims=True),
    "prod-middle": lambda g: g.prod(g.input("x", (2, 3, 4)), axes=(1,)),
    "prod-all": lambda g: g.prod(g.input("x", (2, 3)), axes=None, keepdims=True),
    "prod-one": lambda g: g.prod(g.input("x", (3, 1))),
    "logsumexp-apart": lambda g: g.logsumexp(g.input("x", (2, 3, 4)), axes=(0, 2)),
    "logsumexp-all": lambda g: g.logsumexp(g.input("x", (3, 4)), axes=None),
    "var-corrected": lambda g: g.var(g.input("x", (2, 3, 4)), axes=(1,), correction=1),
    "var-all": lambda g: g.var(g.input("x", (2, 3)), axes=None),
    "norm-middle": lambda g: g.norm(g.input("x", (2, 3, 4)), axes=(1,), keepdims=True),
    "norm-one": lambda g: g.norm(g.input("x", (2, 3, 4)), order=1),
    "norm-largest": lambda g: g.norm(g.input("x", (2, 3, 4)), axes=(1, 2), order=float("inf")),
    "norm-all": lambda g: g.norm(g.parameter("x", (5,)), axes=None),
    "cumsum-middle": lambda g: g.cumsum(g.input("x", (2, 3, 4)), axis=1),
    "cumsum-first": lambda g: g.cumsum(g.input("x", (3, 2)), axis=0),
    "cumsum-reverse": lambda g: g.cumsum(g.input("x", (2, 4)), reverse=True),
    "cumsum-reverse-middle": lambda g: g.cumsum(g.input("x", (2, 3, 2)), axis=1, reverse=True),
    "cumprod-middle": lambda g: g.cumprod(g.input("x", (2, 3, 4)), axis=1),
    "cumprod-first": lambda g: g.cumprod(g.input("x", (3, 2)), axis=0),
    "cumprod-one": lambda g: g.cumprod(g.parameter("x", (1,))),
    "softmax-middle": lambda g: g.softmax(g.input("x", (2, 3, 4)), axis=1),
    "softmax-first": lambda g: g.softmax(g.input("x", (3, 2)), axis=0),
    "log_softmax-middle": lambda g: g.log_softmax(g.input("x", (2, 3, 4)), axis=1),
    "log_softmax-vector": lambda g: g.log_softmax(g.parameter("x", (4,))),
    "layer_norm-two": lambda g: g.layer_norm(g.input("x", (2, 3, 4)), axes=(1, 2), eps=1e-3),
    "layer_norm-apart": lambda g: g.layer_norm(g.input("x", (2, 3, 4)), axes=(0, 2)),
    "rms_norm-two": lambda g: g.rms_norm(g.input("x", (2, 3, 4)), axes=(-1, -2)),
    "rms_norm-middle": lambda g: g.rms_norm(g.input("x", (2, 3, 4)), axes=(1,), eps=0.1),
    "cumsum-3d": lambda g: g.cumsum(g.input("x", (2, 3, 4))),
    "cumsum-one": lambda g: g.cumsum(g.parameter("x", (1,))),
    "dropout-shared": lambda g: g.dropout(g.input("x", (2, 3, 4)), mask=np.arange(4) != 2, rate=0.1),
    "dropout-keeps-all": lambda g: g.dropout(g.parameter("x", (2, 2)), mask=[[True, True]] * 2, rate=0),
    "low_rank-3d": lambda g: g.low_rank_affine(g.input("z", (2, 3, 4)), g.parameter("U", (5, 2)), g.parameter("V", (2, 4)), g.parameter("b", (5,))),
    "low_rank-vector": lambda g: g.low_rank_affine(g.input("z", (4,)), g.parameter("U", (5, 1)), g.parameter("V", (1, 4)), g.parameter("b", (5,))),
    "conv1d-stride": lambda g: g.conv1d(g.input("x", (2, 2, 7)), g.parameter("W", (3, 2, 2)), stride=3),
    "conv1d-stride-padding": lambda g: g.conv1d(g.input("x", (2, 2, 6)), g.parameter("W", (3, 2, 3)), stride=2, padding=2),
    "conv1d-wide-padding": lambda g: g.conv1d(g.parameter("x", (1, 1, 2)), g.input("W", (1, 1, 2)), padding=3),
    "conv1d-kernel-beyond": lambda g: g.conv1d(g.input("x", (2, 1, 2)), g.parameter("W", (2, 1, 4)), padding=1),
    "conv1d-one": lambda g: g.conv1d(g.input("x", (1, 1, 1)), g.parameter("W", (1, 1, 1))),
    "conv2d-channels": lambda g: g.conv2d(g.input("x", (2, 3, 4, 5)), g.parameter("W", (2, 3, 2, 3))),
    "conv2d-stride-padding": lambda g: g.conv2d(g.parameter("x", (2, 2, 4, 3)), g.parameter("W", (3, 2, 3, 2)), stride=(2, 1), padding=(1, 0)),
    "conv-groups": lambda g: g.conv(g.input("x", (2, 4, 5)), g.parameter("W", (6, 2, 2)), groups=2, stride=2, padding=((0, 2),)),
    "conv-depthwise-dilated": lambda g: g.conv(g.parameter("x", (2, 3, 5, 4)), g.input("W", (3, 1, 2, 2)), groups=3, dilation=(2, 1), padding=((1, 0), (0, 1))),
    "conv-transposed": lambda g: g.conv(g.input("x", (2, 2, 3, 2)), g.parameter("W", (3, 2, 3, 2)), input_dilation=(2, 3), padding=((1, 2), (1, -1)), stride=(1, 2)),
    "conv-transposed-groups": lambda g: g.conv(g.input("x", (2, 2, 3)), g.parameter("W", (4, 1, 3)), input_dilation=3, dilation=2, groups=2, padding=3),
    "conv-cropped": lambda g: g.conv(g.input("x", (2, 2, 6)), g.parameter("W", (2, 2, 2)), padding=((-1, -2),)),
    "conv-phase-without-taps": lambda g: g.conv(g.input("x", (2, 1, 3)), g.parameter("W", (2, 1, 2)), input_dilation=2, dilation=2),
    "max_pool-padding": lambda g: g.max_pool(g.input("x", (2, 3, 5)), window=3, stride=2, padding=1),
    "max_pool-dilated": lambda g: g.max_pool(g.input("x", (2, 5, 4)), window=(2, 2), stride=(1, 2), dilation=(3, 2), padding=((0, 1), (1, 0))),
    "max_pool-3d": lambda g: g.max_pool(g.input("x", (2, 3, 2, 3)), window=(2, 2, 2), stride=1),
    "avg_pool-padding": lambda g: g.avg_pool(g.input("x", (2, 3, 5)), window=3, stride=2, padding=1),
    "avg_pool-not-counted": lambda g: g.avg_pool(g.input("x", (2, 3, 5)), window=(2, 3), stride=(1, 2), padding=((1, 0), (1, 2)), count_padding=False),
    "avg_pool-3d": lambda g: g.avg_pool(g.input("x", (2, 3, 2, 3)), window=(2, 1, 2), stride=1, padding=((0, 1), (0, 0), (1, 0))),
    "sum_pool-dilated": lambda g: g.sum_pool(g.parameter("x", (2, 6)), window=2, stride=3, dilation=3, padding=((2, 0),)),
    "sum_pool-only-padding": lambda g: g.sum_pool(g.input("x", (2, 3)), window=1, padding=2),
    "max_pool-overlap": lambda g: g.max_pool(g.input("x", (2, 7)), window=3, stride=2),
    "max_pool-gaps": lambda g: g.max_pool(g.parameter("x", (7,)), window=2, stride=3),
    "max_pool-2d": lambda g: g.max_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(2, 1)),
    "max_pool-all-axes": lambda g: g.max_pool(g.input("x", (4, 4)), window=(2, 2)),
    "avg_pool-overlap": lambda g: g.avg_pool(g.input("x", (2, 7)), window=3, stride=2),
    "avg_pool-2d": lambda g: g.avg_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(1, 2)),
    "channel_bias-2d": lambda g: g.channel_bias(g.input("x", (2, 3, 2, 2)), g.parameter("b", (3,))),
    "channel_bias-no-positions": lambda g: g.channel_bias(g.parameter("x", (2, 3)), g.input("b", (3,))),
    "mse-vector": lambda g: g.mse(g.input("t", (3,)), g.input("target", (3,))),
    "cross_entropy-3d": lambda g: g.cross_entropy(g.input("t", (2, 3, 4)), g.input("target", (2, 3, 4), distribution="one_hot")),
}  # fmt: skip


def one_node(example, dtype="float64", rng_seed=0):
    """Return the only node of an example's graph, its output and its arguments' arrays."""
    g = GraphBuilder(dtype)
    output = EXAMPLES[example](g)
    graph = g.build(output, wrt="all")
    values = graph.values_of(graph.sample(rng_seed))
    (node,) = graph.nodes
    xs = tuple(values[i] for i in node.args)
    return graph, node, np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)), xs


def differentiable(node):
    """Return number and context of each argument that has rules."""
    return [(k, ctx) for k, ctx in enumerate(node.contexts) if node.op.has_rules(k)]


each_example = pytest.mark.parametrize("example", EXAMPLES)
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def test_every_op_has_an_entry_that_documents_itself():
    for name, op in OPS.items():
        assert op.name == name
        assert op.source
        assert callable(getattr(GraphBuilder(), name))


def test_masked_examples_cover_all_algorithms():
    """Also if the thresholds change."""
    at = {name: one_node(name)[1].contexts[1] for name in EXAMPLES if name.startswith("masked")}
    masks = {name: ctx.attrs["mask"] for name, ctx in at.items()}
    rows = {name: ctx.n_vectors for name, ctx in at.items()}
    assert rows["masked-one-sample"] == 1 < rows["masked-two-samples"] <= min(FEW_ROWS, FEW_VECTORS)
    assert all(rows[name] > FEW_VECTORS for name in ("masked-3d", "masked-thin", "masked-dense"))
    assert masks["masked-3d"].density < sparse_products.DENSE_FROM <= masks["masked-dense"].density
    assert [is_thin(masks[name].shape, masks[name].indices.size) for name in ("masked-3d", "masked-thin")] == [
        False,
        True,
    ]
    assert masks["masked-3d"].density >= DENSE_FROM
    for name, chunked in (("masked-gathered", False), ("masked-chunks", True)):
        assert masks[name].density < DENSE_FROM
        assert rows[name] > FEW_ROWS
        assert (masks[name].indices.size > CHUNK // rows[name]) == chunked


@pytest.mark.parametrize(
    "example", sorted(EXAMPLES.keys() - {"masked-chunks", "masked-thin"})
)  # these have too many entries to move one by one
def test_jacobian_is_the_derivative(example):
    """Compare J with a central difference in each entry of the argument."""
    _, node, y, xs = one_node(example)
    h = 1e-6
    for k, ctx in differentiable(node):
        J = dense.materialize(node.op.argument(k).jacobian, y, xs, ctx)
        for i in range(ctx.n_in):
            step = np.zeros(ctx.n_in)
            step[i] = h
            ends = [
                np.asarray(
                    node.op.forward(NUMPY, *xs[:k], xs[k] + way * step.reshape(ctx.x), *xs[k + 1 :], **node.attrs)
                )
                for way in (1, -1)
            ]
            np.testing.assert_allclose(J[:, i], ((ends[0] - ends[1]) / (2 * h)).reshape(-1), rtol=1e-6, atol=1e-8)


@each_dtype
@each_example
def test_vjp_is_the_adjoint_of_the_jacobian(example, dtype):
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for three u at once, with Jᵀ u from the vjp rule."""
    _, node, y, xs = one_node(example, dtype)
    rng = np.random.default_rng(1)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for k, ctx in differentiable(node):
        u, v = rng.standard_normal((3, *ctx.out)).astype(dtype), rng.standard_normal(ctx.x).astype(dtype)
        J = dense.materialize(node.op.argument(k).jacobian, y, xs, ctx)
        x_bar = node.op.argument(k).vjp(u, y, xs, ctx)
        assert x_bar.shape == (3, *ctx.x)
        scale = np.abs(u).reshape(3, -1) @ np.abs(J) @ np.abs(v).reshape(-1)
        left, right = u.reshape(3, -1) @ (J @ v.reshape(-1)), x_bar.reshape(3, -1) @ v.reshape(-1)
        assert np.all(np.abs(left - right) <= tolerance * (scale + 1))


@each_dtype
@each_example
def test_jvp_is_the_product_with_the_jacobian(example, dtype):
    """For three tangents at once."""
    _, node, y, xs = one_node(example, dtype)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for k, ctx in differentiable(node):
        v = np.random.default_rng(3).standard_normal((3, *ctx.x)).astype(dtype)
        J = dense.materialize(node.op.argument(k).jacobian, y, xs, ctx)
        y_dot = node.op.argument(k).jvp(v, y, xs, ctx)
        assert (y_dot.shape, y_dot.dtype) == ((3, *ctx.out), dtype)
        expected, scale = v.reshape(3, -1) @ J.T, np.abs(v).reshape(3, -1) @ np.abs(J).T
        assert np.all(np.abs(y_dot.reshape(3, -1) - expected) <= tolerance * (scale + 1))


@each_dtype
@each_example
def test_dense_and_sparse_rules_agree(example, dtype):
    _, node, y, xs = one_node(example, dtype)
    for k, ctx in differentiable(node):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(ctx)
        J = dense.materialize(jacobian, y, xs, ctx)
        S = sparse.materialize(jacobian, pattern, y, xs, ctx)
        blocks = dense.materialize_blocks(jacobian, y, xs, ctx)
        assert J.shape == S.shape == (ctx.n_out, ctx.n_in)
        np.testing.assert_array_equal(J, S.toarray())
        np.testing.assert_array_equal(J, scipy_sparse.block_diag(list(blocks)).toarray())


@each_example
def test_pattern_has_the_predicted_entries(example):
    _, node, y, xs = one_node(example)
    for k, ctx in differentiable(node):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(ctx)
        S = sparse.materialize(jacobian, pattern, y, xs, ctx)
        assert jacobian.structure.n_nonzeros(ctx) == S.nnz == pattern.indices.size == pattern.indptr[-1]
        assert pattern.indices.dtype == pattern.indptr.dtype == np.int32
        assert pattern.indices.nbytes + pattern.indptr.nbytes == index_bytes(ctx.n_out, ctx.n_in, S.nnz)
        assert pattern.indptr[0] == 0
        assert np.all(np.diff(pattern.indptr) >= 0)
        assert np.all((pattern.indices >= 0) & (pattern.indices < ctx.n_in))
        ascending = np.diff(pattern.indices.astype(int)) > 0
        ascending[pattern.indptr[1:-1][(pattern.indptr[1:-1] > 0) & (pattern.indptr[1:-1] < S.nnz)] - 1] = True
        assert np.all(ascending)
        assert S.has_canonical_format
        np.testing.assert_array_equal(pattern.rows, S.tocoo().coords[0])


@each_example
def test_matrices_own_their_values(example):
    """A materialized Jacobian shares no memory with primals or other Jacobians."""
    _, node, y, xs = one_node(example)
    for k, ctx in differentiable(node):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(ctx)
        S = sparse.materialize(jacobian, pattern, y, xs, ctx)
        J = dense.materialize(jacobian, y, xs, ctx)
        for values in (S.data, J):
            assert values.flags.writeable
            assert not any(np.may_share_memory(values, primal) for primal in (y, *xs))
        assert np.shares_memory(S.indices, pattern.indices) or not S.nnz


@each_example
def test_nothing_upcasts(example):
    _, node, y, xs = one_node(example, "float32")
    assert y.dtype == np.float32
    assert np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)).dtype == np.float32
    for k, ctx in differentiable(node):
        argument = node.op.argument(k)
        assert argument.vjp(np.ones((2, *ctx.out), np.float32), y, xs, ctx).dtype == np.float32
        assert argument.jacobian.values(y, xs, ctx).dtype == np.float32
        assert dense.materialize(argument.jacobian, y, xs, ctx).dtype == np.float32
        pattern = argument.jacobian.structure.pattern(ctx)
        assert sparse.materialize(argument.jacobian, pattern, y, xs, ctx).dtype == np.float32


@each_example
def test_rules_write_nothing_and_read_only_residuals(example):
    """Arrays are read-only; primals that are not residuals are None, as in the strategy `vjp`."""
    _, node, y, xs = one_node(example)
    for array in (y, *xs):
        array.flags.writeable = False
    node.op.forward(NUMPY, *xs, **node.attrs)
    for k, ctx in differentiable(node):
        argument = node.op.argument(k)
        u = np.random.default_rng(2).standard_normal((2, *ctx.out))
        u.flags.writeable = False
        in_full = argument.vjp(u, y, xs, ctx)
        kept = tuple(x if i in argument.residuals else None for i, x in enumerate(xs))
        np.testing.assert_array_equal(argument.vjp(u, y if OUTPUT in argument.residuals else None, kept, ctx), in_full)
        argument.jacobian.values(y, xs, ctx)
        dense.materialize(argument.jacobian, y, xs, ctx)


@each_example
def test_allocated_values_fill_the_extent_and_share_no_memory(example):
    _, node, y, xs = one_node(example)
    for k, ctx in differentiable(node):
        jacobian = node.op.argument(k).jacobian
        if jacobian.allocates:
            values = jacobian.values(y, xs, ctx)
            assert values.size == jacobian.structure.n_nonzeros(ctx)
            assert not any(np.may_share_memory(values, primal) for primal in (y, *xs))


@each_example
def test_counts_are_whole_numbers(example):
    _, node, *_ = one_node(example)
    assert node.op.flops(node.contexts[0]) >= 0
    for k, ctx in differentiable(node):
        argument = node.op.argument(k)
        counts = (argument.flops(ctx), argument.jacobian.flops(ctx), argument.jacobian.structure.n_nonzeros(ctx))
        assert all(isinstance(count, int) and count >= 0 for count in counts)


def test_a_missing_rule_is_named_and_only_where_it_is_needed():
    op = replace(OPS["multiply"], name="gate", arguments=(OPS["multiply"].arguments[0], None), rules=None)
    g = GraphBuilder()
    x, y = g.input("x", (2, 3)), g.parameter("y", (2, 3))
    value = g._apply(op, x, y)
    load("vjp").prepare(g.build(value, wrt=["x"]))
    with pytest.raises(NotImplementedError, match="op 'gate' has no backward rule for argument 1"):
        load("vjp").prepare(g.build(value, wrt=["y"]))
    with pytest.raises(NotImplementedError, match="op 'tanh' has no backward rule for argument 1"):
        OPS["tanh"].argument(1)


def test_indices_are_wide_only_where_they_must_be():
    assert index_dtype(INT32_MAX) is np.int32
    assert index_dtype(3, INT32_MAX + 1) is np.int64
    assert index_bytes(2, 3, 4) == 4 * (4 + 3)
    assert index_bytes(2, 2**31, 4) == 8 * (4 + 3)
    assert index_bytes(2**31, 3, 4) == 8 * (4 + 2**31 + 1)  # as scipy, which goes by the longer side
