"""Standard output and standard error of a command, for any encoding and for output that cannot be written."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HANDLER = "jacobench"  # name of the error handler for characters that an encoding does not have

SUBSTITUTES = dict(
    zip("×·−–—′µωερφΦΔ∂⊗⊙∑≈‖⟨⟩›•▁▂▃▄▅▆▇█", "x.---'uwerpPDdx*S~|<>>*12345678", strict=True),
    **{"→": "->", "…": "...", "±": "+-", "≤": "<=", "≥": ">=", "∞": "inf", "√": "sqrt", "Σ": "sum", "ᵀ": "^T"},
    **{"²": "^2", "³": "^3", "₀": "_0", "₁": "_1", "₂": "_2", "é": "e"},
    **{"🔴": ":red_circle:", "🟡": ":yellow_circle:", "🟢": ":green_circle:"},
)
"""Character → ASCII text. Other characters become an escape such as ``\\u4e2d``, so that names stay different."""


class StandardStream(io.FileIO):
    """Descriptor of a standard stream. After the first error, such as a full disk, it discards what is written.

    So a command ends as it would with this output; `lost_output` returns the error.
    """

    def __init__(self, descriptor: int, failure: OSError | None = None) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure = failure

    def write(self, content: ReadableBuffer, /) -> int:
        """Write, or discard; return the number of bytes, which is never None."""
        while self.failure is None:
            try:
                # The type says otherwise: None if the descriptor does not block and its pipe is full.
                if (count := super().write(content)) is not None:
                    return count
                select.select([], [self], [])
            except BrokenPipeError as error:
                self.failure = BrokenPipeError(error.errno, "its reader has ended")
            except OSError as error:
                self.failure = error
        return memoryview(content).nbytes


def prepare() -> None:
    """Make the standard streams accept every text, whatever their encoding and state. Can be called again."""
    codecs.register_error(HANDLER, _substitute)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: without this, the next file to be opened would receive the output
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout, sys.stderr = _prepared(sys.stdout, 1), _prepared(sys.stderr, 2)


def _prepared(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:  # Python found the descriptor closed
        failure = OSError(errno.EBADF, "it is closed")
        return _text(StandardStream(descriptor, failure), "utf-8", line_buffering=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO:  # of a test, a console of Windows, or prepared before
        stream.reconfigure(errors=HANDLER)
        return stream
    stream.flush()
    line_buffering = stream.line_buffering or stream.write_through
    return _text(StandardStream(raw.fileno()), stream.encoding, line_buffering=line_buffering)


def _text(raw: StandardStream, encoding: str, *, line_buffering: bool) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, HANDLER, line_buffering=line_buffering)


def _substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what to write for a character that the encoding does not have (an error handler of `codecs`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is not UTF-8: print the byte
        return bytes([ord(character) - 0xDC00]), error.start + 1
    escape = character.encode("ascii", "backslashreplace").decode()
    return SUBSTITUTES.get(character, escape), error.start + 1


def lost_output() -> OSError | None:
    """Write what is buffered; return why standard output could not be written, or None if it could."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, StandardStream) else None
