"""Candidates of a bisection, from real git repositories and a folder of wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from jacobench.bench.gate.bisect_candidates import (
    Candidate,
    CandidateRange,
    commit_range,
    compared_with,
    offered_releases,
    read_offered,
    release_range,
)
from jacobench.bench.gate.trees.revisions import SideSource, project_of
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder, subject):
    git(folder, "commit", "-q", "--allow-empty", "-m", subject, "--date", "2026-01-02T03:04:05Z")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Return a repository and its commits: two on a branch that is merged between those of main."""
    folder = tmp_path_factory.mktemp("history")
    git(folder, "init", "-q", "-b", "main")
    names = ["first", "second"]
    made = {name: commit(folder, name) for name in names}
    git(folder, "switch", "-q", "-c", "side", made["first"])
    made["on the side"] = commit(folder, "on the side")
    git(folder, "switch", "-q", "main")
    git(folder, "merge", "-q", "--no-ff", "-m", "merged", "side")
    made["merged"] = git(folder, "rev-parse", "HEAD").strip()
    made["last"] = commit(folder, "last 'one'")
    return project_of(folder), made


def test_candidates_are_what_the_bad_commit_contains_and_the_good_one_does_not(history):
    project, made = history
    found = commit_range(project, made["second"], "main")
    assert [each.name for each in found.candidates] == [made[name] for name in ("on the side", "merged", "last")]
    assert [each.parents for each in found.candidates] == [
        (made["first"],),
        (made["second"], made["on the side"]),
        (made["merged"],),
    ]
    assert found.candidates[-1].label == f"{made['last'][:12]} \"last 'one'\" (2026-01-02)"
    assert found.good.name == made["second"]
    assert found.kind == "commit"
    assert found.source(made["last"]) == SideSource(made["last"])
    suites = {"head": made["last"], "base": made["second"], "side": made["on the side"]}
    for given, commit_with_files in suites.items():
        found = commit_range(project, made["second"], "main", given)
        assert found.source(made["merged"]) == SideSource(made["merged"], suite=commit_with_files)


