"""Files that are uploaded to hosts, and their paths there."""

from __future__ import annotations

from pathlib import Path

from jacobench.bench.cluster.block_files import on_client, on_host, pack, unpack


def test_files_keep_their_places_below_one_folder(tmp_path):
    client, host = tmp_path / "client", tmp_path / "host"
    (client / "sub").mkdir(parents=True)
    host.mkdir()
    files = [client / "suite.toml", client / "sub" / "mine.py"]
    for file in files:
        file.write_text(file.name)
    archive = pack(map(str, files), tmp_path)
    assert pack(reversed(files), tmp_path) == archive, "the name is a digest of paths and contents"
    sent = host / archive.name
    sent.write_bytes(archive.read_bytes())
    root = unpack(sent)
    for file in files:
        there = on_host(f"{file}:Mine", root, map(str, files)).removesuffix(":Mine")
        assert Path(there).read_text() == file.name
        assert Path(there).is_relative_to(host)
        assert on_client(f"in {there}:3", root, map(str, files)) == f"in {file}:3"
    (Path(root) / "kept").touch()
    assert unpack(sent) == root
    assert (Path(root) / "kept").exists(), "it is unpacked once"
    files[0].write_text("changed")
    assert pack(files, tmp_path) != archive


def test_without_files_nothing_is_sent(tmp_path):
    assert pack([], tmp_path) is None
    assert on_host("vjp", "", ()) == on_client("vjp", "", ()) == "vjp"


def test_a_path_within_another_one_is_not_replaced():
    files = ("/x/a.py", "/tmp/x/a.py", "/x/a.pyx", "/host/x/a.py")
    text = "/x/a.py:A /tmp/x/a.py:1 (/x/a.pyx) '/x/a.py' /other/x/a.py /x/a.pyc in /x/a.py."
    there = "/host/x/a.py:A /host/tmp/x/a.py:1 (/host/x/a.pyx) '/host/x/a.py' /other/x/a.py /x/a.pyc in /host/x/a.py."
    assert on_host(text, "/host", files) == there
    assert on_client(there, "/host", files) == text
