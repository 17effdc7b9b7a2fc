"""Graph: leaves, nodes in order of evaluation, an output, and the leaves to differentiate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np

from jacobench.graphs.arrays.namespaces import namespace
from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Attrs, Shape
    from jacobench.graphs.op import Op


Role = Literal["input", "parameter"]

SELECTIONS: Mapping[str, tuple[Role, ...]] = {
    "inputs": ("input",),
    "parameters": ("parameter",),
    "all": ("input", "parameter"),
}
"""Roles of the leaves that a word in `wrt` selects."""


@dataclass(frozen=True)
class Leaf:
    """Input (data) or parameter (weights) of a graph, of any shape.

    `distribution` is the entry of `DISTRIBUTIONS` that `sample_leaf` uses. `fan_in` is the number of terms per output, by
    which the distribution "fan_in" scales.
    """

    shape: Shape
    role: Role
    distribution: str
    fan_in: int = 1


def _uniform(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    return 2 * rng.random(leaf.shape) - 1


def _positive(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw from U(5/4, 9/4), where logarithms, roots, quotients and inverse hyperbolic functions are smooth."""
    return rng.random(leaf.shape) + 1.25


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
    "positive": _positive,
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

    `args` are the numbers of its arguments: first the leaves are numbered, then the constants, then the nodes. `shape` is
    the output's.
    """

    op: Op
    args: tuple[int, ...]
    attrs: Attrs
    contexts: tuple[ArgumentContext, ...]
    shape: Shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the output."""
        return self.op.dtype_of_output(self.contexts[0].dtype)


def selected(leaves: Mapping[str, Leaf], wrt: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of the leaves that `wrt` selects, without duplicates.

    `wrt` is ``"inputs"``, ``"parameters"``, ``"all"``, the name of a leaf, or names in any order. Raises BadInput for an
    unknown name, and if no leaf is selected.
    """
    if isinstance(wrt, str) and wrt in SELECTIONS:
        names = tuple(name for name, leaf in leaves.items() if leaf.role in SELECTIONS[wrt])
    else:
        names = tuple(dict.fromkeys([wrt] if isinstance(wrt, str) else wrt))
    for name in names:
        if name not in leaves:
            raise unknown("leaf in wrt", name, (*leaves, *SELECTIONS))
    if not names:
        known = ", ".join(f"{name} ({leaf.role})" for name, leaf in leaves.items()) or "none"
        raise BadInput(f"wrt = {wrt!r} selects no leaf: expected 'inputs', 'parameters', 'all' or names, of {known}")
    return names


@dataclass(frozen=True, eq=False)
class Origin:
    """Model of another library that a graph was imported from.

    Attributes
    ----------
    library : str
        "torch", "onnx", "sklearn" or "jax".
    removed : tuple of str
        Nodes of the model that the graph does not need, such as dead code and folded constants, by the library's names.
    library_seconds, conversion_seconds : float
        Time of the library's own export or tracing, and of the conversion to a graph.
    evaluate : callable or None
        The original model as a function of all leaves: mapping of leaf name to array of the library → output. None if the
        library cannot differentiate it.
    """

    library: str
    removed: tuple[str, ...] = ()
    library_seconds: float = 0.0
    conversion_seconds: float = 0.0
    evaluate: Callable[[Mapping[str, Any]], Any] | None = None


@dataclass(frozen=True)
class Graph:
    """Function from leaves to one output, as a directed acyclic graph of ops. Built by `GraphBuilder`.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64, for all leaves and all values that can be differentiated.
    leaves : mapping of str to Leaf
        Name → shape and role.
    nodes : tuple of Node
        In order of evaluation; the output depends on all of them.
    output : int
        Number of the value that is the output.
    wrt : tuple of str
        Names of the leaves to differentiate, at least one.
    constants : tuple of array
        Values that are neither leaves nor computed from them: floating-point numbers in `dtype`, integers or booleans.
    origin : Origin or None
        What the graph was imported from.
    """

    dtype: np.dtype[np.floating]
    leaves: Mapping[str, Leaf]
    nodes: tuple[Node, ...]
    output: int
    wrt: tuple[str, ...]
    constants: tuple[NDArray[Any], ...] = ()
    origin: Origin | None = None

    @cached_property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return self.given_shapes[self.output] if self.output < self.n_given else self.node(self.output).shape

    @cached_property
    def given_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the leaves and constants, by number."""
        return (*(leaf.shape for leaf in self.leaves.values()), *(array.shape for array in self.constants))

    @cached_property
    def n_given(self) -> int:
        """Number of leaves and constants, which is the number of the first node."""
        return len(self.leaves) + len(self.constants)

    @property
    def numbered_nodes(self) -> Iterable[tuple[int, Node]]:
        """Number and node of each computed value, in order of evaluation."""
        return enumerate(self.nodes, self.n_given)

    def node(self, number: int) -> Node:
        """Return the node that computes the value `number`."""
        return self.nodes[number - self.n_given]

    def with_origin(self, origin: Origin) -> Graph:
        """Return the same graph, with what it was imported from."""
        return replace(self, origin=origin)

    def with_wrt(self, wrt: str | Iterable[str]) -> Graph:
        """Return the same graph, differentiated with respect to other leaves.

        `wrt` is ``"inputs"``, ``"parameters"``, ``"all"`` or names of leaves. Raises BadInput if it selects no leaf.
        """
        return replace(self, wrt=selected(self.leaves, wrt))

    @cached_property
    def selection(self) -> str:
        """The leaves in `wrt` as text: "parameters", "inputs" or "all" if they are these, else their names with commas."""
        for word, roles in SELECTIONS.items():
            if set(self.wrt) == {name for name, leaf in self.leaves.items() if leaf.role in roles}:
                return word
        return ",".join(self.wrt)

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
        """Numbers of the values that need cotangents: the leaves in `wrt`, and computed values between these and the output.

        A value is between them if it depends differentiably on such a leaf and the output on it.
        """
        active = set(self.wrt_values)
        for number, node in self.numbered_nodes:
            if node.op.is_differentiable and active.intersection(node.args):
                active.add(number)
        reached = {self.output}
        for number, node in reversed(list(self.numbered_nodes)):
            if number in reached and number in active:
                reached.update(node.args)
        return frozenset(active & (reached | set(self.wrt_values)))

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
        """Check the leaves as `check` does; return them and the constants in order, subclasses of ndarray as plain arrays.

        The arithmetic of ``numpy.matrix`` and masked arrays differs. Raises BadInput also if an entry is masked.
        """
        self.check(leaves)
        # The type is compared here: a call for each leaf took 3 % of a small gradient's time.
        values = [x if type(x := leaves[name]) is np.ndarray else _plain(name, x) for name in self.leaves]
        values += self.constants
        return values

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
        values[len(self.leaves) :] = map(functions.constant, self.constants)
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
