"""Measurement of one cell in one pass: a worker's report, and a line of the journal."""

from __future__ import annotations

from typing import Any

import msgspec


class Measurement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Measurement of one cell in one pass.

    Attributes
    ----------
    case, strategy, phase : str
        The cell, with the strategy's name as in its rows.
    spec : str
        Where the strategy was loaded from.
    pass_number : int
        From 0; "pass" in the journal.
    worker : int
        Number of the process within the pass, from 0. A new process replaces one that was lost.
    status, reason : str
        Outcome of the cell, and its explanation.
    seconds : tuple of float
        Seconds per call, one number per round.
    iterations : int
        Calls per round.
    peak_bytes, retained_bytes : int or None
        Heap of one call; None if it was not measured in this pass.
    memory_tool : str or None
        Tool that measured the heap.
    predicted_bytes, predicted_flops, n_nonzeros : int or None
        From the strategy's model, if it has one.
    floor_seconds : float or None
        Lower bound for the time on this machine; see `floor`.
    max_relative_error : float or None
        Compared with the reference.
    n_parameters : int or None
        Stored entries of the graph's parameters.
    traceback : str
        Traceback of the strategy's exception.
    output : str
        End of the strategy's output.
    """

    case: str
    strategy: str
    phase: str
    spec: str
    pass_number: int = msgspec.field(name="pass", default=0)
    worker: int = 0
    status: str = "ok"
    reason: str = ""
    seconds: tuple[float, ...] = ()
    iterations: int = 1
    peak_bytes: int | None = None
    retained_bytes: int | None = None
    memory_tool: str | None = None
    predicted_bytes: int | None = None
    predicted_flops: int | None = None
    n_nonzeros: int | None = None
    floor_seconds: float | None = None
    max_relative_error: float | None = None
    n_parameters: int | None = None
    traceback: str = ""
    output: str = ""


def from_json(line: bytes | str) -> Measurement:
    """Read a measurement from a line of JSON; raise `msgspec.DecodeError` (or its `ValidationError`) if it is invalid."""
    return msgspec.json.decode(line, type=Measurement)


def to_builtins(measurement: Measurement) -> dict[str, Any]:
    """Return a measurement as a dict of JSON types."""
    found: dict[str, Any] = msgspec.to_builtins(measurement)
    return found
