"""README and docs as a reader follows them: every code block runs, in order, in a new folder per page.

A block whose first line is a file name in a comment is saved under that name before the other blocks run. Blocks that
install are left to ``.ci/run``, which begins with them.
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
TASKS = (
    "README.md",
    *(f"docs/{name}.md" for name in ["results", "strategies", "suites", "analysis", "python", "command-line"]),
    *(MODELS := tuple(f"docs/{name}.md" for name in ["models", "from-torch", "from-onnx", "from-sklearn", "from-jax"])),
)
"""Pages with blocks that run."""

HOW_TO_RUN = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable]}
INSTALLS = "pip install"


@dataclass(frozen=True)
class Block:
    """A code block: its language, its content, and the line of its page where it begins."""

    language: str
    content: str
    line: int

    @property
    def file(self) -> str:
        """The name under which it is saved; empty for none."""
        match = re.match(r"# ([\w-]+\.\w+)\n", self.content)
        return match[1] if match else ""


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in found]


BLOCKS = {name: blocks(PAGES[name]) for name in TASKS}


def runs(block: Block) -> bool:
    return block.language in HOW_TO_RUN and not block.file and INSTALLS not in block.content


RUN = {name: [block for block in found if runs(block)] for name, found in BLOCKS.items()}


def _marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.models if name in MODELS else pytest.mark.long)


@pytest.mark.parametrize("name", [_marked(name) for name in TASKS if RUN[name]])
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path) -> None:
    for block in BLOCKS[name]:
        if block.file:
            (tmp_path / block.file).write_text(block.content, "utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in RUN[name]:
        done = subprocess.run(
            [*HOW_TO_RUN[block.language], "-c", block.content],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, f"{name}:{block.line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        assert not re.search(r"\d+ wrong|\bwrong:", done.stdout), done.stdout


def test_every_block_is_run_saved_or_shown() -> None:
    every = [block for found in BLOCKS.values() for block in found]
    assert {block.language for block in every} <= {*HOW_TO_RUN, "toml", "text"}
    assert sum(map(len, RUN.values())) >= 8
    assert {block.file for block in every if block.file} == {
        *("my_strategy.py", "my_graph.py", "my_suite.toml", "my_models.toml"),
        *("my_network.py", "make_onnx.py", "digits.py", "burgers.py", "burgers.toml"),
    }
    assert all(block.file for block in every if block.language == "toml")


def test_the_example_strategy_does_not_import_jacobench() -> None:
    (plug_in,) = [block for block in BLOCKS["docs/strategies.md"] if block.file == "my_strategy.py"]
    assert "jacobench" not in plug_in.content


def test_the_readme_has_the_two_commands() -> None:
    commands = {block.content.strip() for block in BLOCKS["README.md"] if INSTALLS in block.content}
    assert commands == {
        "python -m pip install -e . && jacobench run",
        'python -m pip install -e ".[test]" && pytest',
    }


def test_the_readme_is_short() -> None:
    assert PAGES["README.md"].count("\n") <= 150


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_over_120_columns_outside_tables_and_blocks(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.MULTILINE | re.DOTALL)
    long = [line for line in text.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
    assert long == []


@pytest.mark.parametrize("name", PAGES)
def test_the_target_of_each_link_exists(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGES[name])
    missing = [
        link for link in links if not link.startswith("https://") and not (TOP / name).parent.joinpath(link).is_file()
    ]
    assert missing == []


def images(name: str) -> set[str]:
    """Return the images that a page shows, relative to the top of the repository."""
    folder = (TOP / name).parent
    found = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGES[name])
    return {str((folder / image).resolve().relative_to(TOP)) for image in found}


def test_every_image_is_on_a_page() -> None:
    committed = {str(path.relative_to(TOP)) for path in (TOP / "docs").rglob("*.png")}
    assert committed == set().union(*map(images, PAGES))


def test_the_readme_has_the_command_of_each_image() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)\n([^!#]+)", PAGES["README.md"])
    assert {image for image, _ in shown} == images("README.md")
    assert all("`jacobench " in below and Path(image).name in below for image, below in shown)


@pytest.mark.parametrize("name", [name for name in PAGES if name != "README.md"])
def test_another_page_has_the_commands_before_its_images(name: str) -> None:
    before, image, _ = PAGES[name].partition("![")
    assert not image or re.search(r"^jacobench run .*^python docs/figures/", before, re.MULTILINE | re.DOTALL)


def test_the_gallery_has_every_kind_of_plot() -> None:
    headings = re.findall(r"^## (.+)", PAGES["docs/gallery.md"], re.MULTILINE)
    assert [heading.lower() for heading in headings] == [*PLOTS, "several machines", "two runs, new over old"]
