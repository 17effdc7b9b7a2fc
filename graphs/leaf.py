"""A graph's leaves, inputs and parameters, and the distributions their sample arrays are drawn from.

Only uniform numbers are drawn, made from the generator's integers by exact arithmetic, so that the same arguments give the
same arrays on every machine.
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


@dataclass(frozen=True)
class Leaf:
    """An input or a parameter.

    Attributes
    ----------
    shape : tuple of int
        Its shape. An input's leading axis is the batch.
    role : {"input", "parameter"}
        Whether it is data or weights.
    distribution : str
        The entry of `DISTRIBUTIONS` that its samples are drawn from.
    fan_in : int
        How many terms an output that this leaf weighs sums up; what "fan_in" scales by.
    """

    shape: Shape
    role: Literal["input", "parameter"]
    distribution: str
    fan_in: int = 1


def _uniform(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    return 2 * rng.random(leaf.shape) - 1


def _fan_in(rng: np.random.Generator, leaf: Leaf) -> NDArray[np.float64]:
    """Draw from U(−1/√f, 1/√f), f the fan-in, as torch.nn.Linear does."""
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
    """Draw a leaf's array.

    Each leaf has a stream of its own, told by its name, so that no leaf's array depends on which others there are.

    Parameters
    ----------
    name : str
        The leaf's name.
    leaf : Leaf
        Its shape and distribution.
    dtype : numpy.dtype
        float32 or float64; numbers are drawn in float64 and rounded.
    rng_seed : int
        0 or more.

    Returns
    -------
    NDArray
        Shape `leaf.shape`, dtype `dtype`.
    """
    rng = np.random.default_rng([rng_seed, crc32(name.encode())])
    return np.asarray(
        DISTRIBUTIONS[leaf.distribution](rng, leaf), dtype
    )  # of shape () too, where NumPy's arithmetic makes scalars
