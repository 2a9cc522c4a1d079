"""Notes about a network that is right but may not learn as its author expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dslc.ir import Node, Training
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.layers.batchnorm import BatchNorm

FEW = 2
"""Mean and variance of so many examples say little about the others."""


@record
class FewToNormalize(Diagnostic):
    """A note: `batch 2` around a batchnorm."""

    layer: str
    examples: int
    severity = "note"
    hints = ("help: a larger batch, or layernorm in its place, which looks at each example alone",)

    @property
    def title(self) -> str:
        """How few examples there are."""
        many = "a single example" if self.examples == 1 else f"only {self.examples} examples"
        return f"{self.layer} gets mean and variance from {many}, and its running averages too"


def cautions(nodes: Sequence[Node], training: Training | None) -> Iterator[Diagnostic]:
    """The notes about a network."""
    if training is None or training.batch is None or training.batch > FEW:
        return
    for node in nodes:
        if isinstance(node.layer, BatchNorm) and not node.frozen:
            yield FewToNormalize(node.span, node.name, training.batch)
