"""Formulas of elementwise functions, recorded once and then run as NumPy calls that write in place.

One formula gives the values, the floor, the number of operations and the scratch memory of a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from jacobench.graphs.arrays.namespaces import NUMPY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array, Arrays, Attrs
    from jacobench.graphs.calls import Call

IN_PLACE: Mapping[str, Any] = {
    "erf": special.erf,
    "erfc": special.erfc,
    "sigmoid": NUMPY.sigmoid,
    "cos": NUMPY.cos,
}
"""Functions with an output argument, where NumPy has none of this name or a slower one."""

MAY_WARN = frozenset(
    {"arccos", "arccosh", "arcsin", "arctanh", "cosh", "divide", "exp", "expm1", "float_power", "log", "log1p"}
    | {"power", "reciprocal", "remainder", "fmod", "sinh", "sqrt", "square"}
)
"""Functions of NumPy that warn outside of their domain or of the range of a float, where other libraries do not."""


class Term:
    """Operand of a recorded formula: an argument, or the result of a step. Comparisons give 1 or 0."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.recorder, self.number = recorder, number

    def __add__(self, other: Any) -> Term:
        return self.recorder.call(np.add, self, other)

    def __radd__(self, other: Any) -> Term:
        return self.recorder.call(np.add, other, self)

    def __sub__(self, other: Any) -> Term:
        return self.recorder.call(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Term:
        return self.recorder.call(np.subtract, other, self)

    def __mul__(self, other: Any) -> Term:
        return self.recorder.call(np.multiply, self, other)

    def __rmul__(self, other: Any) -> Term:
        return self.recorder.call(np.multiply, other, self)

    def __truediv__(self, other: Any) -> Term:
        return self.recorder.call(np.divide, self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.recorder.call(np.divide, other, self)

    def __neg__(self) -> Term:
        return self.recorder.call(np.negative, self)

    def __gt__(self, other: Any) -> Term:
        return self.recorder.call(np.greater, self, other)

    def __ge__(self, other: Any) -> Term:
        return self.recorder.call(np.greater_equal, self, other)

    def __lt__(self, other: Any) -> Term:
        return self.recorder.call(np.less, self, other)

    def __le__(self, other: Any) -> Term:
        return self.recorder.call(np.less_equal, self, other)


class Recorder:
    """Namespace that records the functions that a formula calls. Operands are numbers or terms."""

    def __init__(self, n_arguments: int) -> None:
        self.arguments = [Term(self, k) for k in range(n_arguments)]
        self.steps: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def call(self, function: Callable[..., Any], *operands: Any) -> Term:
        """Record a call; return its result."""
        self.steps.append((function, operands))
        return Term(self, len(self.arguments) + len(self.steps) - 1)

    def __getattr__(self, name: str) -> Callable[..., Term]:
        function = IN_PLACE.get(name) or getattr(np, name)
        if not isinstance(function, np.ufunc) and name not in IN_PLACE:
            raise NotImplementedError(f"{name} cannot write in place")
        return lambda *operands: self.call(function, *operands)


def _maximum(x: Any, y: Any, out: Any) -> Any:
    return np.maximum(x, y, out=out)


def _minimum(x: Any, y: Any, out: Any) -> Any:
    return np.minimum(x, y, out=out)


NAMED: Mapping[Any, Callable[..., Any]] = {np.maximum: _maximum, np.minimum: _minimum}
"""Functions that require the name of their output argument, and the same without it."""

_umath: Any = import_module("numpy._core.umath")
_SILENT = _umath._make_extobj(all="ignore")  # noqa: SLF001


def silently(run: Callable[..., Any], *given: Any) -> Any:
    """Call a function without warnings of NumPy: in 0.3 µs, where ``np.errstate`` takes 1.2."""
    token = _umath._extobj_contextvar.set(_SILENT)  # noqa: SLF001
    try:
        return run(*given)
    finally:
        _umath._extobj_contextvar.reset(token)  # noqa: SLF001


@dataclass(frozen=True, eq=False)
class Program:
    """Steps of a formula: (function, number of its operand, number of a second one or −1, number of its result).

    Values are numbered: arguments, constants, the output, and scratch arrays of its shape. `used` are the arguments that
    are read. `may_warn`: whether NumPy may warn where a result is not finite.
    """

    steps: tuple[tuple[Callable[..., Any], int, int, int], ...]
    constants: tuple[Any, ...]
    n_scratch: int
    used: frozenset[int]
    may_warn: bool

    @property
    def n_steps(self) -> int:
        """Number of operations for each entry of the output."""
        return len(self.steps)

    def calls(self, arguments: Sequence[Any], out: Array) -> list[Call]:
        """Return the calls that write the result to `out`."""
        values = self._values(arguments, out)
        return [
            _call(function, [values[i] for i in (first, second) if i >= 0], values[n])
            for function, first, second, n in self.steps
        ]

    def run(self, arguments: Sequence[Any], out: Array) -> Array:
        """Write the result to `out`, to whose shape the arguments broadcast, and return it."""
        if self.may_warn:
            silently(self._run, arguments, out)
        else:
            self._run(arguments, out)
        return out

    def single(self, arguments: Sequence[Any]) -> Array:
        """Return the result of the only step as a new array, in less time than `run` takes."""
        ((function, first, second, _),) = self.steps
        values = [*arguments, *self.constants]
        given = (values[first],) if second < 0 else (values[first], values[second])
        result: Array = silently(function, *given) if self.may_warn else function(*given)
        return result

    def _run(self, arguments: Sequence[Any], out: Array) -> None:
        values = self._values(arguments, out)
        for function, first, second, n in self.steps:
            if second < 0:
                function(values[first], values[n])
            else:
                NAMED.get(function, function)(values[first], values[second], values[n])

    def _values(self, arguments: Sequence[Any], out: Array) -> list[Any]:
        scratch = [np.empty(out.shape, out.dtype) for _ in range(self.n_scratch)] if self.n_scratch else ()
        return [*arguments, *self.constants, out, *scratch]


def _call(function: Callable[..., Any], operands: list[Any], out: Array) -> Call:
    """Return a call that writes to `out`; np.maximum and np.minimum require its name."""
    if function in NAMED:
        return (partial(function, out=out), tuple(operands))
    return (function, (*operands, out))


def record(formula: Callable[..., Any], n_arguments: int, attrs: Attrs) -> Program:
    """Record ``formula(xp, *arguments, **attrs)``, which must call at least one function."""
    recorder = Recorder(n_arguments)
    result = formula(recorder, *recorder.arguments, **attrs)
    if not isinstance(result, Term) or result.number != n_arguments + len(recorder.steps) - 1 or not recorder.steps:
        raise NotImplementedError("the result of a formula is not that of its last step")
    return _allocate(recorder, n_arguments)


def _allocate(recorder: Recorder, n_arguments: int) -> Program:
    """Choose an array for each result: that of an operand that is not needed later, or else a new one."""
    constants = [one for _, operands in recorder.steps for one in operands if not isinstance(one, Term)]
    last_use = {
        one.number: k for k, (_, operands) in enumerate(recorder.steps) for one in operands if isinstance(one, Term)
    }
    given = n_arguments + len(constants)
    places: dict[int, int] = {}  # number of a result → its array
    free: list[int] = []
    n_arrays = 0
    numbered = iter(range(n_arguments, given))
    steps = []
    for k, (function, operands) in enumerate(recorder.steps):
        read = [next(numbered) if not isinstance(one, Term) else places.get(one.number, one.number) for one in operands]
        over = {one.number for one in operands if isinstance(one, Term) and last_use[one.number] == k}
        free += sorted(places[number] for number in over if number >= n_arguments)
        if not free:
            free.append(given + n_arrays)
            n_arrays += 1
        places[n_arguments + k] = free.pop(0)
        first, second = [*read, -1][:2]
        steps.append((function, first, second, places[n_arguments + k]))
    swapped = {given: steps[-1][3], steps[-1][3]: given}  # the last result is the output, which is the first array
    return Program(
        tuple(
            (function, swapped.get(first, first), swapped.get(second, second), swapped.get(place, place))
            for function, first, second, place in steps
        ),
        tuple(constants),
        n_arrays - 1,
        frozenset(last_use) & frozenset(range(n_arguments)),
        any(getattr(function, "__name__", "") in MAY_WARN for function, _ in recorder.steps),
    )


@dataclass(eq=False)
class Formula:
    """Formula ``(xp, *arguments, **attrs)``, recorded once for each value of the attributes."""

    formula: Callable[..., Any]
    n_arguments: int
    _programs: dict[tuple[Any, ...], Program] = field(default_factory=dict)

    def program(self, attrs: Attrs) -> Program:
        """Return the recorded steps."""
        key = tuple(attrs.values()) if attrs else ()
        found = self._programs.get(key)
        if found is None:
            found = self._programs[key] = record(self.formula, self.n_arguments, attrs)
        return found

    def new(self, xs: Arrays, attrs: Attrs, dtype: Any = None) -> Array:
        """Return the result as a new array of the shape to which the arguments broadcast; by default of their dtype."""
        program = self.program(attrs)
        if program.n_steps == 1:
            return program.single(xs)
        shape = xs[0].shape if len(xs) == 1 else np.broadcast(*xs).shape
        return program.run(xs, np.empty(shape, dtype or xs[-1].dtype))
