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


@record
class NormalizedInSlices(Diagnostic):
    """A note: `batch 256 in 8` around a batchnorm."""

    layer: str
    examples: int
    message = "{layer} gets mean and variance from each slice of {examples} examples, not from the whole mini-batch"
    severity = "note"


def cautions(nodes: Sequence[Node], training: Training | None) -> Iterator[Diagnostic]:
    """The notes about a network."""
    if training is None or training.slice is None:
        return
    for node in nodes:
        if not isinstance(node.layer, BatchNorm) or node.frozen:
            continue
        if training.slice <= FEW:
            yield FewToNormalize(node.span, node.name, training.slice)
        elif training.slices > 1:
            yield NormalizedInSlices(node.span, node.name, training.slice)
