"""A ledger of bytes: a schedule is replayed on it over shapes to predict its peak."""

from __future__ import annotations

from collections import Counter


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


class Blocks:
    """Blocks of memory on a ledger that several values may share; one is released when its last value is dropped."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._block: dict[int, int] = {}
        self._bytes: list[int] = []
        self._users: Counter[int] = Counter()
        self._claimed: set[int] = set()

    def __contains__(self, value: int) -> bool:
        """Say whether a value is held."""
        return value in self._block

    def make(self, value: int, n_bytes: int, scratch: int = 0) -> None:
        """Give a value a block of its own; one of 0 bytes stands for memory that is not ours."""
        self._ledger.hold(n_bytes, scratch)
        self._bytes.append(n_bytes)
        self._use(value, len(self._bytes) - 1)

    def share(self, value: int, other: int) -> None:
        """Let a value lie where another does."""
        self._use(value, self._block[other])

    def drop(self, value: int) -> None:
        """Let a value go."""
        block = self._block.pop(value)
        self._users[block] -= 1
        if not self._users[block]:
            self._ledger.release(self._bytes[block])

    def rename(self, value: int, name: int) -> None:
        """Call a value by another name."""
        self._block[name] = self._block.pop(value)

    def claim(self, value: int) -> bool:
        """Take a value's block for it alone; say whether no other had taken it before."""
        block = self._block[value]
        free = block not in self._claimed
        self._claimed.add(block)
        return free

    def size(self, value: int) -> int:
        """Return the bytes of a value's block."""
        return self._bytes[self._block[value]]

    def _use(self, value: int, block: int) -> None:
        self._block[value] = block
        self._users[block] += 1
