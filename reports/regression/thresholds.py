"""Thresholds of the gate, as read from ``[tool.jacobench.gate]`` in pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.graphs.errors import BadInput, real_number, unknown, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PAIRS, MIN_PAIRS = 30, 8
"""Per stage. Fewer than eight pairs cannot confirm a slowdown: see `paired_test.CONFIRM`."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of one row: larger changes are regressions.

    ``time``, ``memory`` (peak and retained bytes) and ``counts`` (non-zeros, flops) are relative: 0.02 is 2 %.
    ``memory_bytes``: smallest growth of memory that counts. ``exponent``: growth of the exponent of a power law.
    """

    time: float = 0.02
    memory: float = 0.01
    memory_bytes: int = 64 * 1024
    counts: float = 0.01
    exponent: float = 0.1


@dataclass(frozen=True)
class ThresholdRule:
    """Thresholds of the rows whose case and strategy match the globs."""

    case: str
    strategy: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class GateThresholds:
    """All thresholds of a gate. A later rule overrides an earlier one. ``pairs``: most pairs in each stage."""

    default: Thresholds = field(default_factory=Thresholds)
    rules: tuple[ThresholdRule, ...] = ()
    pairs: int = MAX_PAIRS

    @property
    def tightest(self) -> float:
        """The smallest time threshold of any row."""
        return min([self.default.time, *(float(rule.values["time"]) for rule in self.rules if "time" in rule.values)])

    def of(self, case: str, strategy: str) -> Thresholds:
        """Return the thresholds of the rows of a case and a strategy."""
        found = self.default
        for rule in self.rules:
            if fnmatchcase(case, rule.case) and fnmatchcase(strategy, rule.strategy):
                found = replace(found, **rule.values)
        return found


def read_thresholds(table: Mapping[str, Any], where: str = "[tool.jacobench.gate]") -> GateThresholds:
    """Read the thresholds from a parsed TOML table, named ``where`` in errors: `BadInput` for an invalid key or value.

    Its keys are the fields of `Thresholds`, ``pairs``, and ``rows``: a list of tables with the globs ``case`` and
    ``strategy`` (default: all) and the thresholds that differ there.

    Examples
    --------
    >>> thresholds = read_thresholds({"time": 0.03, "rows": [{"strategy": "sparse*", "time": 0.05}]})
    >>> thresholds.of("mlp-w64-d2-b1", "sparse").time, thresholds.of("mlp-w64-d2-b1", "vjp").time
    (0.05, 0.03)
    """
    _known(table, (*READERS, "pairs", "rows"), where)
    rows = table.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{where} has rows = {rows!r}: expected tables, each under [[tool.jacobench.gate.rows]]")
    return GateThresholds(
        replace(Thresholds(), **_thresholds(table, where)),
        tuple(_rule(row, f"{where} rows[{number}]") for number, row in enumerate(rows)),
        _pairs(table.get("pairs", MAX_PAIRS), f"{where} pairs"),
    )


def _rule(row: Mapping[str, Any], where: str) -> ThresholdRule:
    _known(row, (*READERS, "case", "strategy"), where)
    globs = {name: row.get(name, "*") for name in ("case", "strategy")}
    for name, glob in globs.items():
        if not isinstance(glob, str):
            raise BadInput(f"{where} {name} is {glob!r}: expected a glob, such as 'mlp-*'")
    return ThresholdRule(**globs, values=_thresholds(row, where))


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in names:
            raise unknown(f"key in {where}", key, names)


def _thresholds(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {name: read(f"{where} {name}", table[name]) for name, read in READERS.items() if name in table}


def _positive(what: str, given: Any, *, below: float, expected: str) -> float:
    value = real_number(what, given)
    if isinstance(given, bool) or not 0 < value < below:
        raise BadInput(f"{what} is {given!r}: expected {expected}")
    return value


def _bytes(what: str, given: Any) -> int:
    if isinstance(given, str):
        return parse_bytes(given)
    value = whole_number(what, given)
    if isinstance(given, bool) or value < 0:
        raise BadInput(f"{what} is {given!r}: expected bytes, 0 or more, such as '64KiB'")
    return value


def _pairs(given: Any, what: str) -> int:
    value = whole_number(what, given)
    if isinstance(given, bool) or not MIN_PAIRS <= value <= MAX_PAIRS or value % 2:
        raise BadInput(f"{what} is {given!r}: expected an even number from {MIN_PAIRS} to {MAX_PAIRS}")
    return value


_share = partial(_positive, below=1, expected="a share above 0 and below 1, such as 0.02 for 2 %")
_exponent = partial(_positive, below=10, expected="a difference of exponents above 0 and below 10, such as 0.1")

READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "time": _share,
    "memory": _share,
    "memory_bytes": _bytes,
    "counts": _share,
    "exponent": _exponent,
}
"""Field of `Thresholds` → function that reads its value."""
