"""Notes about a network that is right but may not learn as its author expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dslc.ir import Head, Node, Training
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.layers.batchnorm import BatchNorm
from dslc.layers.distance import Distance
from dslc.layers.log_softmax import LogSoftmax
from dslc.layers.softmax import Softmax
from dslc.losses.contrastive import Contrastive

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


@record
class NoDistance(Diagnostic):
    """A note: `loss contrastive` of what another layer than distance makes."""

    head: str
    layer: str
    message = "contrastive judges the distance of a pair, and '{head}' is what {layer} makes"
    severity = "note"
    hints = ("help: end with a distance: output near = distance(a, b)",)


@record
class ShareOfOne(Diagnostic):
    """A note: softmax over a single number: `dense(1) -> softmax`."""

    layer: str
    value: int
    message = "{layer} sees a single number, whose share is always {value}: nothing before it can learn from it"
    severity = "note"
    hints = ("help: sigmoid in its place makes a probability of one number",)


def cautions(nodes: Sequence[Node], heads: Sequence[Head], training: Training | None) -> Iterator[Diagnostic]:
    """The notes about a network."""
    makers = {node.output: node for node in nodes}
    for head in heads:
        maker = makers.get(head.value)
        if isinstance(head.loss, Contrastive) and maker is not None and not isinstance(maker.layer, Distance):
            yield NoDistance(maker.span, head.name, maker.name)
    for node in nodes:
        if isinstance(node.layer, (Softmax, LogSoftmax)) and node.input_shapes[0][-1] == 1:
            yield ShareOfOne(node.span, node.name, int(isinstance(node.layer, Softmax)))
    if training is None or training.slice is None:
        return
    for node in nodes:
        if not isinstance(node.layer, BatchNorm) or node.frozen:
            continue
        if training.slice <= FEW:
            yield FewToNormalize(node.span, node.name, training.slice)
        elif training.divided:
            yield NormalizedInSlices(node.span, node.name, training.slice)
