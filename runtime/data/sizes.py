"""Files that announce how large their arrays are: what cannot be true is refused before memory is taken."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dslc.language.diagnostics import DataError

CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may take (control groups, versions 2 and 1)."""


def bytes_of(shape: Sequence[int], itemsize: int, what: str) -> int:
    """How many bytes an array of this shape takes.

    Raises:
        DataError: an axis is negative, or they are more than the memory there is.
    """
    if any(axis < 0 for axis in shape):
        raise DataError(f"{what} announces the shape {list(shape)}: no axis is shorter than 0")
    size = math.prod(shape) * itemsize
    require_memory(size, f"{what} announces the shape {list(shape)}")
    return size


def require_memory(size: int, what: str) -> None:
    """Raises DataError where so many bytes are more than there are."""
    if size > memory():
        raise DataError(f"{what}, {size / 1e9:,.3g} GB: more than the memory there is")


def memory() -> int:
    """The bytes of memory that this process may take: the machine's, or fewer where a limit is set for the process or
    its container."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for file in CONTAINER:
        with suppress(OSError, ValueError):  # no container, or one without a limit, which says "max"
            limits.append(int(Path(file).read_text()))
    return min(limits)
