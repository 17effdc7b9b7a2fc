"""The command line: one module per command. Commands import what they need when they run; so ``--help`` is fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands import (
    cmd_bisect,
    cmd_compare,
    cmd_doctor,
    cmd_explain,
    cmd_gate,
    cmd_history,
    cmd_list,
    cmd_plot,
    cmd_recommend,
    cmd_report,
    cmd_run,
    cmd_table,
    cmd_verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="jacobench",
    epilog="To begin: jacobench run",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS: dict[str, Callable[..., Any]] = {
    "run": cmd_run.run,
    "list": cmd_list.list_,
    "verify": cmd_verify.verify,
    "explain": cmd_explain.explain,
    "table": cmd_table.table,
    "plot": cmd_plot.plot,
    "report": cmd_report.report,
    "recommend": cmd_recommend.recommend,
    "compare": cmd_compare.compare,
    "doctor": cmd_doctor.doctor,
    "gate": cmd_gate.gate,
    "bisect": cmd_bisect.bisect,
}
for name, function in COMMANDS.items():
    app.command(name)(function)
app.add_typer(cmd_history.app)


def _version(*, wanted: bool) -> None:
    from importlib.metadata import version

    if wanted:
        typer.echo(f"jacobench {version('jacobench')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=lambda wanted: _version(wanted=wanted)
        ),
    ] = False,
) -> None:
    """Should I materialize this Jacobian, or use vector-Jacobian products? Measured on your machine."""  # noqa: D401
