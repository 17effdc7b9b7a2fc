"""What an op is: one entry of a table, with a forward rule and, per argument, a vjp rule and a Jacobian rule.

Every rule is told its place by a `ArgumentContext`. The rules' arrays:

- forward: ``(xp, *xs, **attrs) → y``, in the functions of the array library `xp`;
- vjp: ``(y_bar, y, xs, ctx) → x_bar`` with y_bar of shape (S, *y.shape) and x_bar of shape (S, *x.shape). It returns a
  fresh array or y_bar or a view of it, and never writes into what it is given;
- Jacobian: a structure (where the entries stand) and ``(y, xs, ctx) → values``, broadcastable to the structure's extent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jacobench.graphs.array_types import ArgumentContext, Array, Shape

if TYPE_CHECKING:
    from jacobench.graphs.structures.sparsity import Structure

OUTPUT = -1
"""Stands for the op's output where arguments are numbered 0, 1, …."""


def multiply_in_place(slope: Array, y_bar: Array) -> Array:
    """Multiply a fresh slope, shape (1, *x.shape), by cotangents (S, *x.shape): in place for one seed.

    A second array costs as much as the product. The axes are equal in number because NumPy takes half as long for that.
    """
    return np.multiply(slope, y_bar, slope if len(y_bar) == 1 else None)


VjpRule = Callable[[Array, Array, tuple[Array, ...], ArgumentContext], Array]
JacobianValues = Callable[[Array, tuple[Array, ...], ArgumentContext], Array]
FillRule = Callable[[Array, Array, tuple[Array, ...], ArgumentContext], None]
Count = Callable[[ArgumentContext], int]
ShapePredicate = Callable[[tuple[Shape, ...], Mapping[str, Any]], bool]


def always(_shapes: tuple[Shape, ...], _attrs: Mapping[str, Any]) -> bool:
    """Say yes, whatever the shapes and attributes."""
    return True


def never(_shapes: tuple[Shape, ...], _attrs: Mapping[str, Any]) -> bool:
    """Say no, whatever the shapes and attributes."""
    return False


