"""Branches of a history: which one a run belongs to, and which runs a command reads."""

from __future__ import annotations

import re
from collections import Counter
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
COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")

PULL_REQUESTS = (
    "CI_MERGE_REQUEST_IID", "SYSTEM_PULLREQUEST_PULLREQUESTID", "CIRCLE_PR_NUMBER", "CHANGE_ID", "BUILDKITE_PULL_REQUEST",
    "BITBUCKET_PR_ID", "TRAVIS_PULL_REQUEST",
)  # fmt: skip
"""Variables with the number of a pull request. Its branch may be called main, too, in a fork."""

REFERENCES = {
    "GITHUB_REF_NAME": "GITHUB_SHA",
    "CI_COMMIT_REF_NAME": "CI_COMMIT_SHA",  # GitLab
    "BUILD_SOURCEBRANCH": "BUILD_SOURCEVERSION",  # Azure
    "CIRCLE_BRANCH": "CIRCLE_SHA1",
    "BRANCH_NAME": "GIT_COMMIT",  # Jenkins
    "BUILDKITE_BRANCH": "BUILDKITE_COMMIT",
    "BITBUCKET_BRANCH": "BITBUCKET_COMMIT",
    "TRAVIS_BRANCH": "TRAVIS_COMMIT",
}
"""Variable with a branch or tag → variable with its commit."""

MERGE = "/merge"  # GitHub calls the merge of pull request 12 with its target 12/merge


def current_branch(folder: Path, variables: Mapping[str, str]) -> str:
    """Return the branch that is checked out; if there is none, that of the continuous integration, or "" if unknown."""
    try:
        return git(folder, "symbolic-ref", "--quiet", "--short", "HEAD", timeout=10).strip()
    except BadInput:
        return branch_of_job(variables, current_commit(folder))


def current_commit(folder: Path) -> str:
    """Return the whole commit that is checked out; "" if unknown."""
    try:
        return git(folder, "rev-parse", "--quiet", "--verify", "HEAD", timeout=10).strip()
    except BadInput:
        return ""


def branch_of_job(variables: Mapping[str, str], head: str) -> str:
    """Return the branch of a job by the variables of its continuous integration; "" if there are none.

    head: commit that is checked out; if it is not the job's, the branch is not known either, and is named after it.

    >>> branch_of_job({"GITHUB_REF_NAME": "12/merge"}, ""), branch_of_job({"CHANGE_ID": "7", "BRANCH_NAME": "PR-7"}, "")
    ('12/merge', 'pull-request/7')
    """
    for name in PULL_REQUESTS:
        if variables.get(name, "").isdigit():
            return f"pull-request/{variables[name]}"
    reference = next((name for name in REFERENCES if variables.get(name)), None)
    if reference is None:
        return ""
    branch = variables[reference].removeprefix("refs/heads/")
    if branch.endswith(MERGE) and reference == "GITHUB_REF_NAME":
        return branch
    if source := variables.get("GITHUB_HEAD_REF"):  # of a pull request; the reference may be its target
        return f"pull-request/{source}"
    commit = variables.get(REFERENCES[reference], "")
    return f"commit/{head[:12]}" if head and COMMIT.fullmatch(commit) and commit != head else branch


def default_branch(folder: Path) -> str:
    """Return the main branch of the remote repository, ``origin/HEAD``; "" if unknown, as in most checkouts of a job."""
    try:
        name = git(folder, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", timeout=10)
    except BadInput:
        return ""
    return name.strip().partition("/")[2]


def main_branch(runs: pd.DataFrame, default: str) -> str:
    """Return the branch whose series a history tracks; "" if none is known.

    It is the default branch if the history has runs of it; if not, the one of main and master that has more runs, or
    else the branch that has most runs.
    """
    counts = Counter(name for name in runs["branch"] if name)
    by_preference = sorted(counts, key=lambda name: (name != default, name not in MAIN, -counts[name], name))
    return next(iter(by_preference), "")


def of_branch(history: History, pattern: str | None, default: str = "") -> History:
    """Keep the runs of the branches that a pattern selects; without a pattern, those of `main_branch`.

    Runs of an unknown branch count as those of the main one. Raises `BadInput` if the pattern selects nothing.
    """
    main = main_branch(history.runs, default)
    branches = history.runs["branch"].replace("", main)
    known = sorted(branches.unique())
    selected = [main] if pattern is None else matching(pattern, known)
    if not selected:
        raise unknown("branch", pattern or "", known)
    runs = history.runs.assign(branch=branches)[branches.isin(selected)]
    cells = history.cells[history.cells["run"].isin(runs.index)].reset_index(drop=True)
    numbers = dict(zip(runs.index, range(len(runs)), strict=True))
    return type(history)(runs.reset_index(drop=True), cells.assign(run=cells["run"].map(numbers)))
