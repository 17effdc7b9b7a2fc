"""Tables as text, with contents that could be markup."""

from rich.console import Console

from jacobench.reports.render.text_tables import escape_markdown, markdown_table, rich_table


def test_markup_in_a_cell_of_the_terminal_is_printed():
    console = Console(width=40, color_system=None)
    with console.capture() as captured:
        console.print(rich_table(("a",), ("n",), [("[red]x[/red]", 7), (None, "8")]))
    assert "[red]x[/red]" in captured.get()


def test_markdown_is_escaped_on_one_line():
    assert escape_markdown("a\nb|c\x1b") == "a b\\|c"
    assert escape_markdown("@someone #12") == "\\@someone \\#12"


def test_a_markdown_table_aligns_numbers():
    assert markdown_table(("a",), [("x", "1")], ("n",)).splitlines() == ["| a | n |", "| --- | ---: |", "| x | 1 |"]
