"""Requirements that a side gets instead of, or in addition to, another revision: names, URLs, paths."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidSdistFilename, parse_sdist_filename

from jacobench.bench.gate.installation.repository_distributions import is_in_repository, normalized, static_metadata
from jacobench.bench.gate.installation.requirement_changes import applies, is_satisfied
from jacobench.bench.gate.trees.working_tree import is_generated
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.bench.gate.trees.revisions import Project, Tree

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")


@dataclass(frozen=True)
class GivenRequirement:
    """A requirement as a user gave it. A direct one is a URL or a path; its name is empty if only its build states it."""

    text: str
    name: str
    is_direct: bool
    wanted: Requirement | None  # None: a URL or a path without a name

    def is_met(self, versions: Mapping[str, str]) -> bool:
        """Return whether a side with these versions (name → version) satisfies it, or its marker excludes it here."""
        if self.wanted is None or self.is_direct or not applies(self.wanted):
            return True
        return is_satisfied(self.wanted, versions)


def read_requirement(option: str, text: str) -> GivenRequirement:
    """Read a requirement as pip does. Raises BadInput if it is none, or names a file that does not exist."""
    path, _ = _split_extras(text)
    if "://" not in text and (path.endswith(ARCHIVES) or text.startswith((".", os.sep))):
        if not Path(path).exists():
            raise BadInput(f"{option} {text!r}: no file or folder {str(Path(path).absolute())!r}")
        return GivenRequirement(text, _name_of_path(Path(path)), is_direct=True, wanted=None)
    with suppress(InvalidRequirement):
        wanted = Requirement(text)
        return GivenRequirement(text, normalized(wanted.name), wanted.url is not None, wanted)
    if "://" in text and not text.startswith("-"):
        return GivenRequirement(text, _name_of_url(text), is_direct=True, wanted=None)
    if os.sep in text and Path(path).exists():
        return GivenRequirement(text, _name_of_path(Path(path)), is_direct=True, wanted=None)
    raise BadInput(
        f"{option} {text!r}: expected a requirement such as 'numpy==2.3.1' or 'jax[cpu]>=0.5', a URL or a path"
    )


def read_requirements(option: str, texts: Iterable[str]) -> tuple[GivenRequirement, ...]:
    """Read several requirements."""
    return tuple(read_requirement(option, text) for text in texts)


def _split_extras(text: str) -> tuple[str, str]:
    """Split a path from its extras.

    >>> _split_extras("./core[fast]")
    ('./core', '[fast]')
    """
    match = re.fullmatch(r"(.*?)(\[[\w,.\s-]+\])?", text, re.DOTALL)
    assert match is not None
    return match[1], match[2] or ""


def _name_of_path(path: Path) -> str:
    if path.is_dir():
        return normalized(static_metadata(path).get("name", ""))
    return _name_of_archive(path.name)


def _name_of_url(url: str) -> str:
    found = re.search(r"#.*?\begg=([\w.-]+)", url)
    return normalized(found[1]) if found else _name_of_archive(unquote(urlsplit(url).path).rpartition("/")[2])


def _name_of_archive(file: str) -> str:
    if file.endswith(".whl"):
        return normalized(file.partition("-")[0])
    with suppress(InvalidSdistFilename):
        return normalized(parse_sdist_filename(file)[0])
    return ""


def words_for(given: GivenRequirement, project: Project, tree: Tree, into: Path) -> str:
    """Return a requirement as the installing command gets it: its paths are absolute.

    A folder of the repository is replaced by the side's own; a copy in the folder `into` is made of any other, because
    a build may write there.
    """
    if given.wanted is None and "://" not in given.text:
        path, extras = _split_extras(given.text)
        return f"{_place(Path(path).resolve(), project, tree, into)}{extras}"
    url = given.wanted.url if given.wanted is not None else given.text
    place = Path(url2pathname(urlsplit(url).path)) if url and url.startswith("file:") else None
    if url is None or place is None or not place.is_dir():
        return given.text
    return given.text.replace(url, _place(place.resolve(), project, tree, into).as_uri())


def _place(path: Path, project: Project, tree: Tree, into: Path) -> Path:
    if not path.is_dir():
        return path
    if is_in_repository(path, project) and (own := tree.top / path.relative_to(project.top)).is_dir():
        return own
    copy = into / str(len(list(into.iterdir())) if into.is_dir() else 0)
    shutil.copytree(
        path,
        copy,
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if is_generated(Path(folder) / name)],
    )
    return copy
