"""The README as a reader would follow it: every code block runs, in the order it stands, in a folder of its own.

A block whose first line is a file's name in a comment is saved under that name before any other runs. Blocks that install
are left to ``.ci/run``, which begins with them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from jacobench.reports.plots.all_plots import PLOTS

TOP = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = {
    name: (TOP / name).read_text("utf-8")
    for name in (*DOCUMENTS, *sorted(f"docs/{page.name}" for page in (TOP / "docs").glob("*.md")))
}
HOW_TO_RUN = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable]}
INSTALLS = "pip install"


@dataclass(frozen=True)
class Block:
    """A code block: the language it names, what stands in it, and the line of the README it begins in."""

    language: str
    content: str
    line: int

    @property
    def file(self) -> str:
        """The name it is to be saved under; empty for none."""
        match = re.match(r"# ([\w-]+\.\w+)\n", self.content)
        return match[1] if match else ""


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in found]


BLOCKS = blocks(PAGES["README.md"])
RUN = [block for block in BLOCKS if block.language in HOW_TO_RUN and not block.file and INSTALLS not in block.content]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader")
    for block in BLOCKS:
        if block.file:
            (path / block.file).write_text(block.content, "utf-8")
    return path


@pytest.mark.parametrize("block", RUN, ids=[f"line-{block.line}" for block in RUN])
def test_a_block_runs(block: Block, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [*HOW_TO_RUN[block.language], "-c", block.content],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong" not in done.stdout


def test_every_block_is_run_saved_or_shown() -> None:
    assert {block.language for block in BLOCKS} <= {*HOW_TO_RUN, "toml", "text"}
    assert len(RUN) >= 3
    assert {block.file for block in BLOCKS if block.file} == {"my_strategy.py", "my_graph.py", "my_suite.toml"}
    assert all(block.file for block in BLOCKS if block.language == "toml")
    assert len([block for block in BLOCKS if INSTALLS in block.content]) == 2


def test_the_plug_in_imports_nothing_of_ours() -> None:
    (plug_in,) = [block for block in BLOCKS if block.file == "my_strategy.py"]
    assert "jacobench" not in plug_in.content


def test_the_two_commands_are_the_ones_that_ci_and_newcomers_type() -> None:
    typed = {block.content.strip() for block in BLOCKS if INSTALLS in block.content}
    assert typed == {
        "python -m pip install -e . && jacobench run",
        'python -m pip install -e ".[test]" && pytest',
    }


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_links_to_is_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGES[name])
    missing = [
        link for link in links if not link.startswith("https://") and not (TOP / name).parent.joinpath(link).is_file()
    ]
    assert missing == []


def pictures(name: str) -> set[str]:
    """Return the pictures that a page shows, from the top of the repository on."""
    folder = (TOP / name).parent
    found = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGES[name])
    return {str((folder / picture).resolve().relative_to(TOP)) for picture in found}


def test_every_picture_is_shown_on_some_page() -> None:
    committed = {str(path.relative_to(TOP)) for path in (TOP / "docs").rglob("*.png")}
    assert committed == set().union(*map(pictures, PAGES))


def test_the_readme_has_the_command_beside_each_picture() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)\n([^!#]+)", PAGES["README.md"])
    assert {picture for picture, _ in shown} == pictures("README.md")
    assert all("`jacobench " in below and Path(picture).name in below for picture, below in shown)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "README.md"])
def test_another_page_has_the_commands_before_its_pictures(name: str) -> None:
    before, image, _ = PAGES[name].partition("![")
    assert not image or re.search(r"^jacobench run .*^python docs/figures/", before, re.MULTILINE | re.DOTALL)


def test_the_gallery_has_every_kind_of_picture() -> None:
    headings = re.findall(r"^## (.+)", PAGES["docs/gallery.md"], re.MULTILINE)
    assert [heading.lower() for heading in headings] == [*PLOTS, "two runs, new over old"]
