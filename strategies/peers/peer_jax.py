"""JAX: ``jax.vjp`` and ``jax.jacrev``, compiled ahead of time for the CPU.

To measure JAX and not the harness:

- `prepare` traces and compiles, the pullback of one seed included. The pullback of S seeds is compiled at its first call.
- Residuals that are leaves are passed to the pullback directly, because XLA would copy them (`Split`).
- Results are not copied (`adopt`). Leaves are converted outside the timed call (`JaxPrepared.place`), seeds inside it.

A float64 graph is traced and called inside ``jax.enable_x64(True)``, a setting of this thread that is restored afterwards.
Every call waits for its result, and executes in the calling thread: the hand-over to JAX's own thread took up to 150 of the
230 µs of a gradient of three layers of width 16 on a machine with other processes at work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.strategies.contract import Unsupported
from jacobench.strategies.peers.library import Peer, import_peer
from jacobench.strategies.reverse import Linearization, check_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array, Shape
    from jacobench.graphs.graph import Graph

    Evaluate = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Xla:
    """JAX on the CPU, in the precision of one graph: `dtype` is that of every array."""

    jax: Any
    dtype: np.dtype[np.floating]

    def precision(self) -> Any:
        """Return the context in which JAX keeps `dtype`; entering and exiting it takes 0.5 µs."""
        return self.jax.enable_x64(self.dtype == np.float64)

    def place(self, leaves: Mapping[str, Array]) -> dict[str, Any]:
        """Convert leaves to JAX arrays, without a copy if they are aligned to 64 bytes."""
        cpu = self.jax.devices("cpu")[0]
        with self.precision():
            return {name: self.jax.device_put(leaf, cpu).block_until_ready() for name, leaf in leaves.items()}

    def argument(self, shape: Shape) -> Any:
        """Return the abstract value of an array of this shape."""
        return self.jax.ShapeDtypeStruct(shape, self.dtype)

    def compile(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Callable[..., Any]:
        """Compile a function of such arguments for the CPU, even where JAX has other devices."""
        with self.precision(), self.jax.default_device(self.jax.devices("cpu")[0]):
            compiled: Callable[..., Any] = self.jax.jit(function).lower(*arguments).compile()
        return compiled


class _Lent:
    """A JAX array as writable memory, through NumPy's array interface."""

    def __init__(self, array: Any) -> None:
        self._array = array  # keeps the buffer alive
        self.__array_interface__ = {
            "data": (array.unsafe_buffer_pointer(), False),
            "shape": array.shape,
            "typestr": array.dtype.str,
            "version": 3,
        }


def adopt(array: Any) -> Array:
    """Wait for a new result of a compiled function and return its buffer as a writable array, without a copy.

    This is safe because nothing else uses the buffer. XLA gives each output its own buffer, shared neither with an input
    (none is donated) nor with another output, and the caller drops `array`. ``np.asarray`` would return a read-only view,
    and copying it took 20 % of the time of writing a 72 MB result.
    """
    return np.asarray(_Lent(array.block_until_ready()))


@dataclass(frozen=True)
class Split:
    """A linearization as two functions of arrays, so that each can be compiled.

    - `linearize`: the leaves' arrays, in the order of ``graph.leaves`` → ``[output, *residuals]``.
    - `pull`: ``(seeds, *residuals)`` → the cotangents in the order of ``graph.wrt``, seeds (S, *output_shape).
    - `join`: residuals → the whole Jacobian, where they are its parts.
    """

    linearize: Callable[..., Sequence[Any]]
    pull: Callable[..., Sequence[Any]]
    join: Callable[..., Any] | None = None


def evaluator(
    jax: Any, graph: Graph, arrays: Sequence[Any], evaluate: Evaluate | None = None
) -> tuple[Callable[[Any], Any], tuple[Any, ...]]:
    """Return a function of a tuple of the leaves in ``graph.wrt``, and the point at which to differentiate.

    The function is the graph, or `evaluate`, which maps all leaves to the output.
    """
    of_leaves = evaluate or partial(graph.evaluate, xp=jax.numpy)
    leaves = dict(zip(graph.leaves, arrays, strict=True))

    def function(wrt: tuple[Any, ...]) -> Any:
        return of_leaves({**leaves, **dict(zip(graph.wrt, wrt, strict=True))})

    return function, tuple(leaves[name] for name in graph.wrt)


def split_vjp(jax: Any, graph: Graph, evaluate: Evaluate | None = None) -> Split:
    """Linearize with ``jax.vjp``, which chooses the residuals; several seeds use ``jax.vmap``."""
    structure: list[Any] = []

    def linearize(*arrays: Any) -> list[Any]:
        output, pullback = jax.vjp(*evaluator(jax, graph, arrays, evaluate))
        residuals, treedef = jax.tree.flatten(pullback)
        structure[:] = [treedef]
        return [output, *residuals]

    def pull(seeds: Any, *residuals: Any) -> Sequence[Any]:
        pullback = jax.tree.unflatten(structure[0], residuals)
        if len(seeds) == 1:
            return [bar[None] for bar in pullback(seeds[0])[0]]
        bars: Sequence[Any] = jax.vmap(pullback)(seeds)[0]
        return bars

    return Split(linearize, pull)


