import math

import pandas as pd
import pytest

from jacobench.bench.row.columns import COLUMNS, PHASES, STATUSES, in_phase, shown_phase, tidy

CONTRACT = """
run_id commit machine controls suite case graph depth width batch n_seeds activation loss residual normalization
weight_density dtype wrt task n_parameters   strategy phase status reason passes rounds
seconds_min seconds_median seconds_iqr seconds_low seconds_high seconds_first  ratio_to_vjp ratio_low ratio_high
peak_bytes retained_bytes memory_tool  predicted_bytes predicted_flops predicted_seconds n_nonzeros  floor_seconds efficiency  max_relative_error
"""


def test_columns_are_those_of_the_contract_in_its_order():
    assert list(COLUMNS) == CONTRACT.split()
    assert all(column.meaning.endswith(".") for column in COLUMNS.values())
    assert len(set(STATUSES)) == 9


def test_no_rows_still_give_every_column_with_its_dtype():
    table = tidy([])
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 0
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {n: c.dtype for n, c in COLUMNS.items()}


def test_missing_is_nan_never_none_and_never_zero():
    table = tidy([{"case": "a", "residual": True, "width": 16, "reason": None}, {"case": "b", "width": None}, {}])
    assert table["residual"].tolist()[0] is True
    assert table["width"].tolist()[0] == 16.0
    assert table["width"].isna().tolist() == [False, True, True]
    for name in ("reason", "commit", "residual"):
        missing = table[name].iloc[1]
        assert isinstance(missing, float)
        assert math.isnan(missing)


def test_dtypes_do_not_depend_on_the_values():
    one, none = tidy([{"case": "a", "residual": False, "passes": 3}]), tidy([{}])
    pd.testing.assert_series_equal(one.dtypes, none.dtypes)


def test_a_misspelt_column_and_a_word_among_numbers_are_refused():
    with pytest.raises(ValueError, match="no such column: peak_byte"):
        tidy([{"peak_byte": 1}])
    with pytest.raises(ValueError, match="'width' holds numbers"):
        tidy([{"width": "wide"}])


def test_the_phase_gradient_includes_the_whole_jacobians_of_other_cases():
    table = tidy([{"case": f"{phase}-{k}", "phase": phase} for k in range(2) for phase in PHASES])
    assert set(table[in_phase(table, "gradient")]["phase"]) == {"gradient", "jacobian"}
    assert set(table[in_phase(table, "jacobian")]["phase"]) == {"jacobian"}
    assert set(table[in_phase(table, "prepare")]["phase"]) == {"prepare"}


@pytest.mark.parametrize(
    ("phases", "asked", "shown"),
    [
        (["prepare", "gradient"], "gradient", "gradient"),
        (["prepare", "jacobian"], "gradient", "jacobian"),
        (["gradient", "jacobian"], "gradient", "gradient"),
        (["prepare", "jacobian"], "prepare", "prepare"),
        ([], "gradient", "gradient"),
    ],
)
def test_titles_name_the_phase_jacobian_if_the_run_has_only_such_cases(phases, asked, shown):
    assert shown_phase(tidy([{"phase": phase} for phase in phases]), asked) == shown
