"""A worker's process as its parent sees it: started with its environment, listened to, ended."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GRACE = 1.0
"""Seconds for what an ended worker said to come through, if a child of its that got away still holds the pipe."""

PYTEST_SAID = re.compile(r"[.FEsxX]+( *\[ *\d+%\])?$|[\d, a-z]+ in [\d.]+s")
"""Lines that are pytest's own: its dots, and its counts at the end."""

LAST_WORDS = 20_000
"""Characters of a worker's output that are looked at when it fails."""


class HarnessFailure(RuntimeError):  # noqa: N818  (a failure of ours, exit code 4, not an error of the caller's)
    """The harness itself failed."""


def signal_name(number: int) -> str:
    """Return a signal's name, or its number for one that has none, as most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class WorkerProcess:
    """A fresh process that does a job.

    Parameters
    ----------
    job : object
        What it is to do; it reads it from standard input, as JSON.
    environment : mapping of str to str
        Its whole environment, there before its interpreter starts.
    command : sequence of str, optional
        What starts it; default: a worker of a run.
    folder : Path, optional
        Where it is started; default: here.
    """

    def __init__(
        self,
        job: object,
        environment: Mapping[str, str],
        command: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the worker)
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._timed_out = False
        self._process = subprocess.Popen(
            command or [sys.executable, "-P", "-m", "jacobench.bench.run.worker"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            env=environment,
            start_new_session=True,  # so that a strategy's own children are ended with it
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended at once: `failed` and `last_words` tell
            self._process.stdin.write(msgspec.json.encode(job))
            self._process.stdin.close()
        listener = Thread(target=self._listen, daemon=True)
        listener.start()
        Thread(target=self._await_end, args=(listener,), daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    event = msgspec.json.decode(line)
                except msgspec.DecodeError:
                    continue  # a line torn when the worker was ended
                self._events.put(event)
        self._events.put(None)

    def _await_end(self, listener: Thread) -> None:
        """End what an ended worker started: a child that inherited the pipe would keep it open, and us listening."""
        self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        listener.join(GRACE)
        self._events.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._output.close()

    def next_event(self, deadline: float | None) -> dict[str, Any] | None:
        """Wait for the worker's next report; None when it has ended, or was ended because the deadline passed.

        Parameters
        ----------
        deadline : float or None
            In the clock of `time.monotonic`.
        """
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._events.get(timeout=patience)
        except queue.Empty:
            self._timed_out = True
            self.end()
            return None

    def end(self) -> None:
        """End the worker and whatever it started and left in its session; nothing it does can stop that."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def how_it_ended(self, timeout_seconds: float) -> tuple[str, str]:
        """Return the status and the reason that a cell gets at which the worker ended."""
        if self._timed_out:
            return "timeout", f"not done after {timeout_seconds:g} s"
        code = self._process.wait()
        if code < 0:
            return "crashed", f"the process was ended by {signal_name(-code)}{self._tail()}"
        return "crashed", f"the process exited with status {code}{self._tail()}"

    def _tail(self) -> str:
        words = self.last_words()
        return f": {words}" if words else ""

    def last_words(self) -> str:
        """Return the last line that the worker printed, or where it was when faulthandler told of its end."""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - LAST_WORDS))
        text = self._output.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip() and not PYTEST_SAID.match(line)]
        if any("Fatal Python error" in line for line in lines):
            return next((line.strip() for line in lines if line.strip().startswith("File")), "")
        return lines[-1] if lines else ""
