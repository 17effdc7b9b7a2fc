"""Expansion of a ``[[sweep]]`` into cases: a knob is a value or a list; several lists give their product.

The text of every `BadInput` begins with the place in the sweep, such as ``.width[1]: ``. The caller adds the file.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from jacobench.bench.suites.graph_file import graph_file_generator
from jacobench.bench.suites.model_sweep import MODEL, MODELS, with_files
from jacobench.bench.suites.sweep_generators import GENERATORS
from jacobench.bench.suites.wrt_selection import swept_wrt
from jacobench.graphs.errors import BadInput, unknown
from jacobench.strategies.registry import check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jacobench.bench.suites.case import Case
    from jacobench.bench.suites.sweep_generators import Generator


def expand(sweep: Mapping[str, Any], folder: Path) -> list[Case]:
    """Return the cases of one ``[[sweep]]`` in the order of the product; the last knob varies fastest.

    Paths ``file.py:…`` are relative to `folder`, that of the suite file. Raises BadInput if a key is unknown or
    missing, or a value has a wrong type, is out of bounds or is an unknown name.
    """
    sweep = with_files(sweep, folder) if sweep.get("graph") == MODEL else sweep
    generator = _generator(sweep, folder)
    values = _values(sweep, generator)
    strategies = [_strategy(k, spec, folder) for k, spec in enumerate(values.pop("strategies"))]
    fixed = {"graph": values.pop("graph"), "strategies": tuple(dict.fromkeys(strategies))}
    swept = {key: _as_list(key, value) for key, value in values.items()}
    for key, (kind, names) in generator.choices.items():
        for k, value in enumerate(swept.get(key, ())):
            if value not in names:
                place = f".{key}[{k}]" if isinstance(sweep[key], list) else f".{key}"
                raise BadInput(f"{place}: {unknown(kind, value, names)}")
        if "none" in names and key in swept:
            swept[key] = [None if value == "none" else value for value in swept[key]]
    return [generator.case(fixed | dict(zip(swept, point, strict=True))) for point in product(*swept.values())]


def split_sweep(sweep: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Split a sweep into sweeps of one case each, without its strategies.

    Paths become absolute. Only the keys that are needed are kept, so that versions that do not know the others can
    expand the result.
    """
    sweep = with_files(sweep, folder) if sweep.get("graph") == MODEL else sweep
    values = _values(sweep, _generator(sweep, folder))
    file, colon, name = str(values.pop("graph")).rpartition(":")
    graph = f"{(folder / file).resolve()}:{name}" if colon else name
    swept = {key: _as_list(key, value) for key, value in values.items() if key != "strategies"}
    given = {key: items for key, items in swept.items() if key in sweep or len(items) > 1}
    points = product(*given.values())
    return [{"graph": graph, **{key: [item] for key, item in zip(given, point, strict=True)}} for point in points]


def _generator(sweep: Mapping[str, Any], folder: Path) -> Generator:
    graph = sweep.get("graph")
    if graph == MODEL:
        return MODELS
    if isinstance(graph, str) and graph in GENERATORS:
        return GENERATORS[graph]
    if isinstance(graph, str) and ":" in graph:
        return graph_file_generator(graph, folder)
    known = (*GENERATORS, MODEL, "file.py:make_graph")
    if graph is None:
        raise BadInput(f": expected `graph`, one of {', '.join(known)}")
    raise BadInput(f".graph: {unknown('generator', graph, known)}")


def _values(sweep: Mapping[str, Any], generator: Generator) -> dict[str, Any]:
    """Check the sweep against the generator's keys; return the given keys in order, then the defaults."""
    known = generator.keys.__struct_fields__
    if "seeds" in sweep and "seeds" not in known:
        raise BadInput('.seeds: this key was removed: for the whole Jacobian, write task = "jacobian"')
    for key in sweep:
        if key not in known:
            raise BadInput(f".{key}: {unknown('key', key, known)}")
    try:
        checked = msgspec.structs.asdict(msgspec.convert(dict(sweep), generator.keys))
    except msgspec.ValidationError as error:
        raise BadInput(_place_first(str(error), sweep)) from None
    order = dict.fromkeys((*sweep, *known))
    return {key: checked[key] for key in order if checked[key] is not UNSET}


def _place_first(message: str, sweep: Mapping[str, Any]) -> str:
    """Turn "Expected `int` >= 1 - at `$.width[1]`" into ".width[1]: expected `int` >= 1, got 0"."""
    text, _, place = message.partition(" - at `$")
    place = place.removesuffix("`")
    text = text[0].lower() + text[1:]
    if not place or "got" in text:
        return f"{place}: {text}"
    steps = [int(index) if index else key for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", place)]
    given: Any = sweep
    for step in steps:
        given = given[step]
    return f"{place}: {text}, got {given!r}"


def _as_list(key: str, value: Any) -> list[Any]:
    if key == "wrt":
        return [*swept_wrt(value)]
    if not isinstance(value, list):
        return [value]
    if key in {"widths", "ops"} and not any(isinstance(item, list) for item in value):
        return [value]  # a list of widths is one network, a list of ops is one chain
    return value


def _strategy(k: int, spec: str, folder: Path) -> str:
    """Check that a strategy exists; the path of a file is relative to the suite file."""
    file, _, name = spec.rpartition(":")
    try:
        return check(f"{folder / file}:{name}" if file.endswith(".py") else spec)
    except BadInput as error:
        raise BadInput(f".strategies[{k}]: {error}") from None
