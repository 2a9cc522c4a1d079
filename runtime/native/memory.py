"""The arena: the single block of memory that a compiled network works in."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from dslc import free_memory
from dslc.ir import Network
from dslc.language.diagnostics import UsageError
from dslc.plan import Kept, MemoryMap

HUGE_PAGE = 2 << 20
NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0)
"""Address space for gradients that may never be requested is not to count as memory, if Python knows the flag."""


def require_room(memory: MemoryMap, network: Network) -> None:
    """Refuses a network whose arena cannot fit, before it is compiled or anything is allocated.

    Raises:
        UsageError: the machine, a container or the limit of addresses leaves too little; it has the numbers.
    """
    training = network.training is not None
    parts = {"parameters": memory.bytes("parameters")}
    parts["activations"] = memory.bytes("activations" if training else "prediction")
    if training:
        parts["gradients and optimizer state"] = memory.bytes("gradients") + memory.bytes("state")
    listed = ", ".join(f"{name} {size:,}" for name, size in parts.items())
    needed, addresses = memory.arena_bytes(training), memory.arena_bytes(training, training)
    free_memory.require(needed, addresses, f"this network ({listed})", advice(network))


def require_room_to_fit(memory: MemoryMap, network: Network, begun: bool, best: int) -> None:
    """Refuses a training that cannot fit, before its first step.

    begun: steps were done already, so that the arena takes its whole memory. best: the bytes of the weights of the best
    epoch, which are kept.

    Raises:
        UsageError: there is too little memory.
    """
    arena = 0 if begun else memory.arena_bytes(True) - memory.bytes("parameters")
    parts = {"the network besides its parameters": arena, "the weights of the best epoch": best}
    listed = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    free_memory.require(arena + best, best, f"this training ({listed})", advice(network))


def advice(network: Network) -> str:
    """What to try where memory is lacking."""
    training = network.training
    if training is None:
        return "use fewer or smaller layers"
    smaller = "use a smaller batch"
    return smaller if training.memory is not None else f"{smaller}, or `memory low` in `train`"


class Arena:
    """Anonymous memory, initially zero, in huge pages where the system has them; a forked process gets a copy.

    `bytes` is the size in use. The gradients that training never stores come after it: their addresses are reserved
    from the start, so that nothing ever moves, but they take no memory before `add_gradients`.

    Raises:
        UsageError: it cannot be allocated.
    """

    def __init__(self, memory: MemoryMap, training: bool) -> None:
        self.itemsize = memory.itemsize
        whole = memory.arena_bytes(training, training)
        self.bytes = memory.arena_bytes(training)
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
            more = whole - self.bytes
            free_memory.require(more, 0, "the gradients that are asked for", "train without asking for them")
            self.bytes = whole
            self._prefer_huge_pages()

    def view(self, place: Kept) -> np.ndarray[Any, Any]:
        """The numbers there in the order in which they are stored, a flat array."""
        return self._addressed[place.offset : place.offset + place.layout.elements]

    def _prefer_huge_pages(self) -> None:
        """Only for the memory in use: a huge page must not reach far past its end."""
        if hasattr(mmap, "MADV_HUGEPAGE") and self.bytes >= HUGE_PAGE:
            self._map.madvise(mmap.MADV_HUGEPAGE, 0, self.bytes)
