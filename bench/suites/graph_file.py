"""Graphs from user files in a suite: ``graph = "file.py:make_graph"``; the other keys are the function's arguments."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.suites.case import Case
from jacobench.bench.suites.sweep_generators import Generator, SweepKeys, suffix
from jacobench.graphs.errors import BadInput, unknown
from jacobench.strategies.plugin_files import import_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Scalar = bool | int | float | str
Argument = Scalar | Annotated[list[Scalar | list[Any]], Meta(min_length=1)]

_SHARED = [field for field in msgspec.structs.fields(SweepKeys) if field.name in {"rng_seed", "n_seeds", "strategies"}]

_COLUMNS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("depth", "width", "batch"), (int,)),
    **dict.fromkeys(("activation", "loss", "normalization", "dtype"), (str,)),
    "residual": (bool,),
    "weight_density": (int, float),
}
"""Arguments of the function that become columns, with the type of the column."""


def graph_file_generator(graph: str, folder: Path) -> Generator:
    """Return the generator of a function in a file. Its keys are the function's arguments and those of every sweep.

    `graph` is ``"file.py:function"``, relative to `folder`. The function takes its arguments by name and returns a
    `Graph`. An argument ``rng_seed`` receives that of the case. Raises BadInput if the file or the function does not
    exist, or the file fails to import.
    """
    function = _load(graph, folder)
    shared = {"graph": (str,), **{field.name: (field.type, field.default) for field in _SHARED}}
    taken = {
        name: p
        for name, p in signature(function).parameters.items()
        if p.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    }
    own = {name: (Argument,) if p.default is p.empty else (Argument | UnsetType, UNSET) for name, p in taken.items()}
    fields = [(name, *rest) for name, rest in (own | shared).items()]
    keys = msgspec.defstruct("GraphFileKeys", fields, forbid_unknown_fields=True, kw_only=True, frozen=True)
    return Generator(keys=keys, choices={}, case=partial(_case, function, tuple(taken)))


def _case(function: Callable[..., Any], taken: tuple[str, ...], knobs: Mapping[str, Any]) -> Case:
    arguments = {key: knobs[key] for key in taken if key in knobs}
    file, _, name = knobs["graph"].rpartition(":")
    values = "".join(f"-{key}{_text(value)}" for key, value in arguments.items() if key != "rng_seed")
    shared = {key: knobs[key] for key in ("rng_seed", "n_seeds")}
    columns = {key: arguments[key] for key, kinds in _COLUMNS.items() if type(arguments.get(key)) in kinds}
    return Case(
        name=f"{Path(file).stem}.{name}{values}{suffix(shared)}",
        knobs={**columns, "graph": knobs["graph"], "n_seeds": knobs["n_seeds"]},
        strategies=knobs["strategies"],
        make=partial(_make, function, f"{file}:{name}", arguments),
        rng_seed=knobs["rng_seed"],
    )


def _make(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Any:
    """Call the user's function; its exceptions become `BadInput`."""
    try:
        return function(**arguments)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{name} raised {type(error).__name__}: {error}") from error


def _text(value: object) -> str:
    return "x".join(map(_text, value)) if isinstance(value, list) else str(value)


def _load(graph: str, folder: Path) -> Callable[..., Any]:
    file, _, name = graph.rpartition(":")
    path = (folder / file).resolve()
    if path.suffix != ".py" or not path.is_file():
        raise BadInput(f".graph: expected file.py:function, got {graph!r}; there is no Python file {path}")
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
