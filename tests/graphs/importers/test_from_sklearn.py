"""Import of scikit-learn estimators: values, gradients, names, and what is refused."""

import copy
import warnings
from functools import cache

import numpy as np
import pytest

from jacobench.bench.cell.verification import DIFFERENCE_TOLERANCE, central_difference_error, relative_error
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers.from_sklearn import from_sklearn
from jacobench.strategies.registry import load

pytestmark = pytest.mark.models

N, FEATURES = 40, 5
rng = np.random.default_rng(3)
X = rng.standard_normal((N, FEATURES))
BINARY, THREE = (X[:, 0] + X[:, 1] > 0).astype(int), np.digitize(X[:, 0], [-0.5, 0.5])
LABELS = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0], 1).astype(int)
ONE, TWO = X @ rng.standard_normal(FEATURES), X @ rng.standard_normal((FEATURES, 2))


def perceptron(kind, target, **options):
    from sklearn import neural_network

    made = getattr(neural_network, kind)(hidden_layer_sizes=(7, 4), max_iter=20, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        return made.fit(X, target)


def linear(kind, target, given=X, **options):
    from sklearn import linear_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(linear_model, kind)(**options).fit(given, target)


def pipeline(final, target, *scalers, given=X):
    from sklearn.pipeline import make_pipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(*scalers, final).fit(given, target)


def scaler(kind, **options):
    from sklearn import preprocessing

    return getattr(preprocessing, kind)(**options)


def unfitted(kind, **options):
    from sklearn import linear_model

    return getattr(linear_model, kind)(**options)


MODELS = {
    "classes": lambda: perceptron("MLPClassifier", THREE),
    "two classes": lambda: perceptron("MLPClassifier", BINARY, activation="tanh"),
    "labels": lambda: perceptron("MLPClassifier", LABELS, activation="logistic"),
    "perceptron": lambda: perceptron("MLPRegressor", ONE),
    "two outputs": lambda: perceptron("MLPRegressor", TWO, activation="identity"),
    "linear": lambda: linear("LinearRegression", ONE),
    "linear, two outputs": lambda: linear("LinearRegression", TWO),
    "one column": lambda: linear("LinearRegression", ONE[:, None]),
    "no intercept": lambda: linear("Ridge", ONE, fit_intercept=False),
    "no intercepts": lambda: linear("Ridge", TWO, fit_intercept=False),
    "lasso": lambda: linear("Lasso", ONE, alpha=0.01),
    "stochastic": lambda: linear("SGDRegressor", ONE, random_state=0),
    "counts": lambda: linear("PoissonRegressor", np.abs(np.round(ONE))),
    "logistic": lambda: linear("LogisticRegression", BINARY),
    "logistic, classes": lambda: linear("LogisticRegression", THREE),
    "float32": lambda: linear("LogisticRegression", THREE, X.astype("f4")),
    "standard": lambda: pipeline(perceptron("MLPClassifier", THREE), THREE, scaler("StandardScaler")),
    "clipped": lambda: pipeline(unfitted("LogisticRegression"), THREE, scaler("MinMaxScaler", clip=True)),
    "several": lambda: pipeline(
        unfitted("Ridge"), ONE, scaler("RobustScaler"), "passthrough", scaler("MaxAbsScaler"), scaler("StandardScaler", with_std=False)
    ),
    "nested": lambda: pipeline(
        pipeline(unfitted("Ridge"), ONE, scaler("MaxAbsScaler")), ONE, scaler("StandardScaler", with_mean=False)
    ),
}  # fmt: skip


@cache
def model(name):
    pytest.importorskip("sklearn")
    return MODELS[name]()


def own_output(estimator, given):
    return getattr(estimator, "predict_proba", estimator.predict)(given)


def dtype_of(name):
    return np.float32 if name == "float32" else np.float64


def moved(estimator, leaves):
    """Return the estimator with other fitted values."""
    estimator = copy.deepcopy(estimator)
    final = estimator
    while hasattr(final, "steps"):
        final = final.steps[-1][1]
    for name, array in leaves.items():
        stem, _, number = name.rpartition("_")
        if number.isdigit():
            getattr(final, f"{stem}_")[int(number)] = array
        elif name != "X":
            setattr(final, name, array)
    return estimator


@pytest.mark.parametrize("name", MODELS)
def test_values_are_the_estimators_at_two_points(name):
    estimator, given = model(name), X.astype(dtype_of(name))
    graph, leaves = from_sklearn(estimator, given)
    expected = own_output(estimator, given)
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-10
    assert graph.output_shape == expected.shape
    assert graph.dtype == expected.dtype
    np.testing.assert_allclose(graph.evaluate(leaves), expected, atol=tolerance * np.abs(expected).max())
    other = {key: (array + 0.1 * rng.standard_normal(array.shape)).astype(array.dtype) for key, array in leaves.items()}
    expected = own_output(moved(estimator, other), other["X"])
    np.testing.assert_allclose(graph.evaluate(other), expected, atol=tolerance * np.abs(expected).max())
    np.testing.assert_array_equal(leaves["X"], given)


@pytest.mark.parametrize("name", MODELS)
def test_cotangents_agree_with_central_differences_and_between_strategies(name):
    inside = 0.9 * X  # no entry is at a bound of a scaler that clips
    graph, leaves = from_sklearn(model(name), inside, wrt="all", dtype="float64")
    seeds = np.random.default_rng(0).uniform(-1, 1, (3, *graph.output_shape))
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    assert central_difference_error(graph, leaves, seeds, bars) < DIFFERENCE_TOLERANCE["float64"]
    for strategy in ("dense", "sparse"):
        assert relative_error(load(strategy).prepare(graph).linearize(leaves).pullback(seeds), bars) < 1e-10


def test_leaves_are_named_and_shaped_as_the_attributes_and_scalers_are_constants():
    estimator = model("standard")
    graph, leaves = from_sklearn(estimator, X)
    final = estimator.steps[-1][1]
    names = [f"{kind}_{k}" for k in range(3) for kind in ("coefs", "intercepts")]
    assert graph.wrt == tuple(names)
    assert list(leaves) == ["X", *names]
    assert [leaves[f"coefs_{k}"].shape for k in range(3)] == [array.shape for array in final.coefs_]
    assert len(graph.constants) == 2
    assert graph.origin.library == "sklearn"
    assert graph.with_wrt("inputs").wrt == ("X",)


def test_a_vector_of_coefficients_and_a_scalar_intercept_are_leaves():
    estimator = model("linear")
    _, leaves = from_sklearn(estimator, X)
    assert {name: array.shape for name, array in leaves.items()} == {
        "X": X.shape,
        "coef_": (FEATURES,),
        "intercept_": (),
    }
    assert "intercept_" not in from_sklearn(model("no intercept"), X)[1]
    leaves["coef_"][...] = 0  # a copy
    assert np.any(estimator.coef_)


def test_integers_become_float64_and_the_dtype_can_be_chosen():
    graph, leaves = from_sklearn(model("linear"), np.arange(10).reshape(2, 5))
    assert graph.dtype == leaves["X"].dtype == np.float64
    graph, leaves = from_sklearn(model("float32"), X.astype("f4"), dtype="float64")
    assert {array.dtype.name for array in leaves.values()} == {"float64"}


def test_everything_unsupported_is_listed():
    from sklearn.svm import SVC

    estimator = pipeline(SVC(), BINARY, scaler("PowerTransformer"), scaler("QuantileTransformer", n_quantiles=10))
    message = r"PowerTransformer \(step 'powertransformer'\); QuantileTransformer \(.*\); SVC \(step 'svc'\); see"
    with pytest.raises(Unsupported, match=message):
        from_sklearn(estimator, X)


@pytest.mark.parametrize(
    ("estimator", "given", "error", "message"),
    [
        (lambda: unfitted("Ridge"), X, BadInput, "Ridge is not fitted: call fit first"),
        (lambda: model("linear"), X[:, :3], BadInput, "X does not fit this estimator: X has 3 features"),
        (lambda: model("linear"), X[0], BadInput, r"X has shape \(5,\) and dtype float64: expected numbers"),
        (lambda: model("linear"), X.astype(str), BadInput, "X has shape .*expected numbers"),
        (lambda: linear("RidgeClassifier", BINARY), X, Unsupported, "RidgeClassifier"),
        (lambda: linear("Perceptron", BINARY), X, Unsupported, "Perceptron"),
    ],
)
def test_bad_input_is_one_line(estimator, given, error, message):
    pytest.importorskip("sklearn")
    with pytest.raises(error, match=message) as caught:
        from_sklearn(estimator(), given)
    assert "\n" not in str(caught.value)
