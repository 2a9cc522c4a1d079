"""The arena: the single block of memory that a compiled network works in."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from dslc.language.diagnostics import UsageError
from dslc.plan import Kept, MemoryMap

HUGE_PAGE = 2 << 20
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0)
"""Address space for gradients that may never be requested is not to count as memory, if Python knows the flag."""


def physical_memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Arena:
    """Anonymous memory, initially zero, in huge pages where the system has them; a forked process gets a copy.

    `bytes` is the size in use. The gradients that training never stores come after it: their addresses are reserved
    from the start, so that nothing ever moves, but they take no memory before `add_gradients`.

    Raises:
        UsageError: the machine has too little memory.
    """

    def __init__(self, memory: MemoryMap, training: bool) -> None:
        self.itemsize = memory.itemsize
        whole = memory.arena_bytes(training, training)
        self.bytes = _affordable(memory.arena_bytes(training))
        try:
            self._map = mmap.mmap(-1, whole, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
        except (OSError, ValueError, OverflowError):
            raise UsageError(f"this network needs {whole:,} bytes of memory, and allocating them failed") from None
        self._prefer_huge_pages()
        dtype = np.float32 if self.itemsize == 4 else np.float64
        self._addressed: np.ndarray[Any, Any] = np.frombuffer(self._map, dtype, whole // self.itemsize)

    @property
    def numbers(self) -> np.ndarray[Any, Any]:
        """All numbers in use, a flat array."""
        return self._addressed[: self.bytes // self.itemsize]

    def add_gradients(self) -> None:
        """Starts using the memory of the gradients that only `gradients()` stores.

        Raises:
            UsageError: the machine has too little memory.
        """
        whole = self._addressed.nbytes
        if self.bytes < whole:
            self.bytes = _affordable(whole)
            self._prefer_huge_pages()

    def view(self, place: Kept) -> np.ndarray[Any, Any]:
        """The numbers there in the order in which they are stored, a flat array."""
        return self._addressed[place.offset : place.offset + place.layout.elements]

    def _prefer_huge_pages(self) -> None:
        """Only for the memory in use: a huge page must not reach far past its end."""
        if hasattr(mmap, "MADV_HUGEPAGE") and self.bytes >= HUGE_PAGE:
            self._map.madvise(mmap.MADV_HUGEPAGE, 0, self.bytes)


def _affordable(wanted: int) -> int:
    if wanted > physical_memory():
        raise UsageError(
            f"this network needs {wanted:,} bytes of memory and the machine has only {physical_memory():,}: "
            "use a smaller batch"
        )
    return wanted
