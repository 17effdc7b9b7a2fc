"""What a ``[[sweep]]`` can ask for by name: the keys each generator takes, and the case it makes of one value for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

T = TypeVar("T")
Knob: TypeAlias = T | Annotated[list[T], Meta(min_length=1)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
RngSeed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Density = Annotated[float, Meta(gt=0, le=1)]
Widths = Annotated[list[Size], Meta(min_length=2)]
Links = Annotated[list[str], Meta(min_length=1)]
Strategies = Annotated[tuple[str, ...], Meta(min_length=1)]


class MlpKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a sweep over `mlp` may say."""

    graph: str
    width: Knob[Size] | UnsetType = UNSET
    depth: Knob[Size] | UnsetType = UNSET
    widths: Annotated[list[Size | Widths], Meta(min_length=1)] | UnsetType = UNSET
    batch: Knob[Size] = 1
    activation: Knob[str] = "tanh"
    loss: Knob[str] = "mse"
    residual: Knob[bool] = False
    normalization: Knob[str] = "none"
    weight_density: Knob[Density] = 1.0
    dtype: Knob[str] = "float64"
    rng_seed: Knob[RngSeed] = 0
    n_seeds: Knob[Size] = 1
    seeds: Knob[str] = "random"
    strategies: Strategies = DEFAULT_STRATEGIES


class ArchitectureKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a sweep over published networks may say: all of them, with a batch and loss of their own, unless given."""

    graph: str
    name: Knob[str] = msgspec.field(default_factory=lambda: list(ARCHITECTURES))
    batch: Knob[Size] | UnsetType = UNSET
    loss: Knob[str] = "default"
    dtype: Knob[str] = "float64"
    rng_seed: Knob[RngSeed] = 0
    n_seeds: Knob[Size] = 1
    seeds: Knob[str] = "random"
    strategies: Strategies = DEFAULT_STRATEGIES


class OpKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a sweep over single ops may say: all of the table, unless named; ``"every-op"`` is all in one graph."""

    graph: str
    name: Knob[str] = msgspec.field(default_factory=lambda: list(OPS))
    size: Knob[Size] = 64
    batch: Knob[Size] = 1
    dtype: Knob[str] = "float64"
    rng_seed: Knob[RngSeed] = 0
    n_seeds: Knob[Size] = 1
    seeds: Knob[str] = "random"
    strategies: Strategies = DEFAULT_STRATEGIES


