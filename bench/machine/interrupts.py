"""Signals that ask a process to end: they interrupt it as Ctrl-C does, and do not disturb its cleanup."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C; the end of a job; a terminal that was closed, or a connection that was lost."""


def interrupt_on_signals() -> None:
    """Let the first of these signals raise KeyboardInterrupt; further ones are ignored.

    A signal that is ignored already stays so: nohup and shells decide this for what runs in the background. Only the
    main thread can do so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> Never:
    _ignore()
    raise KeyboardInterrupt


def _ignore() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore these signals, also in processes that are started meanwhile. Only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    _ignore()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class CleanupStack(ExitStack):
    """A stack of things to undo, which no signal disturbs while it unwinds."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool:
        """Undo all, in reverse order."""
        with signals_ignored():
            return bool(super().__exit__(kind, error, traceback))
