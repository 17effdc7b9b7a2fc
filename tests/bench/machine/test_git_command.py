"""The commit of a run, and why it is unknown."""

import subprocess
import sys

import pytest

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.git_command import git
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment


def test_the_commit_or_the_reason_why_git_does_not_report_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert machine_record.commit() == ("", ""), "outside git"
    subprocess.run(["git", "init", "-q"], check=True)
    assert machine_record.commit()[0] == ""
    assert "the commit is not recorded: git describe failed" in machine_record.commit()[1], "there is none yet"
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "commit", "-qm", "one", "--allow-empty"], check=True)
    commit, problem = machine_record.commit()
    assert (len(commit), problem) == (12, "")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert machine_record.commit()[0] == ""
    assert "dubious ownership" in machine_record.commit()[1]
    assert f"git config --global --add safe.directory {tmp_path}" in machine_record.commit()[1]
    monkeypatch.setenv("PATH", "")
    assert machine_record.commit() == ("", "the commit is not recorded: cannot run git: No such file or directory")


@pytest.mark.skipif(sys.platform == "win32", reason="a script of a POSIX shell")
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("No space left on device", UnsuitableEnvironment),
        ("Disk quota exceeded", UnsuitableEnvironment),
        ("bad object x", BadInput),
    ],
)
def test_a_full_disk_is_not_the_fault_of_a_commit(said, kind, tmp_path, monkeypatch):
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho fatal: {said} >&2\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(BadInput, match=f"fatal: {said}") as raised:
        git(tmp_path, "checkout")
    assert type(raised.value) is kind
