"""Import an ONNX model as a graph."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.builder import GraphBuilder, Value
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.graph import Leaf, Origin, sample_leaf
from jacobench.graphs.importers.onnx_nodes.folding import constant_of, evaluated
from jacobench.graphs.importers.onnx_nodes.model_analysis import analyzed, place
from jacobench.graphs.importers.onnx_nodes.model_file import has_symbolic_batch, input_shapes, read_model
from jacobench.graphs.importers.onnx_nodes.node_call import NodeCall, attributes, dtype_name
from jacobench.graphs.importers.onnx_nodes.node_table import RULES
from jacobench.graphs.importers.optional_library import chosen_dtype, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.graphs.importers.onnx_nodes.model_analysis import ModelAnalysis
    from jacobench.graphs.importers.onnx_nodes.model_file import OnnxModel
    from jacobench.graphs.op import Op

__all__ = ["from_onnx", "has_symbolic_batch"]


def from_onnx(
    source: Any,
    wrt: str | Iterable[str] = "parameters",
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    dtype: str | None = None,
) -> tuple[Graph, dict[str, Array]]:
    """Import the first output of an ONNX model. No code of the model is executed.

    Parameters
    ----------
    source : path or onnx.ModelProto
        Model of operator set 7 or later.
    wrt : {"parameters", "inputs", "all"} or iterable of str
        Leaves to differentiate: parameters are the initializers, inputs the inputs of the model.
    batch : int
        Length of the symbolic leading axes of the inputs; without effect where they are fixed.
    dims : mapping of str to int, optional
        Lengths of other symbolic dimensions by name, or by input and axis, such as ``x.2``.
    dtype : {"float32", "float64"}, optional
        Dtype of the graph and its leaves. Default: the model's own.

    Returns
    -------
    Graph
        Its leaves are the floating-point inputs and initializers. Constant nodes, integers, and initializers that only
        determine shapes are constants.
    dict of str to NDArray
        Initializers, read-only views where possible, and for each input numbers that `Graph.sample` draws.

    Raises
    ------
    BadInput
        If the file is not an ONNX model or external data are missing; for weights of another dtype than float32 and
        float64; for dimensions that are not set, or for which the shapes do not fit.
    Unsupported
        If the output needs operators that cannot be imported. The message lists all of them.
    """
    start = perf_counter()
    model = read_model(source)
    loaded = perf_counter()
    found = analyzed(model)
    if found.problems:
        raise unsupported("ONNX", found.problems)
    conversion = Conversion(model, found, batch, dims or {}, dtype)
    graph, removed = conversion.graph(wrt)
    origin = Origin("onnx", removed, loaded - start, perf_counter() - loaded)
    return graph.with_origin(origin), conversion.leaves


class FoldingBuilder(GraphBuilder):
    """Builder that evaluates an op at once if all its arguments are constants."""

    def _apply(self, op: Op, *args: Value, **attrs: Any) -> Value:
        value = super()._apply(op, *args, **attrs)
        arrays = [each.constant for each in args]
        if any(array is None for array in arrays):
            return value
        with np.errstate(all="ignore"):
            return self.constant(op.forward(NUMPY, *arrays, **value.contexts[0].attrs))


class Conversion:
    """State of the conversion of one model: the value of each name so far, and the arrays of the leaves."""

    def __init__(
        self, model: OnnxModel, found: ModelAnalysis, batch: int, dims: Mapping[str, int], dtype: str | None
    ) -> None:
        self._model, self._found = model, found
        chosen = {"batch": batch} if model.has_symbolic_batch else {}
        self._where = ", ".join(f"{name} = {n}" for name, n in {**chosen, **dims}.items())
        arrays = [(tensor.name, model.array(tensor, f"initializer {tensor.name!r}")) for tensor in found.leaves]
        self._dtype = self._chosen_dtype([array.dtype.name for _, array in arrays], dtype)
        self._g = FoldingBuilder(self._dtype.name)
        self._values: dict[str, Value] = {}
        self.leaves: dict[str, Array] = {}
        for name, shape in input_shapes(model.inputs, model.title, batch, dims):
            self._values[name] = self._g.input(name, shape)
            leaf = Leaf(shape, "input", "uniform")
            self.leaves[name] = sample_leaf(name, leaf, self._dtype, 0)
        for name, array in arrays:
            self._values[name] = self._g.parameter(name, array.shape)
            self.leaves[name] = array.astype(self._dtype, copy=False)
        for tensor in model.proto.graph.initializer:
            if tensor.name in found.constants:
                self._values[tensor.name] = self._g.constant(model.array(tensor, f"initializer {tensor.name!r}"))

    def _chosen_dtype(self, of_parameters: list[str], given: str | None) -> np.dtype[np.floating]:
        """Return the dtype of the graph. Raises BadInput if the leaves have several, and none is chosen."""
        title, inputs = self._model.title, self._model.inputs
        own = {*of_parameters, *(dtype_name(each.type.tensor_type.elem_type).lower() for each in inputs)}
        own = {NAMES.get(name, name) for name in own}
        if given is None and len(own) > 1:
            raise BadInput(
                f"{title} has leaves of dtype {' and '.join(sorted(own))}: choose one, such as dtype='float64'"
            )
        return chosen_dtype(given, min(own, default="float32"), title)

    def graph(self, wrt: str | Iterable[str]) -> tuple[Graph, tuple[str, ...]]:
        """Convert all nodes; return the graph, and the nodes that it does not contain, apart from Constant nodes."""
        for node in self._found.nodes:
            arguments = tuple(self._values[name] if name else None for name in node.input)
            convert = self._folded if node.output[0] in self._found.constants else self._converted
            self._values.update(zip(node.output, convert(node, arguments), strict=False))
        output = self._model.proto.graph.output[0].name
        value = self._values[output]
        if value.dtype != self._dtype:
            raise Unsupported(f"the output {output!r} of {self._model.title} is {value.dtype}: it has no derivative")
        kept = {place(node) for node in self._found.nodes if node.output[0] not in self._found.constants}
        others = (node for node in self._model.proto.graph.node if node.op_type != "Constant")
        removed = tuple(place(node) for node in others if place(node) not in kept)
        return self._g.build(value, wrt), removed

    def _converted(self, node: Any, arguments: tuple[Value | None, ...]) -> Sequence[Value]:
        call = NodeCall(
            self._g,
            node.op_type,
            attributes(node, self._model.opset),
            self._model.opset,
            arguments,
            len(node.output),
        )
        try:
            result = RULES[node.op_type].convert(call)
        except (ValueError, IndexError) as error:  # BadInput of our ops, or NumPy's on shapes that do not fit
            raise self._bad_node(node, " ".join(str(error).split())) from None
        except Unsupported as error:
            raise unsupported("ONNX", [(str(error), place(node))]) from None
        return [result] if isinstance(result, Value) else result

    def _folded(self, node: Any, arguments: tuple[Value | None, ...]) -> Sequence[Value]:
        """Evaluate a node that depends on no leaf, with floating-point numbers in the graph's dtype.

        If it has a rule that computes such numbers, it is evaluated with our ops, because some operators of the reference
        implementation are wrong or round to float32.
        """
        attrs = attributes(node, self._model.opset)
        if node.op_type == "Constant":
            arrays = [constant_of(attrs, lambda tensor: self._model.array(tensor, f"constant {place(node)!r}"))]
        elif computes_floats(node, attrs, arguments):
            return self._converted(node, arguments)
        else:
            inputs = [None if value is None else _array_of(value) for value in arguments]
            try:
                arrays = evaluated(node.op_type, attrs, self._model.opset, inputs, len(node.output))
            except Exception as error:  # noqa: BLE001  (errors of the reference implementation have no common class)
                raise self._bad_node(node, str(error).partition("\n")[0]) from None
        return [self._g.constant(array) for array in arrays]

    def _bad_node(self, node: Any, reason: str) -> BadInput:
        where = f" with {self._where}" if self._where else ""
        return BadInput(f"{self._model.title}: node {place(node)!r} ({node.op_type}){where}: {reason}")


NAMES = {"float": "float32", "double": "float64"}
"""Names of ONNX → names of NumPy."""


def _array_of(value: Value) -> NDArray[Any]:
    """Return the array of a constant; of another value only the shape is read."""
    return np.broadcast_to(np.zeros((), value.dtype), value.shape) if value.constant is None else value.constant


def computes_floats(node: Any, attrs: Mapping[str, Any], arguments: tuple[Value | None, ...]) -> bool:
    """Return whether a node has a rule, and all arguments that it does not fix are floating-point numbers."""
    rule = RULES.get(node.op_type)
    if rule is None or rule.refused(attrs):
        return False
    free = [value for k, value in enumerate(arguments) if k not in rule.fixed and value is not None]
    return bool(free) and all(value.dtype.kind == "f" for value in free)
