"""Sentences on what differs between the sides besides the revision."""

from __future__ import annotations

from jacobench.bench.gate.installation.requirement_changes import RequirementChange, UnmetRequirement
from jacobench.bench.gate.installation.side_code import MeasuredCode, MeasuredDistribution
from jacobench.reports.regression.side_sentences import code_notes


def row(side, name, version, commit=""):
    return MeasuredDistribution(side, name, version, commit, "/folder")


def test_distributions_that_differ_are_named_with_both_versions():
    rows = (
        row("base", "mine", "1.0", "1a2b3c"),
        row("base", "jax", "0.4.34"),
        row("base", "old", "1"),
        row("base", "local", "2"),
        row("head", "mine", "1.0", "4d5e6f"),
        row("head", "jax", "0.6.2"),
        row("head", "local", "2"),
        row("head", "new", "3"),
        row("head", "files", "", "4d5e6f"),
        row("both", "sibling", "1"),
    )
    said = "Distributions that differ: jax 0.4.34 → 0.6.2, old 1 → none, local 2 (another build) and new none → 3."
    assert code_notes(MeasuredCode(rows), ["jax==0.4.34"]) == (said,)
    assert code_notes(MeasuredCode(rows[:1] + rows[4:5]), []) == ()
    (same,) = code_notes(MeasuredCode(), ["jax", "numpy"])
    assert same == "The requirements (jax and numpy) change no distribution: both sides use the same."
    many = tuple(row("base", f"d{number}", "1") for number in range(25))
    assert code_notes(MeasuredCode(many), [])[0].endswith("d19 1 → none and 5 more.")


def test_requirements_that_changed_are_named_with_what_is_measured():
    def note(*change):
        (found,) = code_notes(MeasuredCode(changes=(RequirementChange("numpy", *change),)), [])
        return found

    assert note("numpy>=1.26", "numpy>=2", "2.3.1", "2.3.1", True) == (
        "Requires changed: numpy>=1.26 → numpy>=2 (both sides are measured with numpy 2.3.1 of the current environment). "
        "--install or --base-with/--head-with resolves it."
    )
    assert note("numpy>=1.26", "numpy>=2", "1.26", "2.3", False) == (
        "Requires changed: numpy>=1.26 → numpy>=2 (measured: base with 1.26 and head with 2.3)."
    )
    assert "numpy>=2 in the extra bench (both" in note("numpy", "numpy>=2", "2.3.1", "2.3.1", True, "extra bench")
    assert "none → numpy>=2 (numpy is not installed)." in note("", "numpy>=2", "", "", False)


def test_a_requirement_that_is_not_satisfied_is_named_with_its_side():
    unmet = [
        UnmetRequirement("mine 1.0", "numpy>=3", version, side) for version, side in (("2.3", "head"), ("", "both"))
    ]
    assert code_notes(MeasuredCode(unmet=tuple(unmet)), []) == (
        "mine 1.0 requires numpy>=3, but head has 2.3.",
        "mine 1.0 requires numpy>=3, but both sides have none.",
    )
    assert code_notes(MeasuredCode(unmet=tuple(unmet) * 3), [])[-1] == "1 more requirement not satisfied."
