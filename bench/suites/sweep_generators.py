"""Generators of a ``[[sweep]]``: the keys that each accepts, and the case of one value per key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.cell.phase_costs import JACOBIAN, TASKS
from jacobench.bench.suites.case import Case
from jacobench.bench.suites.wrt_selection import WrtKey, wrt_in_name, wrt_text
from jacobench.graphs.architectures import ARCHITECTURES, architecture, architecture_graph
from jacobench.graphs.builder import DTYPES
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.chain import VECTOR, chain_graph
from jacobench.graphs.generators.mlp import ACTIVATIONS, LOSSES, NORMALIZATIONS, mlp_graph
from jacobench.graphs.generators.one_op import EVERY, op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import DEFAULT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.graph import Graph

T = TypeVar("T")
Knob: TypeAlias = T | Annotated[list[T], Meta(min_length=1)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
RngSeed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Density = Annotated[float, Meta(gt=0, le=1)]
Widths = Annotated[list[Size], Meta(min_length=2)]
Links = Annotated[list[str], Meta(min_length=1)]
Strategies = Annotated[tuple[str, ...], Meta(min_length=1)]


class SweepKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of every sweep."""

    graph: str
    dtype: Knob[str] = "float64"
    wrt: WrtKey = "parameters"
    rng_seed: Knob[RngSeed] = 0
    task: Knob[str] = "gradient"
    n_seeds: Knob[Size] | UnsetType = UNSET
    strategies: Strategies = DEFAULT_STRATEGIES


class MlpKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over perceptrons."""

    width: Knob[Size] | UnsetType = UNSET
    depth: Knob[Size] | UnsetType = UNSET
    widths: Annotated[list[Size | Widths], Meta(min_length=1)] | UnsetType = UNSET
    batch: Knob[Size] = 1
    activation: Knob[str] = "tanh"
    loss: Knob[str] = "mse"
    residual: Knob[bool] = False
    normalization: Knob[str] = "none"
    weight_density: Knob[Density] = 1.0


class ArchitectureKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over published networks. By default: all networks, each with its own batch and loss."""

    name: Knob[str] = msgspec.field(default_factory=lambda: list(ARCHITECTURES))
    batch: Knob[Size] | UnsetType = UNSET
    loss: Knob[str] = "default"


class OpKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over single ops. By default: all ops. ``"every-op"`` is one graph with all of them."""

    name: Knob[str] = msgspec.field(default_factory=lambda: list(OPS))
    size: Knob[Size] = 64
    batch: Knob[Size] = 1
    wrt: WrtKey = "all"


class ChainKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over chains. The links are repeated until there are `depth` of them."""

    ops: Annotated[list[str | Links], Meta(min_length=1)]
    size: Knob[Size]
    depth: Knob[Size] | UnsetType = UNSET
    batch: Knob[Size] = 1
    wrt: WrtKey = VECTOR


@dataclass(frozen=True)
class Generator:
    """A kind of graph that a sweep can request."""

    keys: type[msgspec.Struct]  # accepted keys with types, bounds and defaults; a `Knob` may be swept
    choices: Mapping[str, tuple[str, Sequence[str]]]  # key whose value is a name → what it names, known names
    case: Callable[[Mapping[str, Any]], Case]  # of one value per key; BadInput begins with ": " or ".key: "


def mlp_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a perceptron, named by its widths, its batch and all values that differ from the defaults."""
    widths = _widths(knobs)
    depth = len(widths) - 1
    shape = f"w{widths[0]}-d{depth}" if len(set(widths)) == 1 else "x".join(map(str, widths))
    passed = ("batch", "activation", "loss", "dtype", "residual", "normalization", "weight_density", "rng_seed", "wrt")
    make = partial(mlp_graph, widths, **{key: knobs[key] for key in passed})
    return _case(f"mlp-{shape}", make, knobs, {}, graph="mlp", depth=depth, width=max(widths))


def architecture_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a published network, named by the network, its batch and all values that differ."""
    entry = architecture(knobs["name"])
    batch = knobs.get("batch", entry.batch)
    loss = entry.loss if knobs["loss"] == "default" else knobs["loss"]
    own = {key: getattr(entry, key) for key in ("depth", "width", "activation", "residual", "normalization")}
    own |= {"graph": entry.name, "weight_density": 1.0}
    make = partial(architecture_graph, entry.name, batch=batch, loss=loss, dtype=knobs["dtype"], wrt=knobs["wrt"])
    return _case(entry.name, make, {**knobs, "batch": batch, "loss": loss}, {"loss": entry.loss}, **own)


def op_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of one op, named by the op, its size, its batch and all values that differ."""
    op, size = knobs["name"], knobs["size"]
    make = partial(op_graph, op, knobs["dtype"], size=size, batch=knobs["batch"], wrt=knobs["wrt"])
    return _case(f"{op}-w{size}", make, knobs, {"wrt": "all"}, graph=op, width=size)


def chain_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a chain, named by its repeated links, size, depth, batch and all values that differ."""
    named, size = knobs["ops"], knobs["size"]
    if not isinstance(named, list):
        raise BadInput(f".ops: expected a list of links for each chain, got {named}")
    depth = knobs.get("depth", len(named))
    links = [named[k % len(named)] for k in range(depth)]
    graph = f"chain-{'-'.join(_period(links))}"
    make = partial(chain_graph, links, size, **{key: knobs[key] for key in ("batch", "dtype", "rng_seed", "wrt")})
    _check_built(make)
    return _case(f"{graph}-w{size}-d{depth}", make, knobs, {"wrt": [VECTOR]}, graph=graph, depth=depth, width=size)


