"""The files by which services run us: held against the services' own schemas, as check-jsonschema ships them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
SCHEMAS = {
    ".github/workflows/benchmarks.yml": "vendor.github-workflows",
    "docs/ci/github.yml": "vendor.github-workflows",
    "docs/ci/gitlab.yml": "vendor.gitlab-ci",
}


def check(path, schema):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_every_workflow_is_held_against_a_schema():
    assert {str(path.relative_to(TOP)) for path in (TOP / ".github/workflows").iterdir()} <= set(SCHEMAS)
    assert {str(path.relative_to(TOP)) for path in (TOP / "docs/ci").iterdir()} <= set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_as_its_service_wants_it(name):
    done = check(TOP / name, SCHEMAS[name])
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_schema_tells_a_bad_workflow(tmp_path):
    text = (TOP / "docs/ci/github.yml").read_text("utf-8")
    assert "runs-on" in text
    (tmp_path / "bad.yml").write_text(text.replace("runs-on", "runs-at"), "utf-8")
    assert check(tmp_path / "bad.yml", "vendor.github-workflows").returncode == 1


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_inconclusive_does_not_fail_a_change(name):
    text = (TOP / name).read_text("utf-8")
    assert "|| test $? -eq 3" in text or "exit_codes: 3" in text