BAD = {
    "same": ("main", "main", "are the same commit"),
    "unknown": ("mian", "main", "unknown revision 'mian': .*did you mean 'main'"),
    "exchanged": ("main", "main~2", "--good main is newer than --bad main~2: .*exchange"),
    "branches": ("side", "main~2", "--good side is not an ancestor of --bad main~2: .*git merge-base"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_range_that_cannot_be_searched_is_bad_input(name, history):
    good, bad, said = BAD[name]
    with pytest.raises(BadInput, match=said):
        commit_range(history[0], good, bad)


def test_a_commit_is_compared_with_what_the_good_one_and_it_contain(history):
    project, made = history
    searched = commit_range(project, made["second"], "main")
    found = [compared_with(project, searched, each) for each in searched.candidates]
    assert [each.name for each in found] == [made["first"], made["second"], made["second"]]
    assert found[0].label == f"{made['first'][:12]} 'first' (2026-01-02)"
    assert found[1] is searched.good
    git(project.top, "switch", "-q", "--orphan", "other")
    alone = Candidate(commit(project.top, "no common history"), "", ())
    git(project.top, "switch", "-q", "main")
    assert compared_with(project, searched, alone) is searched.good
    releases = CandidateRange("release", Candidate("1", "x 1", ()), (), "x")
    assert compared_with(project, releases, Candidate("2", "x 2", ("1",))) is releases.good


def test_a_subject_may_contain_any_character(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    first = commit(tmp_path, "first")
    subjects = [f"a{character}b" for character in "\r\f\v\x1c\x85\u2028"]
    made = [commit(tmp_path, subject) for subject in subjects]
    found = commit_range(project_of(tmp_path), first, "main").candidates
    assert [each.name for each in found] == made
    assert all(each.label.isprintable() for each in found)


def test_a_shallow_clone_that_lacks_a_part_of_a_merged_branch_is_bad_input(tmp_path):
    """Without its parents, the oldest commit that the clone has of the branch would seem to be the first bad one."""
    folder, clone = tmp_path / "whole", tmp_path / "cut"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    first = commit(folder, "first")
    git(folder, "switch", "-q", "-c", "side")
    cut = [commit(folder, f"on the side {number}") for number in range(3)][1]
    git(folder, "switch", "-q", "main")
    commit(folder, "second")
    git(folder, "merge", "-q", "--no-ff", "-m", "merged", "side")
    git(tmp_path, "clone", "-q", "--depth", "3", folder.as_uri(), clone)
    git(clone, "worktree", "add", "-q", "--detach", tmp_path / "tree")
    said = f"--bad HEAD contains {cut[:12]} 'on the side 1' .*, whose parents are missing; .*git fetch --unshallow"
    for each in (clone, tmp_path / "tree"):
        with pytest.raises(BadInput, match=said):
            commit_range(project_of(each), first, "HEAD")
    git(clone, "fetch", "-q", "--unshallow")
    assert len(commit_range(project_of(tmp_path / "tree"), first, "HEAD").candidates) == 5


def offer(monkeypatch, *versions):
    monkeypatch.setattr(
        "jacobench.bench.gate.bisect_candidates.offered_releases", lambda *_: [Version(each) for each in versions]
    )


def test_releases_are_in_the_order_of_their_versions(monkeypatch):
    printed = (
        "pytest (8.10.0)\nAvailable versions: 8.10.0, 8.9.1, 8.9, 8.9rc1, 9.dev3, 8.10.0.post1\n  INSTALLED: 8.9\n"
    )
    offer(monkeypatch, *map(str, read_offered("pytest", printed)))
    found = release_range("pytest", "8.9.0", "8.10.0.post1")
    assert [each.name for each in found.candidates] == ["8.9.1", "8.10.0", "8.10.0.post1"]
    assert [each.parents for each in found.candidates] == [("8.9",), ("8.9.1",), ("8.10.0",)]
    assert (found.good.name, found.good.label) == ("8.9", "pytest 8.9")
    assert found.source("8.9.1") == SideSource(None, ("pytest==8.9.1",))
    assert CandidateRange("release", found.good, (), "jax[cpu]").source("1") == SideSource(None, ("jax[cpu]==1",))


BAD_RELEASES = {
    "unknown": ("pytest", "8.9", "8.99", "unknown release '8.99' of pytest: .* such as 8.9"),
    "no version": ("pytest", "main", "8.9", "unknown release 'main'"),
    "pre-release": ("pytest", "8.9", "9.0rc1", "no pre-release"),
    "exchanged": ("pytest", "8.9.1", "8.9", "--good 8.9.1 is newer than --bad 8.9: exchange"),
    "same": ("pytest", "8.9", "8.9.0", "expected two releases"),
    "not installed": ("pytset", "1", "2", "not installed .*did you mean 'pytest'"),
    "name of a module": ("mpl_toolkits", "1", "2", "did you mean 'matplotlib'"),
    "requirement": ("pytest>=8", "1", "2", "expected the name of a package"),
}


@pytest.mark.parametrize("name", BAD_RELEASES)
def test_a_release_that_pip_does_not_offer_is_bad_input(name, monkeypatch):
    package, good, bad, said = BAD_RELEASES[name]
    offer(monkeypatch, "8.8", "8.9", "8.9.1")
    with pytest.raises(BadInput, match=said):
        release_range(package, good, bad)


UNREACHABLE = (
    "Could not fetch URL https://a.example/simple/x/: 404 Client Error: Not Found for url - skipping\n"
    "Could not fetch URL https://b.example/simple/x/: connection error: no such host - skipping\n"
    "x (1.0)\nAvailable versions: 1.0\n"
)


def test_an_index_that_cannot_be_reached_is_bad_input_even_if_another_has_releases():
    with pytest.raises(BadInput, match=r"index https://b\.example/simple/x/ cannot be reached \(no such host\); check"):
        read_offered("x", UNREACHABLE)
    assert read_offered("x", UNREACHABLE.replace("connection error: no such host", "404 Client Error")) == [
        Version("1")
    ]
    with pytest.raises(BadInput, match="pip offers no release of 'x' for this Python and platform"):
        read_offered("x", "ERROR: No matching distribution found for x\n")


@pytest.mark.parametrize("status", ["503 Server Error: Service Unavailable", "401 Client Error: Unauthorized"])
def test_an_error_of_an_index_has_its_cause(status):
    url = "https://b.example/simple/x/"
    printed = f"Could not fetch URL {url}: {status} for url: {url} - skipping\nx (1.0)\nAvailable versions: 1.0\n"
    with pytest.raises(UnsuitableEnvironment) as raised:
        read_offered("x", printed)
    assert f"index {url} cannot be reached ({status}); check" in str(raised.value)


def test_versions_that_pep_440_does_not_allow_are_left_out():
    found = read_offered("pytz", "pytz (2025.1)\nAvailable versions: 2025.1, 2005.post1, 2004d, 2004b.2\n")
    assert [str(version) for version in found] == ["2005.post1", "2025.1"]


def test_releases_with_the_same_public_version_are_one(monkeypatch):
    """For torch==2.1.0, pip installs 2.1.0+cpu if the index has it."""
    printed = "torch (2.2.0)\nAvailable versions: 2.2.0+cpu, 2.1.0+cpu, 2.1.0, 2.0.1+cpu, 2.0.1+cu118, 2.0.0\n"
    versions = read_offered("torch", printed)
    assert [str(version) for version in versions] == ["2.0.0", "2.0.1+cu118", "2.1.0+cpu", "2.2.0+cpu"]
    offer(monkeypatch, *map(str, versions))
    for good, bad in (("2.0.1", "2.2"), ("2.0.1+cu118", "2.2.0+cpu")):
        found = release_range("pytest", good, bad)
        assert [each.name for each in (found.good, *found.candidates)] == ["2.0.1+cu118", "2.1.0+cpu", "2.2.0+cpu"]
    with pytest.raises(BadInput, match=r"unknown release '2\.0\.1\+cpu'"):
        release_range("pytest", "2.0.1+cpu", "2.2")


def wheel(folder: Path, version: str, requires_python: str = ">=3", tag: str = "py3-none-any") -> None:
    metadata = f"Metadata-Version: 2.1\nName: slowed\nVersion: {version}\nRequires-Python: {requires_python}\n"
    info = f"slowed-{version}.dist-info"
    with zipfile.ZipFile(folder / f"slowed-{version}-{tag}.whl", "w") as file:
        file.writestr(f"{info}/METADATA", metadata)
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.mark.long
def test_pip_offers_the_releases_for_this_python_and_platform(tmp_path):
    """From an index page, which has what a folder of wheels lacks: yanked releases, and versions of Python."""
    page = tmp_path / "simple" / "slowed"
    page.mkdir(parents=True)
    for version in ("1.0", "1.10", "1.9", "2.0rc1", "1.5", "1.6"):
        wheel(page, version)
    wheel(page, "1.7", tag="cp27-cp27m-win32")
    attributes = {"1.5": 'data-yanked="broken"', "1.6": 'data-requires-python="&lt;3"'}
    links = (
        f'<a href="{file.name}" {attributes.get(file.name.split("-")[1], "")}>{file.name}</a>'
        for file in page.iterdir()
    )
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
    variables = dict(os.environ) | {"PIP_INDEX_URL": (tmp_path / "simple").as_uri(), "PIP_CONFIG_FILE": os.devnull}
    variables.pop("PIP_FIND_LINKS", None)
    found = offered_releases("slowed", Path(sys.executable), variables)
    assert [str(version) for version in found] == ["1.0", "1.9", "1.10"]
    variables |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_FIND_LINKS": str(page)}
    with pytest.raises(
        BadInput, match=r"http://127\.0\.0\.1:9/simple/slowed/ cannot be reached \(\[Errno \d+\] Connection refused\)"
    ):
        offered_releases("slowed", Path(sys.executable), variables)
    variables |= {"PIP_NO_INDEX": "1"}
    assert len(offered_releases("slowed", Path(sys.executable), variables)) == 5
