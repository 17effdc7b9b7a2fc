"""How a graph is differentiated: the contract, one file a strategy, and the registry."""

from jacobench.strategies.contract import Linearized, Predictions, Prepared, Strategy, Unsupported
from jacobench.strategies.registry import load

__all__ = ["Linearized", "Predictions", "Prepared", "Strategy", "Unsupported", "load"]
