"""A ledger of bytes: a schedule is replayed on it over shapes to predict its peak."""

from __future__ import annotations


class Ledger:
    """Count what is held and the highest it ever was, in bytes."""

    def __init__(self) -> None:
        self.held = 0
        self.peak = 0

    def hold(self, n_bytes: int, scratch: int = 0) -> None:
        """Hold `n_bytes` more; `scratch` bytes beside them are gone when the call returns."""
        self.held += n_bytes
        self.peak = max(self.peak, self.held + scratch)

    def release(self, n_bytes: int) -> None:
        """Hold `n_bytes` less."""
        self.held -= n_bytes
