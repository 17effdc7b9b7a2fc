"""Installation of both sides: the project, and the other distributions of its repository that the revisions change."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.installer import INSTALL, install_variables, run_install
from jacobench.bench.gate.repository_distributions import (
    installed,
    is_own,
    normalized,
    required_by,
    siblings,
    static_metadata,
)
from jacobench.bench.gate.side_environments import build_system, check_backend, create_environment, write_rules
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
    names = {normalized(name) for tree in trees if (name := static_metadata(tree.folder).get("name"))}
    own = [each for each in current if is_own(each, names, project)]
    found = siblings([each for each in current if each not in own], project, trees)
    found = [each for each in found if not _is_named(each, trees, template)]
    split = [each for each in found if each.is_per_side]
    base, head = (
        create_environment(name, tree, folder / f"{name}-env")
        for name, tree in zip(("base", "head"), trees, strict=True)
    )
    _hide((base, head), project, [*own, *(each.installed for each in split)], found)
    variables = install_variables(Path(sys.executable) if find_spec("pip") else base.python)
    for number, side in enumerate((base, head)):
        others = f", with {', '.join(each.installed.name for each in split)}" if split else ""
        report(f"installing {side.name}: {side.tree.revision}{others}")
        folders = [side.tree.top / place for each in split if (place := each.folders[number]) is not None]
        for place in [*folders, side.tree.folder]:
            _install(side, place, template, variables)
    built = {each.name for side in (base, head) for each in side.built()}
    hidden = [each for each in current if each in own or each.name in built]
    _hide((base, head), project, hidden, found)
    shared = [each for each in found if each.installed not in hidden]
    return (base, head), (*_of_side(base, head), *_of_side(head, base), *_of_both(shared, (base, head), current))


def _is_named(sibling: Sibling, trees: tuple[Tree, Tree], template: str) -> bool:
    """Return whether the command names the folder of a sibling: then it is what the command installs."""
    return any(
        place is not None and tree.top / place != tree.folder and str(tree.top / place) in words
        for tree, place in zip(trees, sibling.folders, strict=True)
        for words in [shlex.split(template.format(python="", dir=tree.folder))]
    )


def _hide(sides: tuple[Side, Side], project: Project, hidden: Sequence[Installed], found: Iterable[Sibling]) -> None:
    shared = [each.installed for each in found if each.installed not in hidden]
    for side, other in (sides, sides[::-1]):
        write_rules(side, other, project, hidden, shared)


def _install(side: Side, folder: Path, template: str, variables: Mapping[str, str]) -> None:
    """Install a folder of a side's tree, if there is something to install."""
    if build_system(folder) is None:
        return
    if template == INSTALL:
        check_backend(folder, side.tree.revision)
    place = "" if folder == side.tree.folder else f", {folder.relative_to(side.tree.top)}"
    what = f"{side.name} ({side.tree.revision}{place})"
    before = _stamps(side)
    own = {**variables, "VIRTUAL_ENV": str(side.environment)}
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
    added = {(each.name, each.version) for each in other.distributions()}
    differing = [each for each in side.distributions() if each not in built and (each.name, each.version) not in added]
    if not built:
        return [
            MeasuredDistribution(
                side.name, "files", "", side.tree.revision, str(side.tree.folder), "not installed: no package"
            )
        ]
    return [_measured(side.name, each, side.tree.revision if each in built else "") for each in [*built, *differing]]


def _of_both(
    shared: Iterable[Sibling], sides: tuple[Side, Side], current: Sequence[Installed]
) -> list[MeasuredDistribution]:
    """Return the distributions of the repository that both sides share."""
    required = required_by([each for side in sides for each in side.built()], current)
    found = []
    for each in shared:
        if each.is_from_repository:
            found.append(_measured("both", each.installed, "", "shared by both sides"))
        elif each.differs and each.installed.name in required:
            note = "shared by both sides; the repository's copy differs between them, but was not installed from it"
            found.append(_measured("both", each.installed, "", note))
    return found


def _measured(side: str, found: Installed, revision: str, note: str = "") -> MeasuredDistribution:
    return MeasuredDistribution(side, found.name, found.version, found.commit or revision, str(found.folder), note)
