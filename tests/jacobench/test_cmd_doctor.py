"""``jacobench doctor``: the real command."""

from __future__ import annotations

import json

import pytest

CHECKS = {"other load", "BLAS kernel", "BLAS threads", "malloc", "swap", "battery", "timer", "memory"}


@pytest.mark.long
def test_every_check_is_there_with_its_size(jacobench, tmp_path):
    done = jacobench("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert {finding["check"] for finding in findings} >= CHECKS
    assert any(finding["check"].startswith("noise") for finding in findings)
    assert all(finding["status"] in {"good", "note", "bad"} and finding["measured"] for finding in findings)
    assert all(finding["fix"] for finding in findings if finding["status"] == "bad")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_noise_reports_spreads_and_gains(jacobench, tmp_path):
    done = jacobench("doctor", "--noise", "--pairs", 4, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["processes"] == 8
    for spread in found["spreads"].values():
        assert set(spread) == {"inside", "between", "neighbours", "paired"}
        assert all(value >= 0 for value in spread.values())
    assert set(found["gains"]) == {"malloc", "BLAS kernel", "both (tuned)"}


@pytest.mark.long
def test_a_profile_is_measured_again_and_states_its_error(jacobench, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    done = jacobench("doctor", "--profile", "--json", cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "Measuring the machine profile for float64" in done.stderr
    for facts in json.loads(done.stdout):
        assert facts["n_rules"] > 100
        assert facts["n_tested"] > 20
        assert facts["median_error"] < 1
