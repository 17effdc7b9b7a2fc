"""Import of ONNX models: values and pullbacks against the reference implementation of ONNX, in float64."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import special

import jacobench as jb
from jacobench.graphs.importers.from_onnx import from_onnx, has_symbolic_batch
from jacobench.graphs.importers.onnx_nodes.node_table import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.models

onnx = pytest.importorskip("onnx")
reference_ops = pytest.importorskip("onnx.reference")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
OpRun = pytest.importorskip("onnx.reference.op_run").OpRun
FLOAT, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

Array = Any
Arrays = dict[str, Any]
RNG = np.random.default_rng(3)
START = RNG.bit_generator.state


def node(op_type: str, inputs: str, output: str = "y", **attrs: Any) -> Any:
    """Return a node; names are separated by spaces, and "-" is an input that is not given."""
    names = ["" if name == "-" else name for name in inputs.split()]
    outputs = output.split()
    return helper.make_node(op_type, names, outputs, name=f"{op_type}_{outputs[0]}", **attrs)


def weights(*shape: int) -> NDArray[np.float32]:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def model(
    nodes: list[Any], inputs: Mapping[str, list[Any]], arrays: Mapping[str, Any], opset: int = 17, output: str = "y"
) -> Any:
    """Return a model with float32 inputs of these shapes and initializers."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def constant(name: str, array: Any) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array), name))


def mlp_gemm(trans_b: int = 1) -> Any:
    nodes = [
        node("Gemm", "x W1 b1", "h", transB=trans_b),
        node("Relu", "h", "r"),
        node("Gemm", "r W2 b2", "y", transB=trans_b, alpha=0.5, beta=2.0),
    ]
    shapes = {"W1": (6, 4), "W2": (3, 6)} if trans_b else {"W1": (4, 6), "W2": (6, 3)}
    arrays = {name: weights(*shape) for name, shape in shapes.items()}
    return model(nodes, {"x": ["batch", 4]}, {**arrays, "b1": weights(6), "b2": weights(3)})


def mlp_matmul() -> Any:
    nodes = [
        node("MatMul", "x W1", "h"),
        node("Add", "h b1", "a"),
        node("Elu", "a", "e"),
        node("MatMul", "e W2", "z"),
        node("Add", "z b2", "s"),
        node("Softmax", "s", "y"),
    ]
    arrays = {"W1": weights(4, 6), "b1": weights(6), "W2": weights(6, 3), "b2": weights(3)}
    return model(nodes, {"x": ["N", 4]}, arrays, opset=13)


