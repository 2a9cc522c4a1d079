"""Compares the compiled C of a quantized network with its arithmetic in NumPy: the same bits, or it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslc.numerics import Array, np

if TYPE_CHECKING:
    from dslc.runtime.quantized import QuantizedModel


@dataclass(frozen=True)
class Bits:
    """Of a head: its bytes, how many differ, and by how much at most."""

    head: str
    count: int
    differing: int
    largest: int


def verify_quantized(model: QuantizedModel, count: int, seed: int = 0) -> list[Bits]:
    """Compares the bytes of every head, for inputs whose bytes are drawn by the seed."""
    inputs = random_inputs(model, count, np.random.default_rng(seed))
    rows = []
    for ending, c, numpy in zip(model.program.endings, model.integers(inputs), model.reference(inputs), strict=True):
        off = np.abs(c.astype(np.int64) - numpy)
        rows.append(Bits(ending.head, c.size, int((off > 0).sum()), int(off.max())))
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
