"""Hosts that a run uses: those at the start, and those that join and leave."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.cluster.hosts import Found, machines_line
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.graphs.wording import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jacobench.bench.cluster.hosts import Host, HostFinder
    from jacobench.bench.run.run_folder import RunFolder


@dataclass
class LiveHosts:
    """The hosts of a run by name, each with the dask workers that are there."""

    finder: HostFinder
    say: Callable[[str], object]
    folder: RunFolder
    by_name: dict[str, Host] = field(default_factory=dict)
    _kinds: set[str] = field(default_factory=set)  # machine keys of all hosts so far
    _waiting: set[str] = field(default_factory=set)  # names of hosts with only paused workers
    _asked: set[str] = field(default_factory=set)  # addresses of dask workers that have not answered yet
    _asked_before: set[str] = field(default_factory=set)  # addresses of those whose first question has ended
    _answers: Queue[tuple[set[str], Found]] = field(default_factory=Queue)  # to each of these questions

    def add(self, hosts: Iterable[Host]) -> list[Host]:
        """Add hosts, and note their machines in the run's folder; return them with names of their own."""
        hosts = list(hosts)
        self.folder.note_machines({host.machine: host.facts.record for host in hosts})
        for host in hosts:
            while host.name in self.by_name:
                host.facts = msgspec.structs.replace(host.facts, name=f"{host.facts.name} at {host.place[0]}")
            self.by_name[host.name] = host
            self._kinds.add(host.machine)
        return hosts

    @property
    def may_join(self) -> bool:
        """Whether hosts may join, because dask workers there are asked for the first time; silent ones are asked forever."""
        return not self._asked <= self._asked_before

    def give_up(self, host: Host) -> None:
        """Use a host no more, nor dask workers that start there later."""
        self.finder.give_up(host)
        del self.by_name[host.name]

    def update(self, alive: Iterable[str], running: Iterable[str]) -> tuple[list[Host], list[str]]:
        """Note which dask workers are alive; return the hosts that have joined, and the names of those that have left.

        New workers are asked, and their hosts join at a later update, when they have answered. A host's next block is
        for its first worker: those that are paused, so not `running`, come last.
        """
        alive = set(alive)
        joined = self._joined()
        self._asked_before &= alive
        paused = alive.difference(running)
        for host in self.by_name.values():
            host.workers = sorted((each for each in host.workers if each in alive), key=paused.__contains__)
        self._say_who_waits(paused)
        used = {address for host in self.by_name.values() for address in host.workers}
        if new := alive - used - self.finder.unusable - self._asked:
            self._ask(new)
        left = [name for name, host in self.by_name.items() if not host.workers]
        for name in left:
            self.say(f"host {name} is lost")
            del self.by_name[name]
        return joined, left

    def _say_who_waits(self, paused: set[str]) -> None:
        """State once which hosts have only paused workers: their blocks wait."""
        waiting = {name for name, host in self.by_name.items() if host.workers and paused.issuperset(host.workers)}
        for name in sorted(waiting - self._waiting):
            self.say(f"host {name} waits: its dask workers are paused, because they use too much memory")
        self._waiting = waiting

    def _ask(self, new: set[str]) -> None:
        """Ask dask workers in a thread: they may need long, and meanwhile blocks end and begin."""
        known = [host.place for host in self.by_name.values()]

        def ask() -> None:
            found = Found()
            try:
                found = self.finder.find(new, known)
            except (HarnessFailure, OSError):
                pass  # the scheduler is lost, which `alive_workers` reports
            except Exception as error:  # noqa: BLE001  (the other hosts continue)
                found.lines.append(f"dask workers {listed(sorted(new))} are not used: {type(error).__name__}: {error}")
                self.finder.unusable |= new
            self._answers.put((new, found))

        self._asked |= new
        Thread(target=ask, daemon=True).start()

    def _joined(self) -> list[Host]:
        """Take the answers that have arrived: add workers to their hosts; add and return the hosts that are new."""
        joined: list[Host] = []
        n_kinds = len(self._kinds)
        with suppress(Empty):
            while True:
                asked, found = self._answers.get_nowait()
                self._asked -= asked
                self._asked_before |= asked
                for line in found.lines:
                    self.say(line)
                known = {host.place: host for host in self.by_name.values()}
                more = found.more | {host.place: host.workers for host in found.hosts}
                for place in more.keys() & known.keys():
                    known[place].workers += more[place]
                joined += self.add(host for host in found.hosts if host.place not in known)
        if len(self._kinds) > max(n_kinds, 1):
            self.say(f"a host of another kind has joined: {machines_line(self.by_name.values(), self._kinds)}")
        return joined
