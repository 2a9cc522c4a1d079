"""Checksums by which ranks find out that they do not have the same data, at a cost that does not grow with these."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from dslc.runtime.data.lazy import spread

Array = np.ndarray[Any, Any]
ENDED = -1
"""Stands for the size of a piece where there is none any more."""
WHOLE = 64 << 20
"""Arrays of so many bytes are looked at as a whole; of larger ones some rows."""
ROWS, PIECE_ROWS = 64, 16
"""How many rows of a large array are looked at, and of a piece of an epoch."""


class Examples(Protocol):
    """Those of a piece of an epoch: `order` has their places in the arrays."""

    @property
    def inputs(self) -> list[Array]:
        """By input."""

    @property
    def targets(self) -> list[Array]:
        """By head."""

    @property
    def weights(self) -> Array | None:
        """None where all count alike."""

    @property
    def order(self) -> Array:
        """One after the other."""

    @property
    def told(self) -> tuple[Array, ...]:
        """What all ranks know of the examples, where each may have only its own; else nothing."""


def checksum(arrays: Iterable[Array]) -> int:
    """One number for arrays in memory."""
    found = 0
    for array in arrays:
        rows = array if array.nbytes <= WHOLE else array[spread(len(array), ROWS)]
        found = zlib.crc32(np.ascontiguousarray(rows).view(np.uint8).reshape(-1).data, found)
    return found


def piece_checksum(piece: Examples | None) -> int:
    """One number for some examples of a piece; 0 without one."""
    if piece is None or not len(piece.order):
        return 0
    if piece.told:
        return checksum(piece.told)
    at = piece.order[spread(len(piece.order), PIECE_ROWS)]
    weights = [] if piece.weights is None else [piece.weights]
    return checksum(array[at] for array in (*piece.inputs, *piece.targets, *weights))
