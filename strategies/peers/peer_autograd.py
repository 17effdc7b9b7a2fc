"""autograd: ``autograd.make_vjp``, which traces at each point, without compilation or conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.strategies.peers.library import Peer, import_peer
from jacobench.strategies.reverse import Linearization, check_seeds, own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph


def linearization(graph: Graph, output: Array, vjp: Callable[[Array], Sequence[Array]]) -> Linearization:
    """Return the linearization whose pullback calls `vjp` seed by seed, as autograd cannot batch them; no cotangents are zeros."""

    def pullback(seeds: Array) -> dict[str, Array]:
        check_seeds(seeds, output)
        rows = [vjp(seed) for seed in seeds]
        # The result of one seed is not copied here; `own` copies arrays that are the seed itself or are returned twice.
        bars = map(np.stack, zip(*rows, strict=True)) if len(rows) > 1 else (np.asarray(bar)[None] for bar in rows[0])
        return own(dict(zip(graph.wrt_values, bars, strict=False)), graph, seeds)

    return Linearization(output, pullback)


@dataclass(frozen=True)
class AutogradPrepared:
    """An unchanged graph; see `contract.Prepared`."""

    _graph: Graph
    _autograd: Any

    def linearize(self, leaves: Mapping[str, Array]) -> Linearization:
        """Trace the forward pass."""
        graph, xp = self._graph, self._autograd.numpy
        if graph.output not in graph.active:  # autograd would warn that the output depends on nothing
            return linearization(graph, np.array(graph.evaluate(leaves)), lambda _seed: ())

        def function(wrt: tuple[Any, ...]) -> Any:
            return graph.evaluate({**leaves, **dict(zip(graph.wrt, wrt, strict=True))}, xp=xp)

        vjp, output = self._autograd.make_vjp(function)(tuple(leaves[name] for name in graph.wrt))
        return linearization(graph, np.array(output), vjp)


def autograd_vjp() -> Peer:
    """Return the strategy ``autograd-vjp``, which prepares nothing: autograd traces at each point."""
    import_peer("autograd.numpy")
    autograd = import_peer("autograd")
    return Peer("autograd-vjp", lambda graph: AutogradPrepared(graph, autograd))
