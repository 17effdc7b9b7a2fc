"""Candidates of a bisection: the commits between two commits, or the releases of a package between two releases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from jacobench.bench.gate.installation.installer import CHOICES, KEPT, pip_configuration, pip_variables
from jacobench.bench.gate.trees.revisions import UNSHALLOW, SideSource, commit_of, is_shallow
from jacobench.bench.machine.git_command import git
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jacobench.bench.gate.trees.revisions import Project

HISTORY_FORMAT = "%H%x00%P%x00%s%x00%as"

CLOSE = 3
"""Names that an error suggests."""


@dataclass(frozen=True)
class Candidate:
    """A commit or release that may be the first slower one.

    ``name`` is the whole hash, or the version; ``label`` is for readers. ``parents``: names of the commits or of the
    release directly before it. The first of them need not be a candidate.
    """

    name: str
    label: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class CandidateRange:
    """What a bisection searches: candidates, oldest first; the last one is known to be slower than ``good``.

    ``package``: that of releases. ``suite``: commit whose benchmark files are measured at all commits; None: their own.
    """

    kind: str  # "commit" or "release"
    good: Candidate
    candidates: tuple[Candidate, ...]
    package: str = ""
    suite: str | None = None

    def source(self, name: str) -> SideSource:
        """Return the side that measures a candidate. With a release, its files are those of the working tree."""
        return SideSource(None, (f"{self.package}=={name}",)) if self.package else SideSource(name, suite=self.suite)


def commit_range(project: Project, good: str, bad: str, suite: str | None = None) -> CandidateRange:
    """Return the commits that `bad` contains and `good` does not, as ``git bisect`` does.

    `suite` is a revision, or "head" for `bad` and "base" for `good`.

    Raises BadInput for an unknown revision, if `good` is not an ancestor of `bad`, or if a shallow clone lacks commits
    between them.
    """
    old, new = (commit_of(project, revision) for revision in (good, bad))
    if old == new:
        raise BadInput(
            f"--good {good} and --bad {bad} are the same commit, {old[:12]}: expected an older and a newer one"
        )
    _check_ancestry(project.top, old, new, f"--good {good}", f"--bad {bad}", shallow=is_shallow(project))
    (first,) = _commits(project.top, "--max-count=1", old)
    cut = _cut_commits(project.top)
    later = _commits(project.top, "--topo-order", "--reverse", new, f"^{old}")
    for each in later:
        if each.name in cut:
            raise BadInput(f"--bad {bad} contains {each.label}, whose parents are missing; {UNSHALLOW}")
    files = suite and commit_of(project, {"head": bad, "base": good}.get(suite, suite))
    return CandidateRange("commit", first, tuple(later), suite=files)


def _check_ancestry(top: Path, old: str, new: str, good: str, bad: str, *, shallow: bool) -> None:
    if not git(top, "rev-list", "--max-count=1", old, f"^{new}"):
        return
    if not git(top, "rev-list", "--max-count=1", new, f"^{old}"):
        raise BadInput(f"{good} is newer than {bad}: expected an ancestor of {bad}; exchange the two")
    if shallow:
        fix = UNSHALLOW
    else:
        fix = f"to search from their last common commit: --good $(git merge-base {old[:12]} {new[:12]})"
    raise BadInput(f"{good} is not an ancestor of {bad}: expected a commit of its history; {fix}")


def compared_with(project: Project, searched: CandidateRange, candidate: Candidate) -> Candidate:
    """Return what a candidate is compared with: the good side, or a commit that both contain.

    A commit of a merged branch may lack changes that the good side contains, which its own change is not to blame for.
    """
    if searched.package:
        return searched.good
    with suppress(BadInput):  # they have no common commit
        common = git(project.top, "merge-base", searched.good.name, candidate.name).strip()
        if common != searched.good.name:
            return _commits(project.top, "--max-count=1", common)[0]
    return searched.good


def _cut_commits(top: Path) -> set[str]:
    """Return the commits of a shallow clone whose parents it lacks."""
    path = top / git(top, "rev-parse", "--git-path", "shallow").strip()
    return set(path.read_text().split()) if path.is_file() else set()


def _commits(top: Path, *arguments: str) -> list[Candidate]:
    listed = git(top, "log", "--no-show-signature", f"--format={HISTORY_FORMAT}", *arguments, "--")
    found = []
    for line in listed.split("\n")[:-1]:  # a subject may contain other characters that `splitlines` splits at
        name, parents, subject, date = line.split("\0")
        found.append(Candidate(name, f"{name[:12]} {subject!r} ({date})", tuple(parents.split())))
    return found


def release_range(package: str, good: str, bad: str) -> CandidateRange:
    """Return the releases of an installed package after `good`, up to `bad`, in the order of their versions (PEP 440).

    They are those that pip offers on the configured index for this Python and platform, without pre-releases and
    yanked ones. Of releases that differ in the local version only, such as 2.1.0 and 2.1.0+cpu, it is the one that pip
    prefers, the last. Raises BadInput if pip offers no such package or release, or if the index cannot be reached.
    """
    name = _installed_name(package)
    with _interpreter_with_pip() as python:
        offered = offered_releases(name, python, dict(os.environ))
    old, new = (_release(version, offered, name) for version in (good, bad))
    if old >= new:
        fix = "expected two releases" if old == new else "exchange the two"
        is_not = "is" if old == new else "is newer than"
        raise BadInput(f"--good {good} {is_not} --bad {bad}: {fix}")
    chosen = [version for version in offered if old <= version <= new]
    first, *later = (
        Candidate(str(version), f"{name} {version}", (str(before),) if before else ())
        for before, version in zip([None, *chosen], chosen, strict=False)
    )
    return CandidateRange("release", first, tuple(later), package)


def _installed_name(package: str) -> str:
    """Return the name of an installed package, which may be given with extras."""
    try:
        given = Requirement(package)
    except InvalidRequirement:
        given = None
    if given is None or given.specifier or given.url or given.marker:
        raise BadInput(
            f"--package {package!r}: expected the name of a package, such as jax; --good and --bad are releases"
        )
    try:
        distribution(given.name)
    except PackageNotFoundError:
        by_module = packages_distributions()
        known = {name for names in by_module.values() for name in names}
        near = [*by_module.get(given.name, []), *get_close_matches(given.name, known, CLOSE)]
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BadInput(
            f"--package {package}: it is not installed in this environment, so the benchmarks cannot use it; "
            f"expected an installed package{hint}"
        ) from None
    return given.name


@contextmanager
def _interpreter_with_pip() -> Iterator[Path]:
    """Yield an interpreter that has pip: this one, or that of a temporary environment."""
    if find_spec("pip"):
        yield Path(sys.executable)
        return
    with TemporaryDirectory(prefix="jacobench-pip-") as folder:
        venv.create(folder, symlinks=os.name != "nt", with_pip=True)
        yield Path(folder) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def offered_releases(name: str, python: Path, variables: Mapping[str, str]) -> list[Version]:
    """Return the releases of a package that pip of an interpreter offers, oldest first.

    Raises BadInput if there is none, or if an index cannot be reached.
    """
    environment = pip_variables(variables, pip_configuration(python, variables), (*KEPT, *CHOICES))
    command = [str(python), "-P", "-m", "pip", "index", "versions", "-vv", name]
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return read_offered(name, done.stdout + done.stderr)


def read_offered(name: str, printed: str) -> list[Version]:
    r"""Read what ``pip index versions -vv`` prints.

    >>> [str(version) for version in read_offered("x", "x (1.10)\nAvailable versions: 1.10, 1.9, 1.9rc1\n")]
    ['1.9', '1.10']
    """
    # An index without the package answers 404, some servers 403. Any other failure would hide releases.
    failed = re.search(r"Could not fetch URL (\S+): (?!40[34] )(.*?) - skipping", printed)
    if failed:
        said = re.sub(r" for url: \S+", "", failed[2])
        cause = re.split(r"connection error: |(?<!Error): |\(Caused by ", said)[-1].strip("()' ")[:200]
        raise UnsuitableEnvironment(
            f"the package index {failed[1]} cannot be reached ({cause}); check the network and pip's index-url"
        )
    found = re.search(r"^Available versions: (.*)$", printed, re.MULTILINE)
    if not found:
        raise BadInput(
            f"pip offers no release of {name!r} for this Python and platform: expected a package of the configured index "
            "('pip config list' shows it)"
        )
    versions = sorted(version for version in _versions(found[1].split(",")) if not version.is_prerelease)
    return list({Version(version.public): version for version in versions}.values())


def _versions(texts: Iterable[str]) -> Iterator[Version]:
    """Read versions; leave out those that PEP 440 does not allow, such as 2004d, which pip before 24.1 offers."""
    for text in texts:
        with suppress(InvalidVersion):
            yield Version(text.strip())


def _release(given: str, offered: Sequence[Version], name: str) -> Version:
    """Return the release that a text names; the local version may be left out."""
    for wanted in _versions([given]):
        for version in offered:
            if wanted in {version, Version(version.public)}:
                return version
    near = get_close_matches(given, [str(version) for version in offered], CLOSE) or [str(offered[-1])]
    raise BadInput(
        f"unknown release {given!r} of {name}: expected one that pip offers here, no pre-release or yanked one, "
        f"such as {', '.join(near)}"
    )
