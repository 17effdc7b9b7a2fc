"""Keys of machines and names of cases that earlier versions wrote, mapped to those of today.

Earlier keys of machines end with six hexadecimal digits, which changed with the kernel; today there are eight. On ARM and
macOS they had the architecture instead of the processor. Earlier names of cases had no parentheses and quotes around
arguments. Something of earlier versions that matches several of today, or none, is not mapped, so nothing is mixed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jacobench.graphs.architectures import ARCHITECTURES as NETWORKS
from jacobench.graphs.generators.chain import VECTOR
from jacobench.graphs.generators.one_op import EVERY
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jacobench.reports.data.run_data import Run

KEY = re.compile(r"(?P<processor>.*?), (?P<rest>(?:\d+|\?) cores, .*?)(?: \((?P<digits>[0-9a-f]{6}|[0-9a-f]{8})\))?")
FORMER_DIGITS = 6

ARCHITECTURES = {"", "aarch64", "arm", "arm64", "armv7l", "armv8l", "i386", "x86_64", "amd64"}
"""Names that earlier versions wrote instead of a processor, in lower case."""

FORMER_JACOBIAN = re.compile("-identity$")  # names of cases with seeds = "identity"

MARKS = re.compile(r"""['"()=\\]""")  # what names of cases contain today, in addition to earlier ones


def is_former(key: str) -> bool:
    """Return whether an earlier version wrote this key of a machine.

    >>> is_former("AMD EPYC, 2 cores, 23 GiB, Linux x86_64 (1a2b3c)"), is_former("AMD EPYC, 2 cores, Linux x86_64")
    (True, False)
    """
    match = KEY.fullmatch(key)
    return match is not None and len(match["digits"] or "") == FORMER_DIGITS


def current_machines(keys: Iterable[str]) -> dict[str, str]:
    """Map keys of earlier versions to the only key of today that describes the same machine.

    >>> current_machines(["AMD, 2 cores, 23 GiB, Linux (1a2b3c)", "AMD, 2 cores, 23 GiB, Linux (1a2b3c4d)"])
    {'AMD, 2 cores, 23 GiB, Linux (1a2b3c)': 'AMD, 2 cores, 23 GiB, Linux (1a2b3c4d)'}
    """
    distinct = set(keys)
    return _only(distinct, lambda former: [key for key in distinct if _is_same_machine(former, key)])


def _is_same_machine(former: str, key: str) -> bool:
    old, new = KEY.fullmatch(former), KEY.fullmatch(key)
    if not old or not new or old["rest"] != new["rest"] or is_former(key):
        return False
    is_architecture = old["processor"].lower() in ARCHITECTURES
    if old["digits"] is None:  # a file of pytest-benchmark
        return new["digits"] is None and is_architecture and new["processor"].lower() not in ARCHITECTURES
    return is_former(former) and (old["processor"] == new["processor"] or is_architecture)


def current_cases(former: Iterable[str], today: Iterable[str]) -> dict[str, str]:
    """Map names of cases of earlier versions to the only name of today that has the same letters without marks.

    >>> current_cases(["net.net-blocks1x2x3", "net.net-width4"], ["net.net-blocks(1x2)x(3)", "net.net-width4"])
    {'net.net-blocks1x2x3': 'net.net-blocks(1x2)x(3)'}
    """
    known = set(today)
    return _only(set(former) - known, lambda name: [new for new in known if MARKS.sub("", new) == MARKS.sub("", name)])


def _only(former: Iterable[str], matches: Callable[[str], list[str]]) -> dict[str, str]:
    found = {name: matches(name) for name in sorted(former)}
    return {name: names[0] for name, names in found.items() if len(names) == 1}


def with_selection(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of an earlier version with its task, and the leaves that its generator differentiated.

    >>> with_selection({"graph": "chain-affine-wrt_links", "case": "chain-affine-wrt_links-w8-d1-b1-identity"})["wrt"]
    'all'
    """
    graph = row.get("graph")
    if "task" in row or not isinstance(graph, str):
        return dict(row)
    named, links, _ = graph.partition("-wrt_links")
    task = "jacobian" if FORMER_JACOBIAN.search(str(row.get("case"))) else "gradient"
    selection = _former_selection(graph, is_all=bool(links))
    return {"wrt": selection, **row, "graph": named, "task": task}


def _former_selection(graph: str, *, is_all: bool) -> str | None:
    if graph.startswith("chain-"):
        return "all" if is_all else VECTOR
    if graph in OPS or graph == EVERY:
        return "all"
    return "parameters" if graph == "mlp" or graph in NETWORKS else None


def with_current_names(base: Run, head: Run) -> tuple[Run, Run]:
    """Return two runs with the names of today, if an earlier version measured one of them."""
    keys = [str(key) for run in (base, head) for key in run.table["machine"].dropna().unique()]
    machines = current_machines(keys)
    if not machines:
        return base, head
    both = [(run, any(map(is_former, run.table["machine"].dropna().astype(str)))) for run in (base, head)]
    today = {case for run, is_old in both if not is_old for case in run.table["case"]}
    first, second = (
        _renamed(run, current_cases(run.table["case"], today) if is_old else {}, machines) for run, is_old in both
    )
    return first, second


def _renamed(run: Run, cases: Mapping[str, str], machines: Mapping[str, str]) -> Run:
    table, passes, samples = (
        frame.assign(case=frame["case"].map(lambda name: cases.get(name, name)).astype(object))
        for frame in (run.table, run.passes, run.samples)
    )
    table["machine"] = table["machine"].map(lambda key: machines.get(key, key)).astype(object)
    return replace(run, table=table, passes=passes, samples=samples)
