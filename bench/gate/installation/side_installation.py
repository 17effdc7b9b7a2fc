"""Installation of both sides: requirements, the project, and the other distributions of its repository that differ."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.installation.installer import (
    INSTALL,
    install_command,
    install_variables,
    requirement_template,
    run_install,
)
from jacobench.bench.gate.installation.repository_distributions import (
    installed,
    is_own,
    normalized,
    siblings,
    static_metadata,
)
from jacobench.bench.gate.installation.requirement_changes import parsed
from jacobench.bench.gate.installation.side_code import measured_code, seen_by, versions_of
from jacobench.bench.gate.installation.side_environments import (
    build_system,
    check_backend,
    create_environment,
    lacking_to_build,
    side_variables,
    write_rules,
)
from jacobench.bench.gate.installation.side_requirements import read_requirements, words_for
from jacobench.bench.gate.trees.revisions import is_shallow
from jacobench.bench.machine.git_command import git
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jacobench.bench.gate.installation.repository_distributions import Installed, Sibling
    from jacobench.bench.gate.installation.side_code import MeasuredCode
    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.installation.side_requirements import GivenRequirement
    from jacobench.bench.gate.trees.revisions import Project, SideSource, Tree

FROM_TAGS = {"setuptools-scm", "vcs-versioning", "hatch-vcs", "versioningit", "poetry-dynamic-versioning", "dunamai"}
"""Packages that build backends use to get a version from git's tags."""

OPTIONS = ("--base-with", "--head-with")


@dataclass(frozen=True)
class SidePlan:
    """What is installed for a side: its requirements, then folders of its tree, the project last.

    siblings: names of the others that the folders contain. own: names of all that the repository builds. may_fail: both sides have the same files, so the project is not compared.
    """

    given: tuple[GivenRequirement, ...]
    folders: tuple[Path, ...]
    siblings: tuple[str, ...]
    own: frozenset[str]
    may_fail: bool

    @property
    def names(self) -> frozenset[str]:
        """Names of the distributions that the requirements name."""
        return frozenset(each.name for each in self.given)

    def replaces(self, found: Installed) -> bool:
        """Return whether a requirement replaces a distribution of the current environment, whatever its version is."""
        direct = {each.name for each in self.given if each.is_direct}
        return found.name in direct or (found.name in self.names and (found.is_editable or found.name in self.own))


def install_sides(
    project: Project,
    trees: tuple[Tree, Tree],
    sources: tuple[SideSource, SideSource],
    folder: Path,
    template: str,
    report: Callable[[str], None],
) -> tuple[tuple[Side, Side], MeasuredCode]:
    """Create an environment for each side in `folder`, and install its requirements and its revision with `template`.

    Other distributions of the repository that differ between the revisions are installed, too; both sides share the
    rest. Raises BadInput if something cannot be installed, or if the command installs nothing.
    """
    current = installed()
    own, found = _of_repository(current, project, trees, template)
    split = [each for each in found if each.is_per_side]
    plans = [_plan(number, trees, sources, own, split) for number in (0, 1)]
    for tree, plan in zip(trees, plans, strict=True):
        if template == INSTALL and tree.folder in plan.folders and not plan.may_fail:
            check_backend(tree.folder, tree.revision)
    base, head = sides = (
        create_environment("base", trees[0], folder / "base-env"),
        create_environment("head", trees[1], folder / "head-env"),
    )
    python = Path(sys.executable) if find_spec("pip") else base.python
    _hide(sides, project, [filter(plan.replaces, current) for plan in plans], found)
    sides = (
        _with_requirements(base, head, plans[0], project, folder, template, python, report),
        _with_requirements(head, base, plans[1], project, folder, template, python, report),
    )
    _hide(sides, project, [[*own, *(each.installed for each in split)]] * 2, found)
    variables = install_variables(python, template)
    for side, other, plan in zip(sides, sides[::-1], plans, strict=True):
        variables |= side_variables(project, side, other)
        others = f", with {', '.join(plan.siblings)}" if plan.siblings else ""
        if any(build_system(place) is not None for place in plan.folders):
            report(f"installing {side.name}: {side.tree.revision}{others}")
        _install_folders(side, plan, template, variables, report)
    return _finished(sides, plans, project, current, own, found, template)


