"""Measurement of one cell in one pass: a worker's report, and a line of the journal."""

from __future__ import annotations

import msgspec


class Measurement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Measurement of one cell in one pass.

    The fields that are columns of a row have the same meaning; None if they were not measured in this pass.
    spec: where the strategy was loaded from.
    pass_number, worker: from 0; "pass" in the journal. A process that replaces a lost one has a new number.
    seconds: seconds per call, one number per round. iterations: calls per round.
    traceback, output: traceback of the strategy's exception; end of its output.
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
