import csv
import re

import pandas as pd
import pytest
from matplotlib.figure import Figure

from jacobench.bench.row.columns import COLUMNS, tidy
from jacobench.reports.plots.layout import Plot
from jacobench.reports.plots.scaling_plots import scaling
from jacobench.reports.render.output_files import inline_svg, save, write_csv


def read_csv(path):
    """Read with Python's own reader: what pandas makes of digits has changed from version to version."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{name: text or None for name, text in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        row["residual"] = {"True": True, "False": False, None: None}[row["residual"]]
        row |= {n: float(row[n]) for n, column in COLUMNS.items() if column.dtype == "float64" and row[n] is not None}
    return tidy(rows)


def test_csv_loses_nothing(standard, tmp_path):
    standard.loc[0, ["seconds_median", "reason", "commit"]] = [
        0.1 + 0.2,
        'with "quotes", commas\nand a line',
        "0012345",
    ]
    path = write_csv(standard, tmp_path / "deep" / "measurements.csv")
    pd.testing.assert_frame_equal(read_csv(path), standard, check_exact=True)
    assert path.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)


def test_csv_of_no_rows(tmp_path):
    pd.testing.assert_frame_equal(read_csv(write_csv(tidy([]), tmp_path / "m.csv")), tidy([]))


def test_png_and_svg_are_written_and_nothing_else(standard, tmp_path):
    figures = {
        "time-vs-width": scaling(standard, "width", "seconds"),
        "memory-vs-width": scaling(standard, "width", "bytes"),
    }
    written = save(figures, tmp_path / "plots")
    assert [path.name for path in written] == [
        f"{name}.{ending}" for name in figures for ending in ("png", "svg", "csv")
    ]
    assert sorted(written) == sorted((tmp_path / "plots").iterdir())
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in written[1].read_bytes()
    drawn = pd.read_csv(written[2])
    assert drawn.loc[drawn["strategy"] == "vjp", "width"].tolist() == [16, 32, 64, 128, 256]


def test_a_page_can_hold_two_plots(standard):
    one, two = (inline_svg(scaling(standard, "width", "bytes").figure, prefix) for prefix in ("a", "b"))
    for svg in (one, two):
        assert svg.startswith("<svg")
        assert svg.rstrip().endswith("</svg>")
        assert "<style" not in svg
        assert ">memory" not in svg
        assert "peak heap memory" in svg  # text is text
        assert "var(--c-1a1a1a, #1a1a1a)" in svg.lower()
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in (one, two)]
    assert len(set(ids[0] + ids[1])) == len(ids[0]) + len(ids[1])
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one)) <= set(ids[0])


def test_the_same_table_gives_the_same_bytes(standard, tmp_path):
    for folder in ("a", "b"):
        save({"p": scaling(standard, "batch", "bytes")}, tmp_path / folder)
    for ending in ("png", "svg"):
        assert (tmp_path / "a" / f"p.{ending}").read_bytes() == (tmp_path / "b" / f"p.{ending}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a" / "p.svg").read_bytes()


def test_a_folder_that_cannot_be_written_leaves_nothing_behind(standard, tmp_path):
    (tmp_path / "file").write_text("x")
    for write in (
        lambda: save({"p": Plot(Figure(), tidy([]), "")}, tmp_path / "file"),
        lambda: write_csv(standard, tmp_path / "file" / "m.csv"),
        lambda: write_csv(standard, tmp_path),
    ):
        with pytest.raises(OSError, match=r"\[Errno"):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "p.png"
    path.write_text("old")

    class Broken(Figure):
        def savefig(self, file, **_):
            file.write(b"half")
            raise RuntimeError("while drawing")

    with pytest.raises(RuntimeError, match="while drawing"):
        save({"p": Broken()}, tmp_path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
