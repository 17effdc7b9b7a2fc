"""The thresholds of a gate, as ``[tool.jacobench.gate]`` of a pyproject.toml names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        Bytes that peak and retained memory may grow by in any case.
    counts : float
        Relative, of stored non-zeros and predicted flops.
    exponent : float
        What the exponent of a law of growth may grow by.
    """

    time: float = 0.02
    memory: float = 0.01
    memory_bytes: int = 64 * 1024
    counts: float = 0.01
    exponent: float = 0.2


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
        The most pairs of processes a stage.
    """

    default: Thresholds = Thresholds()
    rules: tuple[Rule, ...] = ()
    pairs: int = 30

    def of(self, case: str, strategy: str) -> Thresholds:
        """Return the thresholds of the rows of a case and a strategy."""
        raise NotImplementedError


def limits_of(table: Mapping[str, Any], where: str = "[tool.jacobench.gate]") -> Limits:
    """Read the thresholds from a mapping, as TOML gives it.

    Raises
    ------
    BadInput
        For an unknown key, with the nearest that there is, or a value that is no threshold.
    """
    raise NotImplementedError
