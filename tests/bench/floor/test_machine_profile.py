"""The rates of the machine: each is measured at a power of two, by the fastest round."""

from jacobench.bench.floor import machine_profile


def test_sizes_are_measured_at_the_power_of_two_below_and_take_in_proportion(monkeypatch):
    for name, seconds in (("_write", machine_profile.write_seconds), ("_read", machine_profile.read_seconds)):
        asked = []
        monkeypatch.setattr(machine_profile, name, lambda size, asked=asked: (asked.append(size), 1.0)[1])
        assert [seconds(n_bytes) for n_bytes in (0, 64, 96, 4 * machine_profile.LARGEST)] == [0.0, 1.0, 1.5, 4.0]
        assert asked == [64, 64, machine_profile.LARGEST]


def test_the_fastest_round_counts():
    calls = []
    assert 0 < machine_profile.fastest(lambda: calls.append(1)) < 1
    assert len(calls) > machine_profile.ROUNDS
