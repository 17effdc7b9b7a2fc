"""The tables of docs/models.md are those of the importers."""

from pathlib import Path

TOP = Path(__file__).parents[1]


def test_the_page_lists_the_ops_of_the_importers(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "docs" / "figures")
    import imported_ops

    page = imported_ops.PAGE.read_text("utf-8")
    assert imported_ops.with_lists(page) == page
