"""The command ``jacobench``. Errors become one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Protocol, runtime_checkable

from jacobench.commands import app

BAD_INPUT, NOT_COMPLETED, INTERRUPTED = 2, 4, 130


@runtime_checkable
class UsageMessage(Protocol):
    """What all command-line errors of typer provide; the class itself is not public."""

    exit_code: int

    def format_message(self) -> str:
        """Return the message for the user."""


def main() -> int:
    """Run the command line and return its exit code; docs/ci.md lists the codes."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        if sys.stdout is not None:  # it is None if the shell has closed it
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if not any(isinstance(e, BrokenPipeError) for e in (error, error.__context__)):  # typer and rich wrap it
            raise
        # The reader of the output (such as `| head`) has ended: nothing is left to print, or to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  (the last resort: every error becomes a line and an exit code)
        if os.environ.get("JACOBENCH_TRACEBACK"):
            traceback.print_exc()
        message, code = _explain(error)
        print(f"jacobench: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return code or 0


def _explain(error: Exception) -> tuple[str, int]:
    """Return the message of an error and the exit code."""
    from jacobench.bench.machine.worker_process import HarnessFailure
    from jacobench.graphs.errors import BadInput

    if isinstance(error, UsageMessage):
        return error.format_message(), BAD_INPUT
    if isinstance(error, BadInput):
        return str(error), BAD_INPUT
    if isinstance(error, HarnessFailure):
        return f"not completed: {error}", NOT_COMPLETED
    if isinstance(error, OSError) and error.strerror:
        return f"not completed: {error.filename or 'output'}: {error.strerror}", NOT_COMPLETED
    return f"internal error, please report: {type(error).__name__}: {error}", NOT_COMPLETED


if __name__ == "__main__":
    sys.exit(main())
