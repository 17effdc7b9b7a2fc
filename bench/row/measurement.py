"""A measurement: one cell in one pass. It is what a worker reports, and one line of the journal."""

from __future__ import annotations

from typing import Any

import msgspec


class Measurement(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one cell fared in one pass.

    Attributes
    ----------
    case, strategy, phase : str
        The cell; the strategy by the name that its rows have.
    spec : str
        What the strategy was loaded from.
    pass_number : int
        Counted from 0; "pass" in the journal.
    worker : int
        Which process of the pass, counted from 0: a new one takes over where one was lost.
    status, reason : str
        How it ended, and why if not well.
    seconds : tuple of float
        Seconds per call, one number a round.
    iterations : int
        Calls in a round.
    peak_bytes, retained_bytes : int or None
        Of one call; None if it was not measured in this pass.
    memory_tool : str or None
        What measured them.
    predicted_bytes, predicted_flops, n_nonzeros : int or None
        From the strategy's model, if it has one.
    floor_seconds : float or None
        Below which this machine cannot do the work; see `floor`.
    max_relative_error : float or None
        Against the reference.
    n_parameters : int or None
        Stored entries of the graph's parameters.
    traceback : str
        Of what the strategy raised.
    output : str
        The end of what it printed.
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
    """Read a measurement from one line of JSON.

    Raises
    ------
    msgspec.ValidationError, msgspec.DecodeError
        If it is none.
    """
    return msgspec.json.decode(line, type=Measurement)


def to_builtins(measurement: Measurement) -> dict[str, Any]:
    """Return a measurement as what JSON can hold."""
    found: dict[str, Any] = msgspec.to_builtins(measurement)
    return found
