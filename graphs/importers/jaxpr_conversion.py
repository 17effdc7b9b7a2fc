"""Conversion of a jaxpr to nodes, equation by equation: calls are inlined, loops of constant length are unrolled.

Equations that no leaf reaches are evaluated by JAX. Equations that the output does not need are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers.jax_movement import entry, stacked
from jacobench.graphs.importers.jax_operands import NotExpressible, Operand, OperandBuilder, is_float, is_value
from jacobench.graphs.importers.jax_primitives import OF_INTEGERS, PRIMITIVES

if TYPE_CHECKING:
    from collections.abc import Sequence

INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "core_closed_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "composite": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}
"""Primitive that calls a function → the parameter that holds the function's jaxpr."""

CUSTOM_RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("relu", {}),
    "relu6": ("clamp", {"low": 0.0, "high": 6.0, "ends": 0.0}),
    "logaddexp": ("logaddexp", {}),
}
"""JAX's own functions with a custom_jvp rule that differs from the derivative of their equations at a kink → the op."""

Live = list[tuple[Any, tuple[bool, ...]]]
"""Equations that are needed, in order, each with whether its outputs are needed."""


class Unknown:
    """Result of an equation that cannot be converted, if it is not a number."""

    def __init__(self, aval: Any) -> None:
        self.shape, self.dtype = aval.shape, aval.dtype


def is_constant(x: Operand) -> bool:
    """Return whether an operand does not depend on a leaf."""
    return not (is_value(x) or isinstance(x, Unknown))


