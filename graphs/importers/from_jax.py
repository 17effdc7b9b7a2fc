"""`from_jax`: a graph from a function of JAX, by its jaxpr."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from math import prod
from operator import index
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.graph import Origin
from jacobench.graphs.importers.jax_operands import OperandBuilder, is_float
from jacobench.graphs.importers.jaxpr_conversion import JaxprConversion
from jacobench.graphs.importers.optional_library import chosen_dtype, library, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph


@dataclass(frozen=True)
class JaxModel:
    """A function of JAX and its arguments.

    `positions` are those of the floating-point arrays, the leaves of the graph, among `flat`, the leaves of the arguments'
    pytree `tree`. `names` are the names of these leaves.
    """

    jax: Any
    function: Callable[..., Any]
    flat: tuple[Any, ...]
    tree: Any
    positions: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype[np.floating]

    def precision(self) -> Any:
        """Return the context in which JAX keeps the dtype; it ends with this thread's setting as before."""
        return self.jax.enable_x64(self.dtype == np.float64)

    def arrays(self) -> dict[str, Array]:
        """Return the leaves by name, as copies in the graph's dtype."""
        given = (self.flat[position] for position in self.positions)
        return {name: np.array(x, self.dtype, order="C") for name, x in zip(self.names, given, strict=True)}

    def outputs(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the arrays of the function's result at leaves in the order of `names`."""
        flat = list(self.flat)
        for position, array in zip(self.positions, arrays, strict=True):
            flat[position] = array
        result = self.function(*self.jax.tree.unflatten(self.tree, flat))
        return [self.jax.numpy.asarray(y) for y in self.jax.tree.leaves(result)]

    def evaluate(self, leaves: Mapping[str, Any]) -> Any:
        """Return the output at leaves by name: one array as it is, several as one vector."""
        outputs = self.outputs([leaves[name] for name in self.names])
        return outputs[0] if len(outputs) == 1 else self.jax.numpy.concatenate([y.reshape(-1) for y in outputs])


def from_jax(
    function: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    wrt: str | Iterable[str] | None = None,
    dtype: str | None = None,
) -> tuple[Graph, dict[str, Array]]:
    """Import a function of JAX: one node per equation of its jaxpr.

    Calls are inlined and loops of fixed length are unrolled. Equations that no leaf reaches are evaluated, and equations
    that the output does not need are removed.

    Parameters
    ----------
    function : callable
        Function of pytrees of arrays. If it returns several arrays, the output of the graph is one vector of all entries.
    *args : pytrees
        Its arguments. Each floating-point array, or Python number, is a leaf of the graph with the role *input*. Its name is
        the parameter's name and the keys of the pytree path, such as ``params.layer1.w``. All else is constant.
    argnums : int or sequence of int
        Positions of the arguments to differentiate.
    wrt : {"inputs", "all"} or iterable of str, optional
        Leaves to differentiate, instead of those of `argnums`.
    dtype : {"float32", "float64"}, optional
        Dtype to which the leaves are converted. Default: their own.

    Returns
    -------
    graph : Graph
    leaves : dict of str to NDArray
        The arguments' floating-point arrays by name.

    Raises
    ------
    Unsupported
        If the jaxpr has primitives that a graph cannot express; the message lists all of them.
    BadInput
        If an argument, `argnums`, `wrt` or `dtype` does not fit, or JAX is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> def model(params, x):
    ...     return x @ params["w"] + params["b"]
    >>> params = {"w": np.ones((3, 2)), "b": np.zeros(2)}
    >>> graph, leaves = from_jax(model, params, np.ones((4, 3)))
    >>> list(leaves), graph.wrt, graph.output_shape
    (['params.b', 'params.w', 'x'], ('params.b', 'params.w'), (4, 2))
    """
    jax = library("jax", "jax", "from_jax")
    model, chosen = _model(jax, function, args, argnums, dtype)
    with model.precision(), jax.default_device(jax.devices("cpu")[0]):
        started = perf_counter()
        jaxpr = _traced(model)
        traced = perf_counter()
        g = GraphBuilder(model.dtype.name)
        shortest = model.dtype.itemsize if dtype is None else 0
        folders = str(Path(jax.__file__).parent), str(Path(__file__).parent)
        conversion = JaxprConversion(OperandBuilder(g, jax, shortest), folders)
        output = _output(conversion, jaxpr, model)
    if conversion.missing:
        raise unsupported("JAX", conversion.missing)
    graph = g.build(output, chosen if wrt is None else wrt)
    if conversion.custom and not _has_derivatives_of(graph, model):
        raise unsupported("JAX", ((f"a rule that is not the derivative, {name}", at) for name, at in conversion.custom))
    origin = Origin("jax", conversion.removed, traced - started, perf_counter() - traced, model.evaluate)
    return graph.with_origin(origin), model.arrays()


def _model(
    jax: Any, function: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int], dtype: str | None
) -> tuple[JaxModel, tuple[str, ...]]:
    """Check the arguments; return the model, and the names of the leaves that `argnums` selects."""
    if not callable(function):
        raise BadInput(f"the function is {function!r:.60}: expected a function of JAX")
    chosen = _as_argnums(argnums, len(args))
    with_paths, tree = jax.tree_util.tree_flatten_with_path(args)
    parameters = _parameter_names(function, len(args))
    positions, names, selected = [], [], []
    for position, (path, x) in enumerate(with_paths):
        if _kind(x) == "f":
            positions.append(position)
            names.append(".".join([parameters[path[0].idx], *map(_key, path[1:])]))
            selected += [names[-1]] if path[0].idx in chosen else []
    flat = tuple(x for _, x in with_paths)
    if not selected:
        raise BadInput(
            f"argnums = {argnums!r} selects no floating-point array: expected positions of arguments with one"
        )
    own = _own_dtype(zip(names, (flat[position] for position in positions), strict=True), dtype)
    found = chosen_dtype(dtype, own, "the JAX function")
    return JaxModel(jax, function, flat, tree, tuple(positions), tuple(names), found), tuple(selected)


