"""``jacobench recommend`` in a fresh process: a run's own case, one near it, and none; and the same from Python."""

import json
import shutil

import pytest

import jacobench as jb
from jacobench.commands.cmd_recommend import recommend


def test_a_case_that_was_measured(jacobench, finished, tmp_path):
    done = jacobench("recommend", "--widths", "4,4", "--from", finished[0], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, time, memory = done.stdout.splitlines()[:3]
    assert first.startswith("mlp-w4-d1-b1:")
    assert time.startswith("time ")
    assert memory.startswith("memory ")
    assert "Time: measured for this case in first, 2 passes." in done.stdout
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_the_newest_run_is_taken_unless_another_is_named(jacobench, finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "runs" / "mine")
    (tmp_path / "runs" / "unfinished").mkdir()
    done = jacobench("recommend", "--widths", "5,4", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "Using runs/mine, the newest run in this folder; choose another with --from.\n"
    found = json.loads(done.stdout)
    assert [line["basis"] for line in found["verdicts"]] == ["near", "model"]
    assert found["verdicts"][0]["differs"] == "width 4, not 5"
    keys = {"strategy", "status", "seconds", "seconds_error_factor", "bytes", "bytes_error_factor", "largest_batch"}
    assert all(keys <= line.keys() for line in found["strategies"])
    assert all({"strategy", "runner_up", "factor", "low", "high"} <= line.keys() for line in found["verdicts"])
    assert isinstance(found["budget_bytes"], int)
    assert all(isinstance(line["largest_batch"], int) for line in found["strategies"])


@pytest.mark.usefixtures("with_profile")
def test_without_a_run_the_machine_profile_predicts_and_states_its_age_and_error(jacobench, tmp_path):
    done = jacobench("recommend", "--architecture", "lenet-300-100", "--memory-budget", "200MiB", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    assert "Time: by the time model with the profile of this machine, measured 2 hours ago" in text
    assert "In 24 measured cells, its median error is 0%" in text
    (dense,) = [line for line in done.stdout.splitlines() if line.startswith("dense")]
    assert "over budget" in dense
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_number_of_pullbacks_per_linearization(jacobench, finished, tmp_path):
    found = {}
    for uses in (0, 1, 1000):
        done = jacobench("recommend", "--widths", "4,4", "--from", finished[0], "--uses", uses, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found[uses] = {line["strategy"]: line["seconds"] for line in json.loads(done.stdout)["strategies"]}
    rows = jb.load(finished[0]).query("case == 'mlp-w4-d1-b1'").set_index(["strategy", "phase"])["seconds_median"]
    for name in found[0]:
        once, each = rows[name, "linearize"], rows[name, "pullback"]
        assert [found[uses][name] for uses in found] == pytest.approx(
            [rows[name, "gradient"], once + each, once + 1000 * each]
        )
    done = jacobench("recommend", "--widths", "4,4", "--from", finished[0], "--uses", 3, cwd=tmp_path)
    assert done.stdout.startswith("mlp-w4-d1-b1: one linearization and 3 pullbacks")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "^expected one of --widths, .*, --architecture and --model, got none"),
        ({"widths": "4,4", "architecture": "lenet-300-100"}, "got --widths and --architecture"),
        ({"widths": "4;4"}, "^--widths is '4;4': expected whole numbers and commas"),
        ({"widths": "4,0"}, "^--widths: expected `int` >= 1, got 0"),
        ({"widths": "4"}, "^--widths: expected a list of at least two"),
        ({"widths": "4,4", "seeds": 0}, "^--seeds: expected `int` >= 1, got 0"),
        ({"widths": "4,4", "activation": "rleu"}, "^--activation: .*did you mean 'relu'"),
        ({"widths": "4,4", "weight_density": 2.0}, "^--weight-density: "),
        ({"architecture": "lenet-300"}, "^--architecture: .*did you mean 'lenet-300-100'"),
        ({"architecture": "pinn", "activation": "relu"}, "^--activation requires --widths"),
        ({"widths": "4,4", "memory_budget": "much"}, "'much' is not a size"),
    ],
    ids=str,
)
def test_bad_input_says_which_option_and_what_was_expected(given, expected):
    with pytest.raises(jb.BadInput, match=expected):
        recommend(**given)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--widths 4,4 --from nowhere", "no run at 'nowhere'"),
        ("--widths 4,4 --wdths 4", "--wdths"),
    ],
)
def test_bad_input_is_one_line(arguments, expected, jacobench, tmp_path):
    done = jacobench("recommend", *arguments.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("jacobench: ")
    assert expected in done.stderr


def test_the_same_from_python(finished):
    advice = jb.recommend_for(finished[0], widths=[4, 4], batch=2)
    assert advice.basis == "measured"
    assert set(advice.strategies["largest_batch"]) == {64 * 2}
    assert set(advice.strategies["largest_batch_basis"]) == {"more than"}
    assert (
        jb.recommend_for(finished[0], widths=[4, 4], memory_budget="100B").verdicts["decision"].tolist()
        == ["nothing"] * 2
    )


def test_a_suite_by_the_model_alone():
    table = jb.predict("smoke", ["vjp"])
    assert set(table["strategy"]) == {"vjp"}
    assert table["predicted_bytes"].notna().all()
    with pytest.raises(jb.BadInput, match="did you mean 'vjp'"):
        jb.predict("smoke", ["vpj"])
