"""Graphs from user files in a suite: ``graph = "file.py:make_graph"``; the other keys are the function's arguments."""

from __future__ import annotations

import re
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.suites.case import Case
from jacobench.bench.suites.sweep_generators import (
    SHARED_CHOICES,
    SHARED_IN_NAME,
    Generator,
    SweepKeys,
    shared_columns,
    suffix,
)
from jacobench.bench.suites.user_functions import call, load_function
from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Scalar = bool | int | float | str
Argument = Scalar | Annotated[list[Scalar | list[Any]], Meta(min_length=1)]

_OF_GRAPH = ("dtype", "wrt")  # keys of every sweep that by default are the graph's own
_NOT_NAMED = ("rng_seed", "wrt", "task")  # arguments that a case's name has as every sweep's keys

_COLUMNS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("depth", "width", "batch"), (int,)),
    **dict.fromkeys(("activation", "loss", "normalization", "dtype"), (str,)),
    "residual": (bool,),
    "weight_density": (int, float),
}
"""Arguments of the function that become columns, with the type of the column."""

_AFTER_ARGUMENTS = (
    "float32",
    "float64",
    "wrt",
    "rng",
    "seeds",
    "jacobian",
)  # words of `suffix`, which follow the arguments in a case's name
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(SweepKeys)}
_DEFAULTS |= {**dict.fromkeys(_OF_GRAPH), "n_seeds": 1}
_WORDS = ("True", "False", "None", "inf", "nan")  # texts of values that are not strings


def graph_file_generator(graph: str, folder: Path) -> Generator:
    """Return the generator of a function in a file. Its keys are the function's arguments and those of every sweep.

    `graph` is ``"file.py:function"``, relative to `folder`. The function takes its arguments by name and returns a
    `Graph`, or a graph and its leaves. If it has an argument that is a key of every sweep, such as ``rng_seed`` or
    ``dtype``, the argument receives that value. Raises BadInput if the file or the function does not exist, or the file
    fails to import.
    """
    file, _, name = graph.rpartition(":")
    try:
        function = load_function((folder / file).resolve(), name)
    except BadInput as error:
        raise BadInput(f".graph: {error}") from error.__cause__
    shared = _shared_fields()
    taken = {
        name: p
        for name, p in signature(function).parameters.items()
        if p.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    }
    own = {name: (Argument,) if p.default is p.empty else (Argument | UnsetType, UNSET) for name, p in taken.items()}
    fields = [(name, *rest) for name, rest in (own | shared).items()]
    keys = msgspec.defstruct("GraphFileKeys", fields, forbid_unknown_fields=True, kw_only=True, frozen=True)
    return Generator(keys=keys, choices=SHARED_CHOICES, case=partial(_case, function, tuple(taken)))


def _shared_fields() -> dict[str, tuple[Any, ...]]:
    """Return the keys of every sweep: name → type, and default unless it is required."""
    found: dict[str, tuple[Any, ...]] = {}
    for field in msgspec.structs.fields(SweepKeys):
        if field.name in _OF_GRAPH:
            found[field.name] = field.type | UnsetType, UNSET
        else:
            found[field.name] = (field.type,) if field.required else (field.type, field.default)
    return found


def _case(function: Callable[..., Any], taken: tuple[str, ...], knobs: Mapping[str, Any]) -> Case:
    arguments = {key: knobs[key] for key in taken if key in knobs}
    file, _, name = knobs["graph"].rpartition(":")
    values = "".join(_named(key, value, taken) for key, value in arguments.items() if key not in _NOT_NAMED)
    shared = {key: knobs[key] for key in SHARED_IN_NAME if key in knobs and (key in _NOT_NAMED or key not in taken)}
    columns = {key: arguments[key] for key, kinds in _COLUMNS.items() if type(arguments.get(key)) in kinds}
    columns |= shared_columns(knobs)
    others = {key: value for key, value in arguments.items() if key not in columns and key not in _NOT_NAMED}
    own = {key: knobs[key] for key in _OF_GRAPH if key in knobs}
    return Case(
        name=f"{Path(file).stem}.{name}{values}{suffix(shared, _DEFAULTS)}",
        knobs={**columns, "graph": knobs["graph"]} | ({"arguments": repr(others)} if others else {}),
        strategies=knobs["strategies"],
        make=partial(_make, function, f"{file}:{name}", arguments, own),
        rng_seed=knobs["rng_seed"],
        task=knobs["task"],
        content=repr((arguments, own)),
    )


def _make(function: Callable[..., Any], name: str, arguments: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    """Call the user's function, and select the leaves of `own`; the function's exceptions become `BadInput`.

    `own` has the keys ``dtype`` and ``wrt`` where they are given.
    """
    made = call(function, name, arguments)
    graph, *rest = made if isinstance(made, tuple) else (made,)
    if not isinstance(graph, Graph):
        return made
    if graph.dtype != own.get("dtype", graph.dtype):
        raise BadInput(
            f"{name} returned a graph of dtype {graph.dtype}: expected {own['dtype']}; "
            "give the function an argument dtype, or remove the key"
        )
    graph = graph.with_wrt(own["wrt"]) if "wrt" in own else graph
    return (graph, *rest) if rest else graph


def _named(key: str, value: object, names: tuple[str, ...]) -> str:
    """Return the part of a case's name for an argument of a function with these names: ``-width4``, ``-kind'1'``.

    Different arguments give different texts, except that a list of one item is written as the item. Numbers, words and
    flat lists (``1x2``) are written as they are, inner lists in parentheses. A string is quoted where it could be read
    as something else.
    """
    words = [*_AFTER_ARGUMENTS, *(name for name in names if name != key)]
    if isinstance(value, list) and value:
        text = "x".join(map(_item, value))
    else:
        text = value if isinstance(value, str) and not _needs_quotes(value, names) else _item(value)
    short = f"{key}{text}"
    could_be_other = any(word.startswith(key) and short.startswith(word) and short != word for word in words)
    return f"-{key}={text}" if could_be_other else f"-{short}"


def _item(value: object) -> str:
    return f"({'x'.join(map(_item, value))})" if isinstance(value, list) else repr(value)


def _needs_quotes(text: str, names: tuple[str, ...]) -> bool:
    starts = (f"-{word}" for word in (*_AFTER_ARGUMENTS, *names))
    is_a_word = re.match(r"[^\W\d]", text) and text.isprintable() and not set(text) & set("'\"()=\\")
    return not is_a_word or text in _WORDS or any(start in text for start in starts)
