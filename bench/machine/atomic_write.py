"""Atomic writes: a file is complete or absent, on every file system."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOTTY}
"""Errors of `fsync` on file systems that do not have it (Lustre, NFS, CIFS, FUSE). Others, such as EIO, mean lost data."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a write if the disk, the user's quota, or the largest size of a file (``ulimit -f``) is exhausted."""


def flush_to_disk(descriptor: int) -> None:
    """Wait until a file is on the disk, if its file system can tell; raises OSError if it is lost."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def write_whole(path: Path, content: bytes) -> Path:
    """Write a temporary file in the same folder, flush it to the disk, and rename it to `path`.

    A link, device or pipe, such as ``/dev/stdout``, is not replaced: the content goes into it.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)
        return path
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            flush_to_disk(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)  # an error of `write` does not name the file
        raise
    finally:
        partial.unlink(missing_ok=True)
    return path


def as_utf8(text: str) -> bytes:
    r"""Encode a text; bytes of a file's name that is not UTF-8 become escapes such as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace")
