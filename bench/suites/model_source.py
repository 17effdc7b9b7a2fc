"""Models of other libraries from files: an ONNX file, or a factory in a Python file whose result tells the library."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache, partial
from glob import glob, has_magic
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.suites.user_functions import call, load_function
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable

    Imported = tuple[Graph, Mapping[str, Any] | None]

EXPECTED = (
    "(module, example_inputs), (estimator, X), an ONNX ModelProto, a Graph, (graph, leaves), (function, args) or "
    "(function, args, argnums)"
)


def model_files(source: str, folder: Path) -> list[str]:
    """Return the models that a file, ``file.py:factory`` or a glob of files selects, as absolute paths in order.

    Relative paths start at `folder`. Raises BadInput if a file does not exist or a glob matches none.
    """
    file, colon, factory = source.rpartition(":") if ".py:" in source else (source, "", "")
    pattern = str(folder / file)
    is_glob = has_magic(pattern) and not Path(pattern).exists()
    found = sorted(glob(pattern)) if is_glob else [pattern]  # noqa: PTH207  (the pattern may be absolute)
    if not found:
        raise BadInput(f"no file matches {source!r}: expected an ONNX file, a glob of such files, or file.py:factory")
    for path in map(Path, found):
        if not path.is_file():
            raise BadInput(f"there is no file {path}: expected an ONNX file, or file.py:factory")
        if path.suffix == ".py" and not factory:
            raise BadInput(f"{source} names no factory: expected file.py:factory")
    return [f"{Path(path).resolve()}{colon}{factory}" for path in found]


def is_python(source: str) -> bool:
    """Return whether a model is a factory, ``file.py:factory``."""
    return ".py:" in source


def has_free_batch(source: str) -> bool:
    """Return whether the batch of a model can be chosen."""
    if is_python(source):
        return "batch" in signature(_factory(source)).parameters
    return bool(_module("onnx").has_symbolic_batch(source))


def read_model(source: str, **options: Any) -> Imported:
    """Import the model in a file, given as `model_files` returns it. The last one is kept.

    Loading ``file.py:factory`` executes the file. `options` are ``batch``, ``dims``, ``wrt`` and ``dtype``, each None or
    missing for the model's own. Returns the graph and its leaves, None for leaves to be sampled.

    Raises
    ------
    BadInput
        If the file or the factory fails, the factory returns something else, or an option does not apply.
    Unsupported
        If the model contains what cannot be imported.
    """
    given = {key: value for key, value in options.items() if value not in (None, {})}
    path = Path(source.rpartition(":")[0] if is_python(source) else source)
    graph, leaves = _read(source, path.stat().st_mtime_ns, json.dumps(given))
    return graph, None if leaves is None else dict(leaves)


@lru_cache(maxsize=1)
def _read(source: str, _modified_at: int, options: str) -> Imported:
    given = json.loads(options)
    if not is_python(source):
        graph, leaves = _module("onnx").from_onnx(source, **given)
        return graph, leaves
    factory = _factory(source)
    takes_batch = "batch" in signature(factory).parameters
    made = call(factory, source, {"batch": given.pop("batch")} if takes_batch and "batch" in given else {})
    if not _is_instance(made, "onnx", "ModelProto"):
        if "batch" in given:
            raise BadInput(f"the batch of {source} is fixed, because the factory takes no argument batch: remove batch")
        if "dims" in given:
            raise BadInput(f"dims apply to ONNX models, not to {source}: remove them")
    importer = _importer(made, source)
    try:
        return importer(**given)
    except (BadInput, Unsupported) as error:
        raise type(error)(f"{source}: {error}") from error.__cause__


def _module(library: str) -> Any:
    """Return the importer of a library, which imports the library when it is used."""
    return import_module(f"jacobench.graphs.importers.from_{library}")


def _factory(source: str) -> Callable[..., Any]:
    file, _, name = source.rpartition(":")
    return load_function(Path(file), name)


def _importer(made: Any, source: str) -> Callable[..., Imported]:
    """Return the importer of what a factory has returned, with its arguments."""
    parts = made if isinstance(made, tuple) else (made,)
    first, *rest = parts
    if isinstance(first, Graph) and (not rest or (len(rest) == 1 and isinstance(rest[0], Mapping))):
        return partial(_own_graph, first, rest[0] if rest else None)
    if _is_instance(first, "onnx", "ModelProto") and not rest:
        return partial(_module("onnx").from_onnx, first)
    if _is_instance(first, "torch.nn", "Module") and len(rest) == 1:
        return partial(
            _module("torch").from_torch, first, *(rest[0] if isinstance(rest[0], tuple | list) else (rest[0],))
        )
    if hasattr(first, "get_params") and hasattr(first, "predict") and len(rest) == 1:
        return partial(_module("sklearn").from_sklearn, first, rest[0])
    if callable(first) and 1 <= len(rest) <= 2 and isinstance(rest[0], tuple | list):
        return partial(_module("jax").from_jax, first, *rest[0], **({"argnums": rest[1]} if len(rest) == 2 else {}))
    shown = f"({', '.join(type(part).__name__ for part in parts)})" if isinstance(made, tuple) else type(made).__name__
    raise BadInput(f"{source} returned {shown}: expected {EXPECTED}")


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Return whether a value is an instance of a class of a library, without importing the library."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _own_graph(graph: Graph, leaves: Mapping[str, Any] | None, **given: Any) -> Imported:
    """Return a graph that the factory has built, with the options that apply to it."""
    if given.get("dtype") not in (None, graph.dtype.name):
        raise BadInput(f"the graph is in {graph.dtype.name}: expected {given['dtype']}")
    if leaves is not None:
        graph.check(leaves)
    return (graph.with_wrt(given["wrt"]) if "wrt" in given else graph), leaves
