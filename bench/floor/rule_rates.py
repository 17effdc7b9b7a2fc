"""Rates of rules: the seconds of a call of a rule as a function of its work, from measured calls and bandwidths.

The time of a call is ``a + b · flops + c · m``, where m is the time to move its bytes at the bandwidth of the footprint: the
bytes that are in use together. The three rates are fitted to the measured calls of the rule, none negative. The deviations
of these calls are interpolated over the logarithms of operations and bytes (Shepard 1968, "A two-dimensional interpolation
function for irregularly-spaced data"), because rates depend on the shape.
"""

from __future__ import annotations

import math
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

    def seconds(self, read: float, written: float, footprint: float) -> float:
        """Return the seconds to read and write some bytes, where this number of bytes is in use together."""
        at, known = math.log(max(footprint, 1.0)), np.log(self.footprints)
        return float(read * np.interp(at, known, self.read) + written * np.interp(at, known, self.write))


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

    def seconds(self, work: Work, footprint: float) -> float:
        """Return the seconds of a call, where `footprint` bytes are in use together."""
        fitted = float(_terms(work, max(footprint, work.read + work.written), self.bandwidth) @ self.rates)
        weights = (np.sum((self.places - _place(work)) ** 2, axis=1) + SMOOTHING) ** -1.5
        return fitted * math.exp(weights @ self.deviations / (weights.sum() + 1.0))


def rates_of(times: Iterable[RuleTime], bandwidth: Bandwidth) -> dict[str, RuleRates]:
    """Fit the rates of each rule."""
    by_rule: dict[str, list[RuleTime]] = {}
    for time in times:
        by_rule.setdefault(time.rule, []).append(time)
    return {rule: _fit(own, bandwidth) for rule, own in by_rule.items()}


def _fit(times: Sequence[RuleTime], bandwidth: Bandwidth) -> RuleRates:
    seconds = np.array([time.seconds for time in times])
    terms = np.array([_terms(time, time.read + time.written, bandwidth) for time in times])
    rates = fit_relative(terms, seconds)
    places = np.array([_place(time) for time in times])
    return RuleRates(bandwidth, rates, places, np.log(seconds / np.maximum(terms @ rates, 1e-9)))


def fit_relative(work: Array, seconds: Array, rest: Array | None = None) -> Array:
    """Fit rates, none negative, by least squares of the relative errors.

    `work`, shape (cells, rates), is what each rate is multiplied with; `seconds`, shape (cells,), are positive. `rest` is the
    part of the seconds that the rates explain; by default, all.
    """
    relative = work / seconds[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0
    return nnls(relative / scale, np.ones(len(seconds)) if rest is None else rest / seconds)[0] / scale


def _terms(work: Work | RuleTime, footprint: float, bandwidth: Bandwidth) -> Array:
    return np.array([1.0, work.flops, bandwidth.seconds(work.read, work.written, footprint)])


def _place(work: Work | RuleTime) -> Array:
    return np.log([work.flops + 1, work.read + work.written + 1])
