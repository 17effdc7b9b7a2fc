"""Import of PyTorch modules through ``torch.export``.

The module is exported in eval mode, from a copy that shares the memory of its parameters, and decomposed to core aten ops,
except for those that have a rule of their own (`torch_conversion.TORCH_OPS`).
"""

from __future__ import annotations

import copy
import inspect
import logging
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, fields
from io import StringIO
from operator import getitem
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from jacobench.graphs.builder import GraphBuilder, Value
from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Origin
from jacobench.graphs.importers.optional_library import chosen_dtype, library, unsupported
from jacobench.graphs.importers.torch_conversion import TorchConversion, needed_nodes, rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph


def from_torch(
    module: Any, *example_inputs: Any, wrt: str | Iterable[str] = "parameters", dtype: str | None = None
) -> tuple[Graph, dict[str, Array]]:
    """Convert a PyTorch module, as it computes in eval mode, to a graph.

    The module does not change. Its parameters and floating-point inputs are the leaves. Buffers, integer inputs and literals
    are constants.

    Parameters
    ----------
    module : torch.nn.Module
        Module with parameters and inputs of one dtype, float32 or float64.
    *example_inputs : tensor, or list, tuple or dict of tensors
        Arguments of ``module.forward``. They determine all shapes.
    wrt : {"parameters", "inputs", "all"} or iterable of str, default: "parameters"
        Leaves to differentiate. A parameter is called as in ``named_parameters()``, an input as the parameter of ``forward``,
        followed by its path: ``state.0``.
    dtype : {"float32", "float64"}, optional
        Dtype to which a copy of the module is converted. Default: its own.

    Returns
    -------
    Graph
        Graph of the first output.
    dict of str to NDArray
        Leaf name → its parameter or example input: a copy, so that neither can change the other.

    Raises
    ------
    Unsupported
        If the module contains ops that cannot be converted; it lists all of them. Also if torch cannot export the module.
    BadInput
        If `module` is not a module, or has several dtypes or one that is not supported; or if ``forward`` fails.

    Examples
    --------
    >>> import torch
    >>> graph, leaves = from_torch(torch.nn.Linear(3, 2), torch.ones(4, 3))
    >>> list(leaves), graph.wrt, graph.output_shape
    (['input', 'weight', 'bias'], ('weight', 'bias'), (4, 2))
    """
    torch = library("torch", "torch", "from_torch")
    if not isinstance(module, torch.nn.Module):
        raise BadInput(f"from_torch was given a {type(module).__name__}: expected a torch.nn.Module")
    began = perf_counter()
    chosen = _dtype_of(torch, module, _named_inputs(torch, module, example_inputs), dtype)
    with _unchanged(torch):
        model = _copied(torch, module, example_inputs, chosen)
        copied = perf_counter()
        program = _exported(torch, model)
        exported = perf_counter()
    tensors = model.leaf_tensors()
    graph, removed = _converted(torch, program, model, tensors, chosen, wrt)
    leaves = {name: np.array(tensor.detach().numpy(), order="C") for name, tensor in tensors.items()}
    seconds = copied - began + perf_counter() - exported
    origin = Origin("torch", removed, exported - copied, seconds, _evaluation(torch, model, program))
    return graph.with_origin(origin), leaves


@dataclass(frozen=True)
class TorchModel:
    """Copy of a module with its arguments, and all of these by name: tensors and others."""

    module: Any
    args: tuple[Any, ...]
    given: Mapping[str, Any]

    def inputs(self) -> dict[str, Any]:
        """Return the arguments that are leaves."""
        return {name: x for name, x in self.given.items() if getattr(x, "is_floating_point", bool)()}

    def leaf_tensors(self) -> dict[str, Any]:
        """Return all leaves: inputs, then parameters. Raises BadInput if an input and a parameter share a name."""
        inputs, parameters = self.inputs(), dict(self.module.named_parameters())
        for name in self.given:
            if name in parameters:
                raise BadInput(f"an input and a parameter are both called {name!r}: rename the parameter of forward")
        return {**inputs, **parameters}


def _named_inputs(torch: Any, module: Any, example_inputs: Sequence[Any]) -> dict[str, Any]:
    """Return the example inputs by name: the parameter of ``forward``, then the path."""
    try:
        bound = inspect.signature(module.forward).bind(*example_inputs).arguments
    except TypeError as error:
        raise BadInput(f"the example inputs do not fit {type(module).__name__}.forward: {error}") from None
    pairs, _ = torch.utils._pytree.tree_flatten_with_path(dict(bound))  # noqa: SLF001
    return {".".join(str(_key(part)) for part in path): x for path, x in pairs}


def _key(part: Any) -> Any:
    """Return the key, index or attribute of one step of a pytree path."""
    return getattr(part, fields(part)[0].name)


