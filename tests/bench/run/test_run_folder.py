"""A run's folder: complete or absent, open in one process at a time, and readable after damage."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from shutil import copytree

import msgspec
import pytest

from jacobench.bench.run.run_folder import check_free, create, hide_from_git, resume
from jacobench.graphs.errors import BadInput


@pytest.fixture
def made(tmp_path, settings, make_measurement):
    """Return the path of a folder with three measurements in its journal."""
    folder = create(tmp_path / "runs" / "one", settings)
    for phase in ("linearize", "pullback", "gradient"):
        folder.append(make_measurement(phase=phase))
    folder.close()
    return folder.path


def reread(path):
    folder = resume(path)
    folder.close()
    return folder


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- create


def test_git_sees_no_runs_unless_the_user_decides_otherwise(tmp_path):
    for name in ("runs", "results"):
        (tmp_path / name / "one").mkdir(parents=True)
        (tmp_path / name / "one" / "run.json").touch()
        hide_from_git(tmp_path / name)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    listed = ["git", "ls-files", "--others", "--exclude-standard"]
    assert subprocess.check_output(listed, cwd=tmp_path, text=True) == "results/one/run.json\n"
    (tmp_path / "runs" / ".gitignore").write_text("")
    hide_from_git(tmp_path / "runs")
    assert "runs/one/run.json" in subprocess.check_output(listed, cwd=tmp_path, text=True)


def test_a_folder_appears_with_all_that_resuming_needs(tmp_path, settings):
    folder = create(tmp_path / "deep" / "below" / "run", settings)
    folder.close()
    assert everything(tmp_path) == [
        "deep",
        "deep/below",
        "deep/below/run",
        "deep/below/run/journal.jsonl",
        "deep/below/run/settings.json",
    ]
    again = reread(folder.path)
    assert (again.settings, again.measurements, again.notes) == (settings, [], [])


def test_what_is_there_already_is_refused_and_left_alone(tmp_path, settings):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="run"):
        create(tmp_path / "run", settings)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="file"):
        create(tmp_path / "file", settings)
    assert everything(tmp_path) == ["file", "run", "run/mine.txt"]


def test_a_folder_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path, settings):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file" / "run", tmp_path / "file" / "deep" / "run"):
        for make in (check_free, lambda path: create(path, settings)):
            with pytest.raises(BadInput, match="cannot create"):
                make(path)
    assert everything(tmp_path) == ["file"]


def test_what_fails_half_way_leaves_nothing(tmp_path, settings, monkeypatch):
    from pathlib import Path

    for number, text, raised in ((13, "Permission denied", BadInput), (28, "No space left on device", OSError)):

        def fails(*_args, number=number, text=text, **_more):
            raise OSError(number, text)

        monkeypatch.setattr(Path, "touch", fails)
        with pytest.raises(raised, match=text):
            create(tmp_path / "run", settings)
        assert everything(tmp_path) == []


# ---- one process at a time

HOLD = """
import sys
from pathlib import Path
from jacobench.bench.run.run_folder import resume
from jacobench.graphs.errors import BadInput
try:
    resume(Path(sys.argv[1]))
except BadInput as error:
    print(error)
else:
    print("open")
