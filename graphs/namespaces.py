"""How the functions that forward rules call are named in each array library.

A rule calls ``xp.tanh``, ``xp.erf`` and so on. What a library has under that very name is taken from it; where it differs,
its table below says what stands for it. Nothing is imported that is not asked for.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from jacobench.graphs.structures import Pattern


def _masked_matmul(mask: Pattern, z: Any, v: Any) -> Any:
    """Multiply z (…, m) by the transpose of the n×m CSR matrix that holds v on the mask: NumPy's way."""
    W = csr_array((v, mask.indices, mask.indptr), shape=mask.shape)
    t = W @ z.reshape(-1, mask.shape[1]).T
    return np.ascontiguousarray(t.T).reshape(*z.shape[:-1], mask.shape[0])


def _gathered_matmul(xp: Any, mask: Pattern, z: Any, v: Any) -> Any:
    """Do the same with a dense weight gathered from v: every library can differentiate through it."""
    place = np.full(mask.shape, mask.indices.size)
    place[mask.rows, mask.indices] = np.arange(mask.indices.size)
    W = xp.concatenate([v, v[:1] * 0])[place]
    return xp.matmul(z, W.T)


def _numpy() -> dict[str, Any]:
    return {
        "erf": special.erf,
        "sigmoid": special.expit,
        "softplus": lambda x: np.logaddexp(x, 0),
        "relu": lambda x: np.maximum(x, 0),
        # In place: the sum is the rule's own fresh array, and a second one costs as much as the bias itself.
        "add_to": lambda y, x: np.add(y, x, out=y),
        "masked_matmul": _masked_matmul,
    }


def _jax() -> dict[str, Any]:
    jax = import_module("jax")
    return {"erf": jax.scipy.special.erf, "sigmoid": jax.nn.sigmoid}


def _torch() -> dict[str, Any]:
    torch = import_module("torch")
    return {
        "max": torch.amax,
        "relu": torch.relu,
        "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    }


def _autograd() -> dict[str, Any]:
    scipy_special = import_module("autograd.scipy.special")
    return {"erf": scipy_special.erf, "sigmoid": scipy_special.expit}


TABLES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "numpy": _numpy,
    "jax.numpy": _jax,
    "torch": _torch,
    "autograd.numpy": _autograd,
}


class Namespace:
    """The functions of one array library under the names that forward rules use.

    Parameters
    ----------
    library : module
        ``numpy``, ``jax.numpy``, ``torch``, ``autograd.numpy``, or any module with NumPy's names.
    """

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        everywhere = {
            # Not the maximum of x and 0, to which JAX and autograd give the slope 1/2 at 0.
            "relu": lambda x: self.where(x > 0, x, 0),
            "softplus": lambda x: self.logaddexp(x, 0),
            "add_to": lambda y, x: y + x,
            "masked_matmul": partial(_gathered_matmul, self),
        }
        table = TABLES.get(library.__name__, dict)()
        self.__dict__.update(everywhere | table)

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        self.__dict__[name] = function
        return function


@cache
def namespace(library: ModuleType) -> Namespace:
    """Return the one namespace of a library."""
    return Namespace(library)


NUMPY = namespace(np)
