"""Installation of both sides: the project, and the other distributions of its repository that the revisions change."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.installer import INSTALL, install_command, install_variables, run_install
from jacobench.bench.gate.repository_distributions import (
    installed,
    is_own,
    normalized,
    required_by,
    siblings,
    static_metadata,
)
from jacobench.bench.gate.side_environments import (
    build_system,
    check_backend,
    create_environment,
    python_path,
    write_rules,
)
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jacobench.bench.gate.repository_distributions import Installed, Sibling
    from jacobench.bench.gate.revisions import Project, Tree
    from jacobench.bench.gate.side_environments import Side


@dataclass(frozen=True)
class MeasuredDistribution:
    """A distribution whose code a side runs. The folder contains its modules; unknown text is empty."""

    side: str  # "base", "head" or "both"
    name: str
    version: str
    commit: str
    folder: str
    note: str = ""


def install_sides(
    project: Project, trees: tuple[Tree, Tree], folder: Path, template: str, report: Callable[[str], None]
) -> tuple[tuple[Side, Side], tuple[MeasuredDistribution, ...]]:
    """Create an environment for each side in `folder` and install its revision with `template`; return what each measures.

    Other distributions of the repository that differ between the revisions are installed, too; both sides share the
    rest. Raises BadInput if something cannot be installed, or if the command installs nothing.
    """
    for tree in trees if template == INSTALL else ():
        check_backend(tree.folder, tree.revision)
    current = installed()
    own, found = _of_repository(current, project, trees, template)
    split = [each for each in found if each.is_per_side]
    base, head = sides = (
        create_environment("base", trees[0], folder / "base-env"),
        create_environment("head", trees[1], folder / "head-env"),
    )
    _hide(sides, project, [*own, *(each.installed for each in split)], found)
    variables = install_variables(Path(sys.executable) if find_spec("pip") else base.python, template)
    for number, (side, other) in enumerate((sides, sides[::-1])):
        variables["PYTHONPATH"] = python_path(project, side, other)
        others = f", with {', '.join(each.installed.name for each in split)}" if split else ""
        report(f"installing {side.name}: {side.tree.revision}{others}")
        folders = [side.tree.top / place for each in split if (place := each.folders[number]) is not None]
        for place in [*folders, side.tree.folder]:
            _install(side, place, template, variables)
    built = {each.name for side in sides for each in side.built()}
    hidden = [each for each in current if each in own or each.name in built]
    _hide(sides, project, hidden, found)
    shared = [each for each in found if each.installed not in hidden]
    return sides, (*_of_side(base, head), *_of_side(head, base), *_of_both(shared, sides, current))


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


def _hide(sides: tuple[Side, Side], project: Project, hidden: Sequence[Installed], found: Iterable[Sibling]) -> None:
    shared = [each.installed for each in found if each.installed not in hidden]
    for side, other in (sides, sides[::-1]):
        write_rules(side, other, project, hidden, shared)


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
    own = {**variables, "VIRTUAL_ENV": str(side.environment), "UV_PROJECT_ENVIRONMENT": str(side.environment)}
    run_install(what, template, side.python, folder, own)
    if _stamps(side) <= before:
        raise BadInput(
            f"{what} was not installed: the command {template!r} installed nothing into the environment of {{python}}; "
            f"expected a command as in {INSTALL!r}"
        )


def _stamps(side: Side) -> set[tuple[Path, int]]:
    """Return the metadata folders of what is installed, and when they were written."""
    return {(each.metadata, each.metadata.stat().st_mtime_ns) for each in side.distributions()}


def _of_side(side: Side, other: Side) -> list[MeasuredDistribution]:
    """Return what was built from a side's tree, and what the command added that the other side has not."""
    built = side.built()
    known = {(each.name, each.version) for each in [*built, *other.distributions()]}
    added = [each for each in side.distributions() if (each.name, each.version) not in known]
    found = [_measured(side.name, each, side.tree.revision) for each in built]
    found += [_measured(side.name, each, "") for each in added]
    if build_system(side.tree.folder) is None:
        note = "the project is not a package: used from its folder"
        files = MeasuredDistribution(side.name, "files", "", side.tree.revision, str(side.tree.folder), note)
        found.insert(0, files)
    return found


def _of_both(
    shared: Iterable[Sibling], sides: tuple[Side, Side], current: Sequence[Installed]
) -> list[MeasuredDistribution]:
    """Return the distributions of the repository that both sides share."""
    required = required_by([each for side in sides for each in side.built()], current)
    found = []
    for each in shared:
        if each.is_from_repository:
            is_of_tree = each.installed.is_editable and each.folders[1] is not None  # it differs from no side's
            revision = sides[1].tree.revision if is_of_tree else ""
            found.append(_measured("both", each.installed, revision, "shared by both sides"))
        elif each.differs and each.installed.name in required:
            note = "shared by both sides; the repository's copy differs between them, but was not installed from it"
            found.append(_measured("both", each.installed, "", note))
    return found


def _measured(side: str, found: Installed, revision: str, note: str = "") -> MeasuredDistribution:
    return MeasuredDistribution(side, found.name, found.version, found.commit or revision, str(found.folder), note)