"""


def other_process(path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", HOLD, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")
@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_noted_and_used(number, tmp_path, settings, make_measurement, monkeypatch):
    def flock(_descriptor, _operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    folder = create(tmp_path / "run", settings)
    folder.append(make_measurement())
    folder.close()
    assert len(reread(folder.path).measurements) == 1
    note = f"cannot be locked ({os.strerror(number)}); start no other run in this folder meanwhile"
    assert folder.notes == [f"{folder.path}: {note}"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_not_bad_input_and_leaves_nothing(number, tmp_path, settings, monkeypatch):
    def write_whole(_path, _content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("jacobench.bench.run.run_folder.write_whole", write_whole)
    with pytest.raises(OSError, match=os.strerror(number)):
        create(tmp_path / "run", settings)
    assert everything(tmp_path) == []


def test_settings_that_json_cannot_contain_leave_nothing(tmp_path, settings):
    with pytest.raises(UnicodeEncodeError):
        create(tmp_path / "run", replace(settings, suite="/home/\udcfc/my.toml"))
    assert everything(tmp_path) == []


def test_a_second_process_is_refused_until_the_first_has_closed(made):
    folder = resume(made)
    message = other_process(made)
    assert str(made) in message
    assert "in use" in message
    folder.close()
    assert other_process(made) == "open"


# ---- the journal


def test_measurements_come_back_as_they_were_written(made, make_measurement):
    assert reread(made).measurements == [make_measurement(phase=p) for p in ("linearize", "pullback", "gradient")]
    lines = (made / "journal.jsonl").read_text().splitlines()
    assert all({"case", "strategy", "phase"} <= json.loads(line).keys() for line in lines)


def test_every_field_survives_the_journal(made, make_measurement):
    full = make_measurement(
        seconds=(1e-6, 0.1), pass_number=3, worker=2, peak_bytes=0, retained_bytes=5, memory_tool="memray",
        max_relative_error=1e-16, n_parameters=2**40, traceback="a\nb", reason="é", status="wrong", iterations=7,
    )  # fmt: skip
    folder = resume(made)
    folder.append(full)
    folder.close()
    assert reread(made).measurements[-1] == full
    assert json.loads((made / "journal.jsonl").read_text().splitlines()[-1])["pass"] == 3


@pytest.mark.parametrize("kept", [1, 10, -1])
def test_a_torn_last_line_is_dropped_with_a_note_and_the_journal_goes_on(made, make_measurement, kept):
    journal = made / "journal.jsonl"
    whole = journal.read_bytes()
    last = whole.splitlines()[-1]
    journal.write_bytes(whole + last[:kept])
    folder = resume(made)
    assert len(folder.measurements) == 3
    assert len(folder.notes) == 1
    assert "incomplete" in folder.notes[0]
    folder.append(make_measurement(phase="prepare"))
    folder.close()
    assert journal.read_bytes().startswith(whole)
    again = reread(made)
    assert [m.phase for m in again.measurements] == ["linearize", "pullback", "gradient", "prepare"]
    assert again.notes == []


def test_a_journal_that_is_one_torn_line_is_empty(made):
    (made / "journal.jsonl").write_bytes(b'{"case": "sm')
    folder = reread(made)
    assert folder.measurements == []
    assert len(folder.notes) == 1


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\x00\x00",
        b'{"case": "small"}',
        b"[]",
        b"",
        b"\xff\xfe",
        b'{"case": 1, "strategy": "a"}',
        b'{"case": "a\xff", "strategy": "b", "phase": "c", "spec": "d"}',
    ],
)
def test_a_damaged_line_is_reported_by_its_number_and_the_rest_is_used(made, damage):
    journal = made / "journal.jsonl"
    lines = journal.read_bytes().splitlines()
    content = b"\n".join([lines[0], damage, lines[2]]) + b"\n"
    journal.write_bytes(content)
    folder = reread(made)
    assert [m.phase for m in folder.measurements] == ["linearize", "gradient"]
    assert len(folder.notes) == 1
    assert "line 2" in folder.notes[0]
    assert journal.read_bytes() == content


def test_the_journal_is_only_ever_appended_to(made, make_measurement):
    before = (made / "journal.jsonl").read_bytes()
    folder = resume(made)
    folder.append(make_measurement(phase="prepare"))
    folder.close()
    after = (made / "journal.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 4


# ---- folders that cannot be resumed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "settings.json").write_text("{"), "damaged"),
        (lambda path: (path / "settings.json").write_text("[]"), "damaged"),
        (lambda path: (path / "settings.json").write_bytes(b"\xff"), "damaged"),
        (lambda path: (path / "settings.json").unlink(), "settings.json"),
        (lambda path: (path / "journal.jsonl").unlink(), "journal.jsonl"),
    ],
)
def test_a_folder_that_cannot_be_resumed_is_bad_input(made, damage, message):
    damage(made)
    with pytest.raises(BadInput, match=message) as raised:
        resume(made)
    assert str(made) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_settings_with_a_value_of_the_wrong_type_are_damaged(made):
    document = json.loads((made / "settings.json").read_text())
    (made / "settings.json").write_text(json.dumps(document | {"passes": "many"}))
    with pytest.raises(BadInput, match="passes"):
        resume(made)


def test_settings_of_an_older_version_are_read(made, settings):
    document = json.loads((made / "settings.json").read_text())
    document["budget_bytes"] = int(document.pop("memory_budget").removesuffix("B"))
    document["timeout_seconds"] = document.pop("timeout")
    (made / "settings.json").write_text(json.dumps(document))
    assert reread(made).settings == settings


def test_what_is_no_run_at_all_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BadInput, match="not a run's folder"):
            resume(path)


# ---- run.json


def test_run_json_is_renamed_into_place(made, monkeypatch):
    folder = resume(made)
    folder.write_document({"benchmarks": []})
    before = (made / "run.json").read_bytes()
    assert msgspec.json.decode(before) == {"benchmarks": []}

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write_document({"benchmarks": [1]})
    monkeypatch.undo()
    folder.close()
    assert (made / "run.json").read_bytes() == before
    assert everything(made) == ["journal.jsonl", "run.json", "settings.json"]


def test_a_copied_folder_is_the_run_too(made, tmp_path):
    copytree(made, tmp_path / "copy")
    assert reread(tmp_path / "copy").measurements == reread(made).measurements


def test_the_command_that_continues_a_run_is_quoted(tmp_path):
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "journal.jsonl").touch()
    with pytest.raises(BadInput) as raised:
        check_free(folder)
    assert str(raised.value).endswith(f"jacobench run --resume '{folder}'")
