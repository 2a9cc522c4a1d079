"""What a layer sees when it is lowered: its tensors, and where its operations go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dslc.lowering.details import CHUNKS
from dslc.operation import Operation, Tensor
from dslc.shape import Shape

MAX_CHANNELS = 4096
"""With more channels than this, threads share the channels and not the pixels."""


@dataclass
class Site:
    """One node being lowered in one step: its name, its line in the spec, and its tensors.

    `training`: the layer learns or draws in this step; False at prediction, and always for a frozen layer. `pulled`: a
    backward pass comes through the layer, frozen or not, so that it keeps what that needs.
    `parameters` and `gradients` are by role; a parameter that does not learn has no gradient, and its operation is left
    out. `dy` and `dx` exist in the backward pass only; an entry of `dx` is None if nothing before that input learns.
    `index` is the position of the node in the network, which random layers use as their stream. `over_ranks`: other
    ranks have the rest of the mini-batch. `numbers` are the layer's hyperparameters, as for `Operation`. `made` are the
    shapes of what all layers of this kind make with this weight.
    """

    name: str
    line: int
    comment: str
    index: int
    training: bool
    pulled: bool
    x: tuple[Tensor, ...]
    y: Tensor
    emit: Callable[[Operation], None]
    parameters: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    saved: dict[str, Tensor]
    dy: Tensor | None = None
    dx: tuple[Tensor | None, ...] = field(default=())
    over_ranks: bool = False
    numbers: tuple[tuple[str, str], ...] = ()
    made: frozenset[Shape] = frozenset()

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shape of one example of each input."""
        return tuple(tensor.shape for tensor in self.x)

    def parameter(self, role: str) -> Tensor | None:
        """The parameter of a role; None where the layer has none (a conv with bias=off)."""
        return self.parameters.get(role)

    def gradient(self, role: str) -> Tensor | None:
        """The gradient of a parameter; None if it does not learn."""
        return self.gradients.get(role)

    def save(self, what: str, shape: Shape, batched: bool = False) -> Tensor:
        """Declares a tensor that the forward pass keeps for the backward pass; `shape` is for one example if
        `batched`."""
        self.saved[what] = Tensor(f"{self.name}_{what}", shape, batched=batched)
        return self.saved[what]

    def chunks(self, what: str, shape: Shape) -> Tensor | None:
        """Memory for sums over all pixels of `y`, one array of this shape for each chunk. None if threads had better
        share the channels: for vectors, and for very many channels."""
        channels = self.y.shape[-1]
        if self.y.elements == channels or channels > MAX_CHANNELS:
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
        """Emits one operation, named `<layer>_<job>`; a read of None (no bias) is left out."""
        present = tuple(t for t in reads if t is not None)
        name = f"{self.name}_{job}"
        about = self.comment, self.line, multiply_adds
        self.emit(Operation(kind, name, present, writes, detail, *about, numbers=self.numbers))
