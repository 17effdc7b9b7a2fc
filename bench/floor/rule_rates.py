"""Rates of rules: the seconds of a call of a rule as a function of its work, from measured calls and bandwidths.

The time of a call is ``a + b · flops + c · m``, where m is the time to move its bytes at the bandwidth of the footprint: the
bytes that are in use together. The three rates are fitted to the measured calls of the rule, none negative. The deviations
of these calls are interpolated over the logarithms of operations and bytes (Shepard 1968, "A two-dimensional interpolation
function for irregularly-spaced data"), because rates depend on the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy.optimize import nnls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.bench.floor.rule_work import Work

SMOOTHING = 0.1
"""Added to squared distances (in factors of e) of the interpolation, so that one disturbed call does not count alone."""

Array = Any


class RuleTime(msgspec.Struct, frozen=True):
    """Measured seconds of a call of a rule, with its `Work`."""

    rule: str
    flops: float
    read: float
    written: float
    seconds: float


class Bandwidth(msgspec.Struct, frozen=True):
    """Seconds to read and to write a byte, by footprint in bytes, ascending."""

    footprints: tuple[float, ...]
    read: tuple[float, ...]
    write: tuple[float, ...]

    def seconds(self, read: Array, written: Array, footprint: Array) -> Array:
        """Return the seconds to read and write some bytes, where this number of bytes is in use together.

        Numbers, or arrays of shape (calls,).
        """
        at, known = np.log(np.maximum(footprint, 1.0)), np.log(self.footprints)
        return read * np.interp(at, known, self.read) + written * np.interp(at, known, self.write)


@dataclass(frozen=True)
class RuleRates:
    """Rates of one rule: `rates` per call, per operation and per second of moved bytes; deviations of measured calls.

    `places` are the logarithms of operations and bytes of the measured calls, shape (calls, 2); `deviations` are the
    logarithms of measured / fitted time, shape (calls,).
    """

    bandwidth: Bandwidth
    rates: Array
    places: Array
    deviations: Array

    def seconds(self, works: Sequence[Work], footprints: Sequence[float]) -> Array:
        """Return the seconds of calls, shape (calls,), where each has so many bytes in use together."""
        amounts = np.array([(work.flops, work.read, work.written) for work in works], dtype=np.float64)
        moved = amounts[:, 1] + amounts[:, 2]
        fitted = _terms(amounts, np.maximum(footprints, moved), self.bandwidth) @ self.rates
        distances = _places(amounts)[:, None, :] - self.places
        weights = (np.sum(distances**2, axis=2) + SMOOTHING) ** -1.5
        return fitted * np.exp(weights @ self.deviations / (weights.sum(axis=1) + 1.0))


def rates_of(times: Iterable[RuleTime], bandwidth: Bandwidth) -> dict[str, RuleRates]:
    """Fit the rates of each rule."""
    by_rule: dict[str, list[RuleTime]] = {}
    for time in times:
        by_rule.setdefault(time.rule, []).append(time)
    return {rule: _fit(own, bandwidth) for rule, own in by_rule.items()}


def _fit(times: Sequence[RuleTime], bandwidth: Bandwidth) -> RuleRates:
    seconds = np.array([time.seconds for time in times])
    amounts = np.array([(time.flops, time.read, time.written) for time in times], dtype=np.float64)
    terms = _terms(amounts, amounts[:, 1] + amounts[:, 2], bandwidth)
    rates = fit_relative(terms, seconds)
    return RuleRates(bandwidth, rates, _places(amounts), np.log(seconds / np.maximum(terms @ rates, 1e-9)))


def fit_relative(work: Array, seconds: Array, rest: Array | None = None) -> Array:
    """Fit rates, none negative, by least squares of the relative errors.

    `work`, shape (cells, rates), is what each rate is multiplied with; `seconds`, shape (cells,), are positive. `rest` is the
    part of the seconds that the rates explain; by default, all.
    """
    relative = work / seconds[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    return nnls(relative / scale, np.ones(len(seconds)) if rest is None else rest / seconds)[0] / scale


def _terms(amounts: Array, footprints: Array, bandwidth: Bandwidth) -> Array:
    """Return what the three rates are multiplied with; `amounts`, shape (calls, 3): operations, bytes read and written."""
    flops, read, written = amounts.T
    return np.column_stack([np.ones(len(amounts)), flops, bandwidth.seconds(read, written, footprints)])


def _places(amounts: Array) -> Array:
    return np.log(np.column_stack([amounts[:, 0] + 1, amounts[:, 1] + amounts[:, 2] + 1]))
