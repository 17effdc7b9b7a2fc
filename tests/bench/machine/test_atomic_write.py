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
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_utf8_is_escaped():
    assert as_utf8("run-ü-\udcff") == b"run-\xc3\xbc-\\udcff"
