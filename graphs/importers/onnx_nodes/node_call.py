"""`NodeCall`: what the rule of an ONNX operator receives; `NodeRule`: entry of the table of operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers.optional_library import library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from jacobench.graphs.builder import GraphBuilder, Value


def onnx_package(module: str = "onnx") -> Any:
    """Return the package onnx, or one of its modules; BadInput with the pip command if it is not installed."""
    return library(module, "onnx", "from_onnx")


def attributes(node: Any, opset: int) -> dict[str, Any]:
    """Return the attributes of a NodeProto as Python values, with the defaults of this operator set."""
    onnx = onnx_package()
    defs, helper = onnx.defs, onnx.helper
    known = defs.get_schema(node.op_type, opset).attributes if defs.has(node.op_type, opset) else {}
    defaults = {name: each.default_value for name, each in known.items() if each.default_value.type}
    found = {name: helper.get_attribute_value(each) for name, each in defaults.items()}
    found |= {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def dtype_name(code: int) -> str:
    """Return the name of an element type, such as "FLOAT"."""
    return str(onnx_package().TensorProto.DataType.Name(code))


@dataclass(frozen=True)
class NodeCall:
    """Node of an ONNX model with its arguments.

    Attributes
    ----------
    g : GraphBuilder
        Builder to which the rule adds ops.
    op_type : str
        Name of the operator.
    attrs : mapping
        Attributes of the node, and the defaults of the others that have one.
    opset : int
        Version of the operator set.
    inputs : tuple of (Value or None)
        None for an optional input that is not given.
    n_outputs : int
        Number of outputs that the node lists.
    """

    g: GraphBuilder
    op_type: str
    attrs: Mapping[str, Any]
    opset: int
    inputs: tuple[Value | None, ...]
    n_outputs: int = 1

    def given(self, k: int) -> Value | None:
        """Return input `k`, or None if it is not given."""
        return self.inputs[k] if k < len(self.inputs) else None

    def any_value(self, k: int) -> Value:
        """Return input `k` of any dtype. Raises BadInput if it is not given."""
        value = self.given(k)
        if value is None:
            raise BadInput(f"input {k} is not given: expected a value")
        return value

    def value(self, k: int) -> Value:
        """Return input `k`, a floating-point value.

        Raises Unsupported for an integer or boolean value, because the node computes with other values of its dtype,
        which depend on a leaf.
        """
        value = self.any_value(k)
        if value.dtype.kind != "f":
            raise Unsupported(f"{self.op_type} computes {value.dtype} values from a leaf")
        return value

    @property
    def values(self) -> tuple[Value, ...]:
        """All inputs, floating-point values."""
        return tuple(self.value(k) for k in range(len(self.inputs)))

    def array(self, k: int) -> NDArray[Any] | None:
        """Return the array of input `k`, which is a constant; None if it is not given."""
        value = self.given(k)
        if value is None:
            return None
        if value.constant is None:
            raise Unsupported(f"input {k} of {self.op_type} depends on a leaf")
        return value.constant

    def whole_numbers(self, name: str, k: int | None = None) -> tuple[int, ...] | None:
        """Return whole numbers from attribute `name` or, in newer operator sets, from input `k`; None if not given."""
        given = self.attrs.get(name)
        if given is None and k is not None:
            given = self.array(k)
        return None if given is None else tuple(int(number) for number in np.ravel(given))


def accept(_attrs: Mapping[str, Any]) -> str:
    """Accept any attributes."""
    return ""


@dataclass(frozen=True)
class NodeRule:
    """How an ONNX operator is imported.

    Attributes
    ----------
    convert : callable
        (NodeCall) → Value, or a sequence with a Value for each output.
    fixed : tuple of int
        Inputs that must not depend on a leaf, such as shapes and indices.
    refused : callable
        (attributes) → those with which a node cannot be imported, such as "with mode linear"; "" if it can be.
    n_outputs : int or None
        Number of outputs that are imported; None for all.
    """

    convert: Callable[[NodeCall], Value | Sequence[Value]]
    fixed: tuple[int, ...] = ()
    refused: Callable[[Mapping[str, Any]], str] = accept
    n_outputs: int | None = 1


def op(name: str, n_args: int = 1, /, **renamed: str) -> NodeRule:
    """Return the rule of an operator that is one op of the table.

    ``renamed`` maps attributes of the op to attributes of the operator.
    """

    def convert(call: NodeCall) -> Value:
        attrs = {ours: call.attrs[theirs] for ours, theirs in renamed.items()}
        result: Value = getattr(call.g, name)(*map(call.value, range(n_args)), **attrs)
        return result

    return NodeRule(convert)


def along(length_of: int, axis: int) -> int:
    """Return an axis, which may be negative, of a value with `length_of` axes, as a number of 0 or more."""
    if not -length_of <= axis < length_of:
        raise BadInput(f"axis {axis} of a value with {length_of} axes: expected −{length_of} to {length_of - 1}")
    return axis % length_of