def _plan(
    number: int,
    trees: tuple[Tree, Tree],
    sources: tuple[SideSource, SideSource],
    own: Sequence[Installed],
    split: Sequence[Sibling],
) -> SidePlan:
    """Plan a side. A requirement that names what the repository builds replaces it."""
    tree, given = trees[number], read_requirements(OPTIONS[number], sources[number].requirements)
    named = {each.name for each in given}
    project = {each.name for each in own} | {normalized(static_metadata(tree.folder).get("name", ""))}
    folders = {
        each.installed.name: tree.top / place
        for each in split
        if each.installed.name not in named and (place := each.folders[number]) is not None
    }
    return SidePlan(
        given,
        (*folders.values(), *([] if project & named else [tree.folder])),
        tuple(folders),
        frozenset(project | {each.installed.name for each in split}),
        may_fail=sources[0].revision == sources[1].revision and any(each.requirements for each in sources),
    )


def _with_requirements(
    side: Side,
    other: Side,
    plan: SidePlan,
    project: Project,
    folder: Path,
    template: str,
    python: Path,
    report: Callable[[str], None],
) -> Side:
    """Install the requirements of a side; return the side with the names of what they installed."""
    if not plan.given:
        return side
    texts = ", ".join(each.text for each in plan.given)
    report(f"installing {side.name}: {texts}")
    before = {each.name for each in side.distributions()}
    words = [words_for(each, project, side.tree, folder / f"{side.name}-requirements") for each in plan.given]
    own_template = requirement_template(template)
    variables = _variables(side, install_variables(python, own_template) | side_variables(project, side, other))
    what = f"{side.name} with {texts}"
    run_install(what, install_command(own_template, side.python, *words), Path.cwd(), variables)
    added = {each.name for each in side.distributions()} - before
    missing = [each.text for each in plan.given if each.is_direct and not ({each.name} & added if each.name else added)]
    if missing:
        raise BadInput(f"{what} was not installed: {missing[0]} added nothing; give it as 'NAME @ URL'")
    if pulled := added & plan.own - plan.names:  # a requirement requires what is built from the side's own files
        words = [str(side.python), "-m", "pip", "uninstall", "--quiet", "--yes", *sorted(pulled)]
        run_install(what, words, Path.cwd(), variables)
    return replace(side, required=frozenset(added - pulled))


def missing_tags(tree: Tree) -> str:
    """Return how to get the tags that the version of a project comes from, if the clone has none; else empty."""
    system = build_system(tree.folder) or {}
    names = {normalized(each.name) for each in parsed(map(str, system.get("requires", ())))}
    if not names & FROM_TAGS:
        return ""
    with suppress(BadInput):
        git(tree.top, "describe", "--tags", "--abbrev=0")
        return ""
    return (
        f"the version comes from git's tags, but none precedes {tree.revision} in this clone: to fetch them, run git fetch "
        f"--tags{' --unshallow' if is_shallow(tree) else ''}"
    )


def _install_folders(
    side: Side, plan: SidePlan, template: str, variables: Mapping[str, str], report: Callable[[str], None]
) -> None:
    if side.tree.folder in plan.folders and (fix := missing_tags(side.tree)):
        report(fix)
    try:
        for place in plan.folders:
            _install(side, place, template, variables)
    except BadInput as error:
        if not plan.may_fail:
            raise
        report(f"{error}; both sides have the same files, so only the requirements are compared")


