"""Branches of a history: which one a run gets, and that the others do not affect the series of main."""

from __future__ import annotations

import subprocess

import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.branches import (
    REFERENCES,
    branch_of_job,
    current_branch,
    current_commit,
    default_branch,
    main_branch,
    of_branch,
)
from jacobench.reports.history.history_check import check
from jacobench.reports.history.history_records import branch_of
from jacobench.reports.history.history_tables import series_rows
from jacobench.reports.history.series import series


@pytest.fixture
def repository(tmp_path):
    """Return a function that runs git in a new repository with one commit on the branch topic."""

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=topic")
    git("commit", "--quiet", "--allow-empty", "--message=first")
    return git


def test_the_branch_that_is_checked_out(repository, tmp_path):
    ci = {"GITHUB_REF_NAME": "12/merge"}
    assert current_branch(tmp_path, ci) == "topic"
    assert current_commit(tmp_path) == repository("rev-parse", "HEAD")
    repository("checkout", "--quiet", "--detach")
    assert current_branch(tmp_path, ci) == "12/merge"
    assert current_branch(tmp_path, {}) == ""


def test_a_detached_commit_that_is_not_the_jobs_is_not_of_its_branch(repository, tmp_path):
    """As in a job of GitHub on ``workflow_run``, which checks out the commit of a pull request."""
    head = repository("rev-parse", "HEAD")
    repository("checkout", "--quiet", "--detach")
    job = {"GITHUB_REF_NAME": "main", "GITHUB_SHA": head}
    assert current_branch(tmp_path, job) == "main"
    assert current_branch(tmp_path, job | {"GITHUB_SHA": "f" * 40}) == f"commit/{head[:12]}"


def test_outside_git(tmp_path):
    nowhere = tmp_path / "nowhere"
    assert (current_branch(nowhere, {}), current_commit(nowhere), default_branch(nowhere)) == ("", "", "")


def test_the_default_branch_is_that_of_the_remote_repository(repository, tmp_path):
    assert default_branch(tmp_path) == ""
    repository("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/release/next")
    assert default_branch(tmp_path) == "release/next"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"GITHUB_REF_NAME": "main", "GITHUB_HEAD_REF": ""}, "main"),
        ({"GITHUB_REF_NAME": "12/merge", "GITHUB_HEAD_REF": "main"}, "12/merge"),  # of a fork
        ({"GITHUB_REF_NAME": "main", "GITHUB_HEAD_REF": "main"}, "pull-request/main"),  # on pull_request_target
        ({"CI_COMMIT_REF_NAME": "main"}, "main"),
        ({"CI_COMMIT_REF_NAME": "main", "CI_MERGE_REQUEST_IID": "3"}, "pull-request/3"),
        ({"TRAVIS_PULL_REQUEST": "false", "TRAVIS_BRANCH": "main"}, "main"),
        ({"TRAVIS_PULL_REQUEST": "9", "TRAVIS_BRANCH": "main"}, "pull-request/9"),
        ({"BUILD_SOURCEBRANCH": "refs/heads/main", "SYSTEM_PULLREQUEST_PULLREQUESTID": ""}, "main"),
        ({"BUILD_SOURCEBRANCH": "refs/heads/release/main", "BUILD_SOURCEBRANCHNAME": "main"}, "release/main"),
        *(({branch: "main", commit: "e" * 40}, "main") for branch, commit in REFERENCES.items()),
        *(({branch: "main", commit: "f" * 40}, f"commit/{'e' * 12}") for branch, commit in REFERENCES.items()),
        ({"BUILDKITE_BRANCH": "main", "BUILDKITE_COMMIT": "HEAD"}, "main"),
        ({}, ""),
    ],
)
def test_the_branch_of_a_job(variables, expected):
    assert branch_of_job(variables, "e" * 40) == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [({"branch": "topic"}, "topic"), ({"branch": "(detached head)"}, ""), ({"branch": "(unknown)"}, ""), ({}, ""), (None, "")],
)  # fmt: skip
def test_the_branch_that_a_run_recorded(info, expected):
    assert branch_of(info) == expected


@pytest.mark.parametrize(
    ("branches", "default", "expected"),
    [
        (["topic", "topic", "master", "main"], "", "main"),
        (["topic", "topic", "topic", "master", "master", "main"], "", "master"),
        (["topic", "topic", "master"], "", "master"),
        (["a", "dev", "", "", "", "dev"], "", "dev"),
        (["", ""], "", ""),
        (["topic", "topic", "dev"], "dev", "dev"),
        (["master", "master", "main"], "main", "main"),
        (["topic", "main"], "dev", "main"),
    ],
)
def test_the_main_branch(branches, default, expected, history_of, record):
    history = history_of(*(record(number, branch=branch) for number, branch in enumerate(branches)))
    assert main_branch(history.runs, default) == expected
    assert set(of_branch(history, None, default).runs["branch"]) == {expected}


def test_other_branches_do_not_affect_main(history_of, record, tmp_path):
    """Runs of a slower branch between those of main, with an interleaved run of unknown branch."""
    main = [record(2 * number, branch="main" if number % 2 else "") for number in range(20)]
    topic = [record(2 * number + 1, seconds=3e-3, branch="topic") for number in range(20)]
    mixed = of_branch(history_of(*main, *topic), None)
    found = check(mixed)
    assert (found.state, len(found.changes), found.n_series) == ("clear", 0, 3), "time, peak and entries of one cell"
    (own,) = series(mixed, "seconds")
    assert own.measured.tolist() == [1e-3] * 20
    assert own.key["branch"] == "main"
    assert [heading for heading, _ in series_rows(mixed, "seconds")] == [
        "a machine · controls tuned · 1 thread · suite standard · branch main"
    ]


def test_branches_are_series_of_their_own(history_of, record):
    history = history_of(*(record(n, seconds=n + 1.0, branch="main" if n < 2 else "a/b") for n in range(5)))
    found = {own.key["branch"]: own.measured.tolist() for own in series(of_branch(history, "*"), "seconds")}
    assert found == {"main": [1.0, 2.0], "a/b": [3.0, 4.0, 5.0]}
    assert of_branch(history, "a/b").runs["run_id"].tolist() == ["run-2", "run-3", "run-4"]
    with pytest.raises(BadInput, match="unknown branch 'mian': expected one of a/b, main; did you mean 'main'"):
        of_branch(history, "mian")


def test_a_history_without_branches_needs_none(history_of, record):
    history = history_of(record(0), record(1))
    assert of_branch(history, None).runs["branch"].tolist() == ["", ""]
