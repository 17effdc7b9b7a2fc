"""``jacobench verify``: check the correctness of strategies."""

from __future__ import annotations

from typing import Annotated

import typer

from jacobench.commands import console
from jacobench.commands.cmd_run import Suite


def verify(
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="S",
            help="Strategy to verify: a name, file.py:Class or package.module:Class. Default: all installed strategies.",
        ),
    ] = None,
    suite: Suite = "smoke",
) -> int:
    """Verify that strategies are correct. Tests every op in float64 and float32, and the cases of a suite.

    Compares the gradients of each strategy with those of vjp, and those of vjp with central differences. Measures no
    time. A graph that a strategy does not support is not an error. The exit code is 1 if a strategy is wrong.

    Example: jacobench verify --strategy my_strategy.py:Mine
    """
    from jacobench.bench.run.strategy_checks import check_all
    from jacobench.bench.suites.suite_files import load_suite
    from jacobench.strategies.registry import check, registered

    specs = [check(spec) for spec in strategy or registered()]
    load_suite(suite)  # report an invalid suite before any work
    wrong = False
    rows = []
    for spec in specs:
        found = check_all(spec, suite)
        bad = [check for check in found if check.status in {"wrong", "error", "crashed"}]
        wrong |= bool(bad)
        right = sum(check.status == "ok" for check in found)
        rows.append((spec, f"{right} of {len(found)}", "" if bad or not right else "correct"))
        remarks = {
            (check.status, check.reason): check.graph
            for check in reversed(found)
            if check.status != "ok" or check.reason
        }
        for (status, reason), graph in reversed(remarks.items()):
            alike = sum((check.status, check.reason) == (status, reason) for check in found)
            rows.append(("", graph if alike == 1 else f"{graph} … ({alike})", f"{status}: {reason}"))
    console.stdout().print(console.columns(("strategy", "graphs", ""), rows))
    return int(wrong)
