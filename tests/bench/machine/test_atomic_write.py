"""Atomic writes on file systems without fsync, and errors that mean lost data."""

from __future__ import annotations

import errno
import os

import pytest

from jacobench.bench.machine.atomic_write import as_utf8, write_whole


def _failing(number):
    def call(*_arguments):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM])
def test_a_file_is_written_where_the_file_system_has_no_fsync(number, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", _failing(number))
    assert write_whole(tmp_path / "file", b"content").read_bytes() == b"content"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_lost_data_are_an_error_and_leave_nothing(number, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", _failing(number))
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        write_whole(tmp_path / "file", b"content")
    assert raised.value.filename == str(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_utf8_is_escaped():
    assert as_utf8("run-ü-\udcff") == b"run-\xc3\xbc-\\udcff"


def test_a_link_is_kept_and_a_pipe_is_written_to(tmp_path):
    """Else `--markdown /dev/stdout`, run as root, would replace the device by a file."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(tmp_path / "target")
    write_whole(link, b"content")
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()
