"""Measurement of one cell in one pass: a worker's report, and a line of the journal."""

from __future__ import annotations

import msgspec


class Repetition(msgspec.Struct, frozen=True):
    """The pass that a later pass repeats because it was disturbed."""

    pass_number: int = msgspec.field(name="pass")
    cause: str


class Measurement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Measurement of one cell in one pass, with columns of its row; None where this pass did not measure them."""

    case: str
    strategy: str
    phase: str
    spec: str  # where the strategy was loaded from
    pass_number: int = msgspec.field(name="pass", default_factory=int)  # by a factory, so that 0 is written, too
    worker: int = 0  # number of the process in the pass; one that replaces a lost one has a new number
    repeats: Repetition | None = None  # the pass that this one repeats
    status: str = msgspec.field(default_factory=lambda: "ok")  # always written
    reason: str = ""
    seconds: tuple[float, ...] = ()  # per call, one number per round
    iterations: int = 1  # calls per round
    seconds_first: float | None = None  # the first call in the process
    peak_bytes: int | None = None
    retained_bytes: int | None = None
    memory_tool: str | None = None
    predicted_bytes: int | None = None
    predicted_flops: int | None = None
    n_nonzeros: int | None = None
    floor_seconds: float | None = None
    max_relative_error: float | None = None
    n_parameters: int | None = None
    dtype: str | None = None
    wrt: str | None = None
    traceback: str = ""  # of the strategy's exception
    output: str = ""  # end of the strategy's output
    host: str = ""  # of a cluster, on which it was measured
    machine: str = ""  # key of that host's machine
