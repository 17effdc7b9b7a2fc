"""Branches of a history: which one a run belongs to, and which runs a command reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.bench.machine.git_command import git
from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from jacobench.reports.history.store import History

MAIN = ("main", "master")

PULL_REQUESTS = (
    "CI_MERGE_REQUEST_IID", "SYSTEM_PULLREQUEST_PULLREQUESTID", "CIRCLE_PR_NUMBER", "CHANGE_ID", "BUILDKITE_PULL_REQUEST",
    "BITBUCKET_PR_ID", "TRAVIS_PULL_REQUEST",
)  # fmt: skip
"""Variables with the number of a pull request. Its branch may be called main, too, in a fork."""

REFERENCES = (
    "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BUILD_SOURCEBRANCHNAME", "CIRCLE_BRANCH", "BRANCH_NAME", "BUILDKITE_BRANCH",
    "BITBUCKET_BRANCH", "TRAVIS_BRANCH",
)  # fmt: skip
"""Variables with a branch or tag: GitHub, GitLab, Azure, CircleCI, Jenkins, Buildkite, Bitbucket, Travis.

GitHub's is ``N/merge`` for a pull request.
"""


def current_branch(folder: Path, variables: Mapping[str, str]) -> str:
    """Return the branch that is checked out; if there is none, that of the continuous integration, or "" if unknown."""
    try:
        return git(folder, "symbolic-ref", "--quiet", "--short", "HEAD", timeout=10).strip()
    except BadInput:
        return branch_of_job(variables)


def current_commit(folder: Path) -> str:
    """Return the whole commit that is checked out; "" if unknown."""
    try:
        return git(folder, "rev-parse", "--quiet", "--verify", "HEAD", timeout=10).strip()
    except BadInput:
        return ""


def branch_of_job(variables: Mapping[str, str]) -> str:
    """Return the branch of a job by the variables of its continuous integration; "" if there are none.

    >>> branch_of_job({"GITHUB_REF_NAME": "12/merge"}), branch_of_job({"CHANGE_ID": "7", "BRANCH_NAME": "PR-7"})
    ('12/merge', 'pull-request/7')
    """
    for name in PULL_REQUESTS:
        if variables.get(name, "").isdigit():
            return f"pull-request/{variables[name]}"
    return next((variables[name] for name in REFERENCES if variables.get(name)), "")


def main_branch(runs: pd.DataFrame) -> str:
    """Return the branch whose series a history tracks: main, master, or else that of most runs; "" if none is known."""
    counts = runs.loc[runs["branch"] != "", "branch"].value_counts()
    return next((name for name in MAIN if name in counts), str(counts.index[0]) if len(counts) else "")


def of_branch(history: History, pattern: str | None) -> History:
    """Keep the runs of the branches that a pattern selects; without a pattern, those of `main_branch`.

    Runs of an unknown branch count as those of the main one. Raises `BadInput` if the pattern selects nothing.
    """
    main = main_branch(history.runs)
    branches = history.runs["branch"].replace("", main)
    known = sorted(branches.unique())
    selected = [main] if pattern is None else matching(pattern, known)
    if not selected:
        raise unknown("branch", pattern or "", known)
    runs = history.runs.assign(branch=branches)[branches.isin(selected)]
    cells = history.cells[history.cells["run"].isin(runs.index)].reset_index(drop=True)
    numbers = dict(zip(runs.index, range(len(runs)), strict=True))
    return type(history)(runs.reset_index(drop=True), cells.assign(run=cells["run"].map(numbers)))
