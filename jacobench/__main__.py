"""The command ``jacobench``. Errors become one line on standard error and an exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys

BAD_INPUT, NOT_COMPLETED, INTERRUPTED = 2, 4, 130

NO_MEMORY = ("failed to map segment", "cannot allocate memory", "can't start new thread")
"""Messages of the dynamic linker and of threading, whose errors are no MemoryError, under a memory limit."""


def main() -> int:
    """Run the command line and return its exit code; docs/command-line.md lists the codes.

    A command returns a code if it has a result other than its output: a verdict, or files. This code does not change
    if the output cannot be written. Other commands return None, and end with code 4 then.
    """
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook, or of a screen, may be missing here
    atexit.register(gc.freeze)  # otherwise the interpreter scans all objects twice when it ends
    try:
        from jacobench.bench.machine.interrupts import interrupt_on_signals

        interrupt_on_signals()
        from jacobench.commands import app, standard_streams  # so that Ctrl-C during the import prints no traceback

        standard_streams.prepare()
        code: int | None = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if code == INTERRUPTED:  # typer from 0.20 on returns this code for Ctrl-C
            return _interrupted()
        lost = standard_streams.lost_output()
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:  # noqa: BLE001  (the last resort: every error becomes a line and an exit code)
        return _report(error)
    if lost is not None and not (code is None and isinstance(lost, BrokenPipeError)):  # as with `jacobench list | head`
        _say(f"cannot write standard output: {lost.strerror}")
        return NOT_COMPLETED if code is None else code
    return code or 0


def _interrupted(advice: str = "") -> int:
    """Print what to do after an interrupt, by default the command that starts again; return the exit code."""
    from shlex import join

    after = "\n" if sys.stderr.isatty() else ""  # the terminal shows ^C at the start of the line
    advice = advice or f"To start again: {join(['jacobench', *sys.argv[1:]])}"
    print(f"{after}Interrupted. {advice}", file=sys.stderr)  # noqa: T201
    return INTERRUPTED


def _report(error: Exception) -> int:
    """Print the message of an error and return the exit code."""
    from jacobench.graphs.errors import Interrupted

    if isinstance(error, Interrupted):
        return _interrupted(str(error))
    if isinstance(error.__cause__, KeyboardInterrupt):  # typer before 0.20 wraps it
        return _interrupted()
    if os.environ.get("JACOBENCH_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    message, code = _explain(error)
    _say(message)
    return code


def _say(message: str) -> None:
    print(f"jacobench: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201


def _explain(error: Exception) -> tuple[str, int]:
    """Return the message of an error and the exit code."""
    if message := _bad_input(error):
        return message, BAD_INPUT
    if message := _not_completed(error):
        return f"not completed: {message}", NOT_COMPLETED
    return f"internal error, please report: {type(error).__name__}: {error}", NOT_COMPLETED


def _bad_input(error: Exception) -> str:
    """Return the message of an error that the user or the environment causes; empty for another error."""
    from jacobench.graphs.errors import BadInput, Unsupported

    if usage := getattr(error, "format_message", None):  # all command-line errors of typer; their class is not public
        return str(usage())
    match error:
        case BadInput() | Unsupported():
            return str(error)
        case UnicodeEncodeError(reason="surrogates not allowed"):
            return f"{_word(error)!r} is not UTF-8; rename the file or folder"
        case ImportError() if any(words in str(error) for words in NO_MEMORY):
            return ""
        case ImportError() if not (error.name or "").startswith("jacobench"):
            return f"cannot import {error.name or 'a package'}: {error}; install jacobench again"
    return ""


def _not_completed(error: Exception) -> str:
    """Return the cause for which a command could not be completed; empty for an unexpected error."""
    from subprocess import CalledProcessError, SubprocessError

    from jacobench.bench.machine.worker_process import HarnessFailure

    match error:
        case CalledProcessError(stderr=bytes(words)) if words.strip():
            return f"a process failed: {words.decode(errors='replace').splitlines()[-1]}"
        case HarnessFailure() | SubprocessError():
            return str(error)
        case ImportError() | RuntimeError() if any(words in str(error) for words in NO_MEMORY):
            return f"out of memory: {error}; raise the memory limit of this process (ulimit -v) or of its container"
        case MemoryError():
            return f"out of memory{f': {error}' if str(error) else ''}"
        case OSError():
            return f"{error.filename or 'output'}: {error.strerror}" if error.strerror else str(error)
    return ""


def _word(error: UnicodeEncodeError) -> str:
    """Return the part of a text, such as a path, that contains characters which cannot be encoded."""
    import re

    found = (match[0] for match in re.finditer(r"[^\n\"]+", error.object) if match.end() > error.start)
    return next(found, error.object)


if __name__ == "__main__":
    sys.exit(main())
