"""Distributions on disk, as installers write them."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def install_files():
    """Return a function that installs files as a distribution into a folder."""

    def install(folder, name, files, *, version="0.1", source=None, editable=False, requires=(), vcs=None):
        metadata = f"{name}-{version}.dist-info"
        head = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        files = dict(files) | {f"{metadata}/METADATA": "\n".join(head) + "\n"}
        if source is not None:
            origin = {"url": source if "://" in str(source) else source.as_uri()}
            origin |= {"vcs_info": {"vcs": "git", "commit_id": vcs}} if vcs else {"dir_info": {"editable": editable}}
            files[f"{metadata}/direct_url.json"] = json.dumps(origin)
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        (folder / metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        return folder / metadata

    return install
