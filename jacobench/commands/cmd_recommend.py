"""Command ``jacobench recommend``: the best strategy for a network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands import console
from jacobench.commands.cmd_explain import (
    Architecture,
    Dims,
    Model,
    Seeds,
    Widths,
    Wrt,
    parse_dims,
    parse_widths,
    parse_wrt,
)
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from jacobench.reports.analysis.case_advice import CaseAdvice

OPTIONS = {
    "n_seeds": "seeds",
    "name": "architecture",
    "file": "model",
}  # knob of a suite file → its option, where the names differ


def recommend(
    widths: Widths = None,
    architecture: Architecture = None,
    model: Model = None,
    dim: Dims = None,
    batch: Annotated[
        int | None, typer.Option(metavar="B", help="Samples per batch. Default: 1, or the architecture's own.")
    ] = None,
    seeds: Seeds = None,
    activation: Annotated[str | None, typer.Option(metavar="NAME", help="Activation. Default: tanh.")] = None,
    loss: Annotated[
        str | None, typer.Option(metavar="NAME", help="Loss: mse, cross_entropy or none. Default: mse.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float64 or float32. Default: float64.")] = None,
    wrt: Wrt = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="gradient, or jacobian: the whole matrix. Default: gradient.")
    ] = None,
    weight_density: Annotated[
        float | None, typer.Option(metavar="D", help="Share of the weights that are stored. Default: 1.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="RUN", help="Run whose measurements to use. Default: the newest in runs/. Repeatable."
        ),
    ] = None,
    uses: Annotated[
        int,
        typer.Option(
            metavar="K", help="Pullbacks per linearization. Default: one gradient.", min=0, show_default=False
        ),
    ] = 0,
    memory_budget: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory limit of a strategy, such as 2GiB. Default: the machine's memory."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recommend a strategy for a network.

    Uses a measurement of the same network if there is one. Otherwise it uses measurements of similar networks, and
    otherwise the models of time and bytes. The output states the source and its error. The time model needs a profile of
    this machine, which is measured once (about 30 s) and stored. If no strategy is clearly the fastest, it names no winner.

    Example: jacobench recommend --widths 784,300,10 --batch 32 --from runs/first
    """
    from jacobench import api

    knobs = {
        "widths": parse_widths(widths) if widths is not None else None, "name": architecture, "batch": batch,
        "n_seeds": seeds, "activation": activation, "loss": loss, "dtype": dtype, "weight_density": weight_density,
        "wrt": parse_wrt(wrt), "task": task, "file": model, "dims": parse_dims(dim),
    }  # fmt: skip
    given = {name: value for name, value in knobs.items() if value is not None}
    _check(given)
    advice = api.recommend_for(
        *(runs or ()), uses=uses, memory_budget=memory_budget, say=console.stderr().print, **given
    )
    if as_json:
        console.echo(json.dumps(advice.as_dict(), indent=1))
    else:
        _show(advice)


def _check(given: dict[str, Any]) -> None:
    """Raise an error that names the option, if the knobs do not describe one case."""
    from jacobench.bench.floor.predicted_rows import one_case

    sources = [_option(name) for name in ("widths", "name", "file") if name in given]
    if len(sources) != 1:
        got = " and ".join(sources) or "none"
        raise BadInput(f"expected one of --widths, such as 784,300,10, --architecture and --model, got {got}")
    own = sorted({"activation", "weight_density"} & given.keys())
    if "widths" not in given and own:
        raise BadInput(f"{_option(own[0])} requires --widths: other networks have their own")
    try:
        one_case(given)
    except BadInput as error:
        raise BadInput(re.sub(r"^(\w+)(\[\d+\])?:", lambda match: f"{_option(match[1])}:", str(error))) from None


def _option(knob: str) -> str:
    return f"--{OPTIONS.get(knob, knob).replace('_', '-')}"


def _show(advice: CaseAdvice) -> None:
    from jacobench.reports.render import advice_text

    out = console.stdout()
    out.print(advice_text.title(advice), style="bold")
    out.print(*advice_text.verdicts(advice), sep="\n")
    out.print()
    out.print(console.columns(advice_text.headings(advice), advice_text.rows(advice)))
    out.print()
    out.print(*advice_text.reasons(advice), sep="\n")
    if advice.command:
        console.echo(f"\n{advice.command}")
