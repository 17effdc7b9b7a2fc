"""The rule for doubts about a winner, on times and floors with known answers."""

import math

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.doubts import could_win, could_win_in, floor_note, spreads

NAN = math.nan
SECONDS = {"dense": 9.0, "sparse": 3.0, "vjp": 1.0}


def rows_of(floors, seconds=SECONDS, case="c"):
    """Return the rows of a case; a status may be given instead of a floor."""
    return [
        {
            "case": case,
            "strategy": name,
            "phase": "gradient",
            "status": floor if isinstance(floor, str) else "ok",
            "seconds_median": seconds.get(name, 5.0),
            "floor_seconds": None if isinstance(floor, str) else floor,
        }
        for name, floor in floors.items()
    ]


@pytest.mark.parametrize(
    ("floors", "expected"),
    [
        ({"dense": 2.0, "sparse": 1.0, "vjp": 0.5}, {}),  # a floor at the winner's time is no doubt
        ({"dense": 2.0, "sparse": 0.75, "vjp": 0.5}, {"sparse": 4.0}),
        ({"dense": 0.9, "sparse": 2.0, "vjp": NAN}, {"dense": 10.0}),  # not only the runner-up
        ({"dense": 0.9, "sparse": NAN, "vjp": 0.5}, {"dense": 10.0, "sparse": NAN}),
        ({"dense": NAN, "sparse": 2.0, "vjp": 0.5}, {}),  # not the fastest loser: named once, by the note
    ],
)
def test_a_loser_could_win_if_its_floor_is_below_the_time_of_the_winner(floors, expected):
    assert could_win("vjp", SECONDS, floors) == pytest.approx(expected, nan_ok=True)
    assert could_win_in(tidy(rows_of(floors)), "c", "vjp") == pytest.approx(expected, nan_ok=True)


def test_an_uncertain_ratio_raises_doubts():
    floors = {"dense": 2.0, "sparse": 1.1, "vjp": 0.5}
    assert could_win("vjp", SECONDS, floors, uncertainty=1.2) == pytest.approx({"sparse": 3 / 1.1})


def test_peers_and_what_has_the_limit_of_another_are_not_named():
    seconds = {"vjp": 1.0, "jax-vjp": 1.1, "linear-operator": 1.2, "mine": 2.0}
    floors = {"vjp": 0.5, "jax-vjp": NAN, "linear-operator": NAN, "mine": NAN}
    assert could_win("vjp", seconds, floors) == pytest.approx({"mine": NAN}, nan_ok=True)
    seconds["dense"], floors["dense"] = 0.9, 0.5
    assert could_win("dense", seconds, floors) == pytest.approx({"vjp": 2.0}, nan_ok=True)
    only = {"dense": 0.9, "linear-operator": 1.2}
    assert could_win("dense", only, floors) == pytest.approx({"linear-operator": NAN}, nan_ok=True)


def test_cells_that_failed_and_other_strategies_are_left_out():
    table = tidy(rows_of({"dense": "timeout", "sparse": 0.75, "vjp": 0.5}))
    assert could_win_in(table, "c", "vjp") == {"sparse": 4.0}
    assert could_win_in(table, "c", "vjp", ("dense", "vjp")) == {}
    assert could_win_in(table, "c", "dense") == {}


def test_a_run_without_floors_names_nobody_and_its_note_says_so_once():
    table = tidy(rows_of(dict.fromkeys(SECONDS, NAN)))
    assert could_win_in(table, "c", "vjp") == {}
    assert floor_note(table, "gradient").startswith("The limits of the strategies are not known")


def test_the_note_names_strategies_without_a_floor():
    whole = rows_of({"forward": NAN, "linear-operator": NAN, "jax-vjp": "error", "sparse": 2.0, "vjp": 0.5})
    assert floor_note(tidy(whole), "gradient") == ""
    part = rows_of({"sparse": NAN, "vjp": 0.5, "mine": NAN}, case="d")
    expected = "The limits of sparse (1 of 2 cases) and mine are not known: they have no floor."
    assert floor_note(tidy([*whole, *part]), "gradient") == expected
    assert floor_note(tidy(whole), "pullback") == ""


def test_doubts_of_several_cases_are_counted():
    found = [{"vjp": 2.0, "dense": NAN}, {}, {"vjp": 1.5}, {"vjp": NAN}]
    assert [(name, count) for name, _, _, count in spreads(found)] == [("dense", 1), ("vjp", 2), ("vjp", 1)]
    assert spreads(found)[1] == ("vjp", 1.5, 2.0, 2)
