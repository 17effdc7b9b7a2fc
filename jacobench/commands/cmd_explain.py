"""``jacobench explain``: predicted cost of each Jacobian of a graph; nothing is measured."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands import console
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.suites.case import Case
    from jacobench.reports.explain.jacobian_costs import Explanation
    from jacobench.reports.plots.layout import Plot

Widths = Annotated[
    str | None, typer.Option(metavar="N,N,…", help="Multilayer perceptron with these input, hidden and output widths.")
]
Architecture = Annotated[
    str | None, typer.Option(metavar="NAME", help="A published network; see 'jacobench list architectures'.")
]
Wrt = Annotated[
    str | None,
    typer.Option(metavar="LEAVES", help="Leaves to differentiate: inputs, parameters, all, or names with commas."),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="MODEL.onnx|FILE.py:FACTORY", help="A model of another library. Loading FILE.py executes it."),
]
Dims = Annotated[
    list[str] | None, typer.Option(metavar="NAME=N", help="With --model: size of a symbolic dimension. Repeatable.")
]
Seeds = Annotated[
    int | None, typer.Option(metavar="N", help="Number of seeds (cotangents of the output) per pullback.")
]


def explain(
    widths: Widths = None,
    architecture: Architecture = None,
    op: Annotated[str | None, typer.Option(metavar="NAME", help="A single op; see 'jacobench list ops'.")] = None,
    graph: Annotated[str | None, typer.Option(metavar="FILE.py:FUNCTION", help="Your own graph, or a value of the key graph in suite files, for example chain.")] = None,
    model: Model = None,
    dim: Dims = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="With --op: length of the last axis.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Number of samples.")] = None,
    activation: Annotated[str | None, typer.Option(metavar="NAME", help="With --widths: activation, such as tanh or relu.")] = None,
    loss: Annotated[str | None, typer.Option(metavar="NAME", help="mse, cross_entropy or none.")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float64 or float32.")] = None,
    weight_density: Annotated[float | None, typer.Option(metavar="D", help="With --widths: share of the weights that are stored.")] = None,
    residual: Annotated[bool | None, typer.Option("--residual", help="With --widths: each hidden layer adds its input to its output.")] = None,
    normalization: Annotated[str | None, typer.Option(metavar="NAME", help="With --widths: layer_norm or none.")] = None,
    wrt: Wrt = None,
    n_seeds: Seeds = None,
    setting: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of a sweep in a suite file. With --graph: an argument of the function.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="DIR", help="Write plots of the sparsity patterns and of the bytes to DIR.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print one row per Jacobian as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:  # fmt: skip
    """Predict the cost of each local Jacobian of a graph. Measures nothing.

    A local Jacobian belongs to one input of one op. Prints its cost as a dense matrix and as a sparse matrix, and the
    cost of its vector-Jacobian product (VJP). Give exactly one of --widths, --architecture, --op, --graph and --model.

    Example: jacobench explain --widths 784,256,10 --batch 32
    """
    from jacobench.bench.machine.memory_limits import memory_limit
    from jacobench.bench.suites.case import graph_of
    from jacobench.reports.explain.jacobian_costs import jacobian_costs
    from jacobench.reports.render.explain_table import ExplanationTable

    if csv and as_json:
        raise BadInput("--csv and --json cannot be combined: expected one of them")
    knobs = {
        "size": size, "batch": batch, "activation": activation, "loss": loss, "dtype": dtype, "residual": residual,
        "weight_density": weight_density, "normalization": normalization, "n_seeds": n_seeds, "wrt": parse_wrt(wrt), "dims": parse_dims(dim),
    }  # fmt: skip
    sources = {"widths": widths, "architecture": architecture, "op": op, "graph": graph, "model": model}
    case = _case(sources, knobs, setting or [])
    try:
        explained = graph_of(case)
        found = jacobian_costs(explained, case.knobs["n_seeds"] or prod(explained.output_shape))
    except NotImplementedError as error:
        raise BadInput(f"{case.name}: {error}") from None
    if csv:
        from jacobench.reports.explain.jacobian_costs import to_frame

        console.echo(to_frame(found).to_csv(index=False), end="")
    elif as_json:
        console.echo(_as_json(found, case.name, memory_limit()))
    else:
        console.stdout().print(ExplanationTable(found, case.name, memory_limit()))
    if plot is not None:
        _draw(found, case.name, memory_limit(), plot)


NAMED = {
    "widths": ("mlp", "widths"),
    "architecture": ("architecture", "name"),
    "op": ("op", "name"),
    "model": ("model", "file"),
}
"""Option → generator, and the key of the generator that the option sets."""


def _case(sources: dict[str, str | None], knobs: dict[str, Any], settings: list[str]) -> Case:
    """Return the case that the options select, expanded like a sweep of a suite file."""
    from jacobench.bench.suites.sweep_expansion import expand

    given = {option: value for option, value in sources.items() if value is not None}
    if len(given) != 1:
        got = " and ".join(f"--{option}" for option in given) or "none of them"
        raise BadInput(f"expected exactly one of {', '.join(f'--{option}' for option in sources)}, got {got}")
    ((option, value),) = given.items()
    generator, key = NAMED.get(option, (value, ""))
    sweep: dict[str, Any] = {"graph": generator}
    if key:
        sweep[key] = parse_widths(value) if option == "widths" else value
    sweep |= {key: knob for key, knob in knobs.items() if knob is not None} | dict(map(_setting, settings))
    try:
        cases = expand(sweep, Path())
    except BadInput as error:
        raise BadInput(_as_option(str(error), option, key)) from error.__cause__
    if len(cases) > 1:
        raise BadInput(f"--{option} or --set selects {len(cases)} graphs: expected one")
    return cases[0]


def parse_widths(text: str) -> list[int]:
    """Return the widths of an option such as ``784,300,10``."""
    try:
        return [int(width) for width in text.split(",")]
    except ValueError:
        raise BadInput(f"--widths is {text!r}: expected whole numbers and commas, such as 784,300,10") from None


def parse_wrt(text: str | None) -> str | list[str] | None:
    """Return the key `wrt` of an option such as ``inputs`` or ``W1,x``."""
    from jacobench.bench.suites.wrt_selection import wrt_of_text

    return None if text is None else wrt_of_text(text)


def parse_dims(given: list[str] | None) -> dict[str, int] | None:
    """Return the sizes of options such as ``--dim sequence=128``."""
    found: dict[str, int] = {}
    for text in given or ():
        name, sign, size = text.rpartition("=")
        if not (sign and name and size.isdecimal() and int(size)):
            raise BadInput(f"--dim is {text!r}: expected NAME=N with N of 1 or more, such as sequence=128")
        found[name] = int(size)
    return found or None


def _setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE like a line of a suite file; a value that is not TOML is a text without quotes."""
    import tomllib

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
    from jacobench.reports.explain.import_sentences import imported

    content = {
        "name": name,
        "dtype": found.graph.dtype.name,
        "imported": imported(found.graph),
        "leaves": {name: list(leaf.shape) for name, leaf in found.graph.leaves.items()},
        "wrt": list(found.graph.wrt),
        "n_parameters": found.graph.n_parameters,
        "n_seeds": found.n_seeds,
        "memory_bytes": memory_bytes,
        "jacobians": [asdict(cost) for cost in found.jacobians],
        "totals": [asdict(total) for total in found.totals],
        "follows": follows(found, memory_bytes),
    }
    return json.dumps(content, indent=1)


def _draw(found: Explanation, name: str, memory_bytes: int, folder: Path) -> None:
    from jacobench.commands.cmd_plot import save_plots
    from jacobench.reports.plots.explain_plots import cost_bars, patterns
    from jacobench.reports.plots.layout import NoData

    kinds: dict[str, Callable[[], Plot]] = {
        "patterns": lambda: patterns(found, name),
        "bytes": lambda: cost_bars(found, name, memory_bytes),
    }
    plots = {}
    for kind, draw in kinds.items():
        try:
            plots[kind] = draw()
        except NoData as reason:
            console.stderr().print(f"not drawn: {kind}: {reason}")
    for file in save_plots(plots, folder):
        console.stderr().print(str(file))