def _as_argnums(argnums: int | Sequence[int], n: int) -> set[int]:
    try:
        given = list(map(index, argnums if isinstance(argnums, (tuple, list)) else [argnums]))
    except TypeError:
        raise BadInput(f"argnums is {argnums!r}: expected positions of arguments, such as 0 or (0, 1)") from None
    if any(not -n <= k < n for k in given):
        raise BadInput(f"argnums is {argnums!r} for {n} arguments: expected numbers from 0 to {n - 1}")
    return {k % n for k in given}


def _parameter_names(function: Callable[..., Any], n: int) -> list[str]:
    """Return the names of the parameters that n positional arguments fill; those of ``*args`` are numbered."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [f"arg{k}" for k in range(n)]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:n]
    rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "arg")
    return names + [f"{rest}.{k}" for k in range(n - len(names))]


def _key(key: Any) -> str:
    """Return a key of a pytree path as text: that of a dict, a number in a list, or the name of an attribute."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _kind(x: Any) -> str:
    """Return "f" for floating-point numbers; those that NumPy does not know, such as bfloat16, count as such."""
    if isinstance(x, float):
        return "f"
    dtype = getattr(x, "dtype", None)
    if dtype is None or not isinstance(dtype, np.dtype):
        return ""
    return "f" if "float" in dtype.name else dtype.kind


def _own_dtype(leaves: Iterable[tuple[str, Any]], dtype: str | None) -> Any:
    """Return the common dtype of the arrays; float64 if there are only Python's numbers."""
    names: dict[Any, str] = {}
    for name, x in leaves:
        if hasattr(x, "dtype"):
            names.setdefault(x.dtype, name)
    if len(names) > 1 and dtype is None:
        given = " and ".join(f"{name} ({found.name})" for found, name in names.items())
        raise BadInput(f"leaves have several dtypes: {given}; expected one; convert them, or choose dtype='float64'")
    return next(iter(names), np.dtype(np.float64))


def _traced(model: JaxModel) -> Any:
    """Return the jaxpr of the function of its leaves, which depends on their shapes alone."""
    shapes = [np.shape(model.flat[position]) for position in model.positions]
    structs = [model.jax.ShapeDtypeStruct(shape, model.dtype) for shape in shapes]
    try:
        return model.jax.make_jaxpr(lambda *arrays: model.outputs(arrays))(*structs)
    except model.jax.errors.ConcretizationTypeError as error:
        raise Unsupported(f"control flow of the JAX function depends on its arguments: {_first_line(error)}") from error
    except Exception as error:
        name = type(error).__name__
        raise BadInput(f"the JAX function raises {name} for these arguments: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _output(conversion: JaxprConversion, jaxpr: Any, model: JaxModel) -> Value:
    """Convert the jaxpr; return its output as one value."""
    _check_outputs([variable.aval for variable in jaxpr.jaxpr.outvars])
    g = conversion.g
    leaves = [g.g.input(name, np.shape(model.flat[k])) for name, k in zip(model.names, model.positions, strict=True)]
    outputs = [y for y in conversion.run(jaxpr, leaves) if 0 not in y.shape]
    if len(outputs) == 1 and len(jaxpr.jaxpr.outvars) == 1:
        return g.value(outputs[0])
    return g.joined([g.reshaped(y, (prod(y.shape),)) for y in outputs], 0)


def _check_outputs(avals: Sequence[Any]) -> None:
    for k, aval in enumerate(avals):
        if not is_float(aval):
            raise BadInput(f"output {k} of the JAX function is {aval.dtype}: expected floating-point numbers")
    if not any(prod(aval.shape) for aval in avals):
        raise BadInput("the JAX function returns no array with entries: expected at least one number")


def _has_derivatives_of(graph: Graph, model: JaxModel) -> bool:
    """Return whether a graph's derivatives are those of the model at the given leaves, for one random seed.

    They differ if a function has a rule, as by ``jax.custom_jvp``, which is not the derivative of its equations.
    """
    jax = model.jax
    with model.precision(), jax.default_device(jax.devices("cpu")[0]):
        leaves = {name: jax.numpy.asarray(x) for name, x in model.arrays().items()}
        seed = np.random.default_rng(0).standard_normal(graph.output_shape).astype(model.dtype)
        expected = jax.vjp(model.evaluate, leaves)[1](seed)[0]
        found = jax.vjp(lambda leaves: graph.evaluate(leaves, xp=jax.numpy), leaves)[1](seed)[0]
    largest = max(np.max(np.abs(bar)) for bar in expected.values())
    tolerance = 1e-6 if model.dtype == np.float64 else 1e-2
    return all(np.allclose(found[name], bar, 0, tolerance * largest, equal_nan=True) for name, bar in expected.items())
