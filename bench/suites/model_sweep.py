"""Sweeps of models of other libraries: ``graph = "model"`` with ``file``; and the suite of one model as text."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.suites.case import Case
from jacobench.bench.suites.model_source import has_free_batch, is_python, model_files, read_model
from jacobench.bench.suites.sweep_generators import (
    SHARED_CHOICES,
    SHARED_IN_NAME,
    Generator,
    Knob,
    Size,
    SweepKeys,
    shared_columns,
    suffix,
)
from jacobench.bench.suites.wrt_selection import WrtKey  # noqa: TC001  (msgspec reads the annotations)
from jacobench.graphs.errors import BadInput
from jacobench.strategies.registry import DEFAULT_STRATEGIES, registered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODEL = "model"  # value of the key `graph`


class ModelKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over models. By default each has its own batch, dtype and leaves to differentiate."""

    file: Annotated[str, Meta(min_length=1)] | Annotated[list[str], Meta(min_length=1)]
    batch: Knob[Size] | UnsetType = UNSET
    dims: dict[str, Size] | UnsetType = UNSET
    dtype: Knob[str] | UnsetType = UNSET  # type: ignore[assignment]
    wrt: WrtKey | UnsetType = UNSET  # type: ignore[assignment]


_OWN = ("batch", "dims", "dtype", "wrt")  # options of the importers
_DEFAULTS = {"dtype": None, "wrt": None, "rng_seed": 0, "n_seeds": 1, "task": "gradient"}


def with_files(sweep: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a sweep of models whose files are absolute, and not globs; raises BadInput if its batches do not fit."""
    given = sweep.get("file")
    if given is None:
        raise BadInput(": expected `file`, an ONNX file, a glob of such files, or file.py:factory")
    sources = given if isinstance(given, list) else [given]
    batches = sweep.get("batch")
    try:
        files = [file for source in sources for file in model_files(str(source), folder)]
        _check_batches(files, batches if isinstance(batches, list) else [])
    except BadInput as error:
        raise BadInput(f".file: {error}") from error.__cause__
    return {**sweep, "file": files}


def _check_batches(files: Sequence[str], batches: Sequence[Any]) -> None:
    """Raise BadInput if there are several batches and the batch of a model is fixed."""
    fixed = next((file for file in files if not has_free_batch(file)), None) if len(batches) > 1 else None
    if fixed:
        raise BadInput(f"the batch of {fixed} is fixed: expected at most one batch, got {list(batches)}")


def model_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a model, named by its file, its factory, its batch and all values that are given.

    A batch that an ONNX model ignores, because it has no symbolic one, is not in the case either.
    """
    source = knobs["file"]
    if "batch" in knobs and not is_python(source) and not has_free_batch(source):
        knobs = {key: value for key, value in knobs.items() if key != "batch"}
    file, _, factory = source.rpartition(":") if is_python(source) else (source, "", "")
    graph = ".".join(filter(None, [Path(file).stem, factory]))
    own = {key: knobs[key] for key in _OWN if key in knobs}
    shared = {key: knobs[key] for key in SHARED_IN_NAME if key in knobs}
    sizes = [f"-b{knobs['batch']}"] if "batch" in knobs else []
    sizes += [f"-{name}={size}" for name, size in knobs.get("dims", {}).items()]
    return Case(
        name=f"{graph}{''.join(sizes)}{suffix(shared, _DEFAULTS)}",
        knobs={"graph": graph, "batch": knobs.get("batch"), **shared_columns(knobs)},
        strategies=knobs["strategies"],
        make=partial(read_model, source, **own),
        rng_seed=knobs["rng_seed"],
        task=knobs["task"],
        content=repr((source, own)),
        files=(file,),
    )


MODELS = Generator(ModelKeys, SHARED_CHOICES, model_case)


def model_suite(model: str, strategies: Sequence[str] = (), **options: Any) -> str:
    """Return the suite of the models that a file, ``file.py:factory`` or a glob selects, as text for `load_suite`.

    The models are imported now, so that what cannot be imported is an error before anything is measured. Without
    `strategies`, a model of torch or JAX is also measured in its library's original form. `options` are further keys of
    the sweep, None for those not given. Raises BadInput and Unsupported as `model_source.read_model`.
    """
    given = {key: value for key, value in options.items() if value not in (None, {}, [])}
    sweeps = []
    for file in model_files(model, Path()):
        graph, _ = read_model(file, **{key: value for key, value in given.items() if key in _OWN})
        original = f"{graph.origin.library}-original" if graph.origin else ""
        chosen = list(strategies) or [*DEFAULT_STRATEGIES, *({original} & registered().keys())]
        sweeps.append({"graph": MODEL, "file": file, **given, "strategies": chosen})
    return "".join(map(sweep_text, sweeps))


def sweep_text(sweep: Mapping[str, Any]) -> str:
    """Return a sweep as text of a suite file."""
    return "".join(["[[sweep]]\n", *(f"{key} = {_toml(value)}\n" for key, value in sweep.items())])


def _toml(value: Any) -> str:
    """Return a value as TOML; its strings are those of JSON."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value)