@dataclass
class JaxprConversion:
    """Conversion of one jaxpr.

    Attributes
    ----------
    g : OperandBuilder
        Receives the nodes.
    own_folders : tuple of str
        Folders of JAX and of the importers: a frame of a stack there is not a place in the model.
    missing : list of tuple of str
        Primitives that cannot be converted, and their places.
    custom : list of tuple of str
        Functions of the model with a derivative rule of their own, which is not converted, and their places.
    """

    g: OperandBuilder
    own_folders: tuple[str, ...]
    missing: list[tuple[str, str]] = field(default_factory=list)
    custom: list[tuple[str, str]] = field(default_factory=list)
    _removed: dict[int, str] = field(default_factory=dict)
    _live: dict[Any, Live] = field(default_factory=dict)
    _n_placeholders: int = 0

    def run(self, closed: Any, args: Sequence[Operand], used: Sequence[bool] = (), site: Any = None) -> list[Operand]:
        """Convert a jaxpr; return its outputs. `used`: which of them are needed, all by default; others may be None.

        `site` is the equation that calls it, which has a place in the model if the jaxpr is that of a function of JAX.
        """
        jaxpr = getattr(closed, "jaxpr", closed)
        env: dict[Any, Operand] = dict(zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        caller = site if self._is_own(str(jaxpr.debug_info.func_filename)) else None

        def read(atom: Any) -> Operand:
            return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else env.get(atom)

        for equation, needed in self._needed(jaxpr, tuple(used) or (True,) * len(jaxpr.outvars)):
            operands = [read(atom) for atom in equation.invars]
            outputs = self._equation(equation, operands, needed, equation if caller is None else caller)
            env.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    @property
    def removed(self) -> tuple[str, ...]:
        """Primitives of the equations that the output does not need, or that no leaf reaches."""
        return tuple(self._removed.values())

    def _needed(self, jaxpr: Any, used: tuple[bool, ...]) -> Live:
        """List the equations that the used outputs need. The list is kept: loops ask for it in each iteration."""
        key = id(jaxpr), used
        if key not in self._live:
            needed = {id(atom) for atom, is_used in zip(jaxpr.outvars, used, strict=True) if is_used}
            live: Live = []
            for equation in reversed(jaxpr.eqns):
                outputs = tuple(id(variable) in needed for variable in equation.outvars)
                if any(outputs):
                    live.append((equation, outputs))
                    needed.update(map(id, equation.invars))
                else:
                    self._remove(equation)
            self._live[key] = live[::-1]
        return self._live[key]

    def _remove(self, equation: Any) -> None:
        self._removed[id(equation)] = equation.primitive.name

    def _equation(self, equation: Any, args: list[Operand], used: tuple[bool, ...], site: Any) -> Sequence[Operand]:
        name = equation.primitive.name
        if name in INLINED:
            return self._inlined(equation, args, used, site)
        if all(map(is_constant, args)):
            return self._folded(equation, args)
        if name in CONTROL_FLOW:
            return CONTROL_FLOW[name](self, equation, args, used, site)
        return self._applied(equation, args, site)

    def _folded(self, equation: Any, args: list[Operand]) -> Sequence[Operand]:
        """Evaluate an equation of constants with JAX."""
        self._remove(equation)
        results = equation.primitive.bind(*args, **equation.params)
        return results if equation.primitive.multiple_results else [results]

    def _inlined(self, equation: Any, args: list[Operand], used: tuple[bool, ...], site: Any) -> Sequence[Operand]:
        name = equation.primitive.name
        function = equation.params[INLINED[name]]
        debug_info = getattr(function, "jaxpr", function).debug_info
        is_own = self._is_own(str(debug_info.func_filename))
        if name.startswith("custom") and any(map(is_value, args)):
            known = CUSTOM_RULES.get(debug_info.func_name) if is_own else None
            if known:
                return [self.g.elementwise(known[0], *args, **known[1])]
            if not is_own:
                self.custom.append((f"{name} of {debug_info.func_name}", self._place(site)))
        return self.run(function, args, used, site)

    def _applied(self, equation: Any, args: list[Operand], site: Any) -> Sequence[Operand]:
        """Apply the rule of a primitive; if there is none, record this, and go on."""
        name = equation.primitive.name
        avals = [variable.aval for variable in equation.outvars]
        if all(0 in aval.shape for aval in avals):
            return [np.zeros(aval.shape, aval.dtype) for aval in avals]
        if name not in PRIMITIVES:
            return self.not_converted(name, equation, site)
        if any(isinstance(x, Unknown) for x in args):
            return self._placeholders(avals)
        try:
            results = self._results(equation, args)
        except NotExpressible as reason:
            return self.not_converted(str(reason), equation, site)
        except BadInput as error:
            return self.not_converted(f"{name}: {error}", equation, site)
        if [result.shape for result in results] != [aval.shape for aval in avals]:
            raise AssertionError(f"{name} has shapes {[result.shape for result in results]}: JAX's are {avals}")
        return results

    def _results(self, equation: Any, args: list[Operand]) -> Sequence[Operand]:
        name, variables = equation.primitive.name, [*equation.invars, *equation.outvars]
        if name == "convert_element_type" and all(np.issubdtype(v.aval.dtype, np.integer) for v in variables):
            return args
        results = PRIMITIVES[name](self.g, equation.params, *self._numbers(equation, args))
        return results if isinstance(results, list) else [results]

    def _numbers(self, equation: Any, args: list[Operand]) -> list[Operand]:
        """Return operands; integers as floating-point numbers if one of them is computed, as values are."""
        name = equation.primitive.name
        are_integers = [np.issubdtype(atom.aval.dtype, np.integer) for atom in equation.invars]
        if not any(is_value(x) for x, is_integer in zip(args, are_integers, strict=True) if is_integer):
            return args
        if name not in OF_INTEGERS:
            raise NotExpressible(f"{name} of computed integers")
        pairs = zip(args, are_integers, strict=True)
        return [np.asarray(x, float) if is_integer and is_constant(x) else x for x, is_integer in pairs]

    def not_converted(self, name: str, equation: Any, site: Any) -> list[Operand]:
        """Record what cannot be converted; return results with which the conversion can go on."""
        self.missing.append((name, self._place(site)))
        return self._placeholders([variable.aval for variable in equation.outvars])

    def _placeholders(self, avals: Sequence[Any]) -> list[Operand]:
        return [self._placeholder(aval) for aval in avals]

    def _placeholder(self, aval: Any) -> Operand:
        if 0 in aval.shape:
            return np.zeros(aval.shape, aval.dtype)
        if not is_float(aval):
            return Unknown(aval)
        self._n_placeholders += 1
        return self.g.g.input(f"unsupported {self._n_placeholders}", aval.shape)

    def _place(self, equation: Any) -> str:
        """Return function and line in the model."""
        for frame in equation.source_info.traceback.frames if equation.source_info.traceback else ():
            if not self._is_own(frame.file_name):
                function = frame.function_name.rpartition("<locals>.")[2]
                return f"{function}, line {frame.line_num} of {PurePath(frame.file_name).name}"
        return ""

    def _is_own(self, file: str) -> bool:
        return file.startswith(self.own_folders)


def _scan(c: JaxprConversion, equation: Any, args: list[Operand], used: tuple[bool, ...], site: Any) -> list[Operand]:
    """Unroll a loop of fixed length."""
    p = equation.params
    n_consts, n_carry, length = p["num_consts"], p["num_carry"], p["length"]
    consts, carry, sequences = args[:n_consts], args[n_consts : n_consts + n_carry], args[n_consts + n_carry :]
    collected: list[list[Operand]] = []
    for k in reversed(range(length)) if p["reverse"] else range(length):
        xs = [entry(c.g, sequence, k) for sequence in sequences]
        results = c.run(p["jaxpr"], [*consts, *carry, *xs], (True,) * n_carry + used[n_carry:], site)
        carry = results[:n_carry]
        collected.append(results[n_carry:])
    by_output = zip(*(collected[::-1] if p["reverse"] else collected), strict=True)
    stacks = [stacked(c.g, ys) if needed else None for ys, needed in zip(by_output, used[n_carry:], strict=True)]
    return [*carry, *stacks]


def _while(c: JaxprConversion, equation: Any, args: list[Operand], _used: tuple[bool, ...], site: Any) -> list[Operand]:
    """Unroll a loop whose condition depends on no leaf."""
    p = equation.params
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    carry = args[n_cond + n_body :]
    while True:
        (goes_on,) = c.run(p["cond_jaxpr"], [*args[:n_cond], *carry], (), site)
        if not is_constant(goes_on):
            return c.not_converted("while", equation, site)
        if not goes_on:
            return carry
        carry = c.run(p["body_jaxpr"], [*args[n_cond : n_cond + n_body], *carry], (), site)


def _cond(c: JaxprConversion, equation: Any, args: list[Operand], used: tuple[bool, ...], site: Any) -> list[Operand]:
    """Inline the chosen branch, if the choice depends on no leaf."""
    which, *rest = args
    if not is_constant(which):
        return c.not_converted("cond", equation, site)
    branches = equation.params["branches"]
    return c.run(branches[min(max(int(which), 0), len(branches) - 1)], rest, used, site)


CONTROL_FLOW = {"scan": _scan, "while": _while, "cond": _cond}
