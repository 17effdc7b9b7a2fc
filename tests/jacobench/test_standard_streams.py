"""Standard output and error: any encoding, and output that cannot be written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jacobench import __main__
from jacobench.commands import standard_streams

TOP = Path(__file__).parents[2]
SOURCES = [
    path
    for package in ("bench", "graphs", "reports", "strategies", "jacobench")
    for path in TOP.glob(f"{package}/**/*.py")
]
SYMBOLS = sorted(
    {character for path in SOURCES for character in path.read_text(encoding="utf-8") if ord(character) > 127}
)

PRINT = """
import sys
from jacobench.commands import console, standard_streams
standard_streams.prepare()
{}
standard_streams.lost_output()
"""


def printed(code: str, encoding: str, **more) -> bytes:
    """Return what a fresh process prints in an encoding."""
    variables = os.environ | {"PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-c", PRINT.format(code)], env=variables, check=True, capture_output=True, **more
    ).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_symbol_of_our_messages_is_printed_in_any_encoding(encoding):
    text = "".join(SYMBOLS) + "中"
    found = printed(
        f"console.echo({text!r}); console.stdout().print({text!r}); console.stderr().print({text!r})", encoding
    )
    assert b"->" in found
    assert rb"\u4e2d" in found
    assert (b"\xd7" in found) == (encoding != "ascii")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_file_name_that_is_not_utf8_is_printed_as_its_bytes(encoding):
    assert printed(r"console.echo('run-\udcff')", encoding) == b"run-\xff\n"


def test_names_with_colons_and_brackets_are_printed_unchanged():
    name = "test_get[:key:] [red]x[/red] :warning:"
    code = f"console.stdout().print({name!r}); console.stdout().print(console.columns(('name',), [({name!r},)]))"
    assert printed(code, "utf-8").decode().count(name) == 2


def test_after_an_error_of_writing_a_stream_discards_the_rest(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    stream = standard_streams.StandardStream(writing)
    assert [stream.write(b"lost"), stream.write(b"too")] == [4, 3]
    assert (stream.failure.errno, stream.failure.strerror) == (errno.EPIPE, "its reader has ended")
    os.close(writing)


def test_a_pipe_that_does_not_block_receives_everything():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    content = b"x" * 300_000
    with subprocess.Popen(["wc", "-c"], stdin=reading, stdout=subprocess.PIPE) as reader:
        stream = standard_streams.StandardStream(writing)
        left = memoryview(content)
        while left:
            left = left[stream.write(left) :]
        os.close(writing)
        os.close(reading)
        assert reader.communicate()[0].split() == [b"300000"]


@pytest.mark.parametrize(
    ("returned", "lost", "code"),
    [
        (None, OSError(errno.ENOSPC, "No space left on device"), 4),
        (0, OSError(errno.ENOSPC, "No space left on device"), 0),
        (1, OSError(errno.EBADF, "it is closed"), 1),
        (0, BrokenPipeError(errno.EPIPE, "its reader has ended"), 0),
    ],
)
def test_the_code_of_a_verdict_or_of_files_does_not_change(returned, lost, code, monkeypatch, capsys):
    monkeypatch.setattr("jacobench.commands.app", lambda *_arguments, **_options: returned)
    monkeypatch.setattr(standard_streams, "lost_output", lambda: lost)
    assert __main__.main() == code
    assert capsys.readouterr().err == f"jacobench: cannot write standard output: {lost.strerror}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
@pytest.mark.parametrize(("redirection", "cause"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_a_list_that_cannot_be_printed_is_not_completed(redirection, cause, tmp_path):
    script = f"{sys.executable} -m jacobench list strategies {redirection}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, f"jacobench: cannot write standard output: {cause}\n")


def test_a_closed_standard_error_and_a_reader_that_has_ended_are_no_errors(tmp_path):
    script = f"set -o pipefail; {sys.executable} -m jacobench list strategies 2>&- | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