class ChainKeys(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a sweep over chains may say; links are repeated in turn where there are to be more of them than are named."""

    graph: str
    ops: Annotated[list[str | Links], Meta(min_length=1)]
    size: Knob[Size]
    depth: Knob[Size] | UnsetType = UNSET
    batch: Knob[Size] = 1
    wrt_links: Knob[bool] = False
    dtype: Knob[str] = "float64"
    rng_seed: Knob[RngSeed] = 0
    n_seeds: Knob[Size] = 1
    seeds: Knob[str] = "random"
    strategies: Strategies = DEFAULT_STRATEGIES


@dataclass(frozen=True)
class Generator:
    """A kind of graph that a sweep can ask for.

    Attributes
    ----------
    keys : type of msgspec.Struct
        The keys it takes, with types, bounds and defaults; a key that may be swept is a `Knob`.
    choices : mapping of str to (str, sequence of str)
        For a key whose values are names: what they name, and the names there are. ``"none"`` reaches `case` as None.
    case : callable
        Makes the case of one value for each key. The text of a `BadInput` it raises begins with ``": "`` or with the
        key, ``".widths: "``.
    """

    keys: type[msgspec.Struct]
    choices: Mapping[str, tuple[str, Sequence[str]]]
    case: Callable[[Mapping[str, Any]], Case]


def mlp_case(knobs: Mapping[str, Any]) -> Case:
    """Make the case of a perceptron; it is named by its widths, its batch and whatever is not the default."""
    widths = _widths(knobs)
    depth = len(widths) - 1
    shape = f"w{widths[0]}-d{depth}" if len(set(widths)) == 1 else "x".join(map(str, widths))
    passed = ("batch", "activation", "loss", "dtype", "residual", "normalization", "weight_density", "rng_seed")
    case = Case(
        name=f"mlp-{shape}-b{knobs['batch']}{suffix(knobs)}",
        knobs=_columns(knobs, graph="mlp", depth=depth, width=max(widths)),
        strategies=knobs["strategies"],
        make=partial(mlp_graph, widths, **{key: knobs[key] for key in passed}),
        rng_seed=knobs["rng_seed"],
    )
    return _seeded(case, knobs)


def architecture_case(knobs: Mapping[str, Any]) -> Case:
    """Make the case of a published network; it is named by itself, its batch and whatever is not the default."""
    entry = architecture(knobs["name"])
    batch = knobs.get("batch", entry.batch)
    loss = entry.loss if knobs["loss"] == "default" else knobs["loss"]
    own = {
        "graph": entry.name,
        "depth": entry.depth,
        "width": entry.width,
        "batch": batch,
        "activation": entry.activation,
        "loss": loss,
        "residual": entry.residual,
        "normalization": entry.normalization,
        "weight_density": 1.0,
    }
    case = Case(
        name=f"{entry.name}-b{batch}{suffix({**knobs, 'loss': loss}, loss=entry.loss)}",
        knobs=_columns(knobs, **own),
        strategies=knobs["strategies"],
        make=partial(architecture_graph, entry.name, batch=batch, loss=loss, dtype=knobs["dtype"]),
        rng_seed=knobs["rng_seed"],
    )
    return _seeded(case, knobs)


def op_case(knobs: Mapping[str, Any]) -> Case:
    """Make the case of one op, to be differentiated by every argument; it is named by the op, its size and batch."""
    name, size, batch = knobs["name"], knobs["size"], knobs["batch"]
    case = Case(
        name=f"{name}-w{size}-b{batch}{suffix(knobs)}",
        knobs=_columns(knobs, graph=name, width=size),
        strategies=knobs["strategies"],
        make=partial(op_graph, name, knobs["dtype"], size=size, batch=batch),
        rng_seed=knobs["rng_seed"],
    )
    return _seeded(case, knobs)


def chain_case(knobs: Mapping[str, Any]) -> Case:
    """Make the case of a chain; it is named by the links that are repeated, its size, depth, batch and what is not usual."""
    named = knobs["ops"]
    if not isinstance(named, list):
        raise BadInput(f".ops: expected a list of links for each chain, got {named}")
    depth = knobs.get("depth", len(named))
    links = [named[k % len(named)] for k in range(depth)]
    graph = f"chain-{'-'.join(_period(links))}{'-wrt_links' if knobs['wrt_links'] else ''}"
    passed = ("batch", "dtype", "wrt_links", "rng_seed")
    case = Case(
        name=f"{graph}-w{knobs['size']}-d{depth}-b{knobs['batch']}{suffix(knobs)}",
        knobs=_columns(knobs, graph=graph, depth=depth, width=knobs["size"]),
        strategies=knobs["strategies"],
        make=partial(chain_graph, links, knobs["size"], **{key: knobs[key] for key in passed}),
        rng_seed=knobs["rng_seed"],
    )
    try:  # here, so that what is wrong is told with its place in the file
        case.make()
    except BadInput as error:
        raise BadInput(f": {error}") from None
    return _seeded(case, knobs)


def _period(links: Sequence[str]) -> Sequence[str]:
    """Return the shortest beginning that, repeated, gives all links."""
    lengths = range(1, len(links) + 1)
    return next(links[:n] for n in lengths if all(link == links[k % n] for k, link in enumerate(links)))


def _seeded(case: Case, knobs: Mapping[str, Any]) -> Case:
    """Return the case with the seeds that are asked for; the unit vectors are as many as there are outputs."""
    if knobs["seeds"] == "random":
        return case
    if knobs["n_seeds"] != _USUAL["n_seeds"]:
        raise BadInput(f'.n_seeds: expected none beside seeds = "identity", got {knobs["n_seeds"]}')
    return replace(case, seeds="identity", knobs={**case.knobs, "n_seeds": prod(case.make().output_shape)})


def suffix(knobs: Mapping[str, Any], **usual: Any) -> str:
    """Return the part of a case's name that tells the knobs which are not as usual.

    Parameters
    ----------
    knobs : mapping of str to scalar
        The knobs.
    **usual
        What is usual where it is not the default of `MlpKeys`.

    Returns
    -------
    str
        Such as ``"-gelu-density0.1"``; empty when all is as usual.
    """
    usual = {**_USUAL, **usual}
    odd = (key for key in _SUFFIXES if key in knobs and knobs[key] != usual[key])
    return "".join(
        "-noloss" if key == "loss" and knobs[key] is None else _SUFFIXES[key].format(knobs[key]) for key in odd
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
_USUAL = {field.name: field.default for field in msgspec.structs.fields(MlpKeys)} | {"normalization": None}
_COLUMNS = ("batch", "n_seeds", "activation", "loss", "residual", "normalization", "weight_density", "dtype")


def _columns(knobs: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    return {key: knobs[key] for key in _COLUMNS if key in knobs} | own


def _widths(knobs: Mapping[str, Any]) -> tuple[int, ...]:
    if "widths" in knobs and not {"width", "depth"} & knobs.keys():
        widths = knobs["widths"]
        if not isinstance(widths, list) or len(widths) < 2:
            raise BadInput(f".widths: expected a list of two or more widths for each network, got {widths}")
        return tuple(widths)
    if "width" in knobs and "depth" in knobs and "widths" not in knobs:
        return (int(knobs["width"]),) * (int(knobs["depth"]) + 1)
    given = " and ".join(f"`{key}`" for key in ("width", "depth", "widths") if key in knobs)
    raise BadInput(f": expected either `width` and `depth`, or `widths`, got {given or 'neither'}")


_DTYPE = ("dtype", DTYPES)
_SEEDS = ("kind of seeds", ("random", "identity"))

GENERATORS: Final[Mapping[str, Generator]] = {
    "mlp": Generator(
        keys=MlpKeys,
        choices={
            "activation": ("activation", ACTIVATIONS),
            "loss": ("loss", (*LOSSES, "none")),
            "normalization": ("normalization", (*NORMALIZATIONS, "none")),
            "dtype": _DTYPE,
            "seeds": _SEEDS,
        },
        case=mlp_case,
    ),
    "architecture": Generator(
        keys=ArchitectureKeys,
        choices={
            "name": ("architecture", tuple(ARCHITECTURES)),
            "loss": ("loss", (*LOSSES, "none", "default")),
            "dtype": _DTYPE,
            "seeds": _SEEDS,
        },
        case=architecture_case,
    ),
    "op": Generator(
        keys=OpKeys,
        choices={"name": ("op", (*OPS, EVERY)), "dtype": _DTYPE, "seeds": _SEEDS},
        case=op_case,
    ),
    "chain": Generator(
        keys=ChainKeys,
        choices={"dtype": _DTYPE, "seeds": _SEEDS},
        case=chain_case,
    ),
}
