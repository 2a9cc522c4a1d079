"""Files that announce how large their arrays are: what cannot be true is refused before memory is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from dslc.language.diagnostics import DataError


def bytes_of(shape: Sequence[int], itemsize: int, what: str) -> int:
    """How many bytes an array of this shape takes.

    Raises:
        DataError: an axis is negative, or they are more than this machine's memory.
    """
    if any(axis < 0 for axis in shape):
        raise DataError(f"{what} announces the shape {list(shape)}: no axis is shorter than 0")
    size = math.prod(shape) * itemsize
    if size > memory():
        raise DataError(
            f"{what} announces the shape {list(shape)}, {size / 1e9:,.0f} GB: more than this machine's memory"
        )
    return size


def memory() -> int:
    """The bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