def cnn() -> Any:
    nodes = [
        node("Conv", "x K1 k1", "c", strides=[2, 1], pads=[1, 0, 1, 2], kernel_shape=[3, 3]),
        node("BatchNormalization", "c s b m v", "n", epsilon=1e-3),
        node("Relu", "n", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Conv", "p K2", "d", group=2, dilations=[1, 2], auto_pad="SAME_UPPER"),
        node("AveragePool", "d", "q", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1),
        node("GlobalAveragePool", "q", "g"),
        node("Flatten", "g", "f"),
        node("Gemm", "f W w", "y"),
    ]
    arrays = {
        "K1": weights(4, 3, 3, 3),
        "k1": weights(4),
        "s": weights(4),
        "b": weights(4),
        "m": weights(4),
        "v": abs(weights(4)) + 0.5,
        "K2": weights(6, 2, 2, 2),
        "W": weights(6, 3),
        "w": weights(3),
    }
    return model(nodes, {"x": ["batch", 3, 8, 7]}, arrays)


def transposed() -> Any:
    nodes = [
        node("ConvTranspose", "x K k", "c", strides=[2, 2], pads=[1, 0, 0, 1], output_padding=[1, 0], group=2),
        node("LeakyRelu", "c", "l", alpha=0.2),
        node("ConvTranspose", "l Q", "y", strides=[1, 2], dilations=[2, 1], auto_pad="SAME_UPPER"),
    ]
    arrays = {"K": weights(4, 3, 3, 2), "k": weights(6), "Q": weights(6, 2, 2, 3)}
    return model(nodes, {"x": [2, 4, 4, 3]}, arrays)


def convolutions_1d() -> Any:
    nodes = [
        node("Conv", "x K", "c", auto_pad="SAME_LOWER", strides=[2]),
        node("Softplus", "c", "s"),
        node("AveragePool", "s", "p", kernel_shape=[3], strides=[2], pads=[1, 1], ceil_mode=1),
        node("ConvTranspose", "p Q", "t", strides=[3]),
        node("LpPool", "t", "l", kernel_shape=[2]),
        node("GlobalMaxPool", "l", "y"),
    ]
    return model(nodes, {"x": ["batch", 2, 12]}, {"K": weights(3, 2, 4), "Q": weights(3, 2, 2)})


def attention() -> Any:
    """Return one block; its weights are Constant nodes, apart from the scale of the normalization."""
    nodes = [
        *(constant(name, weights(6, 6)) for name in ("Q", "K", "V")),
        constant("third", np.float32(1 / np.sqrt(3))),
        constant("zero", np.int64(0)),
        constant("one", np.int64(1)),
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Gather", "shape one", "t", axis=0),
        node("Unsqueeze", "n axis0", "n1"),
        node("Unsqueeze", "t axis0", "t1"),
        node("Concat", "n1 t1 heads", "split", axis=0),
        node("Concat", "n1 t1 width", "joined", axis=0),
    ]
    for name in ("Q", "K", "V"):
        nodes += [
            node("MatMul", f"x {name}", f"p{name}"),
            node("Reshape", f"p{name} split", f"r{name}"),
            node("Transpose", f"r{name}", f"h{name}", perm=[0, 2, 3, 1] if name == "K" else [0, 2, 1, 3]),
        ]
    nodes += [
        node("MatMul", "hQ hK", "logits"),
        node("Mul", "logits third", "scaled"),
        node("Trilu", "scaled", "lower", upper=0),
        node("Softmax", "lower", "weights"),
        node("MatMul", "weights hV", "mixed"),
        node("Transpose", "mixed", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "back joined", "flat"),
        node("Add", "flat x", "residual"),
        node("LayerNormalization", "residual scale shift", "y"),
    ]
    arrays = {
        "axis0": ints(0),
        "heads": ints(2, 3),
        "width": ints(6),
        "scale": weights(6),
        "shift": weights(6),
    }
    return model(nodes, {"x": ["batch", "sequence", 6]}, arrays)


def normalization_of_opset_9() -> Any:
    """Return layer normalization by single operators, and other operators as they were in opset 9."""
    nodes = [
        node("BatchNormalization", "x s5 b5 m5 v5", "x5"),
        node("ReduceMean", "x5", "m", axes=[-1]),
        node("Sub", "x5 m", "c"),
        node("Pow", "c two", "q"),
        node("ReduceMean", "q", "v", axes=[-1], keepdims=1),
        node("Add", "v eps", "e"),
        node("Sqrt", "e", "d"),
        node("Div", "c d", "n"),
        node("Unsqueeze", "n", "u", axes=[0, 3]),
        node("Squeeze", "u", "w", axes=[0]),
        node("Clip", "w", "k", min=-0.7, max=0.9),
        node("Slice", "k", "s", axes=[1], starts=[1], ends=[-1]),
        node("Pad", "s", "p", pads=[0, 1, 0, 0, 0, 1], value=0.5),
        node("Softmax", "p", "f", axis=1),
        node("Upsample", "f scales", "r"),
        node("Dropout", "r", "o"),
        node("ReduceSum", "o", "z", axes=[2], keepdims=0),
        node("Split", "z", "a b", axis=1, split=[3, 1]),
        node("Tile", "b three", "t"),
        node("Sub", "a t", "y"),
    ]
    before = [
        constant("two", np.float32(2)),
        constant("eps", np.float32(1e-3)),
        constant("scales", np.float32([1, 1, 2])),
    ]
    statistics = {"s5": weights(5), "b5": weights(5), "m5": weights(5), "v5": abs(weights(5)) + 0.5}
    return model(before + nodes, {"x": ["batch", 5]}, {"three": ints(1, 3), **statistics}, opset=9)


def opset_11() -> Any:
    nodes = [
        node("Clip", "x low high", "c"),
        node("Pad", "c pads value", "p"),
        node("Slice", "p starts ends axes steps", "s"),
        node("CumSum", "s axis", "u", exclusive=1, reverse=1),
        node(
            "Resize",
            "u roi scales",
            "r",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("LogSoftmax", "r", "l", axis=1),
        node("TopK", "x one", "unused places"),
        node("DepthToSpace", "l", "d", blocksize=2, mode="CRD"),
        node("SpaceToDepth", "d", "y", blocksize=4),
    ]
    arrays = {
        "low": np.float32(-0.5),
        "high": np.float32(0.6),
        "pads": ints(0, 0, 0, -1, 0, 1, 2, 1),
        "value": np.float32(0.25),
        "starts": ints(-1, 0),
        "ends": ints(-100, 100),
        "axes": ints(3, 2),
        "steps": ints(-1, 2),
        "axis": np.int64(1),
        "roi": np.float32([]),
        "scales": np.float32([1, 1, 2, 2]),
        "one": ints(1),
    }
    return model(nodes, {"x": ["batch", 3, 2, 4]}, arrays, opset=11)


def opset_21() -> Any:
    nodes = [
        node("GroupNormalization", "x s b", "g", num_groups=2),
        node("ReduceMax", "g axes", "m", keepdims=0),
        node("Split", "m", "left right", axis=1, num_outputs=2),
        node("Gelu", "left", "e", approximate="tanh"),
        node("Mul", "e right", "u"),
        node("Mish", "u", "h"),
        node("HardSwish", "h", "w"),
        node("ReduceMean", "w none", "y", noop_with_empty_axes=1),
    ]
    arrays = {"s": weights(4), "b": weights(4), "axes": ints(2), "none": ints()}
    return model(nodes, {"x": ["batch", 4, 3, 5]}, arrays, opset=21)


def group_normalization_of_opset_18() -> Any:
    nodes = [
        node("GroupNormalization", "x s b", "g", num_groups=2),
        node("InstanceNormalization", "g t c", "i"),
        node("LpNormalization", "i", "l", axis=1, p=2),
        node("ScatterElements", "l places x", "u", axis=2, reduction="add"),
        node("Pad", "u pads - last", "y", mode="reflect"),
    ]
    arrays = {
        "s": weights(2),
        "b": weights(2),
        "t": weights(4),
        "c": weights(4),
        "places": np.array(RNG.integers(5, size=(2, 4, 5))),
        "pads": ints(2, 1),
        "last": ints(-1),
    }
    return model(nodes, {"x": [2, 4, 5]}, arrays, opset=18)


def symbolic_sequence() -> Any:
    """Return a model that reshapes by lengths it computes from its input."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Slice", "shape first second", "length"),
        node("Cast", "length", "real", to=FLOAT),
        node("Mul", "real half", "halved"),
        node("Cast", "halved", "whole", to=onnx.TensorProto.INT64),
        node("Concat", "minus whole eight", "target", axis=0),
        node("Reshape", "x target", "r"),
        node("ConstantOfShape", "whole", "ones", value=numpy_helper.from_array(np.float32([1.5]))),
        node("Unsqueeze", "ones axis1", "column"),
        node("Mul", "r column", "scaled"),
        node("Range", "zero count one", "order"),
        node("Gather", "scaled order", "picked", axis=2),
        node("Expand", "bias wide", "wide_bias"),
        node("Sub", "picked wide_bias", "y"),
    ]
    before = [
        constant("half", np.float32(0.5)),
        constant("zero", np.int64(0)),
        constant("one", np.int64(2)),
        constant("count", np.int64(8)),
    ]
    arrays = {
        "first": ints(1),
        "second": ints(2),
        "minus": ints(-1),
        "eight": ints(8),
        "axis1": ints(1),
        "bias": weights(1, 4),
        "wide": ints(1, 1, 4),
    }
    return model(before + nodes, {"x": ["batch", "sequence", 4]}, arrays)


def slices() -> Any:
    nodes = [
        node("Slice", "x s1 e1 a1 t1", "reversed"),
        node("Slice", "reversed s2 e2 a2", "part"),
        node("Concat", "part part", "joined", axis=-1),
        node("Transpose", "joined", "turned"),
        node("Gather", "turned last", "row", axis=0),
        node("Gather", "W rows", "looked", axis=0),
        node("Expand", "looked wide", "tall"),
        node("Gather", "tall first", "flat"),
        node("Gather", "flat columns", "picked", axis=1),
        node("Einsum", "row picked", "y", equation="i,jk->ijk"),
    ]
    arrays = {
        "s1": ints(-1, 3),
        "e1": ints(-9, 0),
        "a1": ints(1, 0),
        "t1": ints(-1, -2),
        "s2": ints(1),
        "e2": ints(2**31),
        "a2": ints(1),
        "last": np.int64(-1),
        "W": weights(5, 3),
        "rows": ints(0, 4, 2, 2),
        "wide": ints(2, 4, 3),
        "first": np.int64(0),
        "columns": ints(2, -3),
    }
    return model(nodes, {"x": [4, 5]}, arrays)


def gather_and_scatter() -> Any:
    nodes = [
        node("GatherElements", "x picks", "g", axis=1),
        node("ScatterElements", "g places u", "s", axis=0),
        node("GatherND", "s pairs", "d"),
        node("ScatterND", "d rows v", "e", reduction="mul"),
        node("OneHot", "classes depth levels", "h"),
        node("MatMul", "h e", "m"),
        node("ReverseSequence", "m lengths", "r"),
        node("Compress", "r kept", "y", axis=1),
    ]
    arrays = {
        "picks": np.array([[0, 3, 3], [1, 1, 0], [2, 0, 3]]),
        "places": np.array([[0, 1, 2], [2, 0, 1]]),
        "u": weights(2, 3),
        "pairs": np.array([[[0], [2]], [[1], [1]]]),
        "rows": np.array([[0, 1], [1, 0]]),
        "v": weights(2, 3),
        "classes": ints(1, 0, 1),
        "depth": np.int64(2),
        "levels": np.float32([0.5, 2.0]),
        "lengths": ints(3, 2, 1),
        "kept": np.array([True, False, True]),
    }
    return model(nodes, {"x": [3, 4]}, arrays, opset=16)


def piecewise() -> Any:
    nodes = [
        node("Greater", "x limit", "above"),
        node("Less", "x low", "below"),
        node("Or", "above below", "outside"),
        node("Mul", "x x", "square"),
        node("Where", "outside square x", "w"),
        node("Not", "outside", "inside"),
        node("Cast", "inside", "mask", to=FLOAT),
        node("Mul", "mask a", "masked"),
        node("Max", "w masked limit", "m"),
        node("Min", "m high", "n"),
        node("Mod", "x n", "r", fmod=1),
        node("Shrink", "r", "k", lambd=0.2, bias=0.1),
        node("ThresholdedRelu", "k", "t", alpha=0.05),
        node("PRelu", "r slope", "p"),
        node("Sum", "t p x", "s"),
        node("Mean", "s n", "y"),
    ]
    arrays = {
        "limit": np.float32(0.4),
        "high": np.float32(0.9),
        "low": weights(5) - 0.3,
        "a": weights(5),
        "slope": weights(1),
    }
    return model(nodes, {"x": ["batch", 5]}, arrays)


def reductions() -> Any:
    names = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
    nodes = [node("Exp", "x", "e")]
    nodes += [
        node(f"Reduce{name}", "e", f"r{name}", keepdims=1, **({} if name == "Sum" else {"axes": [k % 3]}))
        for k, name in enumerate(names)
    ]
    nodes += [node("Sum", " ".join(f"r{name}" for name in names), "s"), node("ReduceMean", "s", "y", keepdims=0)]
    return model(nodes, {"x": [2, 3, 4]}, {}, opset=13)


def functions() -> Any:
    chain = [
        "Sin",
        "Cosh",
        "Reciprocal",
        "Asinh",
        "Tanh",
        "Atan",
        "Erf",
        "Sigmoid",
        "Softsign",
        "Neg",
        "Abs",
        "Sqrt",
        "Log",
        "Tan",
        "Selu",
        "Gelu",
        "Cos",
        "Sinh",
    ]
    names = ["x", *(f"v{k}" for k in range(len(chain)))]
    nodes = [node(each, names[k], names[k + 1]) for k, each in enumerate(chain)]
    nodes += [
        node("HardSigmoid", names[-1], "h"),
        node("Celu", names[-1], "c", alpha=0.6),
        node("Add", "h c", "a"),
        node("Pow", "z exponent", "p"),
        node("Div", "a p", "y"),
    ]
    nodes.insert(-2, node("Add", "sq one", "z"))
    nodes.insert(-3, node("Mul", "x x", "sq"))
    return model(
        [constant("one", np.float32(1)), *nodes], {"x": ["N", 3]}, {"exponent": np.float32([0.7, 1.3, 2.1])}, opset=20
    )


def einsums() -> Any:
    nodes = [
        node("Einsum", "x W", "a", equation="...i,ji->...j"),
        node("Einsum", "a a V", "b", equation="bti,bsi,sk->btk"),
        node("Einsum", "b", "c", equation="btk->kb"),
        node("MatMul", "c u", "d"),
        node("MatMul", "tall d2", "e"),
        node("Mul", "e d", "y"),
    ]
    nodes.insert(4, node("Unsqueeze", "d last", "d2"))
    arrays = {"W": weights(5, 4), "V": weights(3, 2), "u": weights(2), "tall": weights(2, 1, 2), "last": ints(-1)}
    return model(nodes, {"x": [2, 3, 4]}, arrays)


def scalar() -> Any:
    """Return a model with a scalar leaf, a 0-d output, an unused weight, and a weight used twice."""
    nodes = [
        node("Mul", "x a", "m"),
        node("MatMul", "m W", "h"),
        node("Tanh", "h", "t"),
        node("MatMul", "t W", "u"),
        node("Mul", "u u", "q"),
        node("ReduceSum", "q", "y", keepdims=0),
    ]
    return model(nodes, {"x": [3, 3]}, {"a": np.float32(0.8), "W": weights(3, 3), "unused": weights(2)})


def old_names() -> Any:
    """Return a model whose initializers are listed as inputs, as before IR version 4, with nodes that are not needed."""
    nodes = [
        node("Identity", "x", "i"),
        node("MatMul", "i W", "h"),
        node("Sigmoid", "h", "y"),
        node("Softmax", "h", "other", axis=1),
    ]
    return model(nodes, {"x": ["N", 3], "W": [3, 2]}, {"W": weights(3, 2)}, opset=9)


def resnet50(side: int = 224) -> Any:
    """Return a network of the size of ResNet-50, with 25.6 million parameters: He et al. (2016), table 1."""
    nodes, arrays = [], {}

    def conv(x: str, y: str, n_in: int, n_out: int, size: int, stride: int = 1) -> str:
        arrays[f"{y}.W"] = np.full((n_out, n_in, size, size), 1 / (n_in * size), np.float32)
        for name, number in (("s", 1.0), ("b", 0.1), ("m", 0.2), ("v", 1.5)):
            arrays[f"{y}.{name}"] = np.full(n_out, number, np.float32)
        nodes.append(node("Conv", f"{x} {y}.W", f"{y}.c", strides=[stride] * 2, pads=[size // 2] * 4))
        nodes.append(node("BatchNormalization", f"{y}.c {y}.s {y}.b {y}.m {y}.v", y))
        return y

    def relu(x: str) -> str:
        nodes.append(node("Relu", x, f"{x}.r"))
        return f"{x}.r"

    x = relu(conv("x", "stem", 3, 64, 7, 2))
    nodes.append(node("MaxPool", x, "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    x, n_in = "pool", 64
    for stage, (n_blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for block in range(n_blocks):
            name, stride = f"{stage}.{block}", 2 if block == 0 < stage else 1
            h = relu(conv(x, f"{name}.1", n_in, width, 1))
            h = relu(conv(h, f"{name}.2", width, width, 3, stride))
            h = conv(h, f"{name}.3", width, 4 * width, 1)
            shortcut = conv(x, f"{name}.4", n_in, 4 * width, 1, stride) if block == 0 else x
            nodes.append(node("Add", f"{h} {shortcut}", f"{name}.sum"))
            x, n_in = relu(f"{name}.sum"), 4 * width
    nodes += [
        node("GlobalAveragePool", x, "mean"),
        node("Flatten", "mean", "flat"),
        node("Gemm", "flat W b", "y", transB=1),
    ]
    arrays |= {"W": np.full((1000, 2048), 1e-3, np.float32), "b": np.zeros(1000, np.float32)}
    return model(nodes, {"x": ["batch", 3, side, side]}, arrays)


def comparisons() -> Any:
    """Return a model of conditions on leaves."""
    nodes = [node("Floor", "x", "f"), node("Equal", "f low", "p"), node("GreaterOrEqual", "x z", "q")]
    nodes += [node("LessOrEqual", "x f", "r"), node("And", "p q", "s"), node("Xor", "s r", "t")]
    nodes += [
        node("CastLike", "t x", "m"),
        node("Cast", "x", "c", to=onnx.TensorProto.BOOL),
        node("Where", "c x m", "w"),
    ]
    nodes += [node("Add", "w m", "y")]
    return model(nodes, {"x": [3, 4]}, {"low": np.float32(-1), "z": weights(4)})


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "MLP of Gemm": (mlp_gemm, {"batch": 3}),
    "MLP of Gemm, weights not transposed": (lambda: mlp_gemm(0), {"batch": 3}),
    "MLP of MatMul": (mlp_matmul, {"batch": 2}),
    "CNN": (cnn, {"batch": 2}),
    "transposed convolutions": (transposed, {}),
    "convolutions in 1 dimension": (convolutions_1d, {"batch": 2}),
    "attention": (attention, {"batch": 2, "dims": {"sequence": 4}}),
    "opset 9": (normalization_of_opset_9, {"batch": 3}),
    "opset 11": (opset_11, {"batch": 2}),
    "opset 18": (group_normalization_of_opset_18, {}),
    "opset 21": (opset_21, {"batch": 2}),
    "symbolic sequence": (symbolic_sequence, {"batch": 2, "dims": {"sequence": 6}}),
    "slices": (slices, {}),
    "gather and scatter": (gather_and_scatter, {}),
    "piecewise": (piecewise, {"batch": 4}),
    "reductions": (reductions, {}),
    "functions": (functions, {"batch": 2}),
    "einsums": (einsums, {}),
    "scalar": (scalar, {}),
    "comparisons": (comparisons, {}),
    "old names": (old_names, {"batch": 2}),
}
"""Name → function that returns the model, and the keyword arguments of its import."""


def made(name: str) -> tuple[Any, dict[str, Any]]:
    """Return a model of `MODELS`, with the same weights in each test, and the keyword arguments of its import."""
    RNG.bit_generator.state = START
    make, options = MODELS[name]
    return make(), options


def in_float64(proto: Any) -> Any:
    """Return the same model in float64."""
    double = onnx.ModelProto()
    double.CopyFrom(proto)
    constants = [a.t for each in double.graph.node for a in each.attribute if a.HasField("t")]
    for tensor in [*double.graph.initializer, *constants]:
        if tensor.data_type == FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for each in [*double.graph.input, *double.graph.output]:
        each.type.tensor_type.elem_type = DOUBLE
    for each in double.graph.node:
        if each.op_type == "Cast" and each.attribute[0].i == FLOAT:
            each.attribute[0].i = DOUBLE
        if each.op_type == "GroupNormalization":
            each.attribute.append(helper.make_attribute("stash_type", DOUBLE))
    return double


class Erf(OpRun):  # that of the package computes in float32
    def _run(self, x: Array) -> tuple[Array]:
        return (special.erf(x),)


class Gelu(OpRun):  # that of the package rounds its constants to float32
    def _run(self, x: Array, approximate: str = "none") -> tuple[Array]:
        if approximate == "tanh":
            return (0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)
        return (0.5 * x * (1 + special.erf(x / np.sqrt(2))),)


class HardSwish(OpRun):  # the same
    def _run(self, x: Array) -> tuple[Array]:
        return (x * np.clip(x / 6 + 0.5, 0, 1),)


class GlobalMaxPool(OpRun):  # that of the package returns a wrong shape for one spatial axis
    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class Pad(OpRun):  # that of the package cannot crop
    def _run(
        self, x: Array, pads: Any = None, value: Any = None, axes: Any = None, mode: str = "", **old: Any
    ) -> tuple[Array]:
        pads = old["pads"] if pads is None else pads
        axes = range(x.ndim) if axes is None else axes
        pairs = np.zeros((x.ndim, 2), int)
        pairs[list(axes)] = np.reshape(pads, (2, -1)).T
        cropped = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True))]
        options = {} if mode != "constant" else {"constant_values": old.get("value", 0.0) if value is None else value}
        return (np.pad(cropped, pairs.clip(0), mode, **options),)


class BatchNormalization(OpRun):  # that of the package uses the statistics of the batch in old operator sets
    def _run(self, x: Array, *channels: Array, epsilon: float = 0.0, **_: Any) -> tuple[Array]:
        scale, shift, mean, variance = (each.reshape(-1, *[1] * (x.ndim - 2)) for each in channels)
        return (scale * (x - mean) / np.sqrt(variance + epsilon) + shift,)


class LRN(OpRun):  # that of the package mistakes samples for channels
    def _run(self, x: Array, alpha: float = 0, beta: float = 0, bias: float = 0, size: int = 0) -> tuple[Array]:
        before, after = (size - 1) // 2, size // 2
        total = [np.sum(x[:, max(c - before, 0) : c + after + 1] ** 2, axis=1) for c in range(x.shape[1])]
        return (x / (bias + float(alpha) / size * np.stack(total, 1)) ** beta,)


class LpNormalization(OpRun):  # that of the package omits the absolute value
    def _run(self, x: Array, axis: int = -1, p: int = 2) -> tuple[Array]:
        return (x / np.linalg.norm(x, p, axis, keepdims=True),)


class MeanVarianceNormalization(OpRun):  # that of the package is in float32
    def _run(self, x: Array, axes: Any = ()) -> tuple[Array]:
        axes = tuple(axes)
        return ((x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + 1e-9),)


class GlobalLpPool(OpRun):  # the package has none
    def _run(self, x: Array, p: int = 2) -> tuple[Array]:
        return ((abs(x) ** p).sum(axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p),)


class Scatter(OpRun):  # the package has none
    def _run(self, x: Array, places: Array, new: Array, axis: int = 0) -> tuple[Array]:
        y = x.copy()
        np.put_along_axis(y, places, new, axis)
        return (y,)


class SoftmaxOfAllAfter(OpRun):  # that of the package is over one axis in old operator sets, too
    def _run(self, x: Array, axis: int = 1) -> tuple[Array]:
        return (special.softmax(x, axis=tuple(range(axis, x.ndim))),)


class LogSoftmaxOfAllAfter(OpRun):
    def _run(self, x: Array, axis: int = 1) -> tuple[Array]:
        return (special.log_softmax(x, axis=tuple(range(axis, x.ndim))),)


class ConvTranspose(OpRun):  # that of the package is wrong for groups and an output padding
    def _run(self, x: Array, W: Array, b: Any = None, **attrs: Any) -> tuple[Array]:
        n, groups = W.ndim - 2, attrs["group"]
        strides, dilations = (attrs.get(name) or [1] * n for name in ("strides", "dilations"))
        added, pads = attrs.get("output_padding") or [0] * n, attrs.get("pads") or [0] * 2 * n
        spans = [d * (k - 1) + 1 for d, k in zip(dilations, W.shape[2:], strict=True)]
        full = [s * (m - 1) + span + a for s, m, span, a in zip(strides, x.shape[2:], spans, added, strict=True)]
        y = np.zeros((len(x), groups, W.shape[1], *full))
        xs, Ws = x.reshape(len(x), groups, -1, *x.shape[2:]), W.reshape(groups, -1, *W.shape[1:])
        for p in np.ndindex(*x.shape[2:]):
            at = tuple(slice(i * s, i * s + w, d) for i, s, w, d in zip(p, strides, spans, dilations, strict=True))
            y[(..., *at)] += np.einsum("bgc,gco...->bgo...", xs[(..., *p)], Ws)
        if attrs.get("auto_pad", "NOTSET") == "SAME_UPPER":
            more = [m - s * k for m, s, k in zip(full, strides, x.shape[2:], strict=True)]
            pads = [k // 2 for k in more] + [k - k // 2 for k in more]
        y = y[(..., *(slice(pads[k], full[k] - pads[k + n]) for k in range(n)))]
        y = y.reshape(len(x), -1, *y.shape[3:])
        return (y if b is None else y + b.reshape(-1, *[1] * n),)


HAND_WRITTEN: list[Any] = [
    Erf,
    Gelu,
    HardSwish,
    GlobalMaxPool,
    GlobalLpPool,
    Pad,
    ConvTranspose,
    LRN,
    LpNormalization,
    MeanVarianceNormalization,
    Scatter,
]
"""NumPy implementations of operators whose reference implementation is wrong or missing."""


def hand_written(opset: int) -> list[Any]:
    """Return these implementations for an operator set; that of the package is also wrong for some old ones."""
    found = {each.__name__: each for each in HAND_WRITTEN}
    found |= {"Softmax": SoftmaxOfAllAfter, "LogSoftmax": LogSoftmaxOfAllAfter} if opset < 13 else {}
    found |= {"BatchNormalization": BatchNormalization} if opset < 14 else {}
    return [type(name, (each,), {"op_domain": ""}) for name, each in found.items()]


def reference(proto: Any, graph: jb.Graph, leaves: Arrays) -> NDArray[np.float64]:
    """Evaluate a model with the reference implementation, whose initializers are inputs here."""
    double = in_float64(proto)
    kept = [tensor for tensor in double.graph.initializer if tensor.name not in leaves]
    listed = {each.name for each in double.graph.input}
    double.graph.input.extend(
        helper.make_tensor_value_info(name, DOUBLE, leaf.shape)
        for name, leaf in graph.leaves.items()
        if name not in listed
    )
    del double.graph.initializer[:]
    double.graph.initializer.extend(kept)
    evaluator = reference_ops.ReferenceEvaluator(double, new_ops=hand_written(double.opset_import[0].version))
    return np.asarray(evaluator.run(None, dict(leaves))[0])


def directional(proto: Any, graph: jb.Graph, leaves: Arrays, name: str, direction: Array) -> Array:
    """Return the derivative of the reference along a direction of one leaf, by central differences of order 4."""
    step = 1e-3
    moved = {k: reference(proto, graph, leaves | {name: leaves[name] + k * step * direction}) for k in (-2, -1, 1, 2)}
    return (8 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / (12 * step)


def points(graph: jb.Graph, leaves: Arrays) -> list[Arrays]:
    """Return the leaves of the model, and a second point."""
    rng = np.random.default_rng(5)
    other = {name: array + rng.uniform(0.01, 0.1, array.shape) for name, array in leaves.items()}
    return [leaves, other]


Operator = tuple[str, dict[str, Any], tuple[int, ...], dict[str, Any], int]

OPERATORS: list[Operator] = [
    *((name, {}, (2, 3), {}, 17) for name in ("Asin", "Acos", "Atanh", "Ceil", "Floor", "Round", "Sign")),
    ("Pow", {}, (2, 3), {"two": ints(2)}, 17),
    ("Pow", {}, (2, 3), {"exponents": np.array([[1], [3]])}, 17),
    ("Swish", {"alpha": 0.7}, (2, 3), {}, 24),
    *((name, {"alpha": 0.3}, (3, 4), {}, 17) for name in ("Celu", "Elu", "Selu", "HardSigmoid", "ThresholdedRelu")),
    ("Shrink", {"bias": 0.5}, (3, 4), {}, 17),
    ("Shrink", {"lambd": 0.3}, (3, 4), {}, 17),
    ("LeakyRelu", {"alpha": -0.5}, (3, 4), {}, 17),
    ("LRN", {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}, (2, 5, 3, 2), {}, 17),
    ("RMSNormalization", {"axis": 1}, (2, 3, 4), {"scale": weights(3, 4)}, 23),
    ("LayerNormalization", {"axis": 1}, (2, 3, 4), {"scale": weights(3, 4)}, 17),
    ("MeanVarianceNormalization", {}, (2, 3, 4, 2), {}, 13),
    ("GlobalLpPool", {"p": 3}, (2, 3, 4, 2), {}, 17),
    ("LpNormalization", {"p": 1}, (2, 3), {}, 17),
    ("Scatter", {"axis": 1}, (2, 3), {"places": np.array([[2], [0]]), "new": weights(2, 1)}, 9),
    ("ScatterElements", {"reduction": "max"}, (3, 2), {"places": np.array([[2, 0]]), "new": weights(1, 2)}, 18),
    ("Flatten", {"axis": -1}, (2, 3, 4), {}, 13),
    ("Squeeze", {}, (2, 1, 3, 1), {}, 17),
    ("CumSum", {"reverse": 1}, (2, 3), {"axis": np.int64(-1)}, 14),
    ("CumSum", {"exclusive": 1}, (2, 3), {"axis": np.int64(0)}, 14),
    ("Pad", {"mode": "edge"}, (2, 3), {"pads": ints(1, 0, 2, 1)}, 13),
    ("Pad", {"mode": "wrap"}, (2, 3), {"pads": ints(1, 0, 1, 2)}, 19),
    ("Split", {"axis": -1}, (2, 6), {"lengths": ints(6)}, 13),
    ("Tile", {}, (2, 3), {"repeats": ints(2, 3)}, 13),
    ("Expand", {}, (3, 1), {"shape": ints(2, 1, 4)}, 13),
    ("DepthToSpace", {"blocksize": 2}, (1, 8, 2, 3), {}, 13),
    ("AveragePool", {"kernel_shape": [3], "strides": [2], "ceil_mode": 1, "pads": [1, 0]}, (1, 2, 7), {}, 19),
    (
        "AveragePool",
        {"kernel_shape": [3], "strides": [2], "ceil_mode": 1, "pads": [1, 0], "count_include_pad": 1},
        (1, 2, 7),
        {},
        19,
    ),
    ("MaxPool", {"kernel_shape": [2], "strides": [3], "ceil_mode": 1, "pads": [0, 1]}, (1, 2, 3), {}, 17),
    ("AveragePool", {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER"}, (1, 2, 4, 5), {}, 19),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 1], "auto_pad": "VALID"}, (1, 2, 5, 4), {}, 17),
    ("MaxPool", {"kernel_shape": [2, 2, 2], "strides": [2, 1, 2]}, (1, 2, 4, 3, 4), {}, 17),
    *(
        (
            "Resize",
            {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": nearest},
            (1, 2, 4, 4),
            {"roi": np.float32([]), "scales": np.float32(scales)},
            19,
        )
        for mode in ("asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners")
        for nearest in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
        for scales in ([1, 1, 2, 3], [1, 1, 1.5, 0.5])
    ),
    ("Conv", {"pads": [1, 0, 1, 0, 1, 1], "strides": [2, 1, 1]}, (1, 2, 4, 3, 3), {"W": weights(3, 2, 2, 2, 3)}, 17),
    ("ConvTranspose", {"strides": [1, 2, 1]}, (1, 2, 2, 3, 2), {"W": weights(2, 3, 2, 2, 1)}, 17),
    ("Resize", {"axes": [3]}, (1, 2, 3, 4), {"-": None, "-2": None, "sizes": ints(6)}, 18),
]
"""Operator, attributes, shape of input x, the other inputs, operator set."""


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator[0])
def test_operators_compute_what_the_reference_does(operator: Operator) -> None:
    op_type, attrs, shape, arrays, opset = operator
    given = {name: array for name, array in arrays.items() if array is not None}
    names = ["x", *(name if name in given else "-" for name in arrays)]
    proto = model([node(op_type, " ".join(names), **attrs)], {"x": list(shape)}, given, opset)
    graph, leaves = from_onnx(proto, wrt="inputs", dtype="float64")
    expected = reference(proto, graph, leaves)
    y = graph.evaluate(leaves)
    assert y.shape == expected.shape
    assert y == pytest.approx(expected, rel=0, abs=1e-10 * abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_values_equal_the_reference_at_two_points(name: str) -> None:
    proto, options = made(name)
    graph, leaves = from_onnx(proto, wrt="all", dtype="float64", **options)
    for point in points(graph, leaves):
        expected = reference(proto, graph, point)
        y = graph.evaluate(point)
        assert y.shape == expected.shape
        assert y == pytest.approx(expected, rel=0, abs=1e-10 * abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_float32_values_are_those_of_float64(name: str) -> None:
    proto, options = made(name)
    graph, leaves = from_onnx(proto, wrt="all", **options)
    exact, same = from_onnx(proto, wrt="all", dtype="float64", **options)
    assert {array.dtype.name for array in leaves.values()} == {"float32"}
    same |= {each: leaves[each].astype(float) for each in leaves}
    expected = exact.evaluate(same)
    assert graph.evaluate(leaves) == pytest.approx(expected, rel=0, abs=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_pullbacks_equal_central_differences(name: str) -> None:
    proto, options = made(name)
    graph, leaves = from_onnx(proto, wrt="all", dtype="float64", **options)
    rng = np.random.default_rng(7)
    seeds = rng.uniform(-1, 1, (3, *graph.output_shape))
    directions = {leaf: rng.uniform(-1, 1, array.shape) for leaf, array in leaves.items()}
    expected = {
        leaf: np.tensordot(seeds, directional(proto, graph, leaves, leaf, along), seeds.ndim - 1)
        for leaf, along in directions.items()
    }
    largest = max(abs(each).max() for each in expected.values())
    for spec in ("vjp", "dense", "sparse"):
        found = jb.strategy(spec).prepare(graph).linearize(leaves).pullback(seeds)
        for leaf, along in directions.items():
            scale = max(abs(expected[leaf]).max(), 1e-2 * largest)
            along_seeds = np.tensordot(found[leaf], along, along.ndim)
            assert along_seeds == pytest.approx(expected[leaf], rel=0, abs=1e-8 * scale), (spec, leaf)


def test_the_leaves_are_inputs_and_initializers_by_name() -> None:
    graph, leaves = from_onnx(mlp_gemm(), batch=5)
    assert {name: (leaf.role, leaf.shape) for name, leaf in graph.leaves.items()} == {
        "x": ("input", (5, 4)),
        "W1": ("parameter", (6, 4)),
        "W2": ("parameter", (3, 6)),
        "b1": ("parameter", (6,)),
        "b2": ("parameter", (3,)),
    }
    assert graph.wrt == ("W1", "W2", "b1", "b2")
    assert list(leaves) == list(graph.leaves)
    assert {name: array.dtype.name for name, array in leaves.items()} == dict.fromkeys(leaves, "float32")
    graph.check(leaves)


def test_the_leaves_hold_the_weights_and_sampled_inputs() -> None:
    proto = mlp_gemm()
    graph, leaves = from_onnx(proto, batch=5)
    for tensor in proto.graph.initializer:
        np.testing.assert_array_equal(leaves[tensor.name], numpy_helper.to_array(tensor))
    np.testing.assert_array_equal(leaves["x"], graph.sample()["x"])


def test_constant_nodes_and_integers_are_no_leaves() -> None:
    graph, _ = from_onnx(attention(), wrt="inputs", dims={"sequence": 2})
    assert list(graph.leaves) == ["x", "scale", "shift"]
    assert graph.wrt == ("x",)


def test_a_number_that_only_determines_a_shape_is_no_leaf() -> None:
    graph, _ = from_onnx(opset_11(), wrt="inputs")
    assert {"low", "high", "value"} <= set(graph.leaves)
    assert "scales" not in graph.leaves


def test_what_depends_on_no_leaf_is_computed_once() -> None:
    """The statistics are Constant nodes; only the two ops per entry of x remain."""
    names = ("s", "b", "m", "v")
    nodes = [constant(name, abs(weights(3)) + 0.5) for name in names]
    proto = model([*nodes, node("BatchNormalization", "x s b m v", "y")], {"x": ["N", 3, 2]}, {})
    graph, leaves = from_onnx(proto, wrt="inputs", dtype="float64", batch=2)
    assert [each.op.name for each in graph.nodes] == ["multiply", "channel_bias"]
    assert graph.evaluate(leaves) == pytest.approx(reference(proto, graph, leaves), rel=1e-12)


def test_an_unused_weight_is_a_leaf_with_derivative_zero() -> None:
    graph, leaves = from_onnx(scalar())
    assert graph.output_shape == ()
    found = jb.strategy("vjp").prepare(graph).linearize(leaves).pullback(np.ones(1, np.float32))
    assert set(found) == {"a", "W", "unused"}
    np.testing.assert_array_equal(found["unused"], np.zeros((1, 2)))


def test_the_graph_names_what_it_does_not_contain() -> None:
    graph, _ = from_onnx(old_names())
    assert graph.origin is not None
    assert graph.origin.library == "onnx"
    assert graph.origin.removed == ("Softmax_other",)
    assert graph.origin.library_seconds > 0
    assert graph.origin.conversion_seconds > 0


def test_a_model_is_not_changed() -> None:
    proto = cnn()
    before = proto.SerializeToString()
    from_onnx(proto, batch=2)
    assert proto.SerializeToString() == before


def test_a_file_gives_the_same_graph(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(cnn(), path)
    proto = onnx.load(path)
    (graph, leaves), (same, others) = from_onnx(path, batch=2), from_onnx(proto, batch=2)
    np.testing.assert_array_equal(graph.evaluate(leaves), same.evaluate(others))
    assert from_onnx(str(path))[0].output_shape == (1, 3)


def test_external_data_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    proto = cnn()
    expected = numpy_helper.to_array(proto.graph.initializer[0])
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.testing.assert_array_equal(from_onnx(path)[1]["K1"], expected)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(jb.BadInput, match=r"the file 'weights.bin' with the data of initializer 'K1' is missing"):
        from_onnx(path)
    with pytest.raises(jb.BadInput, match=r"are in the file 'weights.bin': give the path"):
        from_onnx(onnx.load(path, load_external_data=False))


def test_local_functions_are_inlined() -> None:
    opsets = [helper.make_opsetid("", 17)]
    body = [node("Mul", "a a", "s"), node("Tanh", "s", "b")]
    proto = model([node("SquareTanh", "x", "y", domain="local")], {"x": [2, 3]}, {})
    proto.opset_import.append(helper.make_opsetid("local", 1))
    proto.functions.append(helper.make_function("local", "SquareTanh", ["a"], ["b"], body, opsets))
    graph, leaves = from_onnx(proto, wrt="inputs")
    assert graph.evaluate(leaves) == pytest.approx(np.tanh(leaves["x"] ** 2))


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        (["N", 4], {"batch": 3}, (3, 4)),
        ([2, 4], {"batch": 3}, (2, 4)),
        (["N", "T", "N"], {"batch": 3, "dims": {"T": 5}}, (3, 5, 3)),
        (["N", 4], {"batch": 3, "dims": {"N": 2}}, (2, 4)),
        ([None, None], {"batch": 3, "dims": {"x.1": 5}}, (3, 5)),
        (["N", "?", "?"], {"dims": {"?": 6, "x.2": 5}}, (1, 6, 5)),
    ],
)
def test_symbolic_dimensions_are_set(shape: list[Any], options: dict[str, Any], expected: tuple[int, ...]) -> None:
    graph, _ = from_onnx(model([node("Tanh", "x", "y")], {"x": shape}, {}), wrt="inputs", **options)
    assert graph.output_shape == expected


@pytest.mark.parametrize(("shape", "expected"), [(["N", 4], True), ([None, 4], True), ([2, "T"], False)])
def test_a_model_has_a_symbolic_batch(tmp_path: Path, shape: list[Any], expected: bool) -> None:
    onnx.save(model([node("Tanh", "x", "y")], {"x": shape}, {}), tmp_path / "model.onnx")
    assert has_symbolic_batch(tmp_path / "model.onnx") is expected


def reshaped(shape: Any) -> Any:
    return model([node("Reshape", "x shape", "y")], {"x": ["N", 4]}, {"shape": shape})


def with_weights(array: Any, *more: str) -> Any:
    proto = model([node("Mul", "x W", "y")], {"x": ["N", 4]}, {"W": array})
    proto.graph.initializer.extend(numpy_helper.from_array(weights(4), name) for name in more)
    return proto


BAD: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "float16": (lambda: with_weights(np.ones(4, np.float16)), {}, "initializer 'W' is float16: expected float32"),
    "two leaves": (lambda: with_weights(weights(4), "W"), {}, "leaf 'W' already exists"),
    "two dtypes": (lambda: with_weights(np.ones(4)), {}, "float32 and float64: choose one, such as dtype='float64'"),
    "batch 0": (cnn, {"batch": 0}, "batch is 0: expected 1 or more"),
    "batch that does not fit": (
        lambda: reshaped(ints(3, 8)),
        {"batch": 5},
        r"node 'Reshape_y' \(Reshape\) with batch = 5: reshape: .*\(5, 4\)",
    ),
    "batch that does not broadcast": (
        lambda: model([node("Expand", "x to", "y")], {"x": ["N", 4]}, {"to": ints(2, 2, 4)}),
        {"batch": 3, "wrt": "inputs"},
        r"node 'Expand_y' \(Expand\) with batch = 3: .*\(3, 4\)",
    ),
    "dimension not set": (symbolic_sequence, {}, "symbolic dimensions 'sequence': set them, --dim sequence=N"),
    "unknown dimension": (symbolic_sequence, {"dims": {"sequenze": 2}}, "did you mean 'sequence'"),
    "no parameter": (lambda: model([node("Tanh", "x", "y")], {"x": [2]}, {}), {}, r"selects no leaf.*x \(input\)"),
    "unknown value": (lambda: model([node("Tanh", "z", "y")], {"x": [2]}, {}), {}, "node 'Tanh_y' reads 'z'"),
    "old opset": (lambda: model([node("Tanh", "x", "y")], {"x": [2]}, {}, opset=6), {}, "operator set 6: expected 7"),
    "no shape": (lambda: model([node("Tanh", "x", "y")], {"x": None}, {}), {}, "the input 'x' has no shape"),
    "attribute": (
        lambda: model([node("Concat", "x x", "y")], {"x": [2]}, {}),
        {},
        r"node 'Concat_y' \(Concat\) is invalid: .*axis",
    ),
    "inputs": (lambda: model([node("Add", "x", "y")], {"x": [2]}, {}), {}, r"'Add_y' \(Add\) is invalid"),
    "dtype": (cnn, {"dtype": "float16"}, "unknown dtype 'float16'"),
    "no model": (lambda: 3, {}, "the model is a int: expected the path of an ONNX file, or a ModelProto"),
    "empty": (onnx.ModelProto, {}, "the ModelProto is not an ONNX model"),
}
"""Name → function that returns a model, keyword arguments of its import, and the message."""


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name: str) -> None:
    make, options, message = BAD[name]
    with pytest.raises(jb.BadInput, match=message) as caught:
        from_onnx(make(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08" * 40, bytes(range(256))])
def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(jb.BadInput, match=r"model\.onnx is not an ONNX model"):
        from_onnx(path)
    with pytest.raises(jb.BadInput, match="there is no file"):
        from_onnx(tmp_path)


def test_without_onnx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(jb.BadInput, match=r"needs onnx.*pip install 'jacobench\[models\]'"):
        from_onnx("model.onnx")


def integer_input() -> Any:
    proto = model([node("Gather", "W ids", "y")], {"x": [2]}, {"W": weights(3, 2)})
    proto.graph.input.append(helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["N"]))
    return proto


def unsupported_model() -> Any:
    branch = helper.make_graph([node("Identity", "x", "z")], "b", [], [helper.make_tensor_value_info("z", FLOAT, None)])
    nodes = [
        node("If", "flag", "i", then_branch=branch, else_branch=branch),
        node("LSTM", "i W R", "l", hidden_size=2),
        node("Resize", "l - scales", "r", mode="linear"),
        node("Fancy", "r", "f", domain="my.ops"),
        node("ReduceMax", "x", "m", keepdims=0),
        node("Reshape", "f m", "s"),
        node("RandomNormal", "", "n", shape=[2]),
        node("Add", "s n", "a"),
        node("MaxPool", "a", "p places", kernel_shape=[2]),
        node("Cast", "p", "c", to=onnx.TensorProto.INT32),
        node("Add", "c places", "y"),
        node("Hardmax", "x", "not_needed"),
    ]
    arrays = {"flag": np.array(True), "W": weights(1, 8, 2), "R": weights(1, 8, 2), "scales": weights(4)}
    return model(nodes, {"x": ["N", 2, 2]}, arrays)


def test_everything_unsupported_is_listed_at_once() -> None:
    with pytest.raises(jb.Unsupported) as caught:
        from_onnx(unsupported_model())
    for each in (
        "If (If_i)",
        "LSTM (LSTM_l)",
        "Resize with mode linear (Resize_r)",
        "my.ops.Fancy (Fancy_f)",
        "Reshape with input 'm' computed from a leaf (Reshape_s)",
        "RandomNormal (RandomNormal_n)",
        "output 1 of MaxPool (MaxPool_p)",
        "Cast to INT32 (Cast_c)",
    ):
        assert each in str(caught.value)
    assert "Hardmax" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (integer_input, r"integer input \(ids, int64\)"),
        (lambda: model([node("ArgMax", "x", "y")], {"x": [2, 3]}, {}), r"ArgMax \(ArgMax_y\)"),
        (lambda: model([node("Shape", "x", "y")], {"x": [2, 3]}, {}), "the output 'y' of the ModelProto is int64"),
        (lambda: model([node("Greater", "x x", "y")], {"x": [2, 3]}, {}), "is bool: it has no derivative"),
        (
            lambda: model([node("Conv", "x W", "y")], {"x": [1, 1, 2, 2, 2, 2]}, {"W": weights(1, 1, 1, 1, 1, 1)}),
            "4 spatial axes",
        ),
    ],
)
def test_what_has_no_derivative_is_unsupported(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(jb.Unsupported, match=message):
        from_onnx(make(), wrt="inputs")


def test_no_value_of_a_leaf_becomes_a_constant() -> None:
    """Change each leaf: the output of the graph changes as that of the reference."""
    proto, options = made("piecewise")
    graph, leaves = from_onnx(proto, wrt="all", dtype="float64", **options)
    rng = np.random.default_rng(11)
    for name, array in leaves.items():
        moved = leaves | {name: rng.uniform(-1, 1, array.shape)}
        assert graph.evaluate(moved) == pytest.approx(reference(proto, graph, moved))
        assert (graph.evaluate(moved) != graph.evaluate(leaves)).any()


@pytest.mark.long
def test_a_network_of_the_size_of_resnet50_is_imported_without_copies_of_its_weights(tmp_path: Path) -> None:
    onnx.save(resnet50(), tmp_path / "resnet50.onnx")
    graph, leaves = from_onnx(tmp_path / "resnet50.onnx", batch=32)
    assert graph.output_shape == (32, 1000)
    assert 25_500_000 < graph.n_parameters < 25_700_000
    assert not any(array.flags.owndata for name, array in leaves.items() if name != "x")


def test_each_rule_is_tested() -> None:
    used = {each.op_type for name in MODELS for each in made(name)[0].graph.node}
    assert set(RULES) - used - {operator[0] for operator in OPERATORS} == {"Acosh"}  # needs numbers above 1


@pytest.mark.long
@pytest.mark.parametrize("name", ["attention", "opset 11", "piecewise"])
@pytest.mark.parametrize("spec", ["jax-vjp", "autograd-vjp"])
def test_other_libraries_agree_on_the_graph(name: str, spec: str) -> None:
    proto, options = made(name)
    graph, leaves = from_onnx(proto, wrt="all", dtype="float64", **options)
    seeds = np.random.default_rng(0).uniform(-1, 1, (2, *graph.output_shape))
    expected, found = (jb.strategy(each).prepare(graph).linearize(leaves).pullback(seeds) for each in ("vjp", spec))
    largest = max(abs(each).max() for each in expected.values())
    for leaf, bar in expected.items():
        scale = max(abs(bar).max(), 1e-2 * largest)
        assert found[leaf] == pytest.approx(bar, rel=0, abs=1e-8 * scale), leaf
