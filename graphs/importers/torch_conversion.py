"""Conversion of the nodes of an exported torch graph to ops of a graph, with one table entry per aten op."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import getitem
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.builder import Value
from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers.torch_elementwise import ELEMENTWISE
from jacobench.graphs.importers.torch_layers import LAYERS
from jacobench.graphs.importers.torch_movement import MOVEMENT
from jacobench.graphs.importers.torch_reductions import REDUCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jacobench.graphs.array_types import Array, Shape
    from jacobench.graphs.builder import GraphBuilder

TORCH_OPS: Mapping[str, Callable[..., Any]] = {**ELEMENTWISE, **REDUCTIONS, **LAYERS, **MOVEMENT}
"""Aten op, with or without the name of its overload → its rule.

A rule maps the conversion and the op's arguments to a value or a constant tensor, or several of them.
"""


class Rejected(Exception):  # noqa: N818  (caught where the node's name and place are known)
    """A node that cannot be converted; the message completes the op's name."""


MISSING = object()
"""Result of a node that cannot be converted, and of all nodes that depend on it."""


def rule_of(target: Any) -> Callable[..., Any] | None:
    """Return the rule of an aten op such as ``aten.add.Tensor``, None if there is none."""
    name = str(target)
    return TORCH_OPS.get(name) or TORCH_OPS.get(name.rpartition(".")[0])


@dataclass
class TorchConversion:
    """Conversion of one exported graph; `node` is the one that is converted now.

    Constants are tensors until an op needs them as a value.
    """

    torch: Any
    g: GraphBuilder
    dtype: np.dtype[Any]
    node: Any = None
    values: dict[Any, Any] = field(default_factory=dict)
    constants: dict[Any, tuple[Any, Value]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    folded: list[Any] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """Shape of the node's result."""
        return tuple(self.node.meta["val"].shape)

    def op(self, name: str, *args: Value, **attrs: Any) -> Value:
        """Apply an op of the table."""
        result: Value = getattr(self.g, name)(*args, **attrs)
        return result

    def any_value(self, x: Any) -> Value:
        """Return an argument of any dtype as a value; constants that occur several times are one value."""
        if isinstance(x, Value):
            return x
        key = id(x) if self.torch.is_tensor(x) else (type(x), x)
        if key not in self.constants:
            self.constants[key] = (x, self.g.constant(self.array(x)))  # x is kept, so that its id is not used again
        return self.constants[key][1]

    def value(self, x: Any) -> Value:
        """Return an argument as a floating-point value; True is 1."""
        if not isinstance(x, Value):
            if self.torch.is_tensor(x) and not x.is_floating_point():
                x = self.torch.as_tensor(x, dtype=self.torch.float64)
            return self.any_value(float(x) if isinstance(x, (bool, int)) else x)
        if x.dtype == self.dtype:
            return x
        return self.g.where(x, self.any_value(1.0), self.any_value(0.0))

    def condition(self, x: Any) -> Value:
        """Return an argument as a boolean value; numbers other than 0 are True."""
        if self.torch.is_tensor(x):
            return self.any_value(x.bool())
        if not isinstance(x, Value) or x.dtype == np.bool_:
            return self.any_value(x)
        return self.g.not_equal(x, self.any_value(0.0))

    def rejected(self, reason: str) -> Rejected:
        """Return the exception for a node that cannot be converted; `reason` completes the op's name."""
        return Rejected(reason)

    def array(self, x: Any) -> Array:
        """Return a constant argument, such as indices, as an array."""
        if isinstance(x, Value):
            raise Rejected(" with indices that depend on leaves")
        return np.asarray(x.detach().numpy() if self.torch.is_tensor(x) else x)

    def number(self, x: Any) -> float | None:
        """Return a constant with one entry and no axes as a number, None for anything else."""
        if isinstance(x, Value) or (self.torch.is_tensor(x) and x.dim()):
            return None
        return float(x)

    def positions(self, *shape: int) -> Any:
        """Return the positions of the entries of an array of this shape as a tensor, counted from 0."""
        return self.torch.arange(int(np.prod(shape, dtype=int))).reshape(shape)

    def convert(self, needed: Iterable[Any]) -> None:
        """Convert the nodes in order."""
        for node in needed:
            if node.op == "call_function":
                self.node = node
                self.values[node] = self._result()

    def _result(self) -> Any:
        node, given = self.node, [self.values[each] for each in self.node.all_input_nodes if each in self.values]
        if node.target is getitem:
            return self._item(*node.args)
        rule = rule_of(node.target)
        if not any(map(_depends_on_leaves, given)) and not any(x is MISSING for x in given):
            return self._folded()
        if rule is None:
            return self._rejected("")
        if any(x is MISSING for x in given):
            return MISSING
        return self._applied(rule)

    def _applied(self, rule: Callable[..., Any]) -> Any:
        args, kwargs = self._arguments()
        try:
            result = rule(self, *args, **kwargs)
            if isinstance(result, Value):
                self._check(result)
        except Rejected as error:
            return self._rejected(str(error))
        except BadInput as error:
            return self._rejected(f": {error}")
        return result

    def _check(self, result: Value) -> None:
        expected = self.node.meta["val"]
        dtype = str(expected.dtype).rpartition(".")[2]
        if dtype not in {"float32", "float64", "bool"}:
            raise Rejected(f" to {dtype}")
        if result.shape != tuple(expected.shape):
            raise AssertionError(f"{self.node.target}: shape {result.shape}, expected {tuple(expected.shape)}")

    def _item(self, of: Any, k: int) -> Any:
        items = self.values[of]
        item = MISSING if items is MISSING else items[k]
        return self._rejected(f", result {k}", of) if item is None else item

    def _folded(self) -> Any:
        """Evaluate a node that depends on no leaf."""
        target = self.node.target
        if any("nondeterministic" in str(tag) for tag in getattr(target, "tags", ())):
            return self._rejected(" (random numbers)")
        if not hasattr(target, "_schema"):  # control flow, shapes that depend on data
            return self._rejected("")
        args, kwargs = self._arguments()
        self.folded.append(self.node)
        with self.torch.no_grad():
            return target(*args, **kwargs)

    def _arguments(self) -> tuple[Any, Any]:
        from_node = self.torch.fx.node.map_arg
        return from_node(self.node.args, self.values.get), from_node(self.node.kwargs, self.values.get)

    def _rejected(self, reason: str, node: Any = None) -> Any:
        node = node or self.node
        self.problems.append((f"{name_of(node.target)}{reason}", place_of(node)))
        return MISSING


def _depends_on_leaves(x: Any) -> bool:
    return isinstance(x, Value) or (isinstance(x, (tuple, list)) and any(map(_depends_on_leaves, x)))


def name_of(target: Any) -> str:
    """Return the name of an op without its overload, such as ``aten.add``; of control flow its own, such as ``cond``."""
    if hasattr(target, "_schema"):
        return str(target).rpartition(".")[0]
    return getattr(target, "__name__", str(target))


def place_of(node: Any) -> str:
    """Return the path of the module that contains a node, or the class of the model."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return ""
    path, kind = stack[-1]
    return path or str(kind).rpartition(".")[2]


def needed_nodes(output: Any) -> list[Any]:
    """List the nodes that an output needs, in the order of the graph."""
    needed, stack = {output}, [output]
    while stack:
        for arg in stack.pop().all_input_nodes:
            if arg not in needed:
                needed.add(arg)
                stack.append(arg)
    return [node for node in output.graph.nodes if node in needed]
