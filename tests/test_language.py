"""Language of README, docs and ``--help``: short sentences, and no word that the style guide replaces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jacobench.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in (TOP / "docs").glob("*.md")),
)
HISTORY = ("add", "import", "show", "check", "plot", "export", "report")
HELPS = ((), *((name,) for name in COMMANDS), ("history",), *(("history", name) for name in HISTORY))

# Words of the style guide (STYLE.md) that a plain sentence does not need, each with what to write instead.
FORBIDDEN = {
    r"house": "layout, package",
    r"mend(s|ed|ing)?": "fix",
    r"told": "reported, determined",
    r"tells?": "reports, determines",
    r"weigh(s|ed|ing)?": "costs, size",
    r"manners": "side effects",
    r"tamed?": "filter",
    r"so many": "the number",
    r"in vain": "without effect",
    r"at the heart": "in",
    r"beside": "next to, compared with",
    r"stands": "is",
    r"lies": "is",
    r"comes? into question": "is a candidate",
    r"hands on": "passes on, returns",
    r"whose cases": "suite",
    r"held against": "compared with",
}
MOST_WORDS, MOST_LONG = 25, 0.05


def prose(markdown: str) -> str:
    """Return a page without code, tables, headings and link targets."""
    text = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`", "CODE", text)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def sentences(text: str) -> list[str]:
    """Split text into sentences; an item of a list, a cell of a table and an option's help are sentences of their own."""
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=\|)|\|", text)
    found = (re.split(r"(?<=[.!?:;])\s+(?=[A-Z*\"`\[])", " ".join(block.split())) for block in blocks)
    return [sentence for block in found for sentence in block if re.search(r"[A-Za-z]{2}", sentence)]


def help_sentences(text: str) -> list[str]:
    lines = (re.split(r"\s{2,}", line.strip()) for line in text.splitlines())
    return [sentence for line in lines for part in line for sentence in sentences(part)]


def forbidden(text: str) -> list[str]:
    return [f"{match[0]!r}: write {instead}" for word, instead in FORBIDDEN.items() for match in matches(word, text)]


def matches(word: str, text: str) -> list[re.Match[str]]:
    return list(re.finditer(rf"\b{word}\b", text, re.IGNORECASE))


def n_words(sentence: str) -> int:
    return len(re.findall(r"[\w'’%×.-]*\w[\w'’%×.-]*", sentence))


def assert_short(found: list[str]) -> None:
    long = [f"{n_words(sentence)} words: {sentence}" for sentence in found if n_words(sentence) > MOST_WORDS]
    assert len(long) <= MOST_LONG * len(found), "\n".join(long)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_forbidden_word(name: str) -> None:
    assert forbidden(prose((TOP / name).read_text("utf-8"))) == []


@pytest.mark.parametrize("name", PAGES)
def test_sentences_of_a_page_are_short(name: str) -> None:
    assert_short(sentences(prose((TOP / name).read_text("utf-8"))))


@pytest.mark.long
def test_help_has_no_forbidden_word(help_of: Callable[[tuple[str, ...]], str]) -> None:
    assert {" ".join(command): forbidden(help_of(command)) for command in HELPS if forbidden(help_of(command))} == {}


@pytest.mark.long
def test_sentences_of_help_are_short(help_of: Callable[[tuple[str, ...]], str]) -> None:
    assert_short([sentence for command in HELPS for sentence in help_sentences(help_of(command))])


def test_the_checks_find_what_they_look_for() -> None:
    assert forbidden("The doctor mends it.") == ["'mends': write fix"]
    assert sentences(prose("# A title\n\nOne. Two `code. X` here.\n- three\n")) == ["One.", "Two CODE here.", "- three"]
    with pytest.raises(AssertionError, match="26 words"):
        assert_short([" ".join(["word"] * 26)])
    assert_short([" ".join(["word"] * 25)])
