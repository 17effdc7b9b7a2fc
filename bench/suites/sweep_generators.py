"""Generators of a ``[[sweep]]``: the keys that each accepts, and the case of one value per key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jacobench.bench.suites.case import Case
from jacobench.graphs.architectures import ARCHITECTURES, architecture, architecture_graph
from jacobench.graphs.builder import DTYPES
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.chain import chain_graph
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
    rng_seed: Knob[RngSeed] = 0
    n_seeds: Knob[Size] = 1
    seeds: Knob[str] = "random"
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


class ChainKeys(SweepKeys, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Keys of a sweep over chains. The links are repeated until there are `depth` of them."""

    ops: Annotated[list[str | Links], Meta(min_length=1)]
    size: Knob[Size]
    depth: Knob[Size] | UnsetType = UNSET
    batch: Knob[Size] = 1
    wrt_links: Knob[bool] = False


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
    passed = ("batch", "activation", "loss", "dtype", "residual", "normalization", "weight_density", "rng_seed")
    make = partial(mlp_graph, widths, **{key: knobs[key] for key in passed})
    name = f"mlp-{shape}-b{knobs['batch']}{suffix(knobs)}"
    return _case(name, make, knobs, graph="mlp", depth=depth, width=max(widths))


def architecture_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a published network, named by the network, its batch and all values that differ."""
    entry = architecture(knobs["name"])
    batch = knobs.get("batch", entry.batch)
    loss = entry.loss if knobs["loss"] == "default" else knobs["loss"]
    own = {key: getattr(entry, key) for key in ("depth", "width", "activation", "residual", "normalization")}
    own |= {"graph": entry.name, "batch": batch, "loss": loss, "weight_density": 1.0}
    name = f"{entry.name}-b{batch}{suffix({**knobs, 'loss': loss}, loss=entry.loss)}"
    make = partial(architecture_graph, entry.name, batch=batch, loss=loss, dtype=knobs["dtype"])
    return _case(name, make, knobs, **own)


def op_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of one op, differentiated with respect to every argument; named by the op, its size and batch."""
    op, size, batch = knobs["name"], knobs["size"], knobs["batch"]
    make = partial(op_graph, op, knobs["dtype"], size=size, batch=batch)
    return _case(f"{op}-w{size}-b{batch}{suffix(knobs)}", make, knobs, graph=op, width=size)


def chain_case(knobs: Mapping[str, Any]) -> Case:
    """Return the case of a chain, named by its repeated links, size, depth, batch and all values that differ."""
    named = knobs["ops"]
    if not isinstance(named, list):
        raise BadInput(f".ops: expected a list of links for each chain, got {named}")
    depth = knobs.get("depth", len(named))
    links = [named[k % len(named)] for k in range(depth)]
    graph = f"chain-{'-'.join(_period(links))}{'-wrt_links' if knobs['wrt_links'] else ''}"
    passed = ("batch", "dtype", "wrt_links", "rng_seed")
    make = partial(chain_graph, links, knobs["size"], **{key: knobs[key] for key in passed})
    try:  # build it now, so that an error names its place in the file
        make()
    except BadInput as error:
        raise BadInput(f": {error}") from None
    name = f"{graph}-w{knobs['size']}-d{depth}-b{knobs['batch']}{suffix(knobs)}"
    return _case(name, make, knobs, graph=graph, depth=depth, width=knobs["size"])


def _case(name: str, make: partial[Graph], knobs: Mapping[str, Any], **own: Any) -> Case:
    """Return a case with the columns of its knobs. With seeds = "identity", n_seeds is the number of outputs."""
    columns = {key: knobs[key] for key in _COLUMNS if key in knobs} | own
    if knobs["seeds"] == "identity":
        if knobs["n_seeds"] != _DEFAULTS["n_seeds"]:
            raise BadInput('.n_seeds: n_seeds cannot be combined with seeds = "identity"; remove one of them')
        columns["n_seeds"] = prod(make().output_shape)
    content = repr((make.args, make.keywords))
    return Case(name, columns, knobs["strategies"], make, knobs["rng_seed"], knobs["seeds"], content)


def _period(links: Sequence[str]) -> Sequence[str]:
    """Return the shortest prefix that gives all links when it is repeated."""
    lengths = range(1, len(links) + 1)
    return next(links[:n] for n in lengths if all(link == links[k % n] for k, link in enumerate(links)))


def suffix(knobs: Mapping[str, Any], **defaults: Any) -> str:
    """Return the part of a case's name for knobs that differ from their defaults, such as ``"-gelu-density0.1"``."""
    defaults = {**_DEFAULTS, **defaults}
    other = (key for key in _SUFFIXES if key in knobs and knobs[key] != defaults[key])
    return "".join(
        "-noloss" if key == "loss" and knobs[key] is None else _SUFFIXES[key].format(knobs[key]) for key in other
    )


_SUFFIXES = {
    "activation": "-{}",
    "loss": "-{}",
    "residual": "-residual",
    "normalization": "-{}",
    "weight_density": "-density{}",
    "dtype": "-{}",
    "rng_seed": "-rng{}",
    "n_seeds": "-seeds{}",
    "seeds": "-{}",
}
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(MlpKeys)} | {"normalization": None}
_COLUMNS = ("batch", "n_seeds", "activation", "loss", "residual", "normalization", "weight_density", "dtype")


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


_SHARED = {"dtype": ("dtype", DTYPES), "seeds": ("kind of seeds", ("random", "identity"))}

GENERATORS: Final[Mapping[str, Generator]] = {
    "mlp": Generator(
        MlpKeys,
        {
            "activation": ("activation", ACTIVATIONS),
            "loss": ("loss", (*LOSSES, "none")),
            "normalization": ("normalization", (*NORMALIZATIONS, "none")),
            **_SHARED,
        },
        mlp_case,
    ),
    "architecture": Generator(
        ArchitectureKeys,
        {"name": ("architecture", tuple(ARCHITECTURES)), "loss": ("loss", (*LOSSES, "none", "default")), **_SHARED},
        architecture_case,
    ),
    "op": Generator(OpKeys, {"name": ("op", (*OPS, EVERY)), **_SHARED}, op_case),
    "chain": Generator(ChainKeys, _SHARED, chain_case),
}
