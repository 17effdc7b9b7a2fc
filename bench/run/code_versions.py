"""Code that a run measures: digests of its files, and versions and commits of distributions.

All passes of a row must measure the same code. A run stores this description in its settings, and compares it when a
worker starts and when it loads a strategy.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.machine.atomic_write import as_utf8
from jacobench.bench.machine.machine_record import PACKAGES
from jacobench.graphs.wording import listed
from jacobench.strategies import registry
from jacobench.strategies.plugin_files import imported_names, neighbours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jacobench.bench.run.run_plan import Plan

OURS = "jacobench"
OUR_FOLDERS = ("graphs", "strategies", "bench")  # what a worker runs

INSTALLED = {"site-packages", "dist-packages"}  # folders of installed packages; "dist-packages": Debian's

PEERS: Mapping[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "jax": ("jax", "jaxlib"),
    "autograd": ("autograd",),
    "asdex": ("asdex", "jax", "jaxlib"),
}
"""First word of a strategy of another library → its distributions."""

ALWAYS = tuple(name for name in PACKAGES if name not in PEERS)


@dataclass(frozen=True)
class CodeVersions:
    """Description of the code of a run; empty in runs of versions that did not record it."""

    files: dict[str, str] = field(default_factory=dict)  # file of a strategy or graph, or a neighbour → digest
    packages: dict[str, str] = field(default_factory=dict)  # package that is not in site-packages → digest of its files
    distributions: dict[str, str] = field(default_factory=dict)  # name → version, and the commit if pip recorded it


def code_versions(planned: Plan, suite: str) -> CodeVersions:
    """Describe the code of a plan. `suite` is its name or file; files of graphs are relative to the folder."""
    specs = sorted({cell.strategy for cell in planned.cells})
    files = _with_neighbours([*_strategy_files(specs), *_graph_files(planned, Path(suite).parent)])
    modules = {OURS, *(module for spec in specs if (module := _module(spec)))}
    imported = set().union(*map(imported_names, files)) - sys.stdlib_module_names
    names = {*ALWAYS, *(name for spec in specs for name in PEERS.get(spec.partition("-")[0], ()))}
    names |= _distributions(imported | modules - {OURS})
    return CodeVersions(
        {as_utf8(str(file)).decode(): _digest([file]) for file in sorted(files)},
        {module: _digest(sources) for module in sorted(modules) if (sources := _sources(module))},
        {name: version for name in sorted(names) if (version := _version(name))},
    )


def plugins(planned: Plan) -> dict[str, str]:
    """Return the strategies of a plan that other distributions register or contain, each with their names and versions."""
    modules = {spec: _module(spec) for spec in sorted({cell.strategy for cell in planned.cells})}
    found = {
        spec: [f"{name} {_version(name)}" for name in _providers().get(module, ())] for spec, module in modules.items()
    }
    return {spec: listed(found[spec]) or f"module {module}" for spec, module in modules.items() if module}


def is_installed(plugin: str) -> bool:
    """Return whether a strategy of `plugins` is registered, or its module can be imported."""
    module = _module(plugin)
    return bool(module) and find_spec(module) is not None


def restricted(before: CodeVersions, now: CodeVersions) -> CodeVersions:
    """Return the part of a description that names what `now` names, which may be that of a part of the plan."""
    parts = (({name: old[name] for name in new if name in old}) for old, new in _pairs(before, now))
    return CodeVersions(*parts)


def all_differences(before: CodeVersions, now: CodeVersions) -> list[str]:
    """List what differs between two machines, in words: "numpy 2.4.1 instead of 2.4.0"."""
    kinds = ("file {}", "package {}", "{}")
    found = []
    for kind, (old, new) in zip(kinds, _pairs(before, now), strict=True):
        for name in _changed(old, new):
            has = new.get(name, "none") if kind == "{}" else "differs"
            found.append(
                f"{name} {has} instead of {old.get(name, 'none')}" if kind == "{}" else f"{kind.format(name)} {has}"
            )
    return found


def _pairs(before: CodeVersions, now: CodeVersions) -> list[tuple[dict[str, str], dict[str, str]]]:
    return [(getattr(before, name), getattr(now, name)) for name in ("files", "packages", "distributions")]


def difference(before: CodeVersions, now: CodeVersions) -> str:
    """Return what has changed and what to do, in one sentence; empty if nothing has changed or been recorded."""
    if before == CodeVersions():
        return ""
    for file in _changed(before.files, now.files):
        return f"{file} has changed; restore it"
    for name in _changed(before.packages, now.packages):
        return f"the code of package {name!r} has changed; restore it"
    for name in _changed(before.distributions, now.distributions):
        old, new = (found.distributions.get(name, "none") for found in (before, now))
        return f"distribution {name!r} has changed from version {old} to {new}; install {old}"
    return ""


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    return (name for name in {**before, **now} if before.get(name) != now.get(name))


def _strategy_files(specs: Iterable[str]) -> list[Path]:
    places = (spec.rpartition(":")[0] for spec in specs)
    return [Path(place) for place in places if place.endswith(".py")]


def _graph_files(planned: Plan, folder: Path) -> set[Path]:
    places = (str(case.knobs.get("graph")).rpartition(":")[0] for case in planned.suite.cases)
    read = (Path(file) for case in planned.suite.cases for file in case.files)
    return {*((folder / place).resolve() for place in places if place.endswith(".py")), *read}


def _with_neighbours(files: Iterable[Path]) -> set[Path]:
    """Return files and the modules in their folders that they import, with all files of packages."""
    found: set[Path] = set()
    for file in files:
        places = [file, *neighbours(file, {file.parent}).values()]
        found.update(*(place.rglob("*.py") if place.is_dir() else [place] for place in places))
    return found


def _module(spec: str) -> str:
    """Return the top-level module of a strategy of another package; empty for ours, and for one in a file."""
    place, colon, _ = spec.rpartition(":")
    if not colon:
        point = registry.registered().get(spec)
        place = point.value if point and not registry.is_ours(spec) else ""
    return "" if place.endswith(".py") else place.partition(":")[0].partition(".")[0]


def _sources(module: str) -> list[Path]:
    """Return the files of a module or package, none if it is in site-packages, where its version identifies it."""
    spec = find_spec(module)
    if spec is None or not spec.origin:
        return []
    origin = Path(spec.origin)
    if INSTALLED & set(origin.parts):
        return []
    if not spec.submodule_search_locations:
        return [origin]
    folders = [origin.parent / name for name in OUR_FOLDERS] if module == OURS else [origin.parent]
    return sorted(file for folder in folders for file in folder.resolve().rglob("*.py"))


def _digest(files: Iterable[Path]) -> str:
    """Return the digest of files; that of a missing one differs from that of any content."""
    return sha256("".join(map(_content_digest, files)).encode()).hexdigest()[:16]


def _content_digest(file: Path) -> str:
    try:
        stat = file.stat()
        return _read_digest(file, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return "missing"


@cache
def _read_digest(file: Path, _modified_at: int, _size: int) -> str:
    return sha256(file.read_bytes()).hexdigest()


@cache
def _providers() -> Mapping[str, list[str]]:
    return packages_distributions()


def _distributions(modules: Iterable[str]) -> set[str]:
    """Return the distributions of modules, and those that they require directly."""
    providers = {name for module in modules for name in _providers().get(module, ())}
    return providers | {required for name in providers for required in _requirements(name)}


def _requirements(name: str) -> list[str]:
    """Return the distributions that another one always requires."""
    found = _installed(name)
    required = (found.requires if found else None) or []
    return [re.split(r"[^\w.-]", each)[0] for each in required if "extra ==" not in each]


def _version(name: str) -> str:
    found = _installed(name)
    if found is None:
        return ""
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{found.version} ({commit[:12]})" if commit else found.version


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
