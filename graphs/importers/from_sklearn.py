"""Import fitted scikit-learn estimators: perceptrons, linear and logistic models, and pipelines of scalers and one of them.

One entry of `ESTIMATORS` or `SCALERS` per class. The forward passes are those of scikit-learn's own methods `predict_proba`
and `predict`; the result is compared with them at the given `X`.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.graph import Origin
from jacobench.graphs.importers.optional_library import chosen_dtype, library, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph

    Layers = Callable[["_Model", Value], Value]
    Scaler = Callable[["_Model", Any, Value], Value]

TOLERANCE: Final = {"float32": 1e-5, "float64": 1e-10}  # of the largest entry of the output


def from_sklearn(
    estimator: Any, X: ArrayLike, *, wrt: str | Iterable[str] = "parameters", dtype: str | None = None
) -> tuple[Graph, dict[str, NDArray[Any]]]:
    """Import a fitted scikit-learn estimator as a graph. Needs the extra ``models``.

    Parameters
    ----------
    estimator : estimator
        ``MLPClassifier``, ``MLPRegressor``, a linear or logistic model, or a ``Pipeline`` of scalers and one of these.
    X : array_like, shape (n_samples, n_features)
        Example input. Integers become float64, as in scikit-learn.
    wrt : {"parameters", "inputs", "all"} or iterable of str
        Leaves to differentiate.
    dtype : {None, "float32", "float64"}
        Dtype of the graph and its leaves. Default: that of the estimator's output.

    Returns
    -------
    graph : Graph
        The output is that of ``predict_proba`` if the estimator has it, else of ``predict``. The leaves are ``X`` and the
        fitted attributes, named and shaped as these: ``coefs_0``, ``intercepts_0`` …, or ``coef_``, ``intercept_``. The
        statistics of scalers are constants.
    leaves : dict of str to NDArray
        The fitted values and `X`, as copies.

    Raises
    ------
    Unsupported
        Lists all classes and options that cannot be imported.
    BadInput
        If scikit-learn is missing, the estimator is not fitted, or `X` does not fit it.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
    >>> graph, leaves = from_sklearn(LogisticRegression().fit(X, y), X)
    >>> graph.output_shape, graph.wrt
    ((4, 2), ('coef_', 'intercept_'))
    """
    library("sklearn", "scikit-learn", "from_sklearn")
    began = perf_counter()
    *scalers, final = _steps(estimator)
    _refuse(scalers, final)
    given = _example(X)
    expected = _expected(estimator, given)
    after_library = perf_counter()
    model = _Model(final[1], chosen_dtype(dtype, expected.dtype, "this estimator's output"))
    value = model.leaf("X", given, role="input")
    for name, scaler in scalers:
        value = SCALERS[type(scaler).__name__](model, scaler, value) if name != "passthrough" else value
    graph = model.g.build(ESTIMATORS[type(final[1]).__name__](model, value), wrt)
    _compare(graph.evaluate(model.leaves), expected, type(final[1]).__name__)
    origin = Origin("sklearn", (), after_library - began, perf_counter() - after_library)
    return graph.with_origin(origin), model.leaves


class _Model:
    """Builder of a graph with the leaves of an estimator."""

    def __init__(self, estimator: Any, dtype: np.dtype[np.floating]) -> None:
        self.estimator = estimator
        self.g = GraphBuilder(dtype.name)
        self.leaves: dict[str, NDArray[Any]] = {}
        self._dtype = dtype

    def leaf(self, name: str, array: ArrayLike, role: str = "parameter") -> Value:
        """Add a leaf with its values, which are copied."""
        values = np.array(array, self._dtype, order="C")
        self.leaves[name] = values
        return self.g.input(name, values.shape) if role == "input" else self.g.parameter(name, values.shape)

    def column(self, vector: Value) -> Value:
        """Return a vector (n,) as a column (n, 1), or a matrix of one column as a vector."""
        n = vector.shape[0]
        return self.g.reshape(vector, shape=(n, 1) if len(vector.shape) == 1 else (n,))


def _steps(estimator: Any) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline, nested pipelines included, as (name, estimator)."""
    if type(estimator).__name__ != "Pipeline":
        return [("", estimator)]
    found: list[tuple[str, Any]] = []
    for name, step in estimator.steps:
        found += (
            [("passthrough", step)] if step in (None, "passthrough") else [(name, each) for _, each in _steps(step)]
        )
    return found


def _refuse(scalers: list[tuple[str, Any]], final: tuple[str, Any]) -> None:
    """Raise Unsupported, which lists each step that has no entry."""
    bad = [
        (type(each).__name__, f"step {name!r}")
        for name, each in scalers
        if name != "passthrough" and type(each).__name__ not in SCALERS
    ]
    name, estimator = final
    if type(estimator).__name__ not in ESTIMATORS:
        bad.append((type(estimator).__name__, f"step {name!r}" if name else ""))
    if bad:
        raise unsupported("scikit-learn", bad)


