"""Recorded formulas: their results, scratch memory and counts, and that NumPy's settings stay as they were."""

import numpy as np
import pytest

from jacobench.graphs.arrays.formulas import Formula
from jacobench.graphs.calls import run


def tangled(xp, x, y, factor):
    """Use results twice, constants on both sides, and a comparison."""
    a = xp.exp(x * factor)
    b = 1.0 - a
    return (a / (b * b + y)) * (x > 0.0) + xp.maximum(-b, y) * b


def in_numpy(x, y, factor):
    a = np.exp(x * factor)
    b = 1 - a
    return a / (b * b + y) * (x > 0) + np.maximum(-b, y) * b


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((), (2, 1)), ((), ())])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_formula_is_what_numpy_computes(shapes, dtype):
    rng = np.random.default_rng(0)
    x, y = (np.asarray(rng.standard_normal(shape), dtype) for shape in shapes)
    formula, attrs = Formula(tangled, 2), {"factor": 0.5}
    expected = in_numpy(x, y, 0.5)
    found = formula.new((x, y), attrs)
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (expected.shape, dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-14)
    out = np.full(expected.shape, np.nan, dtype)
    calls = formula.program(attrs).calls((x, y), out)
    for _ in range(2):
        run(calls)
        np.testing.assert_array_equal(out, found)


def test_results_share_arrays():
    program = Formula(tangled, 2).program({"factor": 0.5})
    assert program.n_steps == 12
    assert program.n_scratch == 2
    assert program.used == {0, 1}
    assert Formula(lambda xp, _x, y: xp.exp(-y), 2).program({}).used == {1}


def test_each_value_of_an_attribute_has_its_own_steps():
    formula = Formula(lambda xp, x, high: x * 2.0 if high is None else xp.minimum(x * 2.0, high), 1)
    x = np.array([1.0, 3.0])
    assert formula.new((x,), {"high": None}).tolist() == [2, 6]
    assert formula.new((x,), {"high": 5.0}).tolist() == [2, 5]
    assert formula.new((x,), {"high": 4.0}).tolist() == [2, 4]


@pytest.mark.parametrize("formula", [lambda _xp, x: x, lambda _xp, _x: 1.0, lambda xp, x: (xp.exp(x), xp.log(x))[0]])
def test_a_formula_ends_with_a_step(formula):
    with pytest.raises(NotImplementedError, match="not that of its last step"):
        Formula(formula, 1).program({})


def test_a_function_must_be_able_to_write_in_place():
    with pytest.raises(NotImplementedError, match="sort cannot write in place"):
        Formula(lambda xp, x: xp.sort(x), 1).program({})


def test_warnings_are_off_in_formulas_only():
    before = np.geterr(), np.getbufsize()
    formula = Formula(lambda xp, x: xp.log(x) / x, 1)
    assert formula.new((np.zeros(1),), {}).tolist() == [-np.inf]
    assert (np.geterr(), np.getbufsize()) == before
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.log(np.zeros(1))
