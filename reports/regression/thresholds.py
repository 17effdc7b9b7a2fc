"""Thresholds of the gate, as read from ``[tool.jacobench.gate]`` in pyproject.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import BadInput, real_number, unknown, whole_number

MAX_PAIRS, MIN_PAIRS = 64, 10
"""Per stage. Fewer than ten pairs cannot confirm a slowdown: see `paired_test.CONFIRM`."""


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


FIELDS = tuple(entry.name for entry in fields(Thresholds))


@dataclass(frozen=True)
class ThresholdRule:
    """Thresholds of the rows whose case and strategy match the globs."""

    case: str
    strategy: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class GateThresholds:
    """All thresholds of a gate. A later rule overrides an earlier one.

    ``pairs``: most pairs in each stage. ``cases``: all cases, so that the exact name of one selects no other.
    """

    default: Thresholds = field(default_factory=Thresholds)
    rules: tuple[ThresholdRule, ...] = ()
    pairs: int = MAX_PAIRS
    cases: tuple[str, ...] = ()

    @property
    def tightest(self) -> float:
        """The smallest time threshold of any row."""
        return min([self.default.time, *(float(rule.values["time"]) for rule in self.rules if "time" in rule.values)])

    def of(self, case: str, strategy: str) -> Thresholds:
        """Return the thresholds of the rows of a case and a strategy."""
        found = self.default
        for rule, cases in zip(self.rules, self._cases_of_rules, strict=True):
            is_of_case = case in cases if self.cases else matching(rule.case, (case,))
            if is_of_case and matching(rule.strategy, (strategy,)):
                found = replace(found, **rule.values)
        return found

    @cached_property
    def _cases_of_rules(self) -> list[frozenset[str]]:
        """Cases of each rule. They are found once, because a suite may have thousands."""
        return [frozenset(matching(rule.case, self.cases)) for rule in self.rules]


def read_thresholds(table: Mapping[str, Any], where: str = "[tool.jacobench.gate]") -> GateThresholds:
    """Read the thresholds from a parsed TOML table, named ``where`` in errors: `BadInput` for an invalid key or value.

    Its keys are the fields of `Thresholds`, ``pairs``, and ``rows``: a list of tables with the globs ``case`` and
    ``strategy`` (default: all) and the thresholds that differ there.

    >>> thresholds = read_thresholds({"time": 0.03, "rows": [{"strategy": "sparse*", "time": 0.05}]})
    >>> thresholds.of("mlp-w64-d2-b1", "sparse").time, thresholds.of("mlp-w64-d2-b1", "vjp").time
    (0.05, 0.03)
    """
    _known(table, (*CHECKS, "rows"), where)
    rows = table.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{where} has rows = {rows!r}: expected tables, each under [[tool.jacobench.gate.rows]]")
    return GateThresholds(
        replace(Thresholds(), **_thresholds(table, where)),
        tuple(_rule(row, f"{where} rows[{number}]") for number, row in enumerate(rows)),
        _valid("pairs", table.get("pairs", MAX_PAIRS), where),
    )


def _rule(row: Mapping[str, Any], where: str) -> ThresholdRule:
    _known(row, (*FIELDS, "case", "strategy"), where)
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
    return {name: _valid(name, table[name], where) for name in FIELDS if name in table}


def _valid(name: str, given: Any, where: str) -> Any:
    read, is_valid, expected = CHECKS[name]
    value = read(f"{where} {name}", given)
    if isinstance(given, bool) or not is_valid(value):
        raise BadInput(f"{where} {name} is {given!r}: expected {expected}")
    return value


def _bytes(what: str, given: Any) -> int:
    return parse_bytes(given) if isinstance(given, str) else whole_number(what, given)


Check = tuple[Callable[[str, Any], Any], Callable[[Any], bool], str]

SHARE: Check = (real_number, lambda value: 0 < value < 1, "a share above 0 and below 1, such as 0.02 for 2 %")
CHECKS: Mapping[str, Check] = {
    "time": SHARE,
    "memory": SHARE,
    "counts": SHARE,
    "memory_bytes": (_bytes, lambda value: value >= 0, "bytes, 0 or more, such as '64KiB'"),
    "exponent": (
        real_number,
        lambda value: 0 < value < 10,
        "a difference of exponents above 0 and below 10, such as 0.1",
    ),
    "pairs": (
        whole_number,
        lambda value: value in range(MIN_PAIRS, MAX_PAIRS + 1, 2),
        f"an even number from {MIN_PAIRS} to {MAX_PAIRS}",
    ),
}
"""Key → function that reads its value, function that checks it, and the values that are expected."""
