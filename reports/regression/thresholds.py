"""The thresholds of a gate, as ``[tool.jacobench.gate]`` of a pyproject.toml names them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.graphs.errors import BadInput, real_number, unknown, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_PAIRS, FEWEST_PAIRS = 30, 8
"""Fewer than eight pairs cannot confirm a slowdown: see `paired.CONFIRM`."""


@dataclass(frozen=True)
class Thresholds:
    """What one row may grow by before it is a regression.

    Attributes
    ----------
    time : float
        Relative: 0.02 lets a row become 2 % slower.
    memory : float
        Relative, of peak and retained bytes.
    memory_bytes : int
        Bytes by which peak and retained memory may grow in any case.
    counts : float
        Relative, of stored non-zeros and predicted flops.
    exponent : float
        What the exponent of a law of growth may grow by.
    """

    time: float = 0.02
    memory: float = 0.01
    memory_bytes: int = 64 * 1024
    counts: float = 0.01
    exponent: float = 0.1


@dataclass(frozen=True)
class Rule:
    """Thresholds for the rows whose case and strategy match.

    Attributes
    ----------
    case, strategy : str
        Globs.
    values : mapping of str to number
        The thresholds that differ.
    """

    case: str
    strategy: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Limits:
    """All thresholds of a gate.

    Attributes
    ----------
    default : Thresholds
        Where no rule says otherwise.
    rules : tuple of Rule
        A later one overrides an earlier one.
    pairs : int
        The most pairs of processes in each stage.
    """

    default: Thresholds = field(default_factory=Thresholds)
    rules: tuple[Rule, ...] = ()
    pairs: int = MOST_PAIRS

    @property
    def tightest(self) -> float:
        """The smallest threshold of time that is in force anywhere."""
        return min([self.default.time, *(float(rule.values["time"]) for rule in self.rules if "time" in rule.values)])

    def of(self, case: str, strategy: str) -> Thresholds:
        """Return the thresholds of the rows of a case and a strategy."""
        found = self.default
        for rule in self.rules:
            if fnmatchcase(case, rule.case) and fnmatchcase(strategy, rule.strategy):
                found = replace(found, **rule.values)
        return found


def limits_of(table: Mapping[str, Any], where: str = "[tool.jacobench.gate]") -> Limits:
    """Read the thresholds from a mapping, as TOML gives it.

    Parameters
    ----------
    table : mapping
        ``time``, ``memory``, ``memory_bytes``, ``counts``, ``exponent``, ``pairs``, and ``rows``: a list of mappings with the globs ``case``
        and ``strategy`` (default: all) and those of the thresholds that differ there.
    where : str
        What errors call it.

    Raises
    ------
    BadInput
        For an unknown key, with the nearest that there is, or a value that is no threshold.

    Examples
    --------
    >>> limits = limits_of({"time": 0.03, "rows": [{"strategy": "sparse*", "time": 0.05}]})
    >>> limits.of("mlp-w64-d2-b1", "sparse").time, limits.of("mlp-w64-d2-b1", "vjp").time
    (0.05, 0.03)
    """
    _known(table, (*READERS, "pairs", "rows"), where)
    rows = table.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{where} has rows = {rows!r}: expected tables, each under [[tool.jacobench.gate.rows]]")
    return Limits(
        replace(Thresholds(), **_thresholds(table, where)),
        tuple(_rule(row, f"{where} rows[{number}]") for number, row in enumerate(rows)),
        _pairs(table.get("pairs", MOST_PAIRS), f"{where} pairs"),
    )


def _rule(row: Mapping[str, Any], where: str) -> Rule:
    _known(row, (*READERS, "case", "strategy"), where)
    globs = {name: row.get(name, "*") for name in ("case", "strategy")}
    for name, glob in globs.items():
        if not isinstance(glob, str):
            raise BadInput(f"{where} {name} is {glob!r}: expected a glob, such as 'mlp-*'")
    return Rule(**globs, values=_thresholds(row, where))


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in names:
            raise unknown(f"key in {where}", key, names)


def _thresholds(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {name: read(f"{where} {name}", table[name]) for name, read in READERS.items() if name in table}


def _share(what: str, given: Any) -> float:
    value = real_number(what, given)
    if isinstance(given, bool) or not 0 < value < 1:
        raise BadInput(f"{what} is {given!r}: expected a share above 0 and below 1, such as 0.02 for 2 %")
    return value


def _exponent(what: str, given: Any) -> float:
    value = real_number(what, given)
    if isinstance(given, bool) or not 0 < value <= 10:
        raise BadInput(f"{what} is {given!r}: expected a difference of exponents above 0, such as 0.1")
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
    if isinstance(given, bool) or not FEWEST_PAIRS <= value <= MOST_PAIRS or value % 2:
        raise BadInput(f"{what} is {given!r}: expected an even number from {FEWEST_PAIRS} to {MOST_PAIRS}")
    return value


READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "time": _share,
    "memory": _share,
    "memory_bytes": _bytes,
    "counts": _share,
    "exponent": _exponent,
}
"""Key → what reads its value; the keys are the fields of `Thresholds`."""
