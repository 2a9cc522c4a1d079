"""The one piece of memory that a compiled network works in."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from dslc.language.diagnostics import UsageError
from dslc.plan import Buffer, Plan

HUGE_PAGE = 2 << 20
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0)
"""Address space for gradients that nobody asks for is not to count as memory, where Python knows how to say so."""


def physical_memory() -> int:
    """Bytes of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Arena:
    """Anonymous memory, zero at the start, in huge pages where the system has them; a forked process gets a copy.

    `bytes` is what is in use. The gradients that training never stores lie behind it: they have addresses from the
    start, so that nothing ever moves, but take no memory before `add_gradients`.
    """

    def __init__(self, plan: Plan, training: bool) -> None:
        self.plan = plan
        whole = plan.arena_bytes(training, training)
        self.bytes = _affordable(plan.arena_bytes(training))
        try:
            self._map = mmap.mmap(-1, whole, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
        except (OSError, ValueError, OverflowError):
            raise UsageError(f"this network needs {whole:,} bytes of memory, and they are not to be had") from None
        self._prefer_huge_pages()
        dtype = np.float32 if plan.itemsize == 4 else np.float64
        self._addressed: np.ndarray[Any, Any] = np.frombuffer(self._map, dtype, whole // plan.itemsize)

    @property
    def numbers(self) -> np.ndarray[Any, Any]:
        """All numbers in use."""
        return self._addressed[: self.bytes // self.plan.itemsize]

    def add_gradients(self) -> None:
        """Takes the gradients that only `gradients()` stores into use.

        Raises:
            UsageError: the machine has not so much memory.
        """
        whole = self._addressed.nbytes
        if self.bytes < whole:
            self.bytes = _affordable(whole)
            self._prefer_huge_pages()

    def view(self, buffer: Buffer) -> np.ndarray[Any, Any]:
        """The memory of a buffer as it is stored."""
        return self._addressed[buffer.offset : buffer.offset + buffer.layout.elements]

    def _prefer_huge_pages(self) -> None:
        """Only for what is in use: the page that its last number touches must not reach far beyond."""
        if hasattr(mmap, "MADV_HUGEPAGE") and self.bytes >= HUGE_PAGE:
            self._map.madvise(mmap.MADV_HUGEPAGE, 0, self.bytes)


def _affordable(wanted: int) -> int:
    if wanted > physical_memory():
        raise UsageError(
            f"this network needs {wanted:,} bytes of memory and the machine has {physical_memory():,}: "
            "use a smaller batch"
        )
    return wanted
