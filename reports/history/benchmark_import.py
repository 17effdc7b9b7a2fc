"""pytest-benchmark's own storage, ``.benchmarks/MACHINE/NNNN_NAME.json``, read as records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.history_records import from_benchmarks

if TYPE_CHECKING:
    from jacobench.reports.history.history_records import Record


def read_benchmarks(source: str | Path) -> list[Record]:
    """Read what pytest-benchmark saved.

    Parameters
    ----------
    source : str or Path
        A folder ``.benchmarks``, one machine's folder in it, or a file.

    Returns
    -------
    list of Record
        One a file, in the order of their names.

    Raises
    ------
    BadInput
        If there is none, or one is not pytest-benchmark's.
    """
    path = Path(source)
    files = sorted([*path.glob("*.json"), *path.glob("*/*.json")]) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"no JSON file in {str(source)!r}: expected a folder that 'pytest --benchmark-autosave' made")
    return [_read(file) for file in files]


def _read(file: Path) -> Record:
    try:
        document = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read {str(file)!r}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{str(file)!r} is not JSON: {error}; expected one that pytest-benchmark wrote") from None
    return from_benchmarks(document, f"{file.parent.name}/{file.stem}")
