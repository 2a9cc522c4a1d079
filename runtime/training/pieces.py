"""Pieces of an epoch, and how they are made ahead of their use."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

import numpy as np

from dslc.runtime.data.prefetch import Prefetch
from dslc.runtime.native.conversion import Arrays, nbytes

Array = np.ndarray[Any, Any]


class Piece(NamedTuple):
    """Whole mini-batches, but for the last piece of an epoch: the examples at `order` of inputs and targets (n, ...).
    Inputs of bytes are scaled by C. weights: what each example counts (n,); None where all count alike.

    A rank may have the examples of its share alone: `order` has a place for each example of all ranks all the same, and
    `told` what all ranks know of these, by which they can tell that they are the same.
    """

    inputs: Arrays
    targets: Arrays
    weights: Array | None
    order: Array
    told: tuple[Array, ...] = ()


class Ahead:
    """The pieces of an epoch, made in a thread of their own while C trains; a context, which ends the thread."""

    def __init__(self, made: Generator[Piece]) -> None:
        self._prefetch = Prefetch(made, _bytes_of)

    def __enter__(self) -> Iterable[Piece]:
        return self._prefetch.__enter__()

    def __exit__(self, *reason: object) -> None:
        self._prefetch.__exit__(*reason)


def _bytes_of(piece: Piece) -> int:
    return nbytes([*piece.inputs, *piece.targets, *([] if piece.weights is None else [piece.weights])])
