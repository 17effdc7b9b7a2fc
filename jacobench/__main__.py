"""The command ``jacobench``: errors become one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from jacobench.commands import app

# In any release of typer the error of a command line is a BadParameter's ancestor; where that class lives changes.
COMMAND_LINE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

REGRESSED, BAD_INPUT, INCONCLUSIVE, HARNESS_FAILED = 1, 2, 3, 4
INTERRUPTED = 130


def main() -> int:
    """Run the command line and return its exit code; see DESIGN.md, or README.md, for what each means."""
    from jacobench.graphs.errors import BadInput

    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except COMMAND_LINE_ERROR as error:
        return _say(error.format_message(), BAD_INPUT)  # type: ignore[attr-defined]
    except BadInput as error:
        return _say(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if not any(isinstance(e, BrokenPipeError) for e in (error, error.__context__)):  # typer and rich wrap it
            raise
        # Whoever read our output has gone (as `| head` does): nothing is left to say, nor to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  (the last resort: exit code 4)
        if os.environ.get("JACOBENCH_TRACEBACK"):
            traceback.print_exc()
        return _say(f"the harness failed: {type(error).__name__}: {error}", HARNESS_FAILED)
    return code or 0


def _say(message: str, code: int) -> int:
    print(f"jacobench: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201  (standard error is where it goes)
    return code


if __name__ == "__main__":
    sys.exit(main())
