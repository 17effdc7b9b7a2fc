"""The commit of a run, and why it is unknown."""

import subprocess

from jacobench.bench.machine import machine_record


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
