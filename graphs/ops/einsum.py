"""The general product of two arrays, summed over labels of their axes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.arrays.contraction import SEEDS, Contraction, contraction
from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.structures.labels import LETTERS, Labels, aligned, labelled

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call

FORM = re.compile(r"([A-Za-z]*),([A-Za-z]*)->([A-Za-z]*)")
OUR_LETTERS = LETTERS.replace(SEEDS, "")


@dataclass(frozen=True, eq=False)
class Subscripts:
    """Subscripts of a product, renamed in order of appearance, with the plan of each rule.

    `terms` are the labels of both factors, `out` those of the output; for each factor there is a plan of its vjp, jvp and
    per-sample vjp rule.
    """

    terms: tuple[str, str]
    out: str
    lengths: dict[str, int]
    forward: Contraction
    vjp: tuple[Contraction, ...]
    jvp: tuple[Contraction, ...]
    by_sample: tuple[Contraction, ...]

    def labels(self, k: int) -> Labels:
        """Return the labels of the Jacobian by factor `k`."""
        return Labels(self.terms[k], self.out, self.lengths)

    def is_summed_alone(self, k: int) -> bool:
        """Return whether factor `k` has a label that is nowhere else."""
        return not set(self.terms[k]) <= set(self.out) | set(self.terms[1 - k])


@cache
def _planned(x: str, y: str, out: str, lengths: tuple[tuple[str, int], ...]) -> Subscripts:
    terms = ((x, y), (y, x))
    return Subscripts(
        (x, y),
        out,
        dict(lengths),
        contraction(x, y, out, lengths),
        vjp=tuple(contraction(SEEDS + out, other, SEEDS + own, lengths) for own, other in terms),
        jvp=tuple(contraction(SEEDS + own, other, SEEDS + out, lengths) for own, other in terms),
        by_sample=tuple(contraction(SEEDS + out, other, out[:1] + SEEDS + own, lengths) for own, other in terms),
    )


def _as_subscripts(attrs: Attrs, shapes: Shapes) -> Attrs:
    text = attrs["subscripts"]
    if isinstance(text, Subscripts):
        return attrs
    match = FORM.fullmatch(text.replace(" ", "")) if isinstance(text, str) else None
    if match is None:
        raise BadInput(f"the subscripts are {text!r}: expected letters of two arguments and the output: 'bij,bjk->bik'")
    *terms, out = match.groups()
    names = dict(zip(dict.fromkeys("".join(terms)), OUR_LETTERS, strict=False))
    if len(set(out)) < len(out) or not set(out) <= set(names):
        raise BadInput(f"the subscripts are {text!r}: expected an output of different letters of the arguments")
    x, y, out = ("".join(names[letter] for letter in term) for term in (*terms, out))
    return {"subscripts": _planned(x, y, out, _lengths(text, (x, y), shapes))}


def _lengths(text: str, terms: tuple[str, str], shapes: Shapes) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        fits = len(term) == len(shape)
        if not fits or any(found.setdefault(label, n) != n for label, n in zip(term, shape, strict=True)):
            given = " and ".join(map(str, shapes))
            raise BadInput(f"shapes {given} do not fit the subscripts {text!r}: expected one length for each letter")
    return tuple(found.items())


def _shape(_shapes: Shapes, attrs: Attrs) -> Shape:
    subscripts: Subscripts = attrs["subscripts"]
    return subscripts.labels(0).shape(subscripts.out)


def _subscripts(ctx: ArgumentContext) -> Subscripts:
    found: Subscripts = ctx.attrs["subscripts"]
    return found


def _factor(k: int) -> Argument:
    """Return the rules of factor `k`: the entries of its Jacobian are those of the other factor."""
    other = 1 - k

    def values(_y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        subscripts = _subscripts(ctx)
        found: Array = aligned(xs[other], subscripts.terms[other], subscripts.labels(k).entries)
        return found

    def values_floor(_y: Array, xs: Arrays, entries: Array, ctx: ArgumentContext) -> list[Call]:
        subscripts = _subscripts(ctx)
        if not subscripts.is_summed_alone(other):  # a view of the other factor
            return []
        present = "".join(label for label in subscripts.labels(k).entries if label in subscripts.terms[other])
        out = entries.reshape(subscripts.labels(k).shape(present))
        return [(partial(np.einsum, out=out), (f"{subscripts.terms[other]}->{present}", xs[other]))]

    def summed_entries(ctx: ArgumentContext) -> int:
        subscripts = _subscripts(ctx)
        if not subscripts.is_summed_alone(other):
            return 0
        labels = subscripts.labels(k)
        return prod(labels.shape("".join(label for label in labels.entries if label in subscripts.terms[other])))

    return Argument(
        vjp=lambda y_bar, _y, xs, ctx: _subscripts(ctx).vjp[k].product(y_bar, xs[other]),
        jvp=lambda x_dot, _y, xs, ctx: _subscripts(ctx).jvp[k].product(x_dot, xs[other]),
        jacobian=Jacobian(
            labelled("contraction", lambda ctx: _subscripts(ctx).labels(k)),
            values,
            values_floor,
            flops=lambda ctx: prod(ctx.shapes[other]) if _subscripts(ctx).is_summed_alone(other) else 0,
            scratch=lambda ctx: summed_entries(ctx) * ctx.dtype.itemsize,
        ),
        floor=lambda y_bar, _y, xs, x_bar, ctx: [(_subscripts(ctx).vjp[k].product, (y_bar, xs[other], x_bar))],
        residuals=(other,),
        flops=lambda ctx: _subscripts(ctx).vjp[k].flops,
        per_sample_vjp=lambda y_bar, _y, xs, ctx: _subscripts(ctx).by_sample[k].product(y_bar, xs[other]),
        per_sample_floor=lambda y_bar, _y, xs, x_bar, ctx: [
            (_subscripts(ctx).by_sample[k].product, (y_bar, xs[other], x_bar))
        ],
        per_sample=lambda _shapes, attrs: attrs["subscripts"].terms[k][:1] == attrs["subscripts"].out[:1] != "",
        scratch=lambda ctx: _subscripts(ctx).vjp[k].scratch * ctx.dtype.itemsize,
        scratch_once=lambda ctx: _subscripts(ctx).vjp[k].scratch_once * ctx.dtype.itemsize,
    )


EINSUM = Op(
    name="einsum",
    forward=lambda xp, x, y, subscripts: xp.contracted(subscripts.forward, x, y),
    floor=lambda xs, y, attrs: [(attrs["subscripts"].forward.product, (*xs, y))],
    shape=_shape,
    arguments=(_factor(0), _factor(1)),
    flops=lambda ctx: _subscripts(ctx).forward.flops,
    source="Σ x y over the labels that are not in the output, as np.einsum; Einstein, Die Grundlage der allgemeinen "
    "Relativitätstheorie (1916), section 5",
    example=lambda g, batch=3, size=4: g.einsum(
        g.input("x", (batch, size, size)), g.input("y", (batch, size, size)), subscripts="bij,bjk->bik"
    ),
    attrs={"subscripts": "bij,bjk->bik"},
    prepare=_as_subscripts,
    scratch=lambda ctx: _subscripts(ctx).forward.scratch_once * ctx.dtype.itemsize,
    is_general=True,
)

OPS = (EINSUM,)
