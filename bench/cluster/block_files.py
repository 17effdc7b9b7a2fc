"""Files that blocks need on a host: suite, strategies, graphs and models, with the modules that they import.

They keep their paths below a folder of the dask worker, so that imports and relative paths work as on the client.
"""

from __future__ import annotations

import re
import time
import zipfile
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from jacobench.bench.machine.atomic_write import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UPLOAD_SECONDS = 20.0  # to wait for the archive
UNPACKING = Lock()  # one thread of a dask worker unpacks, and no other one reads what it writes


def pack(files: Iterable[str | Path], folder: Path) -> Path | None:
    """Write files, named by absolute paths, to an archive in a folder; None for no files."""
    paths = sorted({Path(file) for file in files})
    if not paths:
        return None
    contents = {str(path): path.read_bytes() for path in paths}
    digest = sha256(repr(contents).encode()).hexdigest()[:16]
    archive = folder / f"jacobench-{digest}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        for name, content in contents.items():
            writing.writestr(zipfile.ZipInfo(_member(name)), content)
    return archive


def _member(path: str) -> str:
    """Return the name in the archive: the path without its root, or with the letter of a drive as a folder."""
    return Path(path).as_posix().replace(":", "").lstrip("/")


def root_of(archive: str, folder: str) -> str:
    """Return the folder with the files of a run; their archive was uploaded to a folder. Empty for no archive.

    A dask worker that has just started still writes it.
    """
    if not archive:
        return ""
    deadline = time.monotonic() + UPLOAD_SECONDS
    while True:
        try:
            return unpack(Path(folder) / archive)
        except (FileNotFoundError, zipfile.BadZipFile):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def unpack(archive: Path) -> str:
    """Unpack an archive next to it, once; return the folder that stands for the root of the client's file system."""
    root = archive.with_suffix("")
    done = root / ".complete"
    with UNPACKING:
        if not done.exists():
            with zipfile.ZipFile(archive) as reading:
                reading.extractall(root)
            write_whole(done, b"")
    return str(root)


def on_host(text: str, root: str, files: Iterable[str]) -> str:
    """Return a text with the host's paths instead of the client's."""
    return _replaced(text, {file: f"{root}/{_member(file)}" for file in files})


def on_client(text: str, root: str, files: Iterable[str]) -> str:
    """Return a text with the client's paths instead of the host's."""
    return _replaced(text, {f"{root}/{_member(file)}": file for file in files})


def _replaced(text: str, paths: Mapping[str, str]) -> str:
    """Replace paths in a text, all at once; the end of another path is none."""
    if not paths:
        return text
    pattern = "|".join(map(re.escape, paths))
    return re.sub(rf"(?<![\w./-])(?:{pattern})(?!\w)", lambda found: paths[found[0]], text)
