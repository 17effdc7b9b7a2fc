"""Code that the sides run: their distributions, and requirements that differ or are not satisfied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jacobench.bench.gate.installation.repository_distributions import required_by
from jacobench.bench.gate.installation.requirement_changes import (
    by_extra,
    requirement_changes,
    stated_requirements,
    unmet_requirements,
)
from jacobench.bench.gate.installation.side_environments import read_pyproject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from jacobench.bench.gate.installation.repository_distributions import Installed, Sibling
    from jacobench.bench.gate.installation.requirement_changes import RequirementChange, UnmetRequirement
    from jacobench.bench.gate.installation.side_environments import Side


@dataclass(frozen=True)
class MeasuredDistribution:
    """A distribution whose code a side runs. The folder contains its modules; unknown text is empty."""

    side: str  # "base", "head" or "both"
    name: str
    version: str
    commit: str
    folder: str
    note: str = ""


@dataclass(frozen=True)
class MeasuredCode:
    """Whose code the sides run: distributions, and requirements that differ or are not satisfied."""

    distributions: tuple[MeasuredDistribution, ...] = ()
    changes: tuple[RequirementChange, ...] = ()
    unmet: tuple[UnmetRequirement, ...] = ()


def measured_code(
    sides: tuple[Side, Side],
    seen: tuple[Mapping[str, Installed], Mapping[str, Installed]],
    current: Sequence[Installed],
    shared: Iterable[Sibling],
) -> MeasuredCode:
    """Describe the code of both sides. seen: what a process of each side sees. shared: siblings that both sides use."""
    base, head = sides
    differing = _differing(*seen)
    return MeasuredCode(
        (*_of_side(base, seen[0], differing), *_of_side(head, seen[1], differing), *_of_both(shared, sides, current)),
        _changes(sides, seen, current),
        _unmet(sides, seen),
    )


def seen_by(side: Side, current: Iterable[Installed], hidden: Collection[Installed]) -> dict[str, Installed]:
    """Return what a process of a side sees, by name."""
    return {each.name: each for each in (*(each for each in current if each not in hidden), *side.distributions())}


def versions_of(seen: Mapping[str, Installed]) -> dict[str, str]:
    """Return name → version of what a process of a side sees."""
    return {name: each.version for name, each in seen.items()}


def _differing(base: Mapping[str, Installed], head: Mapping[str, Installed]) -> list[str]:
    """Return the names of the distributions that differ between the sides, in version or origin."""
    names = sorted(base.keys() | head.keys())
    return [
        name for name in names if base.get(name) is not head.get(name) and not _same(base.get(name), head.get(name))
    ]


def _same(one: Installed | None, other: Installed | None) -> bool:
    if one is None or other is None:
        return False
    return one.version == other.version and one.details.read_text("direct_url.json") == other.details.read_text(
        "direct_url.json"
    )


def _of_side(side: Side, seen: Mapping[str, Installed], differing: Iterable[str]) -> list[MeasuredDistribution]:
    """Return what was built from a side's tree, and what else differs from the other side."""
    built = side.built()
    found = [_measured(side.name, each, side.tree.revision) for each in built]
    if not built:
        note = "the project is not installed: its files are used from their folder"
        found = [MeasuredDistribution(side.name, "files", "", side.tree.revision, str(side.tree.folder), note)]
    others = [seen[name] for name in differing if name in seen and name not in {each.name for each in built}]
    return found + [_measured(side.name, each, "") for each in others]


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


def _changes(
    sides: tuple[Side, Side],
    seen: tuple[Mapping[str, Installed], Mapping[str, Installed]],
    current: Sequence[Installed],
) -> tuple[RequirementChange, ...]:
    shared = {each.name for each in current} - sides[0].required - sides[1].required
    versions = versions_of(seen[0]), versions_of(seen[1])
    return requirement_changes(_requires(sides[0]), _requires(sides[1]), versions, shared)


def _requires(side: Side) -> dict[str, list[str]]:
    """Return the requirements of what was built from a side's files, or that they state; dependency groups are stated."""
    stated = stated_requirements(read_pyproject(side.tree.folder))
    if not (built := side.built()):
        return stated
    requires = (text for each in built for text in each.details.requires or ())
    return by_extra(requires) | {of: texts for of, texts in stated.items() if of.startswith("group ")}


def _unmet(
    sides: tuple[Side, Side], seen: tuple[Mapping[str, Installed], Mapping[str, Installed]]
) -> tuple[UnmetRequirement, ...]:
    """Return what the project requires and a side does not have, and whose requirements a side's own ones break."""
    found: dict[UnmetRequirement, set[str]] = {}
    for side, has in zip(sides, seen, strict=True):
        built, versions = side.built(), versions_of(has)
        others = [each for name, each in has.items() if name not in {own.name for own in built}]
        lacking = (*unmet_requirements(built, versions), *unmet_requirements(others, versions, side.required))
        for each in lacking:
            found.setdefault(each, set()).add(side.name)
    return tuple(replace(each, side=min(on) if len(on) == 1 else "both") for each, on in found.items())
