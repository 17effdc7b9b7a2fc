"""One's own graph in a suite: ``graph = "file.py:make_graph"``, a function that takes the sweep's other keys."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.suites.case import Case
from jacobench.bench.suites.sweep_generators import Generator, MlpKeys, suffix
from jacobench.graphs.errors import BadInput, unknown
from jacobench.strategies.registry import import_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Scalar = bool | int | float | str
Argument = Scalar | Annotated[list[Scalar | list[Any]], Meta(min_length=1)]

_OURS = [field for field in msgspec.structs.fields(MlpKeys) if field.name in {"rng_seed", "n_seeds", "strategies"}]

_COLUMNS: Mapping[str, tuple[type, ...]] = {
    "depth": (int,),
    "width": (int,),
    "batch": (int,),
    "activation": (str,),
    "loss": (str,),
    "residual": (bool,),
    "normalization": (str,),
    "weight_density": (int, float),
    "dtype": (str,),
}
"""Arguments that become columns of a row where the function takes them: what type the column wants."""


def graph_file_generator(graph: str, folder: Path) -> Generator:
    """Return the generator that a function in a file stands for.

    Parameters
    ----------
    graph : str
        ``"file.py:function"``. The function takes its arguments by name and returns a `Graph`; if one of them is
        called ``rng_seed``, it gets the case's.
    folder : Path
        What a relative file is relative to.

    Returns
    -------
    Generator
        Its keys are the function's arguments, and ``graph``, ``rng_seed``, ``n_seeds``, ``strategies``.

    Raises
    ------
    BadInput
        When the file or the function is not there, or the file fails to import.
    """
    function = _load(graph, folder)
    ours = {"graph": (str,), **{field.name: (field.type, field.default) for field in _OURS}}
    taken = {
        name: p
        for name, p in signature(function).parameters.items()
        if p.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    }
    own = {name: (Argument,) if p.default is p.empty else (Argument | UnsetType, UNSET) for name, p in taken.items()}
    fields = [(name, *rest) for name, rest in (own | ours).items()]
    keys = msgspec.defstruct("GraphFileKeys", fields, forbid_unknown_fields=True, kw_only=True, frozen=True)
    return Generator(keys=keys, choices={}, case=partial(_case, function, tuple(taken)))


def _case(function: Callable[..., Any], taken: tuple[str, ...], knobs: Mapping[str, Any]) -> Case:
    arguments = {key: knobs[key] for key in taken if key in knobs}
    file, _, name = knobs["graph"].rpartition(":")
    told = "".join(f"-{key}{_text(value)}" for key, value in arguments.items() if key != "rng_seed")
    ours = {key: knobs[key] for key in ("rng_seed", "n_seeds")}
    columns = {key: arguments[key] for key, kinds in _COLUMNS.items() if type(arguments.get(key)) in kinds}
    return Case(
        name=f"{Path(file).stem}.{name}{told}{suffix(ours)}",
        knobs={**columns, "graph": knobs["graph"], "n_seeds": knobs["n_seeds"]},
        strategies=knobs["strategies"],
        make=partial(_make, function, f"{file}:{name}", arguments),
        rng_seed=knobs["rng_seed"],
    )


def _make(function: Callable[..., Any], told: str, arguments: Mapping[str, Any]) -> Any:
    """Call the reader's function; what it raises is bad input."""
    try:
        return function(**arguments)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{told} raised {type(error).__name__}: {error}") from error


def _text(value: object) -> str:
    return "x".join(map(_text, value)) if isinstance(value, list) else str(value)


def _load(graph: str, folder: Path) -> Callable[..., Any]:
    file, _, name = graph.rpartition(":")
    path = (folder / file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise BadInput(f".graph: expected file.py:function, got {graph!r}, and there is no Python file {path}")
    try:
        module = import_file(path)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f".graph: {path} fails to import: {why}") from error
    function = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if callable(value)]
        raise BadInput(f".graph: {unknown(f'function of {file}', name, functions)}")
    return partial(function)