class Builder(Protocol):
    """The part of `GraphBuilder` that examples use; each op is a method."""

    def input(self, name: str, shape: Sequence[int], *, distribution: str = ...) -> Any:
        """Add a leaf for data."""
        ...

    def parameter(self, name: str, shape: Sequence[int], *, fan_in: int | None = ...) -> Any:
        """Add a leaf for weights."""
        ...

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method that adds an op."""
        ...


class Example(Protocol):
    """Function that adds an op and its arguments to a builder; small by default."""

    def __call__(self, g: Builder, batch: int = ..., size: int = ...) -> Any:
        """Return the op's output for `batch` samples; `size` is the length of a sample's last axis."""
        ...


@dataclass(frozen=True)
class Jacobian:
    """The rule for a local Jacobian, shape (outputs, inputs).

    Attributes
    ----------
    structure : Structure
        Where its entries stand.
    values : callable
        (y, xs, ctx) → the entries, broadcastable to the structure's extent.
    allocates : bool
        Whether `values` allocates the whole extent anew; else it may be a view of a primal.
    flops : callable
        ctx → arithmetic operations that `values` takes. An elementary function counts as one.
    scratch : callable
        ctx → bytes that `values` allocates and frees beside its result, where they are not few beside it.
    fill : callable or None
        The direct dense rule, (J, y, xs, ctx) → None: writes the entries into zeros of shape (samples, outputs per
        sample, inputs per sample). For a structure with an index, through which to scatter would waste time.
    fill_scratch : callable
        The same as `scratch`, of `fill`.
    """

    structure: Structure
    values: JacobianValues
    allocates: bool
    flops: Count = lambda _ctx: 0
    scratch: Count = lambda _ctx: 0
    fill: FillRule | None = None
    fill_scratch: Count = lambda _ctx: 0


@dataclass(frozen=True)
class Argument:
    """The backward rules of one argument.

    Attributes
    ----------
    vjp : callable
        (y_bar, y, xs, ctx) → x_bar.
    jacobian : Jacobian
        The same as a matrix.
    residuals : tuple of int
        Which primals the vjp rule reads (`OUTPUT`, or argument numbers): its residuals. The others it is given as None.
    flops : callable
        ctx → arithmetic operations of the vjp rule for one seed.
    per_sample_vjp : callable or None
        For an argument that all samples share: the vjp rule of each sample by itself, (y_bar, y, xs, ctx) → x_bar with
        y_bar of shape (S, B, …) and x_bar of shape (B, S, *x.shape), a fresh array.
    per_sample : callable
        (shapes, attrs) → whether sample i of the output depends on sample i of this argument alone, if the argument's
        leading axis is the batch. A weight is shared by all samples, and a loss averages over them.
    scratch : callable
        ctx → bytes that the vjp rule allocates and frees beside its result, for one seed, where they are not few.
    scratch_once : callable
        ctx → the same, of what it allocates but once, however many seeds there are.
    returns_cotangent : callable
        ctx → whether the vjp rule returns y_bar, or a view of it, and allocates nothing.
    """

    vjp: VjpRule
    jacobian: Jacobian
    residuals: tuple[int, ...]
    flops: Count
    per_sample_vjp: VjpRule | None = None
    per_sample: ShapePredicate = always
    scratch: Count = lambda _ctx: 0
    scratch_once: Count = lambda _ctx: 0
    returns_cotangent: Callable[[ArgumentContext], bool] = lambda _ctx: False


@dataclass(frozen=True)
class Op:
    """An operation that graphs are made of.

    Attributes
    ----------
    name : str
        As it is called on a `GraphBuilder`.
    forward : callable
        (xp, *xs, **attrs) → y.
    shape : callable
        (shapes, attrs) → the output's shape. Raises BadInput where the shapes do not fit.
    arguments : tuple of (Argument or None)
        The rules per argument, None for one that cannot be differentiated; a variadic op repeats its last.
    flops : callable
        ctx of argument 0 → arithmetic operations of the forward rule.
    source : str
        Where the definition is from.
    example : callable
        (builder, batch, size) → a value made by this op; small as it stands, for tests, `verify` and the docs.
    attrs : mapping
        Names of the attributes and their defaults.
    prepare : callable
        attrs → attrs, checked and brought into the form that the rules want.
    variadic : bool
        Whether it takes any number of arguments, at least one.
    scratch : callable
        ctx of argument 0 → bytes that the forward rule allocates and frees beside its result, where they are not few.
    is_view : bool
        Whether the forward rule returns a view of its one argument, and allocates nothing.
    """

    name: str
    forward: Callable[..., Any]
    shape: Callable[[tuple[Shape, ...], Mapping[str, Any]], Shape]
    arguments: tuple[Argument | None, ...]
    flops: Count
    source: str
    example: Example
    attrs: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda attrs: attrs
    variadic: bool = False
    scratch: Count = lambda _ctx: 0
    is_view: bool = False

    def argument(self, k: int) -> Argument:
        """Return the rules of argument `k`, counted from 0.

        Raises
        ------
        NotImplementedError
            If there is no rule: names the op and the argument.
        """
        rule = self._rule(k)
        if rule is None:
            raise NotImplementedError(f"op {self.name!r} has no backward rule for argument {k}")
        return rule

    def per_sample(self, k: int, shapes: tuple[Shape, ...], attrs: Mapping[str, Any]) -> bool:
        """Say whether argument `k`'s samples do not mix; see `Argument`. Unknown, hence False, where there is no rule."""
        rule = self._rule(k)
        return rule is not None and rule.per_sample(shapes, attrs)

    def _rule(self, k: int) -> Argument | None:
        if k < len(self.arguments):
            return self.arguments[k]
        return self.arguments[-1] if self.variadic else None
