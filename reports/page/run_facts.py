"""Facts of a run for its page: details of the machine, and the commands that reproduce the run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

PACKAGES = ("numpy", "scipy")
"""Packages that do the arithmetic: their versions affect the times most."""


def machine_details(run: Run) -> list[tuple[str, str]]:
    """Return the recorded facts of the machine as pairs of name and value."""
    machine = run.facts.get("machine") or {}
    blas = [
        " ".join(str(library[key]) for key in ("internal_api", "version", "architecture") if library.get(key))
        for library in machine.get("blas") or ()
    ]
    found: list[tuple[str, Any]] = [
        ("processor", machine.get("processor")),
        ("caches", machine.get("caches")),
        ("frequency governor", machine.get("governor")),
        ("boost", machine.get("boost")),
        ("system", machine.get("system")),
        ("C library", machine.get("libc")),
        ("Python", machine.get("python")),
        ("packages", [f"{name} {version}" for name, version in (machine.get("packages") or {}).items()]),
        ("BLAS", list(dict.fromkeys(blas))),
        ("environment of every process", [f"{key}={value}" for key, value in (machine.get("settings") or {}).items()]),
    ]
    return [(name, ", ".join(value) if isinstance(value, list) else str(value)) for name, value in found if value]


def commands(run: Run) -> list[tuple[str, str]]:
    """Return the commands that reproduce a run, in order, each with its purpose. Unrecorded facts are left out."""
    machine = run.facts.get("machine") or {}
    commits = [str(commit) for commit in run.table["commit"].dropna().unique()]
    found = []
    if len(commits) == 1:
        commit, _, dirty = commits[0].partition("-")
        purpose = "check out the measured code, in the repository where the run was started"
        if dirty:
            purpose += "; its uncommitted changes are not recorded"
        found.append((f"git checkout {shlex.quote(commit)}", purpose))
    versions = machine.get("packages") or {}
    if pins := [f"{name}=={versions[name]}" for name in PACKAGES if name in versions]:
        found.append((shlex.join(["python", "-m", "pip", "install", *pins]), "install the same numerical libraries"))
    if command := run.facts.get("command"):
        found.append((str(command), "repeat the measurements on your machine"))
    folder = shlex.quote(f"runs/{run.name or 'RUN'}")
    found.append((f"jacobench report {folder}", "write this page from the results"))
    return found
