"""A worker's process as its parent sees it: started with its environment, listened to, ended."""

from __future__ import annotations

import os
import queue
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
    from collections.abc import Mapping

    from jacobench.bench.worker import Job

LAST_WORDS = 2000
"""Characters of a worker's output that are looked at when it fails."""


class HarnessFailure(RuntimeError):  # noqa: N818  (a failure of ours, exit code 4, not an error of the caller's)
    """The harness itself failed."""


class WorkerProcess:
    """A fresh process that does a job.

    Parameters
    ----------
    job : Job
        What it is to do.
    environment : mapping of str to str
        Its whole environment, there before its interpreter starts.
    """

    def __init__(self, job: Job, environment: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the worker)
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._timed_out = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jacobench.bench.worker"],
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
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue  # a line torn when the worker was ended
            self._events.put(event)
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
        """End the worker and whatever it started; nothing it does can stop that."""
        if self._process.poll() is None or self._timed_out:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def failed(self) -> bool:
        """Return whether the worker ended otherwise than by finishing its job."""
        return self._process.wait() != 0

    def how_it_ended(self, timeout_seconds: float) -> tuple[str, str]:
        """Return the status and the reason that a cell gets at which the worker ended."""
        if self._timed_out:
            return "timeout", f"not done after {timeout_seconds:g} s"
        code = self._process.wait()
        if code < 0:
            return "crashed", f"the process was ended by {signal.Signals(-code).name}{self._tail()}"
        return "crashed", f"the process exited with status {code}{self._tail()}"

    def _tail(self) -> str:
        words = self.last_words()
        return f": {words}" if words else ""

    def last_words(self) -> str:
        """Return the last line that the worker printed."""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - LAST_WORDS))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
