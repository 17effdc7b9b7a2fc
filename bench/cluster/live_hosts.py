"""Hosts that a run uses: those at the start, and those that join and leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.cluster.hosts import Host, Place, difference_lines, places, survey_hosts, with_machine
from jacobench.bench.machine.worker_process import HarnessFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from distributed import Client

    from jacobench.bench.cluster.host_survey import SurveyJob
    from jacobench.bench.run.run_folder import RunFolder

ANSWER_SECONDS = 60.0  # for an answer of the scheduler
SCHEDULER_LOST = "the connection to the scheduler of the cluster was lost"


@dataclass
class LiveHosts:
    """The hosts of a run by name, each with the dask workers that are there."""

    client: Client
    survey_job: SurveyJob
    say: Callable[[str], object]
    folder: RunFolder
    by_name: dict[str, Host] = field(default_factory=dict)
    _unusable: set[str] = field(default_factory=set)  # addresses of dask workers
    _given_up: set[Place] = field(default_factory=set)

    def add(self, hosts: Iterable[Host]) -> list[Host]:
        """Add hosts, and note their machines in the run's folder; return them with names of their own."""
        hosts = list(hosts)
        self.folder.note_machines({host.machine: host.facts.record for host in hosts})
        for host in hosts:
            while host.name in self.by_name:
                host.facts = msgspec.structs.replace(host.facts, name=f"{host.facts.name} at {host.place[0]}")
            self.by_name[host.name] = host
        return hosts

    def give_up(self, host: Host) -> None:
        """Use a host no more, nor dask workers that start there later."""
        self._given_up.add(host.place)
        self._unusable |= set(host.workers)
        del self.by_name[host.name]

    def alive(self) -> set[str]:
        """Return the addresses of the dask workers; raises HarnessFailure if the scheduler is lost."""
        try:
            if self.client.status == "running":
                return set(self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER_SECONDS))
        except (OSError, TimeoutError, RuntimeError, ValueError):
            pass
        raise HarnessFailure(SCHEDULER_LOST)

    def update(self, alive: set[str]) -> tuple[list[Host], list[str]]:
        """Note which dask workers are alive; return the hosts that have joined, and the names of those that have left."""
        for host in self.by_name.values():
            host.workers = [address for address in host.workers if address in alive]
        known = {address for host in self.by_name.values() for address in host.workers} | self._unusable
        new = alive - known
        joined = self._add_workers(new) if new else []
        left = [name for name, host in self.by_name.items() if not host.workers]
        for name in left:
            self.say(f"host {name} is lost")
            del self.by_name[name]
        return joined, left

    def _add_workers(self, new: set[str]) -> list[Host]:
        """Add workers to their hosts; describe, add and return the hosts that are new."""
        found = places(self.client, new)
        for place in found.keys() & self._given_up:
            self._unusable |= set(found.pop(place))
        known = {host.place: host for host in self.by_name.values()}
        for place in found.keys() & known.keys():
            known[place].workers += found[place]
        unknown = {place: workers for place, workers in found.items() if place not in known}
        if not unknown:
            return []
        hosts = survey_hosts(self.client, unknown, self.survey_job, self.say)
        for line in difference_lines(self.folder.settings.code, hosts):
            self.say(line)
        if self.folder.settings.same_machine:
            hosts = with_machine(hosts, next(iter(self.folder.settings.machines)), self.say)
        used = {address for host in hosts for address in host.workers}
        self._unusable |= {address for workers in unknown.values() for address in workers} - used
        return self.add(hosts)
