"""Which module may come from where, and which imported module may not."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from jacobench.bench.gate.installation.side_finder import ImportRules, foreign_module


@pytest.fixture
def rules(tmp_path):
    for name in ("base/fastad", "repo/fastad", "repo/vendored/jacobench", "site/fastad"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "head").mkdir()
    (tmp_path / "head/helpers.py").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "repo")
    return ImportRules(
        owned=["fastad", "fastad.impl", "space.core"],
        inside=[str(tmp_path / "base")],
        repository=str(tmp_path / "repo"),
        shared=[str(tmp_path / "repo/vendored")],
        trees=[str(tmp_path / "base"), str(tmp_path / "head")],
    )


ALLOWED = {
    "its own copy": ("fastad", "base/fastad/__init__.py", True),
    "the working tree's copy": ("fastad", "repo/fastad/__init__.py", False),
    "an installed copy": ("fastad.impl", "site/fastad/impl.py", False),
    "a module that only the working tree has": ("fastad.new", "repo/fastad/new.py", False),
    "another distribution's module in its package": ("fastad.plugin", "site/fastad/plugin.py", True),
    "a module in memory of its package": ("fastad.plugin", "repo/vendored/plugin.py", True),
    "another package": ("jacobench", "repo/vendored/jacobench/__init__.py", True),
    "another part of its namespace": ("space.other", "site/space/other.py", True),
    "a part of a namespace": ("space.core", "site/space/core.py", False),
    "a name that begins like it": ("fastad2", "site/fastad2.py", True),
    "a file of the working tree": ("helpers", "repo/helpers.py", False),
    "a file that a tree has, through a link": ("helpers", "link/helpers.py", False),
    "a file that no tree has": ("generated", "repo/build/generated.py", True),
    "a folder that begins like its own": ("fastad", "base2/fastad/__init__.py", False),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_module_of_the_project_must_be_in_the_side(name, rules, tmp_path):
    module, path, is_allowed = ALLOWED[name]
    assert rules.allow(module, str(tmp_path / path)) == is_allowed


def test_a_link_in_the_side_is_its_own(rules, tmp_path):
    (tmp_path / "cache.py").write_text("")
    (tmp_path / "base/fastad/impl.py").symlink_to(tmp_path / "cache.py")
    assert rules.allow("fastad.impl", str(tmp_path / "base/fastad/impl.py"))
    assert not rules.allow("fastad.impl", str(tmp_path / "cache.py"))


def module(name, **content):
    made = ModuleType(name)
    vars(made).update(content)
    return made


FOREIGN = {
    "a file": {"__file__": "repo/fastad/impl.py"},
    "a compiled file": {"__file__": "site/fastad/impl.cpython-311-x86_64-linux-gnu.so"},
    "a folder without a file": {"__path__": ["repo/fastad/impl"]},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_an_imported_module_from_elsewhere_is_named_with_its_file(name, rules, tmp_path, monkeypatch):
    ((attribute, place),) = FOREIGN[name].items()
    place = [str(tmp_path / place[0])] if isinstance(place, list) else str(tmp_path / place)
    monkeypatch.setitem(sys.modules, "fastad", module("fastad", __file__=str(tmp_path / "base/fastad/__init__.py")))
    monkeypatch.setitem(sys.modules, "fastad.memory", module("fastad.memory"))
    assert foreign_module(rules) is None
    monkeypatch.setitem(sys.modules, "fastad.impl", module("fastad.impl", **{attribute: place}))
    assert foreign_module(rules) == ("fastad.impl", place[0] if isinstance(place, list) else place)


def test_what_the_suite_imports_is_the_working_trees_unless_it_is_owned(rules, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "helpers", module("helpers", __file__=str(tmp_path / "repo/helpers.py")))
    assert foreign_module(rules) == ("helpers", str(tmp_path / "repo/helpers.py"))
    assert foreign_module(rules, {"helpers"}) is None
    monkeypatch.setitem(sys.modules, "fastad", module("fastad", __file__=str(tmp_path / "repo/fastad/__init__.py")))
    assert foreign_module(rules, {"helpers", "fastad"}) == ("fastad", str(tmp_path / "repo/fastad/__init__.py"))
