import json
import math

import pandas as pd
import pytest

from jacobench.bench.row.columns import COLUMNS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import load, read


@pytest.fixture
def folder(tmp_path, make_case, make_cell):
    """Make a finished run's folder: five timed cells, last first, and one over budget."""
    cells = [
        make_cell(make_case(width=width), strategy) for width in (16, 2048) for strategy in ("dense", "sparse", "vjp")
    ]
    rows = [row | {"position": position} for position, row in enumerate(cells)]
    timed = [{"name": row["case"], "extra_info": row, "stats": {}} for row in rows[::-1] if row["status"] == "ok"]
    untimed = [row for row in rows if row["status"] != "ok"]
    document = {"machine_info": {}, "benchmarks": timed, "jacobench": {"schema": 1, "untimed": untimed, "threads": 1}}
    run = tmp_path / "runs" / "2026-11-23-a1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(document))
    return run


def refuse(path, *fragments):
    with pytest.raises(BadInput) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    for fragment in (*fragments, path.name):
        assert fragment in message
    return message


def change(folder, edit):
    path = folder / "run.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path


def test_timed_and_untimed_rows_come_back_in_the_order_of_the_run(folder):
    table = load(folder)
    assert list(table.columns) == list(COLUMNS)
    assert list(zip(table["width"], table["strategy"], strict=True)) == [
        (w, s) for w in (16, 2048) for s in ("dense", "sparse", "vjp")
    ]
    assert table["status"].tolist() == ["ok", "ok", "ok", "over_budget", "ok", "ok"]
    assert table.loc[3, ["seconds_median", "peak_bytes", "passes"]].isna().all()
    assert table.attrs["threads"] == 1


def test_folder_its_text_and_its_json_load_alike(folder):
    pd.testing.assert_frame_equal(load(folder), load(folder / "run.json"))
    pd.testing.assert_frame_equal(load(folder), load(str(folder)))


def test_other_keys_of_extra_info_are_left_out(folder):
    change(folder, lambda document: document["benchmarks"][0]["extra_info"].update(note="mine"))
    assert list(load(folder).columns) == list(COLUMNS)


def test_a_run_where_nothing_was_timed(folder):
    change(folder, lambda document: document.update(benchmarks=[]))
    assert load(folder)["status"].tolist() == ["over_budget"]


def test_not_there_offers_the_nearest(folder):
    refuse(folder.with_name("2026-11-23-a2"), "no run at", "did you mean", "2026-11-23-a1")
    refuse(folder / "nowhere" / "else", "no run at")


def test_a_folder_of_something_else(folder, tmp_path):
    refuse(folder.parent, "is not a run's folder", "expected a run.json", "did you mean", "2026-11-23-a1")
    (tmp_path / "empty").mkdir()
    assert "did you mean" not in refuse(tmp_path / "empty", "is not a run's folder")


def test_an_unfinished_run_says_how_to_finish_it(folder):
    (folder / "run.json").rename(folder / "journal.jsonl")
    refuse(folder, "not finished", f"jacobench run --resume {folder}")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_short(folder, share):
    path = folder / "run.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    refuse(path, "is cut short")


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "is empty"),
        (b"case,strategy\na,b\n", "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "not an object; expected a run.json of jacobench"),
        (b"{}", "not a run of jacobench"),
        (b'{"benchmarks": {}}', "not a run of jacobench"),
        (b'{"benchmarks": [], "jacobench": 3}', "not a run of jacobench"),
    ],
)
def test_not_a_run(tmp_path, content, fragment):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    refuse(path, fragment)


def test_json_of_plain_pytest_benchmark(tmp_path):
    path = tmp_path / "0001_bench.json"
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": [{"name": "test_x", "extra_info": {}, "stats": {}}]}))
    refuse(path, "pytest-benchmark's JSON but not a run of jacobench", "extra_info")


def damage_status(document):
    document["benchmarks"][0]["extra_info"]["status"] = "okay"


def damage_phase(document):
    del document["benchmarks"][0]["extra_info"]["phase"]


def damage_number(document):
    document["benchmarks"][0]["extra_info"]["width"] = "wide"


def damage_position(document):
    document["benchmarks"][0]["extra_info"]["position"] = "first"


def damage_entry(document):
    document["benchmarks"].append({"name": "test_x", "extra_info": {}})


def damage_untimed(document):
    document["jacobench"]["untimed"] = 3


def damage_twice(document):
    document["benchmarks"].append(document["benchmarks"][0])


@pytest.mark.parametrize(
    ("edit", "fragment"),
    [
        (damage_status, "status 'okay'; expected one of ok, wrong"),
        (damage_phase, "phase None; expected one of forward"),
        (damage_number, "column 'width' holds numbers"),
        (damage_position, "position 'first'; expected a number"),
        (damage_entry, "case None; expected a name"),
        (damage_untimed, "is 3; expected an object"),
        (damage_twice, "occurs twice"),
    ],
)
def test_damaged_rows(folder, edit, fragment):
    refuse(change(folder, edit), "is damaged", fragment)


def test_another_schema(folder):
    refuse(change(folder, lambda document: document["jacobench"].update(schema=3)), "schema 3; expected 1 or 2")


@pytest.mark.parametrize("seconds", [0, -1.0, 1e300, float("inf"), float("nan")])
def test_a_time_that_cannot_have_been_measured_is_missing(folder, seconds):
    def edit(document):
        entry = document["benchmarks"][0]
        entry["extra_info"].update(seconds_median=seconds, seconds_min=seconds, peak_bytes=-1.0, n_nonzeros=1e300)
        entry["pass_seconds"] = [[0, 0, seconds], [1, 0, 1e-12], [2, 0, 1e9]]

    change(folder, edit)
    run = read(folder)
    row = run.table.iloc[5]
    assert row[["seconds_min", "seconds_median", "ratio_to_vjp", "peak_bytes", "n_nonzeros"]].isna().all()
    assert row["status"] == "ok"
    assert math.isnan(seconds) or row["reason"].endswith("s in the file cannot have been measured")
    assert run.passes["seconds"].tolist() == [1e-12, 1e9], "small and large times are read"
