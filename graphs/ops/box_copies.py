"""Ops that copy a box of entries, at regular steps along each axis: slice, flip, concat and pad."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.calls import Call, no_calls, zeroed
from jacobench.graphs.errors import BadInput, real_number, whole_number, whole_numbers
from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import boxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.structures.boxes import BoxCopy

    CopyOf = Callable[[Shapes, Attrs, int], BoxCopy]


def _copied(name: str, copy_of: CopyOf) -> Argument:
    """Return the rules of an argument of which a box is copied to a box of the output.

    ``copy_of(shapes, attrs, k)`` returns the copy of argument `k`; `name` is the structure's.
    """

    def of(ctx: ArgumentContext) -> BoxCopy:
        return copy_of(ctx.shapes, ctx.attrs, ctx.k)

    def vjp(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
        copy = of(ctx)
        if copy.keeps_order:
            return y_bar[copy.seeds_target]
        if copy.takes_all:  # it only reverses axes
            return y_bar[copy.seeds_source].copy()
        x_bar = np.zeros((len(y_bar), *ctx.x), y_bar.dtype)
        x_bar[copy.seeds_source] = y_bar[copy.seeds_target]
        return x_bar

    def jvp(x_dot: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
        copy = of(ctx)
        part = x_dot[copy.seeds_source]
        if copy.fills:
            return part
        y_dot = np.zeros((len(x_dot), *ctx.out), x_dot.dtype)
        y_dot[copy.seeds_target] = part
        return y_dot

    def floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
        copy = of(ctx)
        copied: list[Call] = [(np.copyto, (x_bar[copy.seeds_source], y_bar[copy.seeds_target]))]
        return copied if copy.takes_all else [zeroed(x_bar), *copied]

    def per_sample(given: Shapes, attrs: Attrs) -> bool:
        return all(copy_of(given, attrs, k).keeps_samples for k in range(len(given)))

    return Argument(
        vjp=vjp,
        jvp=jvp,
        jacobian=Jacobian(boxes.copied(name, of), lambda y, _xs, _ctx: np.ones(1, y.dtype)),
        floor=floor,
        returns_cotangent=lambda ctx: of(ctx).keeps_order,
        per_sample=per_sample,
    )


def _as_slices(attrs: Attrs, given: Shapes) -> Attrs:
    """Return the slices as NumPy understands them, counted from the front; a stop of None is before the first entry."""
    x = given[0]
    parts = [attrs[name] for name in ("starts", "stops", "steps")]
    lengths = [len(part) for part in parts if part is not None]
    if any(length != len(x) for length in lengths):
        raise BadInput(f"the argument has {len(x)} axes: expected as many starts, stops and steps, got {lengths}")
    columns = [(None,) * len(x) if part is None else part for part in parts]
    found = [_as_slice(n, *each) for n, *each in zip(x, *columns, strict=True)]
    starts, stops, steps = zip(*found, strict=True) if found else ((), (), ())
    return {"starts": starts, "stops": stops, "steps": steps}


def _as_slice(n: int, *given: Any) -> tuple[int, int | None, int]:
    start, stop, step = (None if bound is None else whole_number("a bound of a slice", bound) for bound in given)
    if step == 0:
        raise BadInput("a step is 0: expected another number")
    first, end, step = slice(start, stop, step).indices(n)
    if not range(first, end, step):
        raise BadInput(f"the slice {start}:{stop}:{step} of an axis of {n} is empty: expected at least one entry")
    return first, None if end < 0 else end, step


def _taken(x: Shape, attrs: Attrs) -> BoxCopy:
    return boxes.taken(x, tuple(zip(attrs["starts"], attrs["stops"], attrs["steps"], strict=True)))


def _sliced(xp: Any, x: Any, starts: Any, stops: Any, steps: Any) -> Any:
    return xp.sliced(x, boxes.taken(tuple(x.shape), tuple(zip(starts, stops, steps, strict=True))).source)


SLICE = Op(
    name="slice",
    forward=_sliced,
    shape=lambda given, attrs: _taken(given[0], attrs).out,
    arguments=(_copied("rows of the identity", lambda given, attrs, _k: _taken(given[0], attrs)),),
    source="x[start:stop:step] for each axis, a view; one triple per axis, None as in NumPy",
    example=lambda g, batch=3, size=4: g.slice(
        g.input("x", (batch, 2, size + 1)), starts=(None, 0, None), stops=(None, 1, 0), steps=(None, None, -1)
    ),
    attrs={"starts": None, "stops": None, "steps": None},
    prepare=_as_slices,
    is_view=True,
    floor=no_calls,
)


@lru_cache(maxsize=4096)
def _flipped(x: Shape, axes: tuple[int, ...]) -> BoxCopy:
    return boxes.taken(x, tuple((n - 1, None, -1) if k in axes else (0, n, 1) for k, n in enumerate(x)))


def _flip_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    return [(np.copyto, (y, xs[0][_flipped(y.shape, attrs["axes"]).source]))]


FLIP = Op(
    name="flip",
    forward=lambda xp, x, axes: xp.flipped(x, axes, _flipped(tuple(x.shape), axes).source),
    shape=shapes.vectors,
    arguments=(_copied("exchange permutation", lambda given, attrs, _k: _flipped(given[0], attrs["axes"])),),
    source="y[…, i] = x[…, n − 1 − i], along each of the axes; Golub & Van Loan, Matrix Computations (2013), section 1.2",
    example=lambda g, batch=3, size=4: g.flip(g.input("x", (batch, size))),
    attrs={"axes": (-1,)},
    prepare=lambda attrs, given: {"axes": shapes.as_axes(attrs["axes"], len(given[0])) if given[0] else ()},
    floor=_flip_floor,
)


def _as_joint(attrs: Attrs, given: Shapes) -> Attrs:
    """Return the axis, and where each argument ends along it: once, because there may be thousands of arguments."""
    axis = shapes.as_axis(attrs["axis"], len(given[0])) if given[0] else 0
    return {"axis": axis, "ends": tuple(accumulate(prod(shape[axis : axis + 1]) for shape in given))}


def _joined(given: Shapes, attrs: Attrs, k: int) -> BoxCopy:
    axis, ends = attrs["axis"], attrs["ends"]
    return boxes.part_of_axis(given[k], axis, ends[k] - given[k][axis], ends[-1])


CONCAT = Op(
    name="concat",
    forward=lambda xp, *xs, axis, ends: xp.concatenate(xs, axis=axis),  # noqa: ARG005  (`ends` are for the rules)
    shape=shapes.concat,
    arguments=(_copied("identity between empty rows", _joined),),
    source="arguments joined along an axis; a skip: Huang et al., Densely Connected Networks (2017), section 3",
    example=lambda g, batch=3, size=4: g.concat(
        g.input("x", (batch, size)), g.input("y", (batch, (size + 1) // 2)), g.input("z", (batch, 1))
    ),
    attrs={"axis": -1},
    prepare=_as_joint,
    variadic=True,
    floor=lambda xs, y, attrs: [(np.concatenate, (xs, attrs["axis"], y))],
)


def _as_margins(attrs: Attrs, given: Shapes) -> Attrs:
    """Return one pair for each axis; `before` and `after` are added to those of the last axis."""
    x = given[0]
    pairs = [whole_numbers("a pair", pair) for pair in attrs["pairs"] or [(0, 0)] * len(x)]
    interior = whole_numbers("interior", attrs["interior"] or [0] * len(x))
    before, after = (whole_number(side, attrs[side]) for side in ("before", "after"))
    if any(len(pair) != 2 for pair in pairs) or not len(pairs) == len(interior) == len(x):
        raise BadInput(
            f"the pairs are {pairs}, interior is {interior}: expected a pair (before, after) per axis of {x}"
        )
    if min(interior, default=0) < 0:
        raise BadInput(f"interior is {interior}: expected numbers of 0 or more")
    if before or after:
        first, last = shapes.vectors(given, attrs) and pairs[-1]
        pairs[-1] = (first + before, last + after)
    value = real_number("the value", attrs["value"])
    return {"before": 0, "after": 0, "pairs": tuple(pairs), "interior": interior, "value": value}


def _margins(x: Shape, attrs: Attrs) -> BoxCopy:
    return boxes.padded(x, attrs["pairs"], attrs["interior"])


def _padded_shape(given: Shapes, attrs: Attrs) -> Shape:
    out = _margins(given[0], attrs).out
    if min(out, default=1) < 1:
        raise BadInput(f"the argument has shape {given[0]}, the output {out}: expected lengths of 1 or more")
    return out


def _pad_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    copy = _margins(xs[0].shape, attrs)
    return [(y.fill, (attrs["value"],)), (np.copyto, (y[copy.target], xs[0][copy.source]))]


PAD = Op(
    name="pad",
    forward=lambda xp, x, pairs, interior, value, **_merged: xp.padded(x, pairs, interior, value),
    shape=_padded_shape,
    arguments=(_copied("identity between empty rows", lambda given, attrs, _k: _margins(given[0], attrs)),),
    source="a number before, after and between the entries of each axis; a negative count before or after removes entries; "
    "`before` and `after` are for the last axis; Goodfellow et al., Deep Learning (2016), section 9.5",
    example=lambda g, batch=3, size=4: g.pad(g.input("x", (batch, size)), before=1, after=2),
    attrs={"before": 0, "after": 0, "pairs": (), "interior": (), "value": 0.0},
    prepare=_as_margins,
    floor=_pad_floor,
)

OPS = (SLICE, FLIP, CONCAT, PAD)
