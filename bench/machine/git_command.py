"""git as a subprocess. Its errors become one line with the cause and, for known causes, the fix."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

if TYPE_CHECKING:
    from pathlib import Path

ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
"""Variables that git sets for its hooks. With them it would use another repository than the given folder's."""

VARIABLES = {"LANGUAGE": "en", "GIT_TERMINAL_PROMPT": "0"}  # messages in English; no questions

NO_SPACE = r"No space left on device|Disk quota exceeded"
"""Pattern of messages about a full disk."""

MORE_SPACE = "set TMPDIR to a folder with more space"

FIXES = (
    (r"dubious ownership", "it belongs to another user; to trust it: git config --global --add safe.directory {place}"),
    (r"(smudge|clean|external) filter", "install the program of this filter (for lfs: git-lfs), or fetch its objects"),
    (NO_SPACE, MORE_SPACE),
)
"""Patterns in the messages of git, with the fix."""


def git(place: Path, *arguments: str, timeout: float | None = None) -> str:
    """Return the output of git in a folder; names that are not UTF-8 have surrogate escapes.

    `place` is a folder of a work tree, its ``.git``, or a git directory, as those of submodules. Only for the first git
    checks that the repository belongs to the user. No hooks are run. Raises BadInput if git fails or is not installed.
    """
    variables = {name: value for name, value in os.environ.items() if name not in ANOTHER_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", *_at(place), *arguments],
            env=variables | VARIABLES,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=timeout,
        )
    except OSError as error:
        raise BadInput(f"cannot run git: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise BadInput(f"git {arguments[0]} did not finish within {timeout:g} s in {place}") from None
    except subprocess.CalledProcessError as error:
        said = os.fsdecode(error.stderr) or f"exit status {error.returncode}"
        kind = UnsuitableEnvironment if re.search(NO_SPACE, said) else BadInput
        raise kind(f"git {arguments[0]} failed in {place}: {explained(said, place)}") from None
    return os.fsdecode(done.stdout)


def _at(place: Path) -> list[str]:
    """Return the options that select a repository."""
    if place.name == ".git":
        return ["-C", str(place.parent), "--git-dir", ".git", "--work-tree", "."]
    if (place / "objects").is_dir() and (place / "HEAD").is_file():
        return ["--git-dir", str(place), "--work-tree", str(place)]  # its own work tree may be missing
    return ["-C", str(place)]


def explained(said: str, place: Path) -> str:
    r"""Return the line of git's messages that names the cause, and the fix if it is known.

    >>> from pathlib import Path
    >>> explained("warning: a\nfatal: disk: No space left on device\nhint: b", Path("/tmp"))
    'fatal: disk: No space left on device; set TMPDIR to a folder with more space'
    """
    lines = said.strip().splitlines() or [""]
    causes = [line for line in lines if line.startswith("fatal:")] or [x for x in lines if x.startswith("error:")]
    cause = (causes or lines)[-1]
    if "filter" in cause and lines[0] != cause:
        cause = f"{cause} ({lines[0]})"  # what the filter itself printed
    fixes = [fix.format(place=place) for pattern, fix in FIXES if re.search(pattern, said)]
    return "; ".join([cause, *fixes[:1]])
