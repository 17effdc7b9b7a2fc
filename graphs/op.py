"""Entry of the op table: forward rule, and per argument a vjp rule, a Jacobian rule and a floor kernel.

Each rule receives an `ArgumentContext` ``ctx``. Rules of an op:

- forward: ``(xp, *xs, **attrs) → y``, in functions of the array library `xp`;
- vjp: ``(y_bar, y, xs, ctx) → x_bar`` with y_bar of shape (S, *y.shape) and x_bar of shape (S, *x.shape). Returns a new
  array, or y_bar or a view of it, and never writes to its inputs;
- jvp: ``(x_dot, y, xs, ctx) → y_dot`` with x_dot of shape (S, *x.shape) and y_dot of shape (S, *y.shape), the same terms;
- Jacobian: a structure (positions of the entries) and ``(y, xs, ctx) → values``, broadcastable to the structure's extent;
- floor kernel: library calls with preallocated outputs that compute the same as the rule. `bench.floor` times them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
from jacobench.graphs.calls import Call, Calls

if TYPE_CHECKING:
    from jacobench.graphs.structures.sparsity import Structure

OUTPUT = -1
"""Number of an op's output, where arguments are numbered 0, 1, …."""

VjpRule = Callable[[Array, Array, Arrays, ArgumentContext], Array]
JvpRule = Callable[[Array, Array, Arrays, ArgumentContext], Array]
JacobianValues = Callable[[Array, Arrays, ArgumentContext], Array]
FillRule = Callable[[Array, Array, Arrays, ArgumentContext], Iterable[Call]]
Count = Callable[[ArgumentContext], int]
Example = Callable[..., Any]
ShapePredicate = Callable[[Shapes, Attrs], bool]

ForwardFloor = Callable[[Arrays, Array, Attrs], Calls]
"""(xs, y, attrs) → calls that write the op's output to y. Allocates their scratch arrays."""

VjpFloor = Callable[[Array, Array, Arrays, Array, ArgumentContext], Calls]
"""(y_bar (S, …), y, xs, x_bar (S, …), ctx) → calls that write the cotangents to x_bar. Allocates their scratch arrays."""

ValuesFloor = Callable[[Array, Arrays, Array, ArgumentContext], Calls]
"""(y, xs, values, ctx) → calls that write the entries of the local Jacobian to `values`. Allocates their scratch arrays."""


def multiply_in_place(slope: Array, y_bar: Array) -> Array:
    """Multiply a new slope, shape (1, *x.shape), by cotangents (S, *x.shape): in place for one seed.

    A second array costs as much as the product. NumPy takes half as long if both have the same number of axes.
    """
    return np.multiply(slope, y_bar, slope if len(y_bar) == 1 else None)


def never(_shapes: Shapes, _attrs: Attrs) -> bool:
    """Return False."""
    return False


def zero(_ctx: ArgumentContext) -> int:
    """Return 0."""
    return 0


def arrays(count: int, masks: int = 0) -> Count:
    """Count the bytes of arrays and masks as large as the argument."""
    return lambda ctx: ctx.n_in * (count * ctx.dtype.itemsize + masks)


def output_size(ctx: ArgumentContext) -> int:
    """Return the number of entries of the output."""
    return ctx.n_out


@dataclass(frozen=True)
class Jacobian:
    """Rule for a local Jacobian, shape (outputs, inputs).

    Attributes
    ----------
    structure : Structure
        Positions of its entries.
    values : callable
        (y, xs, ctx) → the entries, broadcastable to the structure's extent.
    floor : callable or None
        Floor kernel of `values`; None if these are one constant or a view of a primal. Its `values` have the structure's
        extent if the rule `allocates`, otherwise the shape that the rule returns.
    allocates : bool
        Whether `values` allocates an array of the whole extent; otherwise it may return a view of a primal.
    flops : callable
        ctx → arithmetic operations of `values`. An elementary function counts as one.
    scratch, fill_scratch : callable
        ctx → bytes that `values` and `fill` allocate and free in addition to their result; 0 where negligible.
    fill : callable or None
        Direct dense rule, (J, y, xs, ctx) → calls that write the entries to J, zeros of shape (samples, outputs per
        sample, inputs per sample). They run in order, as they are yielded. For a structure with an index, where
        scattering would be slow.
    """

    structure: Structure
    values: JacobianValues
    floor: ValuesFloor | None = None
    allocates: bool = False
    flops: Count = zero
    scratch: Count = zero
    fill: FillRule | None = None
    fill_scratch: Count = zero


@dataclass(frozen=True, eq=False)
class Argument:
    """Backward rules of one argument.

    Attributes
    ----------
    vjp : callable
        (y_bar, y, xs, ctx) → x_bar.
    jvp : callable
        (x_dot, y, xs, ctx) → y_dot, the transposed map. It may read all primals.
    jacobian : Jacobian
        The same map as a matrix.
    residuals : tuple of int
        Primals that the vjp rule reads (`OUTPUT`, or argument numbers). It receives None for the others.
    flops : callable
        ctx → arithmetic operations of the vjp rule for one seed.
    per_sample_vjp : callable or None
        For an argument that all samples share: the vjp rule of each sample separately, (y_bar, y, xs, ctx) → x_bar with
        y_bar of shape (S, B, …) and x_bar of shape (B, S, *x.shape), a new array.
    per_sample_floor : callable or None
        Floor kernel of `per_sample_vjp`.
    per_sample : callable
        (shapes, attrs) → whether sample i of the output depends only on sample i of this argument, provided that the
        argument's leading axis is the batch. False for weights, which samples share, and for losses, which average.
    scratch, scratch_once : callable
        ctx → bytes that the vjp rule allocates and frees in addition to its result: per seed, and once for all seeds.
    returns_cotangent : callable
        ctx → whether the vjp rule returns y_bar or a view of it, and allocates nothing.
    floor : callable
        Floor kernel of the vjp rule; `no_calls` if the rule always returns y_bar or a view of it.
    """

    vjp: VjpRule
    jvp: JvpRule
    jacobian: Jacobian
    floor: VjpFloor
    residuals: tuple[int, ...] = ()
    flops: Count = zero
    per_sample_vjp: VjpRule | None = None
    per_sample_floor: VjpFloor | None = None
    per_sample: ShapePredicate = lambda _shapes, _attrs: True
    scratch: Count = zero
    scratch_once: Count = zero
    returns_cotangent: Callable[[ArgumentContext], bool] = lambda _ctx: False


