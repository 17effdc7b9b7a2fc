"""How to measure a run again, command by command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

# What changes the times most, beside jacobench itself.
PACKAGES = ("jacobench", "numpy", "scipy")


def commands(run: Run) -> list[tuple[str, str]]:
    """Return pairs of a command and what it does, in the order to type them.

    Parameters
    ----------
    run : Run
        With the facts of its run.json; what is not recorded is left out.
    """
    machine = run.facts.get("machine") or {}
    commits = [str(commit) for commit in run.table["commit"].dropna().unique()]
    found = []
    if len(commits) == 1:
        commit, _, dirty = commits[0].partition("-dirty")
        note = "the code that was measured" + (
            "; it was changed since, and the change is not recorded" if dirty or commits[0].endswith("-dirty") else ""
        )
        found.append((f"git checkout {shlex.quote(commit)}", f"in the repository the run was started in: {note}"))
    packages = machine.get("packages") or {}
    pins = [f"{name}=={packages[name]}" for name in PACKAGES if name in packages and name != "jacobench"]
    if pins:
        found.append((shlex.join(["python", "-m", "pip", "install", *pins]), "the libraries that do the arithmetic"))
    if command := run.facts.get("command"):
        found.append((str(command), "measures the same again, on your machine"))
    folder = shlex.quote(f"runs/{run.name or 'RUN'}")
    found.append((f"jacobench report {folder}", "makes this page from what was measured"))
    return found
