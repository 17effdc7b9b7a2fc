"""autograd: ``autograd.make_vjp``, which traces at each point, without compilation or conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.strategies.peers.library import Peer, import_peer
from jacobench.strategies.reverse import check_seeds, own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph


@dataclass(frozen=True)
class AutogradLinearized:
    """A graph linearized by autograd; see `contract.Linearized`."""

    output: Array
    _graph: Graph
    _vjp: Callable[[Array], Sequence[Array]] | None

    def pullback(self, seeds: Array) -> dict[str, Array]:
        """Map seeds (S, *output_shape) to cotangents (S, *leaf shape), seed by seed: autograd cannot batch them."""
        check_seeds(seeds, self.output)
        if self._vjp is None:
            return own({}, self._graph, seeds)
        rows = [self._vjp(seed) for seed in seeds]
        # The result of one seed is not copied here; `own` copies arrays that are the seed itself or are returned twice.
        bars = map(np.stack, zip(*rows, strict=True)) if len(rows) > 1 else (np.asarray(bar)[None] for bar in rows[0])
        return own(dict(zip(self._graph.wrt_values, bars, strict=True)), self._graph, seeds)


@dataclass(frozen=True)
class AutogradPrepared:
    """An unchanged graph; see `contract.Prepared`."""

    _graph: Graph
    _autograd: Any

    def linearize(self, leaves: Mapping[str, Array]) -> AutogradLinearized:
        """Trace the forward pass."""
        graph, xp = self._graph, self._autograd.numpy
        if graph.output not in graph.active:  # autograd would warn that the output depends on nothing
            return AutogradLinearized(np.array(graph.evaluate(leaves)), graph, None)

        def function(wrt: tuple[Any, ...]) -> Any:
            return graph.evaluate({**leaves, **dict(zip(graph.wrt, wrt, strict=True))}, xp=xp)

        vjp, output = self._autograd.make_vjp(function)(tuple(leaves[name] for name in graph.wrt))
        return AutogradLinearized(np.array(output), graph, vjp)


def autograd_vjp() -> Peer:
    """Return the strategy ``autograd-vjp``, which prepares nothing: autograd traces at each point."""
    import_peer("autograd.numpy")
    autograd = import_peer("autograd")
    return Peer("autograd-vjp", lambda graph: AutogradPrepared(graph, autograd))
