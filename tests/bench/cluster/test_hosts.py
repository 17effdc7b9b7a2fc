"""Hosts of a cluster: what is said about kinds of machine, and which one `--same-machine` chooses."""

from __future__ import annotations

import pytest

from jacobench.bench.cluster.hosts import Host, machines_line, most_frequent_machine


class Facts:
    """Stands for the description of a host."""

    def __init__(self, machine: str) -> None:
        self.machine = machine


@pytest.fixture(name="hosts")
def _hosts():
    return lambda *machines: [Host((f"10.0.0.{number}", ""), Facts(key)) for number, key in enumerate(machines)]


def test_several_kinds_of_machine_are_stated_with_their_numbers_of_hosts(hosts):
    line = machines_line(hosts("old", "new", "old"))
    assert line.startswith("there are 2 kinds of machine (2 hosts with 'old' and 1 host with 'new'): each case")
    assert "--same-machine" in line


def test_one_kind_of_machine_needs_no_line(hosts):
    assert machines_line(hosts("old", "old")) == ""
    assert machines_line([]) == ""


@pytest.mark.parametrize(
    ("machines", "chosen"), [(("b", "a", "b"), "b"), (("b", "a"), "a"), (("a", "b"), "a"), (("c",), "c")]
)
def test_the_most_frequent_machine_does_not_depend_on_the_order_of_the_hosts(hosts, machines, chosen):
    assert most_frequent_machine(hosts(*machines)) == chosen
