"""The one piece of memory that a compiled network works in."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from dslc.diagnostics import UsageError
from dslc.plan import Buffer, Plan

HUGE_PAGE = 2 << 20


def physical_memory() -> int:
    """Bytes of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Arena:
    """Anonymous memory, zero at the start, in huge pages where the system has them; a forked process gets a copy."""

    def __init__(self, plan: Plan, training: bool) -> None:
        self.plan = plan
        self.bytes = plan.arena_bytes(training)
        if self.bytes > physical_memory():
            raise UsageError(
                f"this network needs {self.bytes:,} bytes of memory and the machine has {physical_memory():,}: "
                "use a smaller batch"
            )
        try:
            self._map = mmap.mmap(-1, self.bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, ValueError, OverflowError):
            raise UsageError(f"this network needs {self.bytes:,} bytes of memory, and they are not to be had") from None
        if hasattr(mmap, "MADV_HUGEPAGE") and self.bytes >= HUGE_PAGE:
            self._map.madvise(mmap.MADV_HUGEPAGE)
        dtype = np.float32 if plan.itemsize == 4 else np.float64
        self.numbers: np.ndarray[Any, Any] = np.frombuffer(self._map, dtype, self.bytes // plan.itemsize)

    def view(self, buffer: Buffer) -> np.ndarray[Any, Any]:
        """The memory of a buffer as it is stored."""
        return self.numbers[buffer.offset : buffer.offset + buffer.layout.elements]
