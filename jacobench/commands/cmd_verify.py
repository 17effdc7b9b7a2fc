"""``jacobench verify``: check the correctness of strategies."""

from __future__ import annotations

from typing import Annotated

import typer

from jacobench.commands import console
from jacobench.commands.cmd_explain import Dims, Model, Wrt, parse_dims, parse_wrt
from jacobench.commands.cmd_run import Suite
from jacobench.graphs.errors import BadInput


def verify(
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="S",
            help="Strategy to verify: a name, file.py:Class or package.module:Class. Default: all installed strategies.",
        ),
    ] = None,
    suite: Suite = "smoke",
    model: Model = None,
    dim: Dims = None,
    wrt: Wrt = None,
) -> int:
    """Verify that strategies are correct. Tests every op in float64 and float32, a whole Jacobian, and a suite's cases.

    Compares the gradients of each strategy with those of vjp, and those of vjp with central differences. Measures no
    time. A graph that a strategy does not support is not an error. The exit code is 1 if a strategy is wrong.

    With --model, strategies are verified on this model only: dense, sparse and vjp, unless --strategy is given.

    Example: jacobench verify --strategy my_strategy.py:Mine
    """
    from jacobench.bench.run.strategy_checks import check_all
    from jacobench.bench.suites.model_sweep import model_suite
    from jacobench.bench.suites.suite_files import load_suite
    from jacobench.strategies.registry import check, registered

    specs = [check(spec) for spec in strategy or ([] if model else registered())]
    if model is not None:
        suite = model_suite(model, specs, dims=parse_dims(dim), wrt=parse_wrt(wrt))
    elif wrt is not None:
        raise BadInput("--wrt requires --model: the cases of a suite have their own leaves to differentiate")
    found_suite = load_suite(suite)  # report an invalid suite before any work
    specs = specs or list(found_suite.cases[0].strategies)
    wrong = False
    rows = []
    for spec in specs:
        found = check_all(spec, suite, with_ops=model is None)
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
