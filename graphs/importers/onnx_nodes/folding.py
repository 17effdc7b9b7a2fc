"""Evaluation of ONNX nodes whose inputs are constants, such as the computation of a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.importers.onnx_nodes.node_call import onnx_package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


def is_foldable(node: Any) -> bool:
    """Return whether a node always computes the same from the same inputs, and has no graph inside."""
    kinds = onnx_package().AttributeProto
    inner = {kinds.GRAPH, kinds.GRAPHS}
    return (
        node.op_type not in RANDOM
        and node.domain in {"", "ai.onnx"}
        and not any(a.type in inner for a in node.attribute)
    )


def evaluated(
    op_type: str, attrs: Mapping[str, Any], opset: int, inputs: Sequence[NDArray[Any] | None], n_outputs: int = 1
) -> list[NDArray[Any]]:
    """Compute the outputs of an operator with the reference implementation of the package onnx."""
    names = [f"x{k}" if array is not None else "" for k, array in enumerate(inputs)]
    given = {name: value for name, value in attrs.items() if value not in ([], ())}
    node = onnx_package().helper.make_node(op_type, names, [f"y{k}" for k in range(n_outputs)], **given)
    evaluator = onnx_package("onnx.reference").ReferenceEvaluator(node, opsets={"": opset})
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if name}
    return [np.asarray(y) for y in evaluator.run(None, feeds)]


def constant_of(attrs: Mapping[str, Any], tensor: Any) -> NDArray[Any]:
    """Return the array of a Constant node; `tensor` turns a TensorProto into an array."""
    if "value" in attrs:
        array: NDArray[Any] = tensor(attrs["value"])
        return array
    return np.asarray(next(iter(attrs.values())), np.float32 if any("float" in name for name in attrs) else np.int64)
