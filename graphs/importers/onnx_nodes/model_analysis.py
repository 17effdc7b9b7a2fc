"""What of an ONNX model is needed, what is constant, and what cannot be imported; without any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers.onnx_nodes.folding import is_foldable
from jacobench.graphs.importers.onnx_nodes.node_call import attributes, dtype_name, onnx_package
from jacobench.graphs.importers.onnx_nodes.node_table import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jacobench.graphs.importers.onnx_nodes.model_file import OnnxModel

SHAPE_ONLY = {"Shape", "Size", "EyeLike"}
"""Operators that read only the shape of their input."""

Problem = tuple[str, str]
"""(what cannot be imported, its place in the model)"""


@dataclass(frozen=True)
class ModelAnalysis:
    """Result of the analysis of a model.

    Attributes
    ----------
    nodes : list of NodeProto
        Nodes that the first output needs, in order.
    constants : set of str
        Names of the values that do not depend on a leaf.
    leaves : list of TensorProto
        Initializers that are leaves: floating-point numbers that do not only determine shapes.
    problems : list of Problem
        What cannot be imported.
    """

    nodes: list[Any]
    constants: set[str]
    leaves: list[Any]
    problems: list[Problem]


def place(node: Any) -> str:
    """Return the name of a node, or else of its first output."""
    return str(node.name or node.output[0])


def analyzed(model: OnnxModel) -> ModelAnalysis:
    """Analyze a model. Raises BadInput for an invalid node, and if it reads a value that nothing computes."""
    graph = model.proto.graph
    nodes, used = _needed(graph)
    leaves = _leaves(graph, nodes)
    of_leaves = {tensor.name for tensor in leaves}
    constants = {tensor.name for tensor in graph.initializer if tensor.name not in of_leaves}
    problems = list(_bad_inputs(model))
    constants |= {each.name for each in model.inputs if not _is_float(each)}  # one line for each of these is enough
    defined = {*constants, *of_leaves, *(each.name for each in model.inputs), ""}
    for node in nodes:
        for name in node.input:
            if name not in defined:
                raise BadInput(f"{model.title}: node {place(node)!r} reads {name!r}, which no earlier node computes")
        defined.update(node.output)
        if node.op_type in RULES:
            _check(node, model)
        if _is_constant(node, constants):
            constants.update(node.output)
        else:
            problems += [(what, place(node)) for what in _problems(node, model.opset, constants, used)]
    return ModelAnalysis(nodes, constants, leaves, problems)


def _check(node: Any, model: OnnxModel) -> None:
    """Raise BadInput if the number of inputs or an attribute of a node is wrong, or the operator set lacks the operator."""
    defs = onnx_package().defs
    if defs.has(node.op_type, model.opset) and defs.get_schema(node.op_type, model.opset).deprecated:
        return  # the checker refuses it, although files have it
    checker = onnx_package("onnx.checker")
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = max(model.proto.ir_version, 3), {"": model.opset}
    try:
        checker.check_node(node, context)
    except checker.ValidationError as error:
        reason = str(error).partition("\n")[0]
        raise BadInput(f"{model.title}: node {place(node)!r} ({node.op_type}) is invalid: {reason}") from None


def _needed(graph: Any) -> tuple[list[Any], set[str]]:
    """Return the nodes that the first output needs, in order, and the names that they and the output use."""
    used, nodes = {graph.output[0].name}, []
    for node in reversed(graph.node):
        if not used.isdisjoint(node.output):
            nodes.append(node)
            used.update(node.input)
    return nodes[::-1], used


def _leaves(graph: Any, nodes: list[Any]) -> list[Any]:
    """List the initializers that are leaves.

    A number that is used only where a rule needs a constant, such as the scales of Resize, cannot be differentiated.
    """
    fixed: set[str] = set()
    free: set[str] = set()
    for node in nodes:
        positions = RULES[node.op_type].fixed if node.op_type in RULES else ()
        for k, name in enumerate(node.input):
            (fixed if k in positions else free).add(name)
    return [
        tensor
        for tensor in graph.initializer
        if "FLOAT" in (name := dtype_name(tensor.data_type)) or name == "DOUBLE"
        if 0 not in tensor.dims and (tensor.name in free or tensor.name not in fixed)
    ]


def _is_float(each: Any) -> bool:
    name = dtype_name(each.type.tensor_type.elem_type)
    return "FLOAT" in name or name == "DOUBLE"


def _bad_inputs(model: OnnxModel) -> Iterator[Problem]:
    for each in model.inputs:
        if not each.type.HasField("tensor_type"):
            yield "input that is not a tensor", each.name
        elif not _is_float(each):
            yield "integer input", f"{each.name}, {dtype_name(each.type.tensor_type.elem_type).lower()}"
    for tensor in model.proto.graph.sparse_initializer:
        yield "sparse initializer", tensor.values.name


def _is_constant(node: Any, constants: set[str]) -> bool:
    if node.op_type in SHAPE_ONLY:
        return True
    return is_foldable(node) and all(name in constants or not name for name in node.input)


def _problems(node: Any, opset: int, constants: set[str], used: Iterable[str]) -> Iterator[str]:
    """Iterate over the reasons why a node that depends on a leaf cannot be imported."""
    if node.domain not in {"", "ai.onnx"}:
        yield f"{node.domain}.{node.op_type}"
        return
    if node.op_type not in RULES:
        yield node.op_type
        return
    rule = RULES[node.op_type]
    refused = rule.refused(attributes(node, opset))
    if refused:
        yield f"{node.op_type} {refused}"
    for k in rule.fixed:
        if k < len(node.input) and node.input[k] and node.input[k] not in constants:
            yield f"{node.op_type} with input {node.input[k]!r} computed from a leaf"
    for k, name in enumerate(node.output):
        if rule.n_outputs is not None and k >= rule.n_outputs and name in used:
            yield f"output {k} of {node.op_type}"
