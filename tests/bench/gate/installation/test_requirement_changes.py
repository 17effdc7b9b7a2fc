"""Requirements of the measured distributions: what differs between the sides, and what a side does not satisfy."""

from __future__ import annotations

from jacobench.bench.gate.installation.repository_distributions import installed
from jacobench.bench.gate.installation.requirement_changes import (
    RequirementChange,
    UnmetRequirement,
    by_extra,
    requirement_changes,
    stated_requirements,
    unmet_requirements,
)


def test_only_requirements_that_hold_here_and_differ_are_changes():
    base = ["numpy >=1.26", "Scipy~=1.1", "old", "win; sys_platform == 'none'", "tool>1; extra == 'dev'", "not valid!"]
    head = ["numpy>=2", "scipy ~= 1.1", "new<3,>=2", "win>2; sys_platform == 'none'", "tool>2; extra == 'dev'"]
    versions = {"numpy": "2.3.1", "new": "2.5"}
    assert requirement_changes({"": base}, {"": head}, (versions, versions | {"new": "2.6"}), {"numpy"}) == (
        RequirementChange("new", "", "new<3,>=2", "2.5", "2.6", is_shared=False),
        RequirementChange("numpy", "numpy>=1.26", "numpy>=2", "2.3.1", "2.3.1", is_shared=True),
        RequirementChange("old", "old", "", "", "", is_shared=False),
    )
    assert requirement_changes({"": base}, {"": base}, (versions, versions)) == ()
    assert requirement_changes({}, {"": head}, (versions, versions)) == ()


def test_requirements_of_extras_and_groups_count_if_they_are_installed():
    base = by_extra(
        ["numpy>1; extra == 'bench'", "tool>1; extra == 'dev'", 'x>1; extra == "bench" and os_name == "no"']
    )
    head = by_extra(
        ["numpy>2; extra == 'bench'", "tool>2; extra == 'dev'", 'x>2; extra == "bench" and os_name == "no"']
    )
    groups = stated_requirements({"dependency-groups": {"test": ["numpy>3", {"include-group": "dev"}], "other": 3}})
    assert groups == {"group test": ["numpy>3"]}
    versions = {"numpy": "2.1", "x": "1"}
    assert requirement_changes(base, head | groups, (versions, versions), {"numpy"}) == (
        RequirementChange("numpy", "numpy>1", "numpy>2", "2.1", "2.1", is_shared=True, of="extra bench"),
        RequirementChange("numpy", "", "numpy>3", "2.1", "2.1", is_shared=True, of="group test"),
    )


def test_a_pyproject_states_requirements_of_the_project_and_its_extras():
    content = {"project": {"dependencies": ["a"], "optional-dependencies": {"bench": ["b>1"]}}}
    assert stated_requirements(content) == {"": ["a"], "extra bench": ["b>1"]}
    assert stated_requirements({"project": {"dynamic": ["dependencies"]}}) == {}


def test_a_missing_or_unsuitable_version_is_unmet(tmp_path, install_files):
    install_files(tmp_path, "mine", {}, requires=["a>=2", "b", "c==1.*", "d; extra == 'x'"])
    versions = {"a": "2.1.dev1", "c": "2.0"}
    b, c = (UnmetRequirement("mine 0.1", text, has) for text, has in (("b", ""), ("c==1.*", "2.0")))
    assert unmet_requirements(installed([str(tmp_path)]), versions) == (b, c)
    assert unmet_requirements(installed([str(tmp_path)]), versions, {"c"}) == (c,)