def split_jacrev(jax: Any, graph: Graph) -> Split:
    """Linearize with ``jax.jacrev``: the residuals are the output's whole Jacobians, which multiply the seeds."""

    def linearize(*arrays: Any) -> list[Any]:
        function, wrt = evaluator(jax, graph, arrays)
        if not wrt:
            return [function(wrt)]
        jacobians, output = jax.jacrev(lambda wrt: (function(wrt),) * 2, has_aux=True)(wrt)
        return [output, *jacobians]

    def pull(seeds: Any, *jacobians: Any) -> Sequence[Any]:
        rows, n_out = len(seeds), prod(graph.output_shape)
        shapes = (graph.leaves[name].shape for name in graph.wrt)
        return [
            (seeds.reshape(rows, n_out) @ J.reshape(n_out, prod(shape))).reshape(rows, *shape)
            for J, shape in zip(jacobians, shapes, strict=True)
        ]

    def join(*jacobians: Any) -> Any:
        return jax.numpy.concatenate([J.reshape(prod(graph.output_shape), -1) for J in jacobians], axis=1)

    return Split(linearize, pull, join)


@dataclass(frozen=True)
class JaxPrepared:
    """A graph compiled by JAX; see `contract.Prepared`.

    - `sources`: for each residual whether it is a leaf, and the number of that leaf or of that result of `linearizer`.
    - `residuals`: abstract values of the residuals; they may be masks or indices, too.
    - `linearizer`: the compiled function: the leaves' arrays → the output and the residuals that are not leaves.
    """

    graph: Graph
    xla: Xla
    split: Split
    sources: tuple[tuple[bool, int], ...]
    residuals: tuple[Any, ...]
    linearizer: Callable[..., Sequence[Any]]
    _pulls: dict[int, Callable[..., Sequence[Any]]] = field(default_factory=dict)

    def place(self, leaves: Mapping[str, Array]) -> dict[str, Any]:
        """Convert leaves to JAX arrays."""
        return self.xla.place(leaves)

    def linearize(self, leaves: Mapping[str, Any]) -> Linearization:
        """Run the compiled forward pass; `leaves` are NumPy arrays or those of `place`."""
        self.graph.check(leaves)
        arrays = [leaves[name] for name in self.graph.leaves]
        with self.xla.precision():
            results = self.linearizer(*arrays)
            residuals = [(arrays if is_leaf else results)[k] for is_leaf, k in self.sources]
            self.xla.jax.block_until_ready(results)
            output = adopt(results[0])

        def pullback(seeds: Array) -> dict[str, Array]:
            check_seeds(seeds, output)
            with self.xla.precision():
                bars = self.pull(len(seeds))(seeds, *residuals)
                return {name: adopt(bar) for name, bar in zip(self.graph.wrt, bars, strict=True)}

        def jacobian() -> Array:
            with self.xla.precision():
                return adopt(self.join(*residuals))

        return Linearization(output, pullback, jacobian if self.split.join else None)

    @cached_property
    def join(self) -> Callable[..., Any]:
        """The function that makes the whole Jacobian; its first call compiles it."""
        assert self.split.join is not None
        return self.xla.compile(self.split.join, self.residuals)

    def pull(self, n_seeds: int) -> Callable[..., Sequence[Any]]:
        """Return the pullback of this number of seeds; its first call compiles it."""
        if n_seeds not in self._pulls:
            seeds = self.xla.argument((n_seeds, *self.graph.output_shape))
            self._pulls[n_seeds] = self.xla.compile(self.split.pull, (seeds, *self.residuals))
        return self._pulls[n_seeds]


def compiled(xla: Xla, graph: Graph, split: Split) -> JaxPrepared:
    """Compile a linearization and the pullback of one seed."""
    arguments = [xla.argument(leaf.shape) for leaf in graph.leaves.values()]
    with xla.precision():
        jaxpr = xla.jax.make_jaxpr(split.linearize)(*arguments).jaxpr
    inputs = {id(variable): k for k, variable in enumerate(jaxpr.invars)}
    kept, sources = [0], []
    for k, variable in enumerate(jaxpr.outvars[1:], 1):
        is_leaf = id(variable) in inputs
        sources.append((is_leaf, inputs[id(variable)] if is_leaf else len(kept)))
        if not is_leaf:
            kept.append(k)

    def linearize(*arrays: Any) -> list[Any]:
        results = split.linearize(*arrays)
        return [results[k] for k in kept]

    residuals = [xla.jax.ShapeDtypeStruct(each.aval.shape, each.aval.dtype) for each in jaxpr.outvars[1:]]
    linearizer = xla.compile(linearize, arguments)
    prepared = JaxPrepared(graph, xla, split, tuple(sources), tuple(residuals), linearizer)
    prepared.pull(1)
    return prepared


def started_jax() -> Any:
    """Import JAX and start its CPU client, so that its threads and buffers are not attributed to a graph.

    The client executes in the calling thread, if no other client was started before.
    """
    jax = import_peer("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.devices("cpu")
    return jax


def jax_vjp() -> Peer:
    """Return the strategy ``jax-vjp``."""
    jax = started_jax()
    return Peer("jax-vjp", lambda graph: compiled(Xla(jax, graph.dtype), graph, split_vjp(jax, graph)))


def jax_original() -> Peer:
    """Return the strategy ``jax-original``: ``jax-vjp`` of the function that a graph was imported from."""
    jax = started_jax()

    def prepare(graph: Graph) -> JaxPrepared:
        origin = graph.origin
        if origin is None or origin.library != "jax" or origin.evaluate is None:
            raise Unsupported("the graph is not imported from JAX: jax-original times a JAX model in its own form")
        return compiled(Xla(jax, graph.dtype), graph, split_vjp(jax, graph, origin.evaluate))

    return Peer("jax-original", prepare)


def jax_jacrev() -> Peer:
    """Return the strategy ``jax-jacrev``."""
    jax = started_jax()
    return Peer("jax-jacrev", lambda graph: compiled(Xla(jax, graph.dtype), graph, split_jacrev(jax, graph)))
