"""What a layer sees when it is lowered: its tensors, and a place to put operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dslc.graph import Operation, Tensor
from dslc.ir import Node, Shape

CHUNKS = 16
"""Long sums go through this many parts, whatever the number of threads: the bits stay the same."""
MOST_CHANNELS = 4096
"""With more channels than this the channels themselves are shared out."""


@dataclass
class Site:
    """One node being lowered in one step.

    `training`: it learns or draws in this step; False at prediction, and always for a layer that is frozen.
    `dy` and `dx` are there in the backward phase only; an entry of `dx` is None where nothing upstream learns,
    and `gradient(role)` is None for a parameter that does not learn: then that operation is left out.
    """

    node: Node
    index: int
    training: bool
    x: tuple[Tensor, ...]
    y: Tensor
    emit: Callable[[Operation], None]
    parameter_tensor: Callable[[str], Tensor]
    gradient_tensor: Callable[[str], Tensor]
    saved: dict[str, Tensor]
    dy: Tensor | None = None
    dx: tuple[Tensor | None, ...] = field(default=())

    def parameter(self, role: str) -> Tensor | None:
        found = self.node.parameter(role)
        return None if found is None else self.parameter_tensor(found.name)

    def gradient(self, role: str) -> Tensor | None:
        found = self.node.parameter(role)
        return self.gradient_tensor(found.name) if found is not None and found.learns else None

    def save(self, what: str, shape: Shape, batched: bool = False) -> Tensor:
        """A tensor that the forward phase keeps for the backward phase."""
        self.saved[what] = Tensor(f"{self.node.name}_{what}", shape, batched=batched)
        return self.saved[what]

    def chunks(self, what: str, shape: Shape) -> Tensor | None:
        """Room for sums over all pixels of `y`, of this shape and in so many chunks. None where threads better share
        the channels: in vectors, which have one pixel."""
        channels = self.y.shape[-1]
        if self.y.elements == channels or channels > MOST_CHANNELS:
            return None
        return self.save(what, (CHUNKS, *shape))

    def op(
        self,
        kind: str,
        job: str,
        reads: tuple[Tensor | None, ...],
        writes: tuple[Tensor, ...],
        detail: object = None,
        multiply_adds: int = 0,
    ) -> None:
        """Puts one operation, named `<layer>_<job>`; a read of None (no bias) is left out."""
        present = tuple(t for t in reads if t is not None)
        name = f"{self.node.name}_{job}"
        span = self.node.span
        comment = span.source.line(span.line).strip()
        self.emit(Operation(kind, name, present, writes, detail, comment, span.line, multiply_adds))