@dataclass(frozen=True, eq=False)
class Op:
    """Operation of a graph.

    Attributes
    ----------
    name : str
        Name of its method of `GraphBuilder`.
    forward : callable
        (xp, *xs, **attrs) → y.
    shape : callable
        (shapes, attrs) → the output's shape. Raises BadInput if the shapes do not fit.
    arguments : tuple of (Argument or None)
        Rules per argument, None for one that cannot be differentiated. A variadic op repeats its last.
    source : str
        Definition, with its source.
    example : callable
        (builder, batch, size) → an output of this op; small by default. Used by tests, `verify` and the docs.
    flops : callable
        ctx of argument 0 → arithmetic operations of the forward rule.
    attrs : mapping
        Names of the attributes and their defaults.
    prepare : callable
        (attrs, shapes of the arguments) → checked attrs in the form that the rules need.
    variadic : bool
        Whether it takes any number of arguments, at least one.
    scratch : callable
        ctx of argument 0 → bytes that the forward rule allocates and frees in addition to its result.
    is_view : bool
        Whether the forward rule returns a view of its one argument, and allocates nothing.
    needs_order : bool
        Whether it does so only where the argument's entries are adjacent as the view needs them; otherwise it copies them.
    is_general : bool
        Whether its rules serve many ops and may be slower than special ones; `explain` names such ops of imported models.
    result : {"float", "bool"}
        Kind of the output. Only floating-point outputs, in the graph's dtype, can be differentiated.
    is_piecewise_constant : bool
        Whether its derivative is zero, as of ``floor``. It has no rules, and its arguments have the graph's dtype.
    rules : callable or None
        (shapes, output's shape, attrs) → rules per argument, for an op whose arguments broadcast or whose residuals depend on
        attributes. They are `arguments` for equal shapes and the usual attributes.
    like : str or None
        Op of the same form whose measured rates the time model uses for this one. Slow tests run for that op only, unless
        ``long`` is selected.
    floor : callable
        Floor kernel of the forward rule; `no_calls` for a view.
    """

    name: str
    forward: Callable[..., Any]
    floor: ForwardFloor
    shape: Callable[[Shapes, Attrs], Shape]
    arguments: tuple[Argument | None, ...]
    source: str
    example: Example
    flops: Count = zero
    attrs: Attrs = field(default_factory=dict)
    prepare: Callable[[Attrs, Shapes], Attrs] = lambda attrs, _shapes: attrs
    variadic: bool = False
    scratch: Count = zero
    is_view: bool = False
    needs_order: bool = False
    is_general: bool = False
    result: Literal["float", "bool"] = "float"
    is_piecewise_constant: bool = False
    rules: Callable[[Shapes, Shape, Attrs], tuple[Argument | None, ...]] | None = None
    like: str | None = None

    @property
    def is_differentiable(self) -> bool:
        """Whether its output can have a derivative other than zero."""
        return self.result == "float" and not self.is_piecewise_constant

    def at(self, shapes: Shapes, out: Shape, attrs: Attrs) -> Op:
        """Return this op with the rules for arguments of these shapes, and for these attributes."""
        arguments = self.arguments if self.rules is None else self.rules(shapes, out, attrs)
        return self if arguments is self.arguments else replace(self, arguments=arguments)

    def dtype_of_output(self, dtype: np.dtype[np.floating]) -> np.dtype[Any]:
        """Return the dtype of its output in a graph of this dtype."""
        return dtype if self.result == "float" else np.dtype(self.result)

    def argument(self, k: int) -> Argument:
        """Return the rules of argument `k`, counted from 0.

        Raises
        ------
        NotImplementedError
            If there is no rule; the message names the op and the argument.
        """
        rule = self._rule(k)
        if rule is None:
            raise NotImplementedError(f"op {self.name!r} has no backward rule for argument {k}")
        return rule

    def per_sample(self, k: int, shapes: Shapes, attrs: Attrs) -> bool:
        """Return `Argument.per_sample` of argument `k`; False if it has no rule."""
        rule = self._rule(k)
        return rule is not None and rule.per_sample(shapes, attrs)

    def takes_any_dtype(self, k: int) -> bool:
        """Return whether argument `k` may be of another dtype than the graph's, because it cannot be differentiated."""
        return not self.has_rules(k) and not self.is_piecewise_constant

    def has_rules(self, k: int) -> bool:
        """Return whether argument `k` has backward rules."""
        return self._rule(k) is not None

    def _rule(self, k: int) -> Argument | None:
        if k < len(self.arguments):
            return self.arguments[k]
        return self.arguments[-1] if self.variadic else None
