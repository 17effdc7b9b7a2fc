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


KINDS = {
    "labels": (
        ("EPYC, 2 cores, Linux x86_64, b (1a2b3c4d)", "EPYC, 2 cores, Linux x86_64, a (5e6f7a8b)"),
        "EPYC, 2 cores, Linux x86_64: 1 host with 'a' and 2 hosts with 'b'",
    ),
    "a label": (
        ("EPYC, 2 cores, Linux x86_64, b (1a2b3c4d)", "EPYC, 2 cores, Linux x86_64 (5e6f7a8b)"),
        "EPYC, 2 cores: 1 host with 'Linux x86_64' and 2 hosts with 'Linux x86_64, b'",
    ),
    "processors": (
        ("Xeon, 2 cores, Linux x86_64 (1a2b3c4d)", "EPYC, 2 cores, Linux x86_64 (5e6f7a8b)"),
        "1 host with 'EPYC, 2 cores, Linux x86_64' and 2 hosts with 'Xeon, 2 cores, Linux x86_64'",
    ),
    "instruction sets": (
        ("EPYC, 2 cores, Linux x86_64 (5e6f7a8b)", "EPYC, 2 cores, Linux x86_64 (1a2b3c4d)"),
        "EPYC, 2 cores: 1 host with 'Linux x86_64 (1a2b3c4d)' and 2 hosts with 'Linux x86_64 (5e6f7a8b)'",
    ),
}


@pytest.mark.parametrize("differ", KINDS)
def test_several_kinds_of_machine_are_stated_with_their_numbers_of_hosts(hosts, differ):
    (often, once), kinds = KINDS[differ]
    line = machines_line(hosts(often, once, often))
    assert line.startswith(f"there are 2 kinds of machine ({kinds}): each case")
    assert "--same-machine" in line


def test_one_kind_of_machine_needs_no_line(hosts):
    assert machines_line(hosts("old", "old")) == ""
    assert machines_line([]) == ""


@pytest.mark.parametrize(
    ("machines", "chosen"), [(("b", "a", "b"), "b"), (("b", "a"), "a"), (("a", "b"), "a"), (("c",), "c")]
)
def test_the_most_frequent_machine_does_not_depend_on_the_order_of_the_hosts(hosts, machines, chosen):
    assert most_frequent_machine(hosts(*machines)) == chosen
