"""Structures of Jacobians whose rows and columns have labels, as in ``np.einsum``: an entry is where the labels agree."""

from __future__ import annotations

from string import ascii_letters
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from jacobench.graphs.array_types import ArgumentContext, Array, Indices, Shape

LETTERS = ascii_letters


class Labels(NamedTuple):
    """Labels of the axes of an argument and of the output, and the length of each label.

    Labels of the output are distinct. A label that is only in the argument is summed over; one that is only in the output
    repeats the entries.
    """

    x: str
    out: str
    lengths: Mapping[str, int]

    @property
    def entries(self) -> str:
        """Labels of the entries, in CSR order: those of the output, then those within a row."""
        return self.out + "".join(label for label in dict.fromkeys(self.x) if label not in self.out)

    def shape(self, labels: str) -> Shape:
        """Return the lengths of some labels."""
        return tuple(self.lengths[label] for label in labels)


def aligned(array: Any, labels: str, wanted: str) -> Any:
    """Return an array with one axis for each label in `wanted`, of length 1 where `labels` does not contain it.

    Sums over labels that are not wanted and takes diagonals of repeated ones; a view if there are none to sum over.
    """
    present = "".join(label for label in wanted if label in labels)
    view = array if labels == present else np.asarray(np.einsum(f"{labels}->{present}", array))
    return view if present == wanted else view[tuple(slice(None) if label in labels else None for label in wanted)]


def labelled(name: str, labels_of: Callable[[ArgumentContext], Labels]) -> Structure:
    """Return the structure of a map whose output has the entry k of the argument in row r if their labels agree."""

    def extent(ctx: ArgumentContext) -> Shape:
        labels = labels_of(ctx)
        return labels.shape(labels.entries)

    def columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
        labels = labels_of(ctx)
        numbers: Indices = np.arange(ctx.n_in, dtype=dtype).reshape(labels.shape(labels.x))
        found: Indices = aligned(numbers, labels.x, labels.entries)
        return found

    def view(J: Array, ctx: ArgumentContext) -> Array:
        labels = labels_of(ctx)
        axes = labels.out + (labels.x if ctx.samples == 1 else labels.x[1:])  # samples share their label
        found: Array = aligned(J.reshape(labels.shape(axes)), axes, labels.entries)
        return found

    def scratch(ctx: ArgumentContext) -> int:
        """Count the column of each input, unless these are the result."""
        labels = labels_of(ctx)
        return 0 if labels.x == labels.entries else ctx.n_in - ctx.n_out

    return Structure(name, extent, columns, view, scratch=scratch)
