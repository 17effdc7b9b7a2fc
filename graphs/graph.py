"""Graph: leaves, nodes in order of evaluation, an output, and the leaves to differentiate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np

from jacobench.graphs.arrays.namespaces import namespace
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Attrs, Shape
    from jacobench.graphs.op import Op


Role = Literal["input", "parameter"]


@dataclass(frozen=True)
class Leaf:
    """Input (data) or parameter (weights) of a graph. An input's leading axis is the batch.

    `distribution` is the entry of `DISTRIBUTIONS` that `sample_leaf` uses. `fan_in` is the number of terms per output, by
    which the distribution "fan_in" scales.
    """

    shape: Shape
    role: Role
    distribution: str
    fan_in: int = 1


def _uniform(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    return 2 * rng.random(leaf.shape) - 1


def _fan_in(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw from U(−1/√f, 1/√f) with f the fan-in, as torch.nn.Linear does."""
    return _uniform(rng, leaf) / sqrt(leaf.fan_in)


def _one_hot(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw one class for each vector along the last axis."""
    n = leaf.shape[-1]
    classes = rng.integers(n, size=prod(leaf.shape[:-1]))
    hot = np.zeros((classes.size, n))
    hot[np.arange(classes.size), classes] = 1
    return hot.reshape(leaf.shape)


DISTRIBUTIONS: Mapping[str, Callable[[np.random.Generator, Leaf], NDArray[np.float64]]] = {
    "uniform": _uniform,
    "fan_in": _fan_in,
    "one_hot": _one_hot,
}


def sample_leaf(name: str, leaf: Leaf, dtype: np.dtype[np.floating], rng_seed: int) -> Array:
    """Draw an array of shape `leaf.shape`: numbers in float64, rounded to `dtype`.

    Each leaf has its own random stream, determined by its name and `rng_seed`. The same arguments give the same array on
    every machine, because exact arithmetic makes it from the generator's integers.
    """
    rng = np.random.default_rng([rng_seed, crc32(name.encode())])
    array = DISTRIBUTIONS[leaf.distribution](rng, leaf)
    return np.asarray(array, dtype)  # shape () is an array, too; NumPy's arithmetic returns scalars


@dataclass(frozen=True)
class Node:
    """Op applied to values, with one context for each argument.

    `args` are the numbers of its arguments: first the leaves are numbered, then the nodes. `shape` is the output's.
    """

    op: Op
    args: tuple[int, ...]
    attrs: Attrs
    contexts: tuple[ArgumentContext, ...]
    shape: Shape


@dataclass(frozen=True)
class Graph:
    """Function from leaves to one output, as a directed acyclic graph of ops. Built by `GraphBuilder`.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64, for all leaves and values.
    leaves : mapping of str to Leaf
        Name → shape and role.
    nodes : tuple of Node
        In order of evaluation; the output depends on all of them.
    output : int
        Number of the value that is the output.
    wrt : tuple of str
        Names of the leaves to differentiate.
    """

    dtype: np.dtype[np.floating]
    leaves: Mapping[str, Leaf]
    nodes: tuple[Node, ...]
    output: int
    wrt: tuple[str, ...]

    @cached_property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        n_leaves = len(self.leaves)
        if self.output < n_leaves:
            return tuple(self.leaves.values())[self.output].shape
        return self.nodes[self.output - n_leaves].shape

    @cached_property
    def n_parameters(self) -> int:
        """Number of stored entries of all parameters."""
        return sum(prod(leaf.shape) for leaf in self.leaves.values() if leaf.role == "parameter")

    @cached_property
    def wrt_values(self) -> tuple[int, ...]:
        """Numbers of the values to differentiate, in the order of `wrt`."""
        numbers = {name: number for number, name in enumerate(self.leaves)}
        return tuple(numbers[name] for name in self.wrt)

    @cached_property
    def active(self) -> frozenset[int]:
        """Numbers of the values that depend on a leaf in `wrt`; only these need cotangents."""
        active = set(self.wrt_values)
        for number, node in enumerate(self.nodes, len(self.leaves)):
            if active.intersection(node.args):
                active.add(number)
        return frozenset(active)

    def sample(self, rng_seed: int = 0) -> dict[str, Array]:
        """Draw an array for each leaf; the same `rng_seed` (0 or more) gives the same arrays on every machine.

        Returns
        -------
        dict of str to NDArray
            Leaf name → array of its shape and the graph's dtype. Inputs are uniform on [−1, 1), parameters on
            [−1/√f, 1/√f) with f the fan-in; targets of a cross-entropy are one-hot.
        """
        return {name: sample_leaf(name, leaf, self.dtype, rng_seed) for name, leaf in self.leaves.items()}

    def check(self, leaves: Mapping[str, Any]) -> None:
        """Raise BadInput, with the given and the expected value, if a name, shape or dtype of `leaves` is wrong."""
        if leaves.keys() != self.leaves.keys():
            given, expected = ", ".join(map(str, leaves)), ", ".join(self.leaves)
            raise BadInput(f"leaves given: {given}; expected exactly: {expected}")
        for name, leaf in self.leaves.items():
            array = leaves[name]
            try:
                shape = tuple(array.shape)
            except AttributeError:
                given = type(array).__name__
                raise BadInput(
                    f"leaf {name!r} is a {given}: expected an array {self.dtype.name} {leaf.shape}"
                ) from None
            if shape != leaf.shape:
                raise BadInput(f"leaf {name!r} has shape {shape}: expected {leaf.shape}")
            # The identity is checked first: names of dtypes took two thirds of a small gradient's time.
            if array.dtype is not self.dtype and _dtype_name(array) != self.dtype.name:
                raise BadInput(f"leaf {name!r} has dtype {_dtype_name(array)}: expected {self.dtype.name}")

    def values_of(self, leaves: Mapping[str, Any]) -> list[Any]:
        """Check the leaves as `check` does, and return them in order; subclasses of ndarray become plain arrays.

        The arithmetic of ``numpy.matrix`` and masked arrays differs. Raises BadInput also if an entry is masked.
        """
        self.check(leaves)
        # The type is compared here: a call for each leaf took 3 % of a small gradient's time.
        return [x if type(x := leaves[name]) is np.ndarray else _plain(name, x) for name in self.leaves]

    def evaluate(self, leaves: Mapping[str, Any], xp: Any = np) -> Any:
        """Compute the output, shape `output_shape`. Libraries such as JAX can trace it.

        Parameters
        ----------
        leaves : mapping of str to array
            Leaf name → array of `xp`, of the leaf's shape and the graph's dtype.
        xp : module
            ``numpy``, ``jax.numpy``, ``torch`` or ``autograd.numpy``.

        Raises
        ------
        BadInput
            If a leaf's name, shape or dtype is wrong. JAX converts float64 to float32 unless ``jax_enable_x64`` is set.
        """
        values = self.values_of(leaves)
        functions = namespace(xp)
        for node in self.nodes:
            values.append(node.op.forward(functions, *(values[i] for i in node.args), **node.attrs))
        return values[self.output]


def _plain(name: str, array: Any) -> Any:
    if not isinstance(array, np.ndarray):  # an array of another library
        return array
    if np.ma.is_masked(array):
        raise BadInput(f"leaf {name!r} has masked entries: expected an array without a mask")
    return np.asarray(array)


def _dtype_name(array: Any) -> str:
    """Return "float64" for numpy.float64, torch.float64 and the like."""
    return str(array.dtype).rpartition(".")[2]
