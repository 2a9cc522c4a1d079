"""Compares the compiled C of a quantized network with its arithmetic in NumPy: the same bits, or it is wrong; and that
with the network in float, which it is close to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslc.numerics import Array, np

if TYPE_CHECKING:
    from dslc.runtime.quantized import QuantizedModel


FAR = 10.0
"""Decibels: below, the integers say something else than the network in float."""


@dataclass(frozen=True)
class Bits:
    """Of a head: its bytes, how many differ, and by how much at most; and the signal-to-noise ratio of the integers
    against the network in float, in decibels, None where that is not known."""

    head: str
    count: int
    differing: int
    largest: int
    signal: float | None

    @property
    def is_far(self) -> bool:
        """Whether the integers say something else than the network in float."""
        return self.signal is not None and self.signal < FAR


def verify_quantized(model: QuantizedModel, count: int, seed: int = 0) -> list[Bits]:
    """Compares the bytes of every head, for inputs whose bytes are drawn by the seed; with what is known of how far
    they are from the network in float."""
    inputs = random_inputs(model, count, np.random.default_rng(seed))
    endings, known, rows = model.program.endings, model.signals, []
    signals: Sequence[float | None] = [None] * len(endings) if known is None else known
    for ending, c, numpy, signal in zip(endings, model.integers(inputs), model.reference(inputs), signals, strict=True):
        off = np.abs(c.astype(np.int64) - numpy)
        rows.append(Bits(ending.head, c.size, int((off > 0).sum()), int(off.max()), signal))
    return rows


def random_inputs(model: QuantizedModel, count: int, rng: np.random.Generator) -> list[Array]:
    """Inputs in float32 whose bytes are alike likely."""
    ports = {port.name: port for port in model.program.ports}
    found = []
    for value in model.network.inputs:
        port = ports[value.name]
        high = model.program.tensor(port.tensor).encoding.high
        q = rng.integers(0, high + 1, (count, *value.shape))
        found.append(((q + 0.5 - port.offset) / port.gain).astype(np.float32))
    return found
