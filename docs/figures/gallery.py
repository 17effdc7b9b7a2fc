"""Write docs/gallery.md and its images: python docs/figures/gallery.py STANDARD AGAIN SCALING CROSSOVER A B.

The arguments are six runs: two of the suite standard, which are compared, one of scaling, one of crossover, and two
with different labels of the machine.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from jacobench.reports.data.run_data import Run, read
from jacobench.reports.data.vocabulary import provenance
from jacobench.reports.plots.all_plots import PLOTS
from jacobench.reports.plots.comparison_plot import comparison
from jacobench.reports.plots.layout import NoData, Plot
from jacobench.reports.plots.machine_plots import machine_plots
from jacobench.reports.plots.style import styled
from jacobench.reports.render.output_files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCS = Path(__file__).parents[1]
DPI = 80
WIDTH = 118
"""Columns of the page's text."""

# Kind of plot → the suite that shows it, and the plots of that kind; () for all of them.
SHOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "time and memory of every case": ("standard", ()),
    "growth with a knob": ("scaling", ("time-vs-width", "memory-vs-width", "time-vs-batch", "memory-vs-batch")),
    "crossovers along a knob": ("scaling", ("ratio-vs-width", "ratio-vs-weight-density")),
    "crossovers over two knobs": ("crossover", ()),
}
ELSE: tuple[str, tuple[str, ...]] = ("standard", ())

LABELLED = (
    "The two runs are of one machine with two labels, so they show only how much runs differ. "
    "See [Compare machines](analysis.md#compare-machines)."
)

HEAD = """# Gallery

This page shows every kind of plot that `jacobench plot` draws, with data of real runs. `jacobench run` writes the plots
to the folder of the run as PNG and SVG, and their data as CSV. `--dark` uses a dark background. Each strategy has the
same color, marker and line in every plot.

These commands write this page and its images:

```text
jacobench run --suite standard --out runs/standard
jacobench run --suite standard --passes 5 --out runs/again
jacobench run --suite scaling --passes 5 --out runs/scaling
jacobench run --suite crossover --passes 5 --out runs/crossover
JACOBENCH_MACHINE_LABEL=a jacobench run --suite scaling --case 'mlp-w*-d2-b1' --passes 3 --out runs/a
JACOBENCH_MACHINE_LABEL=b jacobench run --suite scaling --case 'mlp-w*-d2-b1' --passes 3 --out runs/b
python docs/figures/gallery.py runs/standard runs/again runs/scaling runs/crossover runs/a runs/b
```

{source}
"""


def sections(runs: Mapping[str, Run], base: Run, head: Run, labelled: Sequence[Run]) -> Iterator[tuple[str, str, Plot]]:
    """Yield kind, file name and plot of everything on the page.

    Raises
    ------
    NoData
        If a run does not have a plot that the page shows.
    """
    for kind, draw in PLOTS.items():
        suite, names = SHOWN.get(kind, ELSE)
        found = draw(runs[suite], "gradient")
        for name in names or found:
            if name not in found:
                raise NoData(f"the run of {suite} has no {name}: {', '.join(found)}")
            yield kind, name, found[name]
    for name, plot in machine_plots(labelled).items():
        yield "several machines", name, replace(plot, notes=(LABELLED,) if name == "machines" else ())
    yield "two runs, new over old", "comparison", comparison(base, head)["comparison"]


def page(shown: list[tuple[str, str, Plot]], source: str) -> str:
    """Return the page."""
    parts, last = [HEAD.format(source=fill(f"Measured on: {source}.", WIDTH))], ""
    for kind, name, plot in shown:
        if kind != last:
            parts.append(f"## {kind[0].upper()}{kind[1:]}\n")
        last = kind
        parts.append(f"![{kind}: {name}](images/gallery/{name}.png)\n\n{fill(plot.caption, WIDTH)}\n")
        if plot.notes:
            notes = (fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ") for note in plot.notes)
            parts.append("\n".join(notes) + "\n")
    return "\n".join(parts)


def main(paths: list[str]) -> None:
    """Write the images, then the page, and delete images that the page does not show."""
    if len(paths) != 6:
        sys.exit(f"expected six runs, STANDARD AGAIN SCALING CROSSOVER A B; got {len(paths)}")
    base, head, scaling, crossover, *labelled = map(read, paths)
    runs = {"standard": base, "scaling": scaling, "crossover": crossover}
    shown = list(sections(runs, base, head, labelled))
    folder = DOCS / "images" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    with styled():
        for _, name, plot in shown:
            plot.figure.savefig(folder / f"{name}.png", dpi=DPI, pil_kwargs={"optimize": True})
    for file in folder.glob("*.png"):
        if file.stem not in {name for _, name, _ in shown}:
            file.unlink()
    print(write_text(page(shown, " · ".join(provenance(base.table))), DOCS / "gallery.md"))


if __name__ == "__main__":
    main(sys.argv[1:])