def _dtype_of(torch: Any, module: Any, inputs: Mapping[str, Any], given: str | None) -> np.dtype[np.floating]:
    """Return the dtype of the graph; raise BadInput unless all leaves have one that is supported."""
    named = {**dict(module.named_parameters()), **{name: x for name, x in inputs.items() if torch.is_tensor(x)}}
    found: dict[str, str] = {}
    for name, tensor in named.items():
        kind = str(tensor.dtype).rpartition(".")[2]
        if tensor.is_complex() or (tensor.is_floating_point() and kind not in {"float32", "float64"}):
            raise BadInput(f"{name} has dtype {kind}: expected float32 or float64; convert the module with .float()")
        if tensor.is_floating_point():
            found.setdefault(kind, name)
    if len(found) > 1 and given is None:
        listed = " and ".join(f"{kind} ({name})" for kind, name in found.items())
        raise BadInput(f"the model mixes {listed}: expected one dtype; choose dtype='float32' or dtype='float64'")
    if not found:
        raise BadInput("the model has neither parameters nor floating-point inputs: expected at least one")
    return chosen_dtype(given, next(iter(found)), "the model")


@contextmanager
def _unchanged(torch: Any) -> Iterator[None]:
    """Keep torch's random state and settings; switch fused kernels off that have no rules, and messages."""
    fused = torch.backends.mha.get_fastpath_enabled()
    logged = logging.root.manager.disable
    quiet = redirect_stderr(StringIO())  # a failed export prints its graph
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            logging.disable(logged)


def _copied(torch: Any, module: Any, example_inputs: Sequence[Any], dtype: np.dtype[Any]) -> TorchModel:
    """Copy a module and its inputs, in eval mode and with a dtype.

    The parameters share memory with the module's, unless the dtype differs. All are recorded by autograd, because torch
    chooses kernels without a derivative where nothing is.
    """
    memo: dict[int, Any] = {id(p): torch.nn.Parameter(p.detach()) for p in module.parameters()}
    for part in module.modules():
        computed = (x for x in vars(part).values() if torch.is_tensor(x) and x.grad_fn is not None)
        memo.update((id(x), x.detach()) for x in computed)
    wanted = getattr(torch, dtype.name)
    try:
        own = copy.deepcopy(module, memo).to("cpu", wanted).eval()
    except Exception as error:
        raise BadInput(f"the module cannot be copied: {type(error).__name__}: {_first_line(error)}") from error

    def copied(x: Any) -> Any:
        if not torch.is_tensor(x):
            return x
        return x.detach().to("cpu", wanted if x.is_floating_point() else x.dtype, copy=True)

    args = torch.utils._pytree.tree_map(copied, tuple(example_inputs))  # noqa: SLF001
    return TorchModel(own, args, _named_inputs(torch, own, args))


def _exported(torch: Any, model: TorchModel) -> Any:
    """Export a module and decompose its ops, except for those that have a rule."""
    functions: list[str] = []
    try:
        with _recorded_functions(torch, functions):
            program = torch.export.export(model.module, model.args, strict=False)
        _keep_stops(torch, program)
        if not _has_rules(program):
            table = {op: rule for op, rule in torch.export.default_decompositions().items() if rule_of(op) is None}
            program = program.run_decompositions(table)
    except Exception as error:
        raise _export_error(torch, model, error) from error
    mutated = program.graph_signature.buffers_to_mutate.values()
    found = [(f"autograd.Function {name}", "") for name in functions] + [
        (f"update of the buffer {name}", "") for name in mutated
    ]
    if found:
        raise unsupported("torch", found)
    return program


def _has_rules(program: Any) -> bool:
    """Return whether all ops have a rule and none writes in place; decompositions take most of the time of an export."""
    calls = [node for node in program.graph.nodes if node.op == "call_function" and node.target is not getitem]
    return all((rule_of(node.target) or not node.all_input_nodes) and not _writes(node.target) for node in calls)


def _writes(target: Any) -> bool:
    return not hasattr(target, "_schema") or target._schema.is_mutable  # noqa: SLF001


