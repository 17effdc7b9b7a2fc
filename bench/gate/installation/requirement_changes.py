"""Requirements of the measured distributions: what differs between the sides, and what a side does not satisfy."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from jacobench.bench.gate.installation.repository_distributions import normalized

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from jacobench.bench.gate.installation.repository_distributions import Installed


@dataclass(frozen=True)
class RequirementChange:
    """A requirement of the project that differs between the sides. What a side lacks is empty."""

    name: str
    base: str  # such as "numpy>=2"
    head: str
    base_version: str  # that the side is measured with
    head_version: str
    is_shared: bool  # both sides use the one of the current environment
    of: str = ""  # "extra NAME" or "group NAME"; empty: the project itself


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


def by_extra(requirements: Iterable[str]) -> dict[str, list[str]]:
    """Return the requirements in a distribution's metadata by what they belong to: "" or "extra NAME".

    >>> by_extra(["a>1", "b; extra == 'bench'"])
    {'': ['a>1', "b; extra == 'bench'"], 'extra bench': ['b']}
    """
    found: dict[str, list[str]] = {"": list(requirements)}
    for text in found[""]:
        with suppress(InvalidRequirement):
            requirement = Requirement(text)
            marker, requirement.marker = requirement.marker, None
            for extra in re.findall(r"extra == ['\"]([^'\"]+)", str(marker or "")):
                if marker and marker.evaluate({"extra": extra}):
                    found.setdefault(f"extra {extra}", []).append(str(requirement))
    return found


def stated_requirements(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the requirements in a pyproject.toml, as `by_extra` does, and of dependency groups ("group NAME").

    There is no "" if the project states no dependencies.
    """
    project = _tables(content.get("project"))
    found = {"": project["dependencies"]} if "dependencies" in project else {}
    extras, groups = _tables(project.get("optional-dependencies")), _tables(content.get("dependency-groups"))
    found |= {f"extra {name}": texts for name, texts in extras.items()}
    found |= {f"group {name}": texts for name, texts in groups.items()}
    lists = {of: texts for of, texts in found.items() if isinstance(texts, list)}
    return {of: [text for text in texts if isinstance(text, str)] for of, texts in lists.items()}


def _tables(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def requirement_changes(
    base: Mapping[str, Iterable[str]],
    head: Mapping[str, Iterable[str]],
    versions: tuple[Mapping[str, str], Mapping[str, str]],
    shared: Collection[str] = (),
) -> tuple[RequirementChange, ...]:
    """Compare the requirements of both sides, which are grouped as in `by_extra`.

    Those of extras and groups count only if a side has the distribution: the rest does not affect what is measured.
    versions: of each side, name → version of what a process of it sees. shared: names of what both sides use of the
    current environment.
    """
    if ("" in base) != ("" in head):
        return ()
    at_base, at_head = versions
    found = []
    for of in sorted(base.keys() | head.keys()):
        old, new = _by_name(base.get(of, ())), _by_name(head.get(of, ()))
        names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        found += [
            RequirementChange(
                name,
                old.get(name, ""),
                new.get(name, ""),
                at_base.get(name, ""),
                at_head.get(name, ""),
                name in shared,
                of,
            )
            for name in names
            if not of or name in at_base or name in at_head
        ]
    return tuple(found)


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
