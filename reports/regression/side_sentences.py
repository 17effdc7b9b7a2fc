"""Sentences on what differs between the sides of a gate besides the revision: distributions and requirements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.bench.gate.installation.requirement_changes import RequirementChange, UnmetRequirement
    from jacobench.bench.gate.installation.side_code import MeasuredCode, MeasuredDistribution

MOST_NAMES = 20
"""Distributions that a sentence names."""

MOST_UNMET = 5


def side_title(revision: str, requirements: Sequence[str]) -> str:
    """Return a side in the title of a gate.

    >>> side_title("1a2b3c", ["jax==0.4.34"]), side_title("1a2b3c", [])
    ('1a2b3c with jax==0.4.34', '1a2b3c')
    """
    return f"{revision} with {listed(requirements)}" if requirements else revision


def code_notes(code: MeasuredCode, requirements: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences on the measured code. requirements: those that the sides were given."""
    differing = distributions_differ(code.distributions)
    if requirements and not differing:
        differing = requirements_without_effect(requirements)
    changed = requirements_changed(code.changes) if code.changes else ""
    unmet = [requirement_unmet(each) for each in code.unmet[:MOST_UNMET]]
    if len(code.unmet) > MOST_UNMET:
        unmet.append(more_unmet(len(code.unmet) - MOST_UNMET))
    return tuple(filter(None, (differing, changed, *unmet)))


def distributions_differ(distributions: Sequence[MeasuredDistribution]) -> str:
    """Return the distributions whose versions differ between the sides; empty if there are none."""
    base, head = (
        {each.name: each for each in distributions if each.side == side and each.version} for side in ("base", "head")
    )
    changes = [
        f"{name} {_change(base.get(name), head.get(name))}"
        for name in dict.fromkeys((*base, *head))
        if name not in base or name not in head or _is_other(base[name], head[name])
    ]
    more = [f"{len(changes) - MOST_NAMES} more"] if len(changes) > MOST_NAMES else []
    return f"Distributions that differ: {listed([*changes[:MOST_NAMES], *more])}." if changes else ""


def _is_other(base: MeasuredDistribution, head: MeasuredDistribution) -> bool:
    """Return whether two distributions differ in more than the revision that they were built from."""
    return base.version != head.version or not (base.commit and head.commit)


def _change(base: MeasuredDistribution | None, head: MeasuredDistribution | None) -> str:
    old, new = (each.version if each else "none" for each in (base, head))
    return f"{old} → {new}" if old != new else f"{old} (another build)"


def requirements_without_effect(requirements: Sequence[str]) -> str:
    """Return that the requirements do not change what is measured."""
    return f"The requirements ({listed(requirements)}) change no distribution: both sides use the same."


def requirements_changed(changes: Sequence[RequirementChange]) -> str:
    """Return the requirements that differ between the sides, and what both are measured with."""
    fix = any(each.is_shared for each in changes)
    parts = "; ".join(map(_requirement_change, changes))
    return f"Requires changed: {parts}." + (" --install or --base-with/--head-with resolves it." if fix else "")


def _requirement_change(change: RequirementChange) -> str:
    old, new = change.base or "none", (change.head or "none") + (f" in the {change.of}" if change.of else "")
    versions = {"base": change.base_version, "head": change.head_version}
    if len(set(versions.values())) > 1:
        has = " and ".join(f"{side} with {version or f'no {change.name}'}" for side, version in versions.items())
        return f"{old} → {new} (measured: {has})"
    if not change.base_version:
        return f"{old} → {new} ({change.name} is not installed)"
    origin = " of the current environment" if change.is_shared else ""
    return f"{old} → {new} (both sides are measured with {change.name} {change.base_version}{origin})"


def requirement_unmet(unmet: UnmetRequirement) -> str:
    """Return a requirement that is not satisfied."""
    where = "both sides have" if unmet.side == "both" else f"{unmet.side} has"
    return f"{unmet.by} requires {unmet.requirement}, but {where} {unmet.version or 'none'}."


def more_unmet(n: int) -> str:
    """Return how many other requirements are not satisfied."""
    return f"{counted(n, 'more requirement')} not satisfied."
