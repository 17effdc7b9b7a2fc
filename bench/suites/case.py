"""What is measured: a case is a graph and the point it is taken at; a suite is cases in order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Case:
    """One graph at one point, to be measured under each strategy.

    Attributes
    ----------
    name : str
        Unique in its suite, made of the knobs, so that globs select by them: ``"mlp-w64-d3-b1-density0.1"``.
    knobs : mapping of str to scalar
        What the case's columns of a row hold (``graph``, ``depth``, ``width``, ``batch``, ``n_seeds`` …); a column
        that makes no sense for the graph is missing or None.
    strategies : tuple of str
        Names of the strategies it is measured under, or ``"file.py:Class"``.
    make : callable
        Builds the graph; nothing large is allocated.
    rng_seed : int
        The leaves are ``graph.sample(rng_seed)``.
    seeds : {"random", "identity"}
        What is pulled back: as many random cotangents as ``knobs["n_seeds"]`` says, or the unit vector of each output,
        which gives the whole Jacobian.
    """

    name: str
    knobs: Mapping[str, Any]
    strategies: tuple[str, ...]
    make: Callable[[], Graph]
    rng_seed: int = 0
    seeds: str = "random"


@dataclass(frozen=True)
class Suite:
    """Cases in the order they are measured in.

    Attributes
    ----------
    name : str
        The name of its file, without ``.toml``.
    cases : tuple of Case
        At least one; no two of the same name.
    """

    name: str
    cases: tuple[Case, ...]


def build(case: Case) -> tuple[Graph, dict[str, NDArray[Any]]]:
    """Build a case's graph and draw its leaves.

    Parameters
    ----------
    case : Case
        What to build.

    Returns
    -------
    graph : Graph
        The graph.
    leaves : dict of str to ndarray
        An array for each leaf, of the leaf's shape and the graph's dtype; the same for the same case on every machine.

    Raises
    ------
    BadInput
        When the case's generator (which may be the reader's own) returns something else than a graph.
    """
    graph = graph_of(case)
    return graph, graph.sample(case.rng_seed)


def graph_of(case: Case) -> Graph:
    """Build a case's graph alone; raises as `build` does."""
    graph = case.make()
    if not isinstance(graph, Graph):
        raise BadInput(f"case {case.name!r}: expected its generator to return a Graph, got {type(graph).__name__}")
    return graph


def select_cases(suite: Suite, globs: Sequence[str]) -> Suite:
    """Return the suite with only the cases that match.

    Parameters
    ----------
    suite : Suite
        Where to select from.
    globs : sequence of str
        Shell patterns (``*``, ``?``, ``[…]``) over whole case names; a case stays if one of them matches it. None
        given: every case stays.

    Returns
    -------
    Suite
        Of the same name, its cases in the same order.

    Raises
    ------
    BadInput
        When a pattern matches no case.
    """
    for glob in globs:
        if not any(fnmatchcase(case.name, glob) for case in suite.cases):
            names = [case.name for case in suite.cases]
            shown = ", ".join(names[:5]) + (f" … ({len(names)} in all)" if len(names) > 5 else "")
            hint = "".join(f"; did you mean {near!r}?" for near in get_close_matches(glob, names, n=1))
            raise BadInput(f"no case of suite {suite.name!r} matches {glob!r}: it has {shown}{hint}")
    if not globs:
        return suite
    chosen = (case for case in suite.cases if any(fnmatchcase(case.name, glob) for glob in globs))
    return replace(suite, cases=tuple(chosen))


SIZES = ("depth", "width", "batch", "n_seeds", "weight_density")
"""The knobs that make a case larger."""


def larger(cases: Sequence[Case], name: str) -> list[Case]:
    """Return the cases that are larger than one: no size smaller, one at least larger, all else equal.

    Parameters
    ----------
    cases : sequence of Case
        Where to look.
    name : str
        The case to compare with, one of them.

    Returns
    -------
    list of Case
        In the order of `cases`.
    """
    small = next(case for case in cases if case.name == name)
    return [case for case in cases if _is_larger(case.knobs, small.knobs)]


def _is_larger(knobs: Mapping[str, Any], small: Mapping[str, Any]) -> bool:
    sizes = [
        key for key in SIZES if isinstance(knobs.get(key), int | float) and isinstance(small.get(key), int | float)
    ]
    if any(knobs.get(key) != small.get(key) for key in {*knobs, *small} - set(sizes)):
        return False
    return all(knobs[key] >= small[key] for key in sizes) and any(knobs[key] > small[key] for key in sizes)
