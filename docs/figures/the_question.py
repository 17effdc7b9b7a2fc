"""Write docs/the-question.md and its images: python docs/figures/the_question.py RUN (a run of the suite claims)."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import jacobench as jb
from jacobench.reports.claims.claim_catalogue import CLAIMS, judge
from jacobench.reports.claims.claim_evidence import BY_WEIGHTS, LINKS, ORDER, rows_of
from jacobench.reports.data.vocabulary import provenance
from jacobench.reports.page.run_facts import stability
from jacobench.reports.plots.quantities import QUANTITIES
from jacobench.reports.plots.scaling_plots import scaling
from jacobench.reports.plots.style import styled
from jacobench.reports.render.output_files import write_text
from jacobench.reports.render.text_tables import escape_markdown as escape

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.reports.claims.claim_catalogue import Claim
    from jacobench.reports.claims.claim_evidence import ClaimFinding
    from jacobench.reports.data.run_data import Run

DOCS = Path(__file__).parents[1]
MOST_ROWS = 24
WIDTH = 118
"""Columns of the page's text."""

# Claim → its plots: cases, knob, quantity.
PLOTS: dict[int, tuple[tuple[str, str, str], ...]] = {
    3: ((BY_WEIGHTS, "width", "bytes"), (BY_WEIGHTS, "width", "seconds")),
    6: tuple((f"chain-{link}-w*", "width", "seconds") for link in LINKS),
    7: ((ORDER, "width", "seconds"), (ORDER, "n_seeds", "seconds")),
}

HEAD = """# The question, in numbers

Does backpropagation need Jacobians? One answer is: "It's not necessary to compute the Jacobian in order to perform
backpropagation, all that is needed is the vector-Jacobian product." Another is: "As far as I know you need to compute
the Jacobian at each step." This page judges each claim of that discussion. It gives the claim, the theory, the
measurement, and a verdict. A function computes the verdict from the measured rows (`reports/claims/`).

To get the answer on your machine, one line per claim, run:

```text
jacobench run --suite claims
```

These commands write this page and its images:

```text
jacobench run --suite claims --passes 5 --out runs/claims
python docs/figures/the_question.py runs/claims
```
"""


def page(run: Run, images: Path) -> str:
    """Return the text of the page, and save its images."""
    judged = judge(run)
    source = f"Measured on: {' · '.join(provenance(run.table))}. {stability(run).summary}"
    verdicts = "\n".join(
        f"| {number} | {escape(claim.claimed)} | **{found.guarded}** |"
        for number, (claim, found) in enumerate(judged, 1)
    )
    summary = f"| | claim | verdict |\n|---|---|---|\n{verdicts}"
    sections = [section(number, *each, run, images) for number, each in enumerate(judged, 1)]
    return "\n".join([HEAD, fill(escape(source), WIDTH), "", summary, "", *sections])


def section(number: int, claim: Claim, found: ClaimFinding, run: Run, images: Path) -> str:
    """Return the section of one claim."""
    parts = [
        f"## {number}. {escape(claim.claimed)}",
        fill(f"**Theory.** {escape(claim.theory)}", WIDTH),
        fill(f"**Measured.** {escape(found.sentence[0].upper() + found.sentence[1:])}.", WIDTH),
        fill(f"**Verdict: {found.guarded}.**", WIDTH),
    ]
    if len(found.evidence):
        parts.append(as_markdown(found.evidence))
    parts += [image(run, number, *each, images) for each in PLOTS.get(number, ())]
    return "\n\n".join(parts) + "\n"


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown: at most MOST_ROWS evenly spaced rows."""
    step = -(-len(table) // MOST_ROWS)
    shown = table.iloc[::step]
    rows = [table.columns.tolist(), *shown.astype(str).to_numpy().tolist()]
    written = [f"| {' | '.join(escape(str(cell)) for cell in row)} |" for row in rows]
    written.insert(1, "|---" * len(table.columns) + "|")
    kept = "" if step == 1 else f"\n\n({len(shown)} of {len(table)} rows)"
    return "\n".join(written) + kept


def image(run: Run, number: int, cases: str, knob: str, quantity: str, images: Path) -> str:
    """Draw one sweep, save it, and return the Markdown line that shows it."""
    phases = [rows_of(run, cases, phase) for phase in ("gradient",)]
    drawn = scaling(phases[0], knob, quantity, passes=run.passes)
    name = f"claim{number}-{cases.strip('*-').replace('*', 'x')}-{QUANTITIES[quantity].word}-vs-{knob.replace('_', '-')}.png"
    images.mkdir(parents=True, exist_ok=True)
    with styled():
        drawn.figure.savefig(images / name, dpi=90)
    return f"![{drawn.caption}](images/the-question/{name})"


if __name__ == "__main__":
    read = jb.read(sys.argv[1])
    assert len(judge(read)) == len(CLAIMS)
    print(write_text(page(read, DOCS / "images/the-question"), DOCS / "the-question.md"))
