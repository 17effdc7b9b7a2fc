"""A graph: leaves, nodes in the order they are computed, an output, and the leaves to differentiate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import namespace
from jacobench.graphs.errors import BadInput
from jacobench.graphs.leaf import sample_leaf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import ArgumentContext, Array, Shape
    from jacobench.graphs.leaf import Leaf
    from jacobench.graphs.op import Op


@dataclass(frozen=True)
class Node:
    """An op applied to values, which are numbered: first the leaves, then the nodes.

    Attributes
    ----------
    op : Op
        The op.
    args : tuple of int
        The values it is applied to.
    attrs : mapping
        What else it is called with.
    contexts : tuple of ArgumentContext
        One for each argument.
    shape : tuple of int
        The output's shape.
    """

    op: Op
    args: tuple[int, ...]
    attrs: Mapping[str, Any]
    contexts: tuple[ArgumentContext, ...]
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """A function from leaves to one output, as a directed acyclic graph of ops. Made by `GraphBuilder`.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64: of every leaf and every value.
    leaves : mapping of str to Leaf
        Name → shape and role.
    nodes : tuple of Node
        In an order in which they can be computed; all of them feed the output.
    output : int
        Which value is the output.
    wrt : tuple of str
        The leaves to differentiate.
    """

    dtype: np.dtype[np.floating]
    leaves: Mapping[str, Leaf]
    nodes: tuple[Node, ...]
    output: int
    wrt: tuple[str, ...]

    @cached_property
    def output_shape(self) -> Shape:
        """The shape of the output."""
        n_leaves = len(self.leaves)
        if self.output < n_leaves:
            return tuple(self.leaves.values())[self.output].shape
        return self.nodes[self.output - n_leaves].shape

    @cached_property
    def n_parameters(self) -> int:
        """The number of stored entries of all parameters."""
        return sum(prod(leaf.shape) for leaf in self.leaves.values() if leaf.role == "parameter")

    @cached_property
    def wrt_values(self) -> tuple[int, ...]:
        """The numbers of the values to differentiate, in the order of `wrt`."""
        order = tuple(self.leaves)
        return tuple(order.index(name) for name in self.wrt)

    @cached_property
    def active(self) -> frozenset[int]:
        """The values that depend on a leaf to differentiate: cotangents are needed for these and no others."""
        active = set(self.wrt_values)
        for number, node in enumerate(self.nodes, len(self.leaves)):
            if active.intersection(node.args):
                active.add(number)
        return frozenset(active)

    def sample(self, rng_seed: int = 0) -> dict[str, Array]:
        """Draw an array for every leaf.

        Parameters
        ----------
        rng_seed : int
            0 or more. The same seed gives the same arrays on every machine.

        Returns
        -------
        dict of str to NDArray
            Leaf name → array of its shape and the graph's dtype. Inputs are uniform on [−1, 1), parameters on
            [−1/√f, 1/√f) with f the fan-in; targets of a cross-entropy are one-hot.
        """
        return {name: sample_leaf(name, leaf, self.dtype, rng_seed) for name, leaf in self.leaves.items()}

    def check(self, leaves: Mapping[str, Any]) -> None:
        """Check that arrays are this graph's leaves.

        Raises
        ------
        BadInput
            If a name, a shape or a dtype is wrong; says what was given and what was expected.
        """
        if leaves.keys() != self.leaves.keys():
            given, expected = ", ".join(map(str, leaves)), ", ".join(self.leaves)
            raise BadInput(f"leaves given: {given}; expected exactly: {expected}")
        for name, leaf in self.leaves.items():
            array = leaves[name]
            if tuple(array.shape) != leaf.shape:
                raise BadInput(f"leaf {name!r} has shape {tuple(array.shape)}: expected {leaf.shape}")
            # Two thirds of a small gradient's time went into names of dtypes, hence the look at NumPy's own first.
            if array.dtype is not self.dtype and _dtype_name(array) != self.dtype.name:
                raise BadInput(f"leaf {name!r} has dtype {_dtype_name(array)}: expected {self.dtype.name}")

    def evaluate(self, leaves: Mapping[str, Any], xp: Any = np) -> Any:
        """Compute the output: the way in for other libraries, which can trace it.

        Parameters
        ----------
        leaves : mapping of str to array
            Leaf name → array of `xp`, of the leaf's shape and the graph's dtype.
        xp : module
            ``numpy``, ``jax.numpy``, ``torch`` or ``autograd.numpy``.

        Returns
        -------
        array of `xp`
            Shape `output_shape`.

        Raises
        ------
        BadInput
            If a leaf's name, shape or dtype is wrong. JAX makes float32 of float64 unless ``jax_enable_x64`` is on.
        """
        self.check(leaves)
        functions = namespace(xp)
        values = [leaves[name] for name in self.leaves]
        for node in self.nodes:
            values.append(node.op.forward(functions, *(values[i] for i in node.args), **node.attrs))
        return values[self.output]


def _dtype_name(array: Any) -> str:
    """Return "float64" for numpy.float64, torch.float64 and the like."""
    return str(array.dtype).rpartition(".")[2]
