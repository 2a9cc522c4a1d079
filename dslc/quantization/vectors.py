"""The vectors that integers are multiplied in: what a kind of CPU has, and how large a register tile is there."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.target import Target


@dataclass(frozen=True)
class Vectors:
    """`kind` is the template of their instructions, empty for plain C. `widths`: how many sums of 32 bits a vector
    holds, the widest first. `together`: products that one instruction adds to a sum. `windows` and `blocks`: the most
    rows of a register tile, and its vectors in a row. `depthwise`: widths for convolutions of each channel alone."""

    kind: str
    widths: tuple[int, ...]
    together: int
    windows: int
    blocks: int
    depthwise: tuple[int, ...] = ()

    @property
    def are_there(self) -> bool:
        """Whether there are any."""
        return bool(self.kind)

    def width(self, filters: int) -> int:
        """The widest vectors that so many filters fill; the narrowest where they fill none."""
        return next((width for width in self.widths if width <= filters), self.widths[-1])


PLAIN = Vectors("", (1,), 1, 1, 1)
AVX512 = Vectors("avx", (16, 8), 4, 12, 2, (16, 8, 4))
AVX2 = Vectors("avx", (8,), 4, 4, 2, (8, 4))
NEON = Vectors("neon", (4,), 4, 6, 4)
WASM = Vectors("wasm", (4,), 2, 4, 2)


def vectors_of(target: Target) -> Vectors:
    """What a target has: AVX2 or AVX-512, the dot product of Arm, WebAssembly's vectors, or nothing."""
    if target.machine == "x86_64" and target.vector_bytes >= 32:
        return AVX512 if target.vector_bytes == 64 else AVX2
    if target.machine == "aarch64" and target.multiplies_bytes:
        return NEON
    return WASM if target.machine == "wasm32" and target.vector_bytes else PLAIN
