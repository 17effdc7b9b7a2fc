"""Requirements of the measured distributions: what differs between the sides, and what a side does not satisfy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from jacobench.bench.gate.repository_distributions import normalized

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from jacobench.bench.gate.repository_distributions import Installed


@dataclass(frozen=True)
class RequirementChange:
    """A requirement of the project that differs between the sides. What a side lacks is empty."""

    name: str
    base: str  # such as "numpy>=2"
    head: str
    base_version: str  # that the side is measured with
    head_version: str
    is_shared: bool  # both sides use the one of the current environment


@dataclass(frozen=True)
class UnmetRequirement:
    """A requirement that is not satisfied on a side."""

    by: str  # name and version of the distribution that requires it
    requirement: str
    version: str  # that the side has; empty: none
    side: str = ""  # "base", "head" or "both"


def applies(requirement: Requirement) -> bool:
    """Return whether a requirement holds for this interpreter, without extras."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def is_satisfied(requirement: Requirement, versions: Mapping[str, str]) -> bool:
    """Return whether an environment with these versions (normalized name → version) satisfies a requirement."""
    has = versions.get(normalized(requirement.name))
    return has is not None and requirement.specifier.contains(has, prereleases=True)


def parsed(requirements: Iterable[str]) -> Iterator[Requirement]:
    """Return the requirements that hold here, without those of extras; what cannot be read is left out."""
    for text in requirements:
        try:
            found = Requirement(text)
        except InvalidRequirement:
            continue
        if applies(found):
            yield found


def requirement_changes(
    base: Iterable[str],
    head: Iterable[str],
    versions: tuple[Mapping[str, str], Mapping[str, str]],
    shared: Collection[str] = (),
) -> tuple[RequirementChange, ...]:
    """Compare the requirements of both sides.

    versions: of each side, name → version of what a process of it sees. shared: names of what both sides use of the
    current environment.
    """
    old, new = _by_name(base), _by_name(head)
    at_base, at_head = versions
    return tuple(
        RequirementChange(
            name, old.get(name, ""), new.get(name, ""), at_base.get(name, ""), at_head.get(name, ""), name in shared
        )
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _by_name(requirements: Iterable[str]) -> dict[str, str]:
    """Return name → requirements without markers, in one spelling."""
    found: dict[str, set[str]] = {}
    for each in parsed(requirements):
        each.marker, name = None, normalized(each.name)
        each.name = name
        found.setdefault(name, set()).add(str(each))
    return {name: ", ".join(sorted(texts)) for name, texts in found.items()}


def unmet_requirements(
    requiring: Iterable[Installed], versions: Mapping[str, str], only: Collection[str] | None = None
) -> tuple[UnmetRequirement, ...]:
    """Return the requirements of distributions that these versions do not satisfy. only: names of required ones; None: all."""
    return tuple(
        UnmetRequirement(
            f"{each.name} {each.version}",
            str(wanted).partition(";")[0].strip(),
            versions.get(normalized(wanted.name), ""),
        )
        for each in requiring
        for wanted in parsed(each.details.requires or ())
        if (only is None or normalized(wanted.name) in only) and not is_satisfied(wanted, versions)
    )