@contextmanager
def _recorded_functions(torch: Any, names: list[str]) -> Iterator[None]:
    """Record the user's ``torch.autograd.Function`` classes, whose own derivatives an export loses."""
    apply = torch.autograd.Function.apply.__func__

    def recorded(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch."):
            names.append(cls.__name__)
        return apply(cls, *args, **kwargs)

    with patch.object(torch.autograd.Function, "apply", classmethod(recorded)):
        yield


def _keep_stops(torch: Any, program: Any) -> None:
    """Mark results of ``torch.no_grad`` by `detach`; decompositions keep that, but not the context."""
    nodes = program.graph
    for node in list(nodes.nodes):
        if "set_grad_enabled" in str(node.target) and node.args and node.args[0] is False:
            for result in list(node.users):
                with nodes.inserting_after(result):
                    stop = nodes.call_function(torch.ops.aten.detach.default, (result,))
                stop.meta = dict(result.meta)
                result.replace_all_uses_with(stop, delete_user_cb=lambda user, stop=stop: user is not stop)
    program.graph_module.recompile()


def _export_error(torch: Any, model: TorchModel, error: Exception) -> Exception:
    """Return the error to raise: BadInput if the module itself fails, otherwise what cannot be exported, and where."""
    try:
        model.module(*model.args)
    except Exception as own:  # noqa: BLE001  (the user's code may raise anything)
        return BadInput(f"the module fails with these inputs: {type(own).__name__}: {_first_line(own)}")
    place = _place_in_code(torch, error)
    if "data-dependent" in str(error).lower() or "DataDependent" in type(error).__name__:
        return unsupported("torch", [("control flow that depends on data", place)])
    return unsupported("torch", [(f"code that torch.export rejects: {_first_line(error)}", place)])


def _place_in_code(torch: Any, error: Exception) -> str:
    """Return the last line of the user's code in a traceback."""
    own = str(Path(torch.__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((own, "<")) and Path(frame.filename) != Path(__file__)
    ]
    return f"{frames[-1].name}, line {frames[-1].lineno} of {Path(frames[-1].filename).name}" if frames else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _converted(
    torch: Any, program: Any, model: TorchModel, tensors: Mapping[str, Any], dtype: np.dtype[Any], wrt: Any
) -> tuple[Graph, tuple[str, ...]]:
    """Convert an exported program; return the graph and the names of the nodes that it does not need."""
    g = GraphBuilder(dtype.name)
    leaves = {
        name: (g.input if name in model.given else g.parameter)(name, tuple(tensor.shape))
        for name, tensor in tensors.items()
    }
    conversion = TorchConversion(torch, g, dtype, values=_placeholder_values(program, model, leaves))
    output = _first_output(program)
    needed = needed_nodes(output)
    conversion.convert(needed)
    if conversion.problems:
        raise unsupported("torch", conversion.problems)
    kept = set(needed) - set(conversion.folded)
    removed = tuple(node.name for node in program.graph.nodes if node.op == "call_function" and node not in kept)
    return g.build(conversion.value(conversion.values[output]), wrt), removed


def _placeholder_values(program: Any, model: TorchModel, leaves: Mapping[str, Value]) -> dict[Any, Any]:
    """Return the values of the program's placeholders: leaves, constant tensors and other arguments."""
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    arguments = iter(model.given.items())
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    values: dict[Any, Any] = {}
    for node in program.graph.find_nodes(op="placeholder"):
        target = specs[node.name].target
        if specs[node.name].kind.name == "PARAMETER":
            values[node] = leaves[names[id(model.module.get_parameter(target))]]
        elif specs[node.name].kind.name == "USER_INPUT":
            name, x = next(arguments)
            values[node] = leaves.get(name, x)
        else:
            values[node] = program.state_dict.get(target, program.constants.get(target))
    return values


def _first_output(program: Any) -> Any:
    """Return the node of the first output that is a tensor. Raises BadInput unless it has a floating-point dtype."""
    (result,) = program.graph.find_nodes(op="output")
    specs = program.graph_signature.output_specs
    for node, spec in zip(result.args[0], specs, strict=True):
        if spec.kind.name == "USER_OUTPUT" and hasattr(node, "meta"):
            dtype = node.meta["val"].dtype
            if not dtype.is_floating_point:
                raise BadInput(f"the first output has dtype {dtype}: expected a floating-point dtype")
            return node
    raise BadInput("the module returns no tensor: expected at least one")


def _evaluation(torch: Any, model: TorchModel, program: Any) -> Callable[[Mapping[str, Any]], Any]:
    """Return the module as a function of all leaves, which it does not change."""
    changes_inputs = bool(program.graph_signature.user_inputs_to_mutate)
    flat, structure = torch.utils._pytree.tree_flatten(model.args)  # noqa: SLF001
    names = list(model.given)

    def evaluate(leaves: Mapping[str, Any]) -> Any:
        args = [leaves.get(name, x) for name, x in zip(names, flat, strict=True)]
        if changes_inputs:
            args = [x.clone() if torch.is_tensor(x) else x for x in args]
        parameters = {name: x for name, x in leaves.items() if name not in model.given}
        outputs = torch.func.functional_call(
            model.module,
            parameters,
            torch.utils._pytree.tree_unflatten(args, structure),  # noqa: SLF001
        )
        return next(filter(torch.is_tensor, torch.utils._pytree.tree_leaves(outputs)))  # noqa: SLF001

    return evaluate