def _case(
    beginning: str, make: partial[Graph], knobs: Mapping[str, Any], defaults: Mapping[str, Any], **own: Any
) -> Case:
    """Return a case with the columns of its knobs.

    `defaults` are those of the generator where they differ from a perceptron's. The name begins with `beginning`.
    """
    defaults = {**_DEFAULTS, **defaults}
    if knobs["wrt"] != defaults["wrt"]:
        _check_built(make)
    columns = {key: knobs[key] for key in _COLUMNS if key in knobs} | shared_columns(knobs) | own
    name = f"{beginning}-b{knobs['batch']}{suffix(knobs, defaults)}"
    content = repr((make.args, make.keywords))
    return Case(name, columns, knobs["strategies"], make, knobs["rng_seed"], knobs["task"], content)


def shared_columns(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of the keys of every sweep, those that are given."""
    if knobs["task"] == JACOBIAN and "n_seeds" in knobs:
        raise BadInput('.n_seeds: the whole Jacobian has no seeds: remove n_seeds, or task = "jacobian"')
    n_seeds = None if knobs["task"] == JACOBIAN else knobs.get("n_seeds", 1)
    columns = {"n_seeds": n_seeds, "task": knobs["task"], **{key: knobs[key] for key in ("dtype",) if key in knobs}}
    return columns | ({"wrt": wrt_text(knobs["wrt"])} if "wrt" in knobs else {})


def _check_built(make: partial[Graph]) -> None:
    """Build a graph now, so that an error names its place in the file."""
    keywords = dict(make.keywords)
    wrt = keywords.pop("wrt")
    try:
        graph = make.func(*make.args, **keywords)
    except BadInput as error:
        raise BadInput(f": {error}") from None
    try:
        graph.with_wrt(wrt)
    except BadInput as error:
        raise BadInput(f".wrt: {error}") from None


def _period(links: Sequence[str]) -> Sequence[str]:
    """Return the shortest prefix that gives all links when it is repeated."""
    lengths = range(1, len(links) + 1)
    return next(links[:n] for n in lengths if all(link == links[k % n] for k, link in enumerate(links)))


def suffix(knobs: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return the part of a case's name for knobs that differ from their defaults, such as ``"-gelu-density0.1"``."""
    other = (key for key in _SUFFIXES if key in knobs and knobs[key] != defaults[key])
    return "".join(_SUFFIXES[key].format(_in_name(key, knobs[key])) for key in other)


def _in_name(key: str, value: Any) -> str:
    if key == "wrt":
        return wrt_in_name(value)
    return "noloss" if key == "loss" and value is None else str(value)


_SUFFIXES = {
    "activation": "-{}",
    "loss": "-{}",
    "residual": "-residual",
    "normalization": "-{}",
    "weight_density": "-density{}",
    "dtype": "-{}",
    "wrt": "-wrt{}",
    "rng_seed": "-rng{}",
    "n_seeds": "-seeds{}",
    "task": "-{}",
}
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(MlpKeys)} | {
    "normalization": None,
    "n_seeds": 1,
}
_COLUMNS = ("batch", "activation", "loss", "residual", "normalization", "weight_density")
SHARED_IN_NAME = ("dtype", "wrt", "rng_seed", "n_seeds", "task")  # keys of every sweep that a case's name contains


def _widths(knobs: Mapping[str, Any]) -> tuple[int, ...]:
    if "widths" in knobs and not {"width", "depth"} & knobs.keys():
        widths = knobs["widths"]
        if not isinstance(widths, list) or len(widths) < 2:
            raise BadInput(f".widths: expected a list of at least two widths for each network, got {widths}")
        return tuple(widths)
    if "width" in knobs and "depth" in knobs and "widths" not in knobs:
        return (int(knobs["width"]),) * (int(knobs["depth"]) + 1)
    given = " and ".join(f"`{key}`" for key in ("width", "depth", "widths") if key in knobs)
    raise BadInput(f": expected either `width` and `depth`, or `widths`, got {given or 'neither'}")


SHARED_CHOICES = {"dtype": ("dtype", DTYPES), "task": ("task", tuple(TASKS))}

GENERATORS: Final[Mapping[str, Generator]] = {
    "mlp": Generator(
        MlpKeys,
        {
            "activation": ("activation", ACTIVATIONS),
            "loss": ("loss", (*LOSSES, "none")),
            "normalization": ("normalization", (*NORMALIZATIONS, "none")),
            **SHARED_CHOICES,
        },
        mlp_case,
    ),
    "architecture": Generator(
        ArchitectureKeys,
        {
            "name": ("architecture", tuple(ARCHITECTURES)),
            "loss": ("loss", (*LOSSES, "none", "default")),
            **SHARED_CHOICES,
        },
        architecture_case,
    ),
    "op": Generator(OpKeys, {"name": ("op", (*OPS, EVERY)), **SHARED_CHOICES}, op_case),
    "chain": Generator(ChainKeys, SHARED_CHOICES, chain_case),
}
