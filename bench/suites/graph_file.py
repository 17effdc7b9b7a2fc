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

_AFTER_ARGUMENTS = ("rng", "seeds")  # words of `suffix`, which follow the arguments in a case's name
_WORDS = ("True", "False", "None", "inf", "nan")  # texts of values that are not strings


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
    values = "".join(_named(key, value, taken) for key, value in arguments.items() if key != "rng_seed")
    shared = {key: knobs[key] for key in ("rng_seed", "n_seeds")}
    columns = {key: arguments[key] for key, kinds in _COLUMNS.items() if type(arguments.get(key)) in kinds}
    others = {key: value for key, value in arguments.items() if key not in columns and key != "rng_seed"}
    return Case(
        name=f"{Path(file).stem}.{name}{values}{suffix(shared)}",
        knobs={**columns, "graph": knobs["graph"], "n_seeds": knobs["n_seeds"]}
        | ({"arguments": repr(others)} if others else {}),
        strategies=knobs["strategies"],
        make=partial(_make, function, f"{file}:{name}", arguments),
        rng_seed=knobs["rng_seed"],
        content=repr(arguments),
    )


def _make(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> Any:
    """Call the user's function; its exceptions become `BadInput`."""
    try:
        return function(**arguments)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{name} raised {type(error).__name__}: {error}") from error


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