def _finished(
    sides: tuple[Side, Side],
    plans: Sequence[SidePlan],
    project: Project,
    current: Sequence[Installed],
    own: Sequence[Installed],
    found: Sequence[Sibling],
    template: str,
) -> tuple[tuple[Side, Side], MeasuredCode]:
    """Write the final rules, check that each side has what it was given, and describe the measured code."""
    names = {each.name for each in own} | {each.name for side in sides for each in side.built()}
    base, head = sides = (_complete(sides[0]), _complete(sides[1]))
    hidden = [[each for each in current if each.name in names | side.required] for side in sides]
    _hide(sides, project, hidden, found)
    seen = (seen_by(base, current, hidden[0]), seen_by(head, current, hidden[1]))
    for side, plan, has in zip(sides, plans, seen, strict=True):
        versions = versions_of(has)
        lost = [each for each in plan.given if not each.is_met(versions)]
        if lost:
            raise BadInput(
                f"{side.name} has {lost[0].name} {versions.get(lost[0].name, '(not installed)')} instead of "
                f"{lost[0].text}: the command {template!r} replaced it; add --no-deps to it, or change the requirement"
            )
    shared = [each for each in found if each.installed not in hidden[0] and each.installed not in hidden[1]]
    return sides, measured_code(sides, seen, current, shared)


def _complete(side: Side) -> Side:
    """Return a side that knows all names of what is installed on it and was not built from its files."""
    built = {each.name for each in side.built()}
    return replace(side, required=frozenset(each.name for each in side.distributions()) - built)


def _of_repository(
    current: Sequence[Installed], project: Project, trees: tuple[Tree, Tree], template: str
) -> tuple[list[Installed], list[Sibling]]:
    """Return the distributions of the current environment that are the project itself, and its siblings."""
    names = {normalized(name) for tree in trees if (name := static_metadata(tree.folder).get("name"))}
    own = [each for each in current if is_own(each, names, project)]
    found = siblings([each for each in current if each not in own], project, trees)
    return own, [each for each in found if not _is_named(each, trees, template)]


def _is_named(sibling: Sibling, trees: tuple[Tree, Tree], template: str) -> bool:
    """Return whether the command names the folder of a sibling: then it is what the command installs."""
    return any(
        place is not None and tree.top / place != tree.folder and str(tree.top / place) in words
        for tree, place in zip(trees, sibling.folders, strict=True)
        for words in [install_command(template, "", tree.folder)]
    )


def _hide(
    sides: tuple[Side, Side], project: Project, hidden: Sequence[Iterable[Installed]], found: Sequence[Sibling]
) -> None:
    """Write the rules of both sides. hidden: for each side."""
    for side, other, lost in zip(sides, sides[::-1], map(list, hidden), strict=True):
        write_rules(side, other, project, lost, [each.installed for each in found if each.installed not in lost])


def _install(side: Side, folder: Path, template: str, variables: Mapping[str, str]) -> None:
    """Install a folder of a side's tree, if there is something to install."""
    if build_system(folder) is None:
        return
    place = "" if folder == side.tree.folder else f", {folder.relative_to(side.tree.top)}"
    revision = f"{side.tree.revision}{place}"
    if template == INSTALL:
        check_backend(folder, revision)
    what = f"{side.name} ({revision})"
    before = _stamps(side)
    try:
        run_install(what, install_command(template, side.python, folder), folder, _variables(side, variables))
    except BadInput as error:
        if template == INSTALL and (lacking := lacking_to_build(folder)):
            raise type(error)(f"{error}; {lacking}") from None
        raise
    if _stamps(side) <= before:
        raise BadInput(
            f"{what} was not installed: the command {template!r} installed nothing into the environment of {{python}}; "
            f"expected a command as in {INSTALL!r}"
        )


def _variables(side: Side, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command that installs into a side."""
    return {**variables, "VIRTUAL_ENV": str(side.environment), "UV_PROJECT_ENVIRONMENT": str(side.environment)}


def _stamps(side: Side) -> set[tuple[Path, int]]:
    """Return the metadata folders of what is installed, and when they were written."""
    return {(each.metadata, each.metadata.stat().st_mtime_ns) for each in side.distributions()}
