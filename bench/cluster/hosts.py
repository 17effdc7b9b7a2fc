"""Hosts of a cluster: which there are, which may be used, and how they differ."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.cluster.cluster_calls import ask_workers
from jacobench.bench.cluster.host_survey import SURVEY_SECONDS, HostFacts, Survey, SurveyJob, survey
from jacobench.bench.machine.machine_record import LABEL, as_label
from jacobench.bench.run.code_versions import all_differences
from jacobench.graphs.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from distributed import Client

    from jacobench.bench.run.code_versions import CodeVersions

OURS = "jacobench"

Place = tuple[str, str]
"""Address of a host, and the label of its machine."""


@dataclass
class Host:
    """A host that may measure, and the addresses of its dask workers."""

    place: Place
    facts: HostFacts
    workers: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the host, with its label."""
        return self.facts.name

    @property
    def machine(self) -> str:
        """Key of the host's machine."""
        return self.facts.machine


@dataclass(frozen=True)
class Found:
    """What dask workers have answered: hosts, more workers of hosts that are known, and lines for the user."""

    hosts: list[Host] = field(default_factory=list)
    more: dict[Place, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@dataclass
class HostFinder:
    """Finds the hosts of a cluster that can measure a run, and states why others cannot, each cause once."""

    client: Client
    job: SurveyJob
    code: CodeVersions  # of the client, when it uploaded its files
    machine: str = ""  # key that all hosts must have; empty: any
    unusable: set[str] = field(default_factory=set)  # addresses of dask workers; not those that have not answered
    given_up: set[Place] = field(default_factory=set)
    _said: set[str] = field(default_factory=set)

    def find(self, workers: Iterable[str], known: Collection[Place] = ()) -> Found:
        """Ask dask workers, all at the same time. Hosts that are known are not described again."""
        lines: list[str] = []
        found = self._with_jacobench(places(self.client, workers, lines.append), lines.append)
        for place in found.keys() & self.given_up:
            self.unusable.update(found.pop(place))
        more = {place: found.pop(place) for place in found.keys() & set(known)}
        hosts = self._described(found, lines.append)
        lines += difference_lines(self.code, hosts)
        if self.machine:
            hosts = self.of_machine(hosts, self.machine, lines.append)
        lines = [line for line in dict.fromkeys(lines) if line not in self._said]
        self._said.update(lines)
        return Found(hosts, more, lines)

    def give_up(self, host: Host) -> None:
        """Find a host no more, nor dask workers that start there later."""
        self.given_up.add(host.place)
        self.unusable.update(host.workers)

    def of_machine(self, hosts: Iterable[Host], key: str, say: Callable[[str], object]) -> list[Host]:
        """Return the hosts with a machine key, say which others are not used, and find only such hosts from now on."""
        self.machine = key
        hosts = list(hosts)
        for host in hosts:
            if host.machine != key:
                self.unusable.update(host.workers)
                say(
                    f"host {host.name} is not used: its machine is {host.machine!r}, and --same-machine asks for {key!r}"
                )
        return [host for host in hosts if host.machine == key]

    def _with_jacobench(self, found: Mapping[Place, list[str]], say: Callable[[str], object]) -> dict[Place, list[str]]:
        """Return the dask workers with the same version of jacobench as this process, by host."""
        own = version(OURS)
        answers = ask_workers(
            self.client, version, OURS, workers=[each for workers in found.values() for each in workers]
        )
        usable = {}
        for place, workers in found.items():
            if own_version := [worker for worker in workers if answers[worker] == own]:
                usable[place] = own_version
            for worker in workers:
                has = answers[worker]
                if has == own:
                    continue
                if not isinstance(has, PackageNotFoundError) and not has_answered(worker, has, say):
                    continue
                self.unusable.add(worker)
                which = f"dask worker {worker} of host" if own_version else "host"
                cause = (
                    "jacobench is not installed" if isinstance(has, PackageNotFoundError) else f"it has jacobench {has}"
                )
                say(
                    f"{which} {_shown(place)} is not used: {cause}. "
                    f"To install it there: pip install 'jacobench[cluster]=={own}'"
                )
        return usable

    def _described(self, found: Mapping[Place, list[str]], say: Callable[[str], object]) -> list[Host]:
        """Return hosts with their descriptions."""
        asked = [workers[0] for workers in found.values()]
        content = msgspec.json.encode(self.job)
        answers = ask_workers(self.client, survey, content, workers=asked, seconds=SURVEY_SECONDS)
        hosts = []
        for place, workers in found.items():
            answer = answers[workers[0]]
            if not has_answered(workers[0], answer, say):
                self.unusable.update([] if isinstance(answer, OSError) else workers)
                continue
            described = msgspec.json.decode(answer, type=Survey)
            if described.facts is None:
                self.unusable.update(workers)
                say(f"host {_shown(place)} is not used: {described.error}")
            else:
                hosts.append(Host(place, described.facts, workers))
        return hosts


def places(client: Client, workers: Iterable[str], say: Callable[[str], object]) -> dict[Place, list[str]]:
    """Return the addresses of dask workers by host, without those that do not answer."""
    from distributed.comm import get_address_host  # noqa: PLC0415  (an extra)

    found: dict[Place, list[str]] = defaultdict(list)
    for address, value in ask_workers(client, os.getenv, LABEL, "", workers=workers).items():
        if has_answered(address, value, say):
            found[get_address_host(address), as_label(value)].append(address)
    return dict(found)


def has_answered(worker: str, answer: object, say: Callable[[str], object]) -> bool:
    """Return whether a dask worker has answered without an error, and state the error, unless the worker has ended."""
    if isinstance(answer, TimeoutError):
        say(f"dask worker {worker} is not used: {answer}")
    elif isinstance(answer, Exception) and not isinstance(answer, OSError):
        say(f"dask worker {worker} is not used: {' '.join(f'{type(answer).__name__}: {answer}'.split())}")
    return not isinstance(answer, Exception)


def _shown(place: Place) -> str:
    address, label = place
    return f"{address} ({label})" if label else address


def difference_lines(own: CodeVersions, hosts: Iterable[Host]) -> list[str]:
    """Return one line for each way in which code and libraries of hosts differ from those of the client."""
    groups: dict[str, list[str]] = defaultdict(list)
    for host in hosts:
        if found := all_differences(own, host.facts.code):
            groups["; ".join(found)].append(host.name)
    return [f"{counted(len(names), 'host')} ({listed(names)}): {what}" for what, names in groups.items()]


def machines_line(hosts: Iterable[Host], others: Iterable[str] = ()) -> str:
    """Return a line that states the consequence of several kinds of machine; empty if there is only one.

    `others` are keys of machines that may have no host now.
    """
    counts = Counter(dict.fromkeys(others, 0))
    counts.update(host.machine for host in hosts)
    if len(counts) < 2:
        return ""
    keys = sorted(counts)
    shared, names = _distinct(keys)
    kinds = listed([f"{counted(counts[key], 'host')} with {name!r}" for key, name in zip(keys, names, strict=True)])
    return (
        f"there are {len(counts)} kinds of machine ({shared and f'{shared}: '}{kinds}): each case is measured on one of "
        "them, so the sizes of a sweep are divided between them. For sweeps of one kind of machine: --same-machine"
    )


def _distinct(keys: Sequence[str]) -> tuple[str, list[str]]:
    """Return what keys of machines have in common at their start, and the rest of each, such as its label.

    >>> _distinct(["EPYC, 2 cores, Linux, a (1a2b3c4d)", "EPYC, 2 cores, Linux, b (5e6f7a8b)"])
    ('EPYC, 2 cores, Linux', ['a', 'b'])
    """
    bare = [re.sub(r" \([0-9a-f]{8}\)$", "", key) for key in keys]
    parts = [key.split(", ") for key in (bare if len(set(bare)) == len(keys) else keys)]
    first = zip(*(own[:-1] for own in parts), strict=False)  # without the last part: each kind keeps a name
    shared = [of_kinds[0] for of_kinds in takewhile(lambda of_kinds: len(set(of_kinds)) == 1, first)]
    return ", ".join(shared), [", ".join(own[len(shared) :]) for own in parts]


def most_frequent_machine(hosts: Iterable[Host]) -> str:
    """Return the machine key that most hosts have; of several, the first in alphabetical order."""
    counts = Counter(host.machine for host in hosts)
    return min(counts, key=lambda key: (-counts[key], key))
