"""Runs that measure until their cases are decided, with workers that report given times instead of measuring."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.row.stopping import MOST_REPETITIONS
from jacobench.bench.run import passes
from jacobench.bench.run.run_folder import create, resume
from jacobench.bench.run.runner import carry_on
from jacobench.bench.suites.case import Cell
from jacobench.reports.data.run_data import from_document
from jacobench.reports.page.run_facts import undecided_counts

CLEAR, OPEN = "mlp-w4-d1-b1", "mlp-w4-d1-b2"  # cases of the tiny suite
NOISE = (0.4, -0.4, 0.3, -0.3)  # logarithms of ratios that do not decide


class Machine:
    """Invented machine: times of cells and of the calibration kernel by pass, and a clock that workers advance."""

    def __init__(self):
        self.kernel, self.slow, self.open, self.now, self.jobs = {}, {}, set(), 0.0, []

    def seconds(self, cell, number):
        slower = 2.0 if cell.strategy == "dense" else 1.0
        if cell.case in self.open and cell.strategy == "dense":
            slower = 2.718 ** NOISE[number % len(NOISE)]
        return 1e-3 * slower * self.slow.get(number, 1.0)

    def cases(self):
        """Return the cases that each worker was given."""
        return [sorted({case for case, _, _ in job.cells}) for job in self.jobs]


@pytest.fixture
def machine(monkeypatch):
    found = Machine()

    class InventedWorker:
        def __init__(self, job, _environment, _command):
            found.jobs.append(job)
            self.events = iter(self._events(job))

        def _events(self, job):
            limits = job.limits
            kernel = (1e-4 * found.kernel.get(limits.pass_number, 1.0),)
            yield Measurement(
                "", CONTROL, CONTROL, CONTROL, limits.pass_number, limits.worker, limits.repeats, seconds=kernel
            )
            for cell in (Cell(*own) for own in job.cells):
                yield cell
                yield Measurement(
                    cell.case, cell.strategy, cell.phase, cell.strategy, limits.pass_number, limits.worker,
                    limits.repeats, seconds=(found.seconds(cell, limits.pass_number),),
                )  # fmt: skip

        def next_event(self, _deadline):
            found.now += 1.0
            event = next(self.events, None)
            if isinstance(event, Cell):
                return {"event": "start", "cell": [event.case, event.strategy, event.phase]}
            return event and {"event": "measured", "measurement": msgspec.to_builtins(event)}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def end(self):
            self.events = iter(())

    monkeypatch.setattr(passes, "WorkerProcess", InventedWorker)
    monkeypatch.setattr(passes, "code_versions", lambda *_: None)
    monkeypatch.setattr(passes, "difference", lambda *_: "")
    monkeypatch.setattr(passes.time, "monotonic", lambda: found.now)
    return found


@pytest.fixture
def run(settings, tmp_path, machine):
    """Return a function that starts or continues a run of the tiny suite, and returns it."""

    def call(report=lambda _progress: None, resume_minutes=None, *, passes=None, max_minutes=None):
        path = tmp_path / "run"
        chosen = replace(settings, passes=passes, max_minutes=max_minutes)
        folder = resume(path) if path.exists() else create(path, chosen)
        with closing(folder):
            return from_document(carry_on(folder, report, resume_minutes)[0], path / "run.json")

    return call


def journal(tmp_path):
    lines = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["spec"] != CONTROL]


def keys(lines):
    return [(line["case"], line["spec"], line["phase"], line.get("pass", 0)) for line in lines]


@pytest.mark.long
def test_decided_cases_are_measured_in_three_passes(run, machine):
    found = run()
    assert machine.cases() == 3 * [[CLEAR, OPEN]]
    assert set(found.table["passes"]) == {3}
    assert undecided_counts(found) == (0, 2)


@pytest.mark.long
def test_only_the_undecided_case_is_measured_further_until_the_time_is_over(run, machine):
    machine.open = {OPEN}
    seen = []
    found = run(seen.append)
    assert machine.cases()[:3] == 3 * [[CLEAR, OPEN]]
    assert len(machine.jobs) > 5
    assert set(map(tuple, machine.cases()[3:])) == {(OPEN,)}
    assert 180 <= machine.now < 180 + 20, "the default limit; a case that has begun is completed"
    assert undecided_counts(found) == (1, 2)
    assert [progress.n_undecided for progress in (seen[0], seen[-1])] == [None, 1]
    assert seen[0].seconds_left > seen[-1].seconds_left >= 0
    starts = [job.cells[0][1] for job in machine.jobs]
    assert starts[:4] == ["forward", "dense", "forward", "dense"], "every other pass reverses the strategies"


def test_a_case_that_becomes_decided_is_measured_no_further(run, machine):
    machine.open = {OPEN}

    def decide_at_last(progress):
        if progress.planned.number == 4:
            machine.open = set()

    assert undecided_counts(run(decide_at_last, max_minutes=1000)) == (0, 2)
    assert 5 <= len(machine.jobs) < 30


@pytest.mark.parametrize(
    ("options", "expected"), [({"passes": 2}, 2), ({"passes": 4, "max_minutes": 0.001}, 4), ({}, 3)]
)
def test_the_first_passes_are_always_completed_and_a_fixed_number_is_exact(options, expected, run, machine):
    machine.open, machine.kernel = {CLEAR, OPEN}, {1: 2.0}
    options = options or {"max_minutes": 0.001}
    assert set(run(**options).table["passes"]) == {expected}
    assert machine.cases() == expected * [[CLEAR, OPEN]]


def test_one_pass_and_a_limit_are_at_least_one_pass_then_the_rule(run, machine):
    assert undecided_counts(run(passes=1, max_minutes=10)) == (0, 2)
    assert len(machine.jobs) > 1


# ---- disturbed passes


def test_a_pass_with_another_kernel_time_is_repeated_and_counts_once(run, machine, tmp_path):
    machine.kernel, machine.slow = {1: 1.5}, {1: 1.05}
    found = run(max_minutes=10)
    assert len(machine.jobs) == 4
    assert machine.jobs[3].cells == machine.jobs[1].cells != machine.jobs[0].cells, "the order is the same"
    assert set(found.table["passes"]) == {3}
    assert found.table["seconds_iqr"].max() < 1e-9, "the disturbed pass does not count"
    assert set(found.table["reason"]) == {"pass 2 was repeated"}
    assert found.facts["repetitions"] == [[1, "the time of the calibration kernel changed by 50%"]]
    assert set(found.passes["pass"]) == {0, 1, 2}
    assert not found.passes.duplicated(["case", "strategy", "phase", "pass"]).any()
    lines = journal(tmp_path)
    assert len(keys(lines)) == len(set(keys(lines))) == 4 * 18, "the journal keeps the disturbed pass"


def test_a_pass_in_which_half_of_the_cells_are_outliers_is_repeated(run, machine):
    machine.slow = {2: 1.2}
    found = run(max_minutes=10)
    assert len(machine.jobs) == 4
    assert set(found.table["reason"]) == {"pass 3 was repeated"}
    assert found.facts["repetitions"] == [[2, "18 of 18 cells were more than 10% slower than usual"]]
    assert found.table["seconds_iqr"].max() < 1e-9


def test_a_pass_is_repeated_a_few_times_at_most(run, machine):
    machine.kernel = dict.fromkeys((1, *range(3, 50)), 1.5)
    found = run(max_minutes=100)
    assert len(machine.jobs) == 3 + MOST_REPETITIONS
    assert [number for number, _ in found.facts["repetitions"]] == [1, 1]
    assert set(found.table["passes"]) == {3}


def test_an_interrupted_repetition_is_completed(run, machine, tmp_path):
    machine.kernel = {1: 1.5}

    def interrupt(progress):
        if progress.planned.repeats and progress.cell.case == OPEN:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupt, max_minutes=100)
    found = run()
    assert len(machine.jobs) == 5
    assert machine.cases()[4] == [OPEN]
    assert machine.jobs[4].limits.repeats == machine.jobs[3].limits.repeats
    assert set(found.table["passes"]) == {3}
    assert found.table["seconds_iqr"].max() < 1e-9
    assert len(set(keys(journal(tmp_path)))) == len(journal(tmp_path)) == 4 * 18


# ---- continued runs


def test_a_finished_run_is_continued_only_with_a_limit(run, machine, tmp_path):
    machine.open = {OPEN}
    first = run(passes=2)
    before = (tmp_path / "run" / "run.json").read_bytes()
    run()
    assert len(machine.jobs) == 2
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    machine.open = set()
    found = run(resume_minutes=100)
    assert undecided_counts(first) == (1, 2)
    assert undecided_counts(found) == (0, 2)
    assert len(machine.jobs) > 2
    assert (tmp_path / "run" / "run.json").read_bytes() != before


def test_a_continued_run_that_is_interrupted_is_not_finished(run, machine, tmp_path):
    machine.open = {OPEN}
    run(passes=2)

    def interrupt(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupt, resume_minutes=10)
    assert not (tmp_path / "run" / "run.json").exists()
    assert set(run().table["passes"]) == {2}, "its own options ask for two passes"


def test_a_repetition_has_other_worker_numbers_so_that_no_ratio_pairs_two_processes(run, machine):
    machine.kernel = {1: 1.5}
    found = run(max_minutes=10)
    assert [(job.limits.pass_number, job.limits.worker) for job in machine.jobs] == [(0, 0), (1, 0), (2, 0), (3, 1)]
    assert set(found.passes.loc[found.passes["pass"] == 1, "worker"]) == {1}
