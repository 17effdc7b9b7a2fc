"""The command line: one module a command. Each imports what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from jacobench.commands import (
    compare,
    doctor,
    explain,
    gate,
    history,
    listing,
    plot,
    recommend,
    report,
    run,
    table,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="jacobench",
    help="Should I materialize this Jacobian, or take vector-Jacobian products? Measured on your machine.",
    epilog="Begin with: jacobench run",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS: dict[str, Callable[..., Any]] = {
    "run": run.run,
    "list": listing.list_,
    "verify": verify.verify,
    "explain": explain.explain,
    "table": table.table,
    "plot": plot.plot,
    "report": report.report,
    "recommend": recommend.recommend,
    "compare": compare.compare,
    "doctor": doctor.doctor,
    "gate": gate.gate,
}
for name, function in COMMANDS.items():
    app.command(name)(function)
app.add_typer(history.app)
