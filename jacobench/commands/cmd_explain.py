"""``jacobench explain``: what each Jacobian would jacobian_costs, op by op; nothing is timed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.suites.case import Case
    from jacobench.reports.explain.jacobian_costs import Explanation
    from jacobench.reports.plots.plot_data import Plot


def explain(
    widths: Annotated[str | None, typer.Option(metavar="N,N,…", help="A perceptron of these widths.")] = None,
    architecture: Annotated[str | None, typer.Option(metavar="NAME", help="A published network.")] = None,
    op: Annotated[str | None, typer.Option(metavar="NAME", help="One op of the table.")] = None,
    graph: Annotated[str | None, typer.Option(metavar="FILE.py:FUNCTION", help="A graph of your own, or a suite file's generator: chain.")] = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Of --op: the length of its last axis.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Samples.")] = None,
    activation: Annotated[str | None, typer.Option(metavar="NAME", help="Of --widths.")] = None,
    loss: Annotated[str | None, typer.Option(metavar="NAME", help="mse, cross_entropy or none.")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float64 or float32.")] = None,
    weight_density: Annotated[float | None, typer.Option(metavar="D", help="Of --widths: share of weights that are stored.")] = None,
    residual: Annotated[bool | None, typer.Option("--residual", help="Of --widths: hidden layers add their input.")] = None,
    normalization: Annotated[str | None, typer.Option(metavar="NAME", help="Of --widths: layer_norm or none.")] = None,
    n_seeds: Annotated[int | None, typer.Option(metavar="N", help="Cotangents pulled back at once.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of a suite file's sweep: an argument of --graph's.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw the patterns and the bytes into DIR.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="One row a Jacobian, as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:  # fmt: skip
    """Say what each local Jacobian of a graph would jacobian_costs, dense and sparse, beside its VJP; nothing is timed or allocated.

    Example: jacobench explain --widths 784,256,10 --batch 32
    """
    from jacobench.bench.machine.machine_record import memory_limit
    from jacobench.bench.suites.case import graph_of
    from jacobench.commands import console
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.explain.jacobian_costs import jacobian_costs
    from jacobench.reports.render.explain_table import ExplanationTable

    if csv and as_json:
        raise BadInput("--csv and --json are given: expected one of them")
    knobs = {
        "size": size, "batch": batch, "activation": activation, "loss": loss, "dtype": dtype, "residual": residual,
        "weight_density": weight_density, "normalization": normalization, "n_seeds": n_seeds,
    }  # fmt: skip
    case = _case({"widths": widths, "architecture": architecture, "op": op, "graph": graph}, knobs, setting or [])
    try:
        found = jacobian_costs(graph_of(case), case.knobs["n_seeds"])
    except NotImplementedError as error:
        raise BadInput(f"{case.name}: {error}") from None
    if csv:
        from jacobench.reports.explain.frame import frame

        typer.echo(frame(found).to_csv(index=False), nl=False)
    elif as_json:
        typer.echo(_as_json(found, case.name, memory_limit()))
    else:
        console.stdout().print(ExplanationTable(found, case.name, memory_limit()))
    if plot is not None:
        _draw(found, case.name, memory_limit(), plot)


NAMED = {"widths": ("mlp", "widths"), "architecture": ("architecture", "name"), "op": ("op", "name")}
"""Option → the generator it asks for, and the generator's key that it gives."""


def _case(sources: dict[str, str | None], knobs: dict[str, Any], settings: list[str]) -> Case:
    """Return the one case that the options ask for, as a sweep of a suite file would."""
    from jacobench.bench.suites.sweep_expansion import expand
    from jacobench.graphs.errors import BadInput

    given = {option: value for option, value in sources.items() if value is not None}
    if len(given) != 1:
        told = " and ".join(f"--{option}" for option in given) or "none of them"
        raise BadInput(f"expected exactly one of {', '.join(f'--{option}' for option in sources)}, got {told}")
    ((option, value),) = given.items()
    generator, key = NAMED.get(option, (value, ""))
    sweep: dict[str, Any] = {"graph": generator}
    if key:
        sweep[key] = _widths(value) if option == "widths" else value
    sweep |= {key: knob for key, knob in knobs.items() if knob is not None} | dict(map(_setting, settings))
    try:
        cases = expand(sweep, Path())
    except BadInput as error:
        raise BadInput(_as_option(str(error), option, key)) from error.__cause__
    if len(cases) > 1:
        raise BadInput(f"--set gives lists, and so {len(cases)} graphs: expected values for one")
    return cases[0]


def _widths(text: str) -> list[int]:
    from jacobench.graphs.errors import BadInput

    try:
        return [int(width) for width in text.split(",")]
    except ValueError:
        raise BadInput(
            f"--widths is {text!r}: expected whole numbers with commas between, such as 784,256,10"
        ) from None


def _setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE as a line of a suite file; a value that is no TOML is a text without its quotes."""
    import tomllib

    from jacobench.graphs.errors import BadInput

    key, sign, value = text.partition("=")
    if not sign or not key.isidentifier():
        raise BadInput(f"--set is {text!r}: expected KEY=VALUE, such as width=64")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _as_option(message: str, option: str, key: str) -> str:
    """Turn ".n_seeds: expected …" into "--n-seeds: expected …"."""
    place, colon, rest = message.partition(":")
    name = place.lstrip(".").partition("[")[0]
    return f"--{option if name in {key, ''} else name.replace('_', '-')}{colon}{rest}"


def _as_json(found: Explanation, name: str, memory_bytes: int) -> str:
    import json
    from dataclasses import asdict

    from jacobench.reports.explain.conclusions import follows

    content = {
        "name": name,
        "dtype": found.graph.dtype.name,
        "n_parameters": found.graph.n_parameters,
        "n_seeds": found.n_seeds,
        "memory_bytes": memory_bytes,
        "jacobians": [asdict(weight) for weight in found.weights],
        "totals": [asdict(total) for total in found.totals],
        "follows": follows(found, memory_bytes),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _draw(found: Explanation, name: str, memory_bytes: int, folder: Path) -> None:
    from jacobench.commands import console
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.plots.jacobian_cost_bars import weights
    from jacobench.reports.plots.pattern_plots import patterns
    from jacobench.reports.plots.plot_data import NoData
    from jacobench.reports.render import output_files

    kinds: dict[str, Callable[[], Plot]] = {
        "patterns": lambda: patterns(found, name),
        "bytes": lambda: weights(found, name, memory_bytes),
    }
    pictures = {}
    for kind, draw in kinds.items():
        try:
            pictures[kind] = draw()
        except NoData as why:
            console.stderr().print(f"not drawn: {kind}: {why}")
    try:
        written = output_files.save(pictures, folder)
    except OSError as error:
        raise BadInput(f"cannot write {str(error.filename or folder)!r}: {error.strerror}") from None
    for file in written:
        console.stderr().print(str(file))
