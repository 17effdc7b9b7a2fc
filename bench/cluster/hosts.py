"""Hosts of a cluster: which there are, which may be used, and how they differ."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from jacobench.bench.cluster.host_survey import HostFacts, SurveyJob, survey
from jacobench.bench.machine.machine_record import LABEL
from jacobench.bench.run.code_versions import all_differences
from jacobench.graphs.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from distributed import Client

    from jacobench.bench.run.code_versions import CodeVersions

SURVEY_SECONDS = 120.0
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


def places(client: Client, workers: Iterable[str] | None = None) -> dict[Place, list[str]]:
    """Return the addresses of the dask workers of each host; `workers` selects some."""
    infos: Mapping[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    chosen = [address for address in infos if workers is None or address in set(workers)]
    labels = client.run(os.getenv, LABEL, "", workers=chosen, on_error="ignore") if chosen else {}
    found: dict[Place, list[str]] = defaultdict(list)
    for address in chosen:
        if address in labels:
            found[infos[address]["host"], " ".join(labels[address].split())].append(address)
    return dict(found)


def survey_hosts(
    client: Client, found: Mapping[Place, list[str]], job: SurveyJob, say: Callable[[str], object]
) -> list[Host]:
    """Ask hosts for their description, and say which cannot be used, and why."""
    usable = _with_jacobench(client, found, say)
    answers = ask_each(client, {place: workers[0] for place, workers in usable.items()}, survey, job, say)
    return [
        Host(place, msgspec.json.decode(answer, type=HostFacts), list(usable[place]))
        for place, answer in answers.items()
    ]


def ask_each(
    client: Client, workers: Mapping[Place, str], task: Callable[[bytes], bytes], job: Any, say: Callable[[str], object]
) -> dict[Place, bytes]:
    """Run a task on one worker of each host, all at the same time; say which hosts cannot be used, and why."""
    content = msgspec.json.encode(job)
    futures = {
        place: client.submit(
            task, content, key=f"{OURS}-{uuid4().hex}", workers=[worker], allow_other_workers=False, pure=False
        )
        for place, worker in workers.items()
    }
    answers: dict[Place, bytes] = {}
    for place, future in futures.items():
        try:
            answers[place] = future.result(timeout=SURVEY_SECONDS)
        except Exception as error:  # noqa: BLE001  (whatever fails on a host, the others are used)
            say(f"host {_shown(place)} is not used: {_in_words(error)}")
    return answers


def _with_jacobench(
    client: Client, found: Mapping[Place, list[str]], say: Callable[[str], object]
) -> dict[Place, list[str]]:
    """Return the hosts with the same version of jacobench as this one."""
    own = version(OURS)
    asked = [workers[0] for workers in found.values()]
    versions = client.run(version, OURS, workers=asked, on_error="return") if asked else {}
    usable = {}
    for place, workers in found.items():
        has = versions.get(workers[0])
        if has == own:
            usable[place] = workers
            continue
        cause = "jacobench is not installed" if isinstance(has, PackageNotFoundError) else f"it has jacobench {has}"
        say(f"host {_shown(place)} is not used: {cause}. To install it there: pip install 'jacobench[cluster]=={own}'")
    return usable


def _shown(place: Place) -> str:
    address, label = place
    return f"{address} ({label})" if label else address


def _in_words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def difference_lines(own: CodeVersions, hosts: Iterable[Host]) -> list[str]:
    """Return one line for each way in which code and libraries of hosts differ from those of the client."""
    groups: dict[str, list[str]] = defaultdict(list)
    for host in hosts:
        if found := all_differences(own, host.facts.code):
            groups["; ".join(found)].append(host.name)
    return [f"{counted(len(names), 'host')} ({listed(names)}): {what}" for what, names in groups.items()]


def machines_line(hosts: Iterable[Host]) -> str:
    """Return a line that states the consequence of several kinds of machine; empty if there is only one."""
    counts = Counter(host.machine for host in hosts)
    if len(counts) < 2:
        return ""
    kinds = listed([f"{counted(count, 'host')} with {key!r}" for key, count in counts.items()])
    return (
        f"there are {len(counts)} kinds of machine ({kinds}): each case is measured on one of them, so the sizes of a "
        "sweep are divided between them. For sweeps of one kind of machine: --same-machine"
    )


def most_frequent_machine(hosts: Iterable[Host]) -> str:
    """Return the machine key that most hosts have; of several, the first in alphabetical order."""
    counts = Counter(host.machine for host in hosts)
    return min(counts, key=lambda key: (-counts[key], key))


def with_machine(hosts: Iterable[Host], key: str, say: Callable[[str], object]) -> list[Host]:
    """Return the hosts with a machine key, and say which others are not used."""
    hosts = list(hosts)
    for host in hosts:
        if host.machine != key:
            say(f"host {host.name} is not used: its machine is {host.machine!r}, and --same-machine asks for {key!r}")
    return [host for host in hosts if host.machine == key]