def _example(X: ArrayLike) -> NDArray[Any]:
    """Return the example input as an array of floating-point numbers."""
    array = np.asarray(X)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise BadInput(f"X has shape {array.shape} and dtype {array.dtype}: expected numbers (n_samples, n_features)")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _expected(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    """Return the estimator's own output."""
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415  (an optional library)

    method = getattr(estimator, "predict_proba", None)
    if method is None and hasattr(estimator, "classes_"):
        raise Unsupported(
            f"{type(estimator).__name__} has no predict_proba, and predict returns class labels, which have no derivative"
        )
    try:
        return np.asarray((method or estimator.predict)(X))
    except NotFittedError:
        raise BadInput(f"{type(estimator).__name__} is not fitted: call fit first") from None
    except ValueError as error:
        raise BadInput(f"X does not fit this estimator: {' '.join(str(error).split())}") from None


def _compare(output: NDArray[Any], expected: NDArray[Any], name: str) -> None:
    """Raise Unsupported if the graph does not compute what the estimator does, such as with an option of a subclass."""
    limit = max(TOLERANCE[output.dtype.name], TOLERANCE.get(expected.dtype.name, 0)) * np.max(np.abs(expected))
    if output.shape != expected.shape or not np.max(np.abs(output - expected)) <= limit:
        raise Unsupported(
            f"{name}: with these options it does not compute what the importer expects; see docs/models.md"
        )


def _scores(model: _Model, x: Value) -> Value:
    """Return ``x @ coef_.T + intercept_``: shape (n,) for a vector of coefficients, else (n, outputs)."""
    estimator, g = model.estimator, model.g
    coef = model.leaf("coef_", estimator.coef_)
    intercept = model.leaf("intercept_", estimator.intercept_) if estimator.fit_intercept else None
    if len(coef.shape) == 1:
        product = model.column(g.matmul(x, model.column(coef)))
        return product if intercept is None else g.add(product, intercept)
    if intercept is None:
        return g.einsum(x, coef, subscripts="bi,oi->bo")
    return g.affine(x, coef, intercept)


def _log_link(model: _Model, x: Value) -> Value:
    return model.g.exp(_scores(model, x))


def _two_classes(model: _Model, p: Value) -> Value:
    """Return probabilities p (n, 1) of the second class as (n, 2)."""
    g = model.g
    return g.concat(g.subtract(g.constant(np.ones(())), p), p)


def _logistic(model: _Model, x: Value) -> Value:
    g, scores = model.g, _scores(model, x)
    if scores.shape[1] == 1:
        return _two_classes(model, g.sigmoid(scores))
    return g.softmax(scores)


def _perceptron(model: _Model, x: Value) -> Value:
    """Return the output layer's activation of a perceptron."""
    estimator, g = model.estimator, model.g
    n_layers = len(estimator.coefs_)
    for k, (W, b) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        # Not an affine map of the transposed weights: their permutation would be one more Jacobian.
        x = g.add(g.matmul(x, model.leaf(f"coefs_{k}", W)), model.leaf(f"intercepts_{k}", b))
        activation = ACTIVATIONS[estimator.activation if k < n_layers - 1 else estimator.out_activation_]
        x = getattr(g, activation)(x) if activation else x
    return x


def _perceptron_classes(model: _Model, x: Value) -> Value:
    p = _perceptron(model, x)
    return _two_classes(model, p) if p.shape[1] == 1 else p


def _perceptron_regression(model: _Model, x: Value) -> Value:
    y = _perceptron(model, x)
    return model.column(y) if y.shape[1] == 1 else y


ACTIVATIONS: Final[Mapping[str, str]] = {
    "identity": "", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax", "exp": "exp",
}  # fmt: skip
"""Activation of scikit-learn's perceptrons → op."""

ESTIMATORS: Final[Mapping[str, Layers]] = {
    "MLPClassifier": _perceptron_classes,
    "MLPRegressor": _perceptron_regression,
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    **dict.fromkeys(
        (
            "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV", "Lasso",
            "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression", "LinearSVR", "MultiTaskElasticNet",
            "MultiTaskLasso", "OrthogonalMatchingPursuit", "QuantileRegressor", "Ridge", "RidgeCV", "SGDRegressor",
            "TheilSenRegressor",
        ),
        _scores,
    ),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor"), _log_link),
}  # fmt: skip
"""Class → function that adds its ops to a model and returns the output."""


def _shift(model: _Model, x: Value, amount: Any, *, sign: int) -> Value:
    return x if amount is None else model.g.add(x, model.g.constant(sign * np.asarray(amount)))


def _divide(model: _Model, x: Value, scale: Any) -> Value:
    return x if scale is None else model.g.divide(x, model.g.constant(scale))


def _standard(model: _Model, scaler: Any, x: Value) -> Value:
    shifted = _shift(model, x, scaler.mean_ if scaler.with_mean else None, sign=-1)
    return _divide(model, shifted, scaler.scale_)


def _min_max(model: _Model, scaler: Any, x: Value) -> Value:
    scaled = model.g.multiply(x, model.g.constant(scaler.scale_))
    shifted = _shift(model, scaled, scaler.min_, sign=1)
    if not scaler.clip:
        return shifted
    low, high = scaler.feature_range
    return model.g.clamp(shifted, low=float(low), high=float(high))


def _robust(model: _Model, scaler: Any, x: Value) -> Value:
    shifted = _shift(model, x, scaler.center_ if scaler.with_centering else None, sign=-1)
    return _divide(model, shifted, scaler.scale_ if scaler.with_scaling else None)


SCALERS: Final[Mapping[str, Scaler]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": lambda model, scaler, x: _divide(model, x, scaler.scale_),
    "RobustScaler": _robust,
}
"""Class of a scaler → function that adds its ops; its statistics are constants."""
