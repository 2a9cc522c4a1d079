"""step_cross_entropy: cross-entropy of a class at each step of a sequence, such as the next word."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import ClassWeights, Positive
from dslc.losses.pixel_cross_entropy import Label, PixelCrossEntropy


@dataclass(frozen=True)
class StepCrossEntropy(PixelCrossEntropy):
    """The mean over all steps of the mini-batch that have a label, as `pixel_cross_entropy` over pixels. The label
    `ignore` is a missing one; its default is that of PyTorch's CrossEntropyLoss."""

    ignore: Label = -100
    weight: Positive = 1.0
    class_weights: ClassWeights = ()

    place = "step"
