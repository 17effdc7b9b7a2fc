"""Leaves of a graph (inputs and parameters), and the distributions of their sample arrays.

The same arguments give the same arrays on every machine, because exact arithmetic makes them from the generator's integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt
from typing import TYPE_CHECKING, Literal
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array, Shape


Role = Literal["input", "parameter"]


@dataclass(frozen=True)
class Leaf:
    """Input (data) or parameter (weights) of a graph. An input's leading axis is the batch.

    `distribution` is the entry of `DISTRIBUTIONS` that `sample_leaf` uses. `fan_in` is the number of terms per output, by
    which the distribution "fan_in" scales.
    """

    shape: Shape
    role: Role
    distribution: str
    fan_in: int = 1


def _uniform(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    return 2 * rng.random(leaf.shape) - 1


def _fan_in(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw from U(−1/√f, 1/√f) with f the fan-in, as torch.nn.Linear does."""
    return _uniform(rng, leaf) / sqrt(leaf.fan_in)


def _one_hot(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw one class for each vector along the last axis."""
    n = leaf.shape[-1]
    classes = rng.integers(n, size=prod(leaf.shape[:-1]))
    hot = np.zeros((classes.size, n))
    hot[np.arange(classes.size), classes] = 1
    return hot.reshape(leaf.shape)


DISTRIBUTIONS: Mapping[str, Callable[[np.random.Generator, Leaf], NDArray[np.float64]]] = {
    "uniform": _uniform,
    "fan_in": _fan_in,
    "one_hot": _one_hot,
}


def sample_leaf(name: str, leaf: Leaf, dtype: np.dtype[np.floating], rng_seed: int) -> Array:
    """Draw an array of shape `leaf.shape`: numbers in float64, rounded to `dtype`.

    Each leaf has its own random stream, determined by its name and `rng_seed`, so its array does not depend on the others.
    """
    rng = np.random.default_rng([rng_seed, crc32(name.encode())])
    array = DISTRIBUTIONS[leaf.distribution](rng, leaf)
    return np.asarray(array, dtype)  # shape () is an array, too; NumPy's arithmetic returns scalars
