"""How a graph is differentiated: the contract, one file a strategy, and the registry.

The room may be called: ``jacobench.strategies()`` lists the names of the installed strategies. The public API wants the
function and the house the package, under one name.
"""

import sys
from types import ModuleType

from jacobench.strategies import registry


class _Room(ModuleType):
    """The package as a module that may be called."""

    def __call__(self) -> list[str]:
        """Return the names of the installed strategies, this package's own first."""
        return list(registry.registered())


sys.modules[__name__].__class__ = _Room
