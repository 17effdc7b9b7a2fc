"""Stored profiles: kept if two measurements agree, else measured again; without a folder for caches, kept in memory."""

import time

import msgspec
import pytest

from jacobench.bench.floor import stored_profile
from jacobench.bench.floor.profile_measurement import Places
from jacobench.bench.floor.rule_work import Work, edge_works, forward_work
from jacobench.bench.floor.stored_profile import MOST_MEASUREMENTS, StoredProfile, difference, fastest_of
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry
from jacobench.strategies.tape import steps


@pytest.fixture
def measured(known_times, monkeypatch, tmp_path):
    """Return a function that sets the factors of the next measurements, and a list of what was said."""
    monkeypatch.setattr(stored_profile, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(stored_profile, "_unwritten", {})

    def slower(profile, factor):
        times = [msgspec.structs.replace(rule, seconds=rule.seconds * factor) for rule in profile.rules]
        return msgspec.structs.replace(profile, rules=tuple(times))

    def factors(*each):
        left = [slower(known_times[0], factor) for factor in each]
        monkeypatch.setattr(stored_profile, "_measure", lambda *_settings: left.pop(0))
        return left

    return factors


def test_two_that_agree_are_kept(measured):
    said = []
    left = measured(1.0, 1.05, 9.0)
    found = stored_profile.profile_for("float64", say=said.append)
    assert found.difference == pytest.approx(0.05)
    assert len(left) == 1
    assert stored_profile.profile_for("float64", say=said.append) == found
    assert said == ["Measuring the machine profile for float64 (about 30 s)."]
    assert stored_profile.stored("float64", threads=2) is None
    assert stored_profile.stored("float32") is None


def test_a_disturbed_measurement_is_repeated(measured):
    left = measured(1.0, 1.5, 1.02, 9.0)
    assert stored_profile.renew("float64").difference == pytest.approx(0.02)
    assert len(left) == 1


def test_measurements_that_never_agree_are_not_stored(measured, monkeypatch):
    said = []
    measured(*(1.5**k for k in range(MOST_MEASUREMENTS)))
    found = stored_profile.renew("float64", say=said.append)
    assert "differ by more than 10%: the machine is busy" in said[-1]
    assert stored_profile.stored("float64") == found
    monkeypatch.setattr(stored_profile, "_unwritten", {})
    assert stored_profile.stored("float64") is None


def test_without_a_folder_for_caches_it_is_kept_in_memory(measured, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(stored_profile, "cache_folder", lambda: tmp_path / "file" / "cache")
    said = []
    measured(1.0, 1.0)
    found = stored_profile.renew("float64", say=said.append)
    assert said[-1].startswith("The machine profile is not stored: ")
    assert stored_profile.stored("float64") == found


def test_the_fastest_of_several_is_used(known_times):
    profile, _ = known_times
    slow = msgspec.structs.replace(
        profile, rules=tuple(msgspec.structs.replace(rule, seconds=2 * rule.seconds) for rule in profile.rules)
    )
    assert fastest_of([slow, profile]) == profile
    assert difference(profile, slow) == pytest.approx(1.0)


def test_another_environment_has_another_profile_but_an_import_does_not_change_it(measured, monkeypatch):
    monkeypatch.delenv("KMP_DUPLICATE_LIB_OK", raising=False)
    measured(1.0, 1.0)
    found = stored_profile.renew("float64")
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")  # as threadpoolctl does
    assert stored_profile.stored("float64") == found
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert stored_profile.stored("float64") is None


@pytest.mark.parametrize(
    ("seconds", "age"), [(5, "just now"), (100, "2 minutes ago"), (3 * 3600, "3 hours ago"), (5 * 86400, "5 days ago")]
)
def test_the_age_in_words(seconds, age, known_times):
    assert StoredProfile(time.time() - seconds, 0.0, known_times[0]).age == age


def test_a_rule_is_measured_once_per_size_and_not_where_it_is_slow():
    places = Places()
    assert places.add(Work("r", 100, 100, 0))
    assert not places.add(Work("r", 101, 100, 0))
    assert places.add(Work("r", 400, 100, 0))
    assert not places.add(Work("r", 1e12, 100, 0))


def test_ops_of_one_form_have_the_rates_of_the_one_that_is_measured():
    measured = {name for name, op in OPS.items() if op.like is None}
    strategy = registry.load("sparse")
    for name in OPS:
        for step in steps(op_graph(name)):
            works = [forward_work(step.node)]
            works += [work for edge in step.edges for work in edge_works(strategy, step.node, edge, 1)]
            assert {work.rule.split()[1] for work in works} <= measured
    (tan,) = steps(op_graph("tan"))
    assert forward_work(tan.node).rule == "forward erf"
    assert edge_works(strategy, tan.node, tan.edges[0], 1).linearize.rule == "sparse erf 0 linearize"
