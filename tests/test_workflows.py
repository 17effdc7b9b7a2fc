"""The files by which services run us: held against the services' own schemas, as check-jsonschema ships them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

TOP = Path(__file__).parents[1]
SCHEMAS = {
    "action.yml": "vendor.github-actions",
    ".github/workflows/benchmarks.yml": "vendor.github-workflows",
    "docs/ci/github.yml": "vendor.github-workflows",
    "docs/ci/github-comment.yml": "vendor.github-workflows",
    "docs/ci/gitlab.yml": "vendor.gitlab-ci",
}

GATES = (".github/workflows/benchmarks.yml", "docs/ci/github.yml")


def check(path, schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_workflow_satisfies_a_schema():
    assert {str(path.relative_to(TOP)) for path in (TOP / ".github/workflows").iterdir()} <= set(SCHEMAS)
    assert {str(path.relative_to(TOP)) for path in (TOP / "docs/ci").iterdir()} <= set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_as_its_service_wants_it(name):
    done = check(TOP / name, SCHEMAS[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_schema_rejects_a_bad_workflow(tmp_path):
    text = (TOP / "docs/ci/github.yml").read_text("utf-8")
    assert "runs-on" in text
    (tmp_path / "bad.yml").write_text(text.replace("runs-on", "runs-at"), "utf-8")
    assert check(tmp_path / "bad.yml", "vendor.github-workflows").returncode == 1


def load(name):
    return YAML(typ="safe", pure=True).load((TOP / name).read_text("utf-8"))


def steps(name):
    return [step for job in load(name)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(("name", "action"), [(GATES[0], "./"), (GATES[1], "OWNER/jacobench@v1")])
def test_a_workflow_uses_the_action_with_inputs_that_it_has(name, action):
    (step,) = [step for step in steps(name) if step.get("uses") == action]
    assert set(step["with"]) <= set(load("action.yml")["inputs"])
    assert "fail-on-inconclusive" not in step["with"]


def test_an_inconclusive_gate_is_a_warning_on_gitlab():
    assert load("docs/ci/gitlab.yml")["benchmarks"]["allow_failure"] == {"exit_codes": 3}


@pytest.mark.parametrize("name", ["action.yml", *GATES, "docs/ci/github-comment.yml"])
def test_no_script_contains_an_expression(name):
    scripts = load(name)["runs"]["steps"] if name == "action.yml" else steps(name)
    assert not [step["run"] for step in scripts if "${{" in step.get("run", "")]


def test_the_comment_finds_what_the_gate_uploads():
    gate, comment = steps("docs/ci/github.yml"), steps("docs/ci/github-comment.yml")
    (upload,) = [step["with"] for step in gate if step.get("uses", "").startswith("actions/upload-artifact")]
    (download,) = [step["with"] for step in comment if step.get("uses", "").startswith("actions/download-artifact")]
    assert upload["name"] == download["name"]
    assert load("docs/ci/github-comment.yml")["on"]["workflow_run"]["workflows"] == [load("docs/ci/github.yml")["name"]]
    assert load("docs/ci/github-comment.yml")["permissions"] == {}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX scripts")
@pytest.mark.parametrize("branch", ["fix $(date)", "42"])
def test_the_comment_looks_for_the_pull_request_of_a_branch_and_a_commit(branch, tmp_path):
    """``gh pr view`` takes a branch with the name 42 for the pull request 42."""
    (find,) = [step for step in steps("docs/ci/github-comment.yml") if step.get("id") == "find"]
    program = tmp_path / "gh"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    output = tmp_path / "output"
    event = {"REPOSITORY": "us/project", "OWNER": "someone", "BRANCH": branch, "COMMIT": "1a2b"}
    event |= {"GITHUB_OUTPUT": str(output)}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", find["run"]], env=os.environ | event | {"PATH": path}, check=True)
    words = output.read_text().splitlines()
    assert words[:4] == ["api", "--method", "GET", "repos/us/project/pulls"]
    assert words[4:8] == ["-f", "state=open", "-f", f"head=someone:{branch}"]
    assert words[8:] == ["--jq", r'map(select(.head.sha == "1a2b"))[0] // empty | "number=\(.number)"']


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX scripts")
def test_without_a_result_the_comment_has_a_link_to_the_log(tmp_path):
    download, _, replace, comment = steps("docs/ci/github-comment.yml")
    assert replace["if"] == f"steps.{download['id']}.outcome != 'success'"
    assert comment["if"] == "steps.find.outputs.number"
    assert comment["with"]["path"] == replace["env"]["RESULT"]
    event = {"COMMIT": "1a2b", "LOG": "https://example.org/runs/1", "RESULT": str(tmp_path / "a folder" / "gate.md")}
    subprocess.run(["bash", "-e", "-c", replace["run"]], env=os.environ | event, check=True)
    text = (tmp_path / "a folder" / "gate.md").read_text()
    said = "**The gate of 1a2b has no result.** [The log](https://example.org/runs/1) has the cause."
    assert text.splitlines() == [said, "", "<!-- jacobench -->"]


def test_every_page_that_names_the_owner_says_to_replace_it():
    for name in ("docs/ci.md", "docs/ci/github.yml", "docs/ci/gitlab.yml"):
        text = (TOP / name).read_text("utf-8")
        assert "OWNER/jacobench@v1" in text
        assert re.search(r"Replace `?OWNER`? by\s+the account on GitHub that has jacobench", text)
