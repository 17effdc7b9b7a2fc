"""Worker processes, seen from the parent: start, receive events, end."""

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

from jacobench.graphs.errors import UnsuitableEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GRACE = 1.0  # seconds to wait for the last events of an ended worker if a surviving child keeps its pipe open

PYTEST_OUTPUT = re.compile(r"(\S+\.py +)?[.FEsxX]*( *\[ *\d+%\])?$|[\d, a-z]+ in [\d.]+s")
"""Lines printed by pytest: progress dots, and the counts at the end."""

LAST_WORDS = 20_000  # bytes of a worker's output that are searched for the cause when it fails


def run_python(*arguments: str, variables: Mapping[str, str], job: bytes = b"", timeout: float = 60.0) -> bytes:
    """Return the output of Python in a fresh process; raises OSError or subprocess.SubprocessError if it fails."""
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(command, env=variables, input=job, capture_output=True, check=True, timeout=timeout)
    return done.stdout


class HarnessFailure(RuntimeError):  # noqa: N818  (not an error of the caller: exit code 4)
    """The benchmark could not be completed, for a reason other than a strategy."""


def signal_name(number: int) -> str:
    """Return the name of a signal, or its number if it has none, as most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def kill_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a session, and its children. Can be called again, and after it has ended.

    macOS answers EPERM, not ESRCH, if a process of the group is a zombie.
    """
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # does nothing if it has been waited for


def check_temporary_folder() -> None:
    """Check that a temporary folder can be written: pytest and memray write files there, and the gate its sides."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UnsuitableEnvironment(f"{error.strerror}; set TMPDIR to a folder that can be written") from None


class WorkerProcess:
    """A fresh process that executes a job, sent to its standard input as JSON, and reports events."""

    def __init__(
        self, job: object, environment: Mapping[str, str], command: Sequence[str], folder: Path | None = None
    ) -> None:
        check_temporary_folder()
        self._output = b""
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._timed_out = False
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # so that children of a strategy end with it
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has already ended: `last_words` has the cause
            self._process.stdin.write(msgspec.json.encode(job))
            self._process.stdin.close()
        listener = Thread(target=self._listen, daemon=True)
        listener.start()
        self._recorder = Thread(target=self._record, daemon=True)
        self._recorder.start()
        Thread(target=self._await_end, args=(listener,), daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    event = msgspec.json.decode(line)
                except msgspec.DecodeError:
                    continue  # an incomplete line of a killed worker
                self._events.put(event)
        self._events.put(None)

    def _record(self) -> None:
        """Keep the end of the worker's output; in memory, because the temporary folder may be full."""
        assert self._process.stderr is not None
        with self._process.stderr as output:
            while part := os.read(output.fileno(), LAST_WORDS):
                self._output = (self._output + part)[-LAST_WORDS:]

    def _await_end(self, listener: Thread) -> None:
        """Kill the children of an ended worker: they inherit the pipe and would keep it open."""
        self._process.wait()
        kill_group(self._process)
        listener.join(GRACE)
        self._events.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def next_event(self, deadline: float | None) -> dict[str, Any] | None:
        """Wait for the next event; None if the worker has ended, or was killed at the deadline (`time.monotonic`)."""
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            self._timed_out = True
            self.end()
            return None

    def end(self) -> None:
        """Kill the worker and all processes of its session."""
        kill_group(self._process)
        self._process.wait()

    def how_it_ended(self, timeout_seconds: float, step: str = "") -> tuple[str, str]:
        """Return status and reason of the cell that was measured when the worker ended; `step` is what it last began."""
        if self._timed_out:
            return "timeout", f"not finished after {timeout_seconds:g} s{step and f' while {step}'}"
        code, words = self._process.wait(), self.last_words()
        how = f"was ended by {signal_name(-code)}" if code < 0 else f"exited with status {code}"
        return "crashed", f"the process {how}{f': {words}' if words else ''}"

    def last_words(self) -> str:
        """Return the last line that the worker printed, or the location that faulthandler reported."""
        self._recorder.join(GRACE)
        text = self._output.decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip() and not PYTEST_OUTPUT.match(line)]
        if any("Fatal Python error" in line for line in lines):
            return next((line.strip() for line in lines if line.strip().startswith("File")), "")
        return lines[-1] if lines else ""
