"""``jacobench doctor``: check for sources of noise."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jacobench.commands import console


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    noise: Annotated[
        bool, typer.Option("--noise", help="Only measure the noise: time identical code in many processes.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Only measure the machine profile again (about a minute), and print its rates and error."
        ),
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Check every host of a cluster of Dask; SPEC is that of 'run'.")
    ] = None,
    pairs: Annotated[int, typer.Option(metavar="N", help="With --noise: number of pairs of processes.", min=2)] = 200,
) -> None:
    """Check this machine for sources of noise and suggest fixes. Changes no settings.

    Example: jacobench doctor --noise --pairs 200
    """
    from dataclasses import asdict

    from jacobench.bench.machine.doctor import examine

    if noise:
        _noise(pairs, as_json=as_json)
        return
    if profile:
        _profile(as_json=as_json)
        return
    if cluster:
        _cluster(cluster, as_json=as_json)
        return
    findings = [asdict(finding) for finding in examine()]
    if as_json:
        _print_json(findings)
        return
    rows = [tuple(finding.values()) for finding in findings]
    console.stdout().print(console.columns(("check", "", "measured", "fix"), rows))


def _cluster(spec: str, *, as_json: bool) -> None:
    from jacobench.bench.cluster.cluster_connection import check_installed
    from jacobench.graphs.wording import counted

    check_installed()
    from jacobench.bench.cluster.cluster_run import examine_hosts

    found = examine_hosts(spec, console.stderr().print, console.announce)
    if as_json:
        _print_json(found)
        return
    for host in found:
        console.stdout().print(
            f"{host['host']} · {host['machine']} · {counted(host['workers'], 'dask worker')}", style="bold"
        )
        rows = [tuple(finding.values()) for finding in host["findings"]]
        console.stdout().print(console.columns(("check", "", "measured", "fix"), rows))


def _noise(pairs: int, *, as_json: bool) -> None:
    from jacobench.bench.machine import noise

    samples: list[noise.Sample] = []
    by_condition: dict[str, list[noise.Sample]] = {condition: [] for condition in noise.CONDITIONS}
    for condition, sample in noise.experiment(pairs):
        (samples if condition is None else by_condition[condition]).append(sample)
        if condition is None and not len(samples) % 50:
            console.stderr().print(f"{len(samples)} of {2 * pairs} processes")
    spreads = noise.spreads(samples)
    gains = noise.gains(by_condition) if by_condition["malloc"] else {}
    if as_json:
        _print_json({"processes": len(samples), "spreads": spreads, "gains": gains})
        return
    headings = ("workload", "within a process", "between processes", "ratio of neighbors", "paired ratio")
    rows = [(workload, *(f"±{value:.2%}" for value in found.values())) for workload, found in spreads.items()]
    console.stdout().print(console.columns(headings, rows))
    rows = [(name, *(f"{gain:.2f}×" for gain in found.values())) for name, found in gains.items()]
    console.stdout().print(console.columns(("setting", *noise.WORKLOADS), rows))


def _profile(*, as_json: bool) -> None:
    from jacobench.bench.floor.stored_profile import renew
    from jacobench.graphs.builder import DTYPES
    from jacobench.reports.analysis.model_quality import profile_facts
    from jacobench.reports.data.units import format_bytes, format_percent

    found = [profile_facts(renew(dtype, say=console.stderr().print)) for dtype in DTYPES]
    if as_json:
        _print_json(found)
        return
    out = console.stdout()
    for facts in found:
        rows = [
            tuple(f"{format_bytes(size)}{unit}" for size, unit in zip(line, ("", "/s", "/s"), strict=True))
            for line in facts["bandwidth"]
        ]
        out.print(facts["dtype"], style="bold")
        out.print(console.columns(("footprint", "read", "write"), rows))
        out.print(
            f"{facts['n_rules']} rules of ops. In {facts['n_tested']} gradients that were not fitted, the median error of the "
            f"time model is {format_percent(facts['median_error'])}, and 90 % of the errors are at most "
            f"{format_percent(facts['p90_error'])}."
        )


def _print_json(content: Any) -> None:
    import json

    console.echo(json.dumps(content, indent=1))
