"""pixel_cross_entropy: cross-entropy of a class at each pixel, for segmentation, with pixels that do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from dslc.language.arguments import BALANCED, ClassWeights, Positive, Whole
from dslc.losses import Loss, LossSite, shares
from dslc.numerics import Array, np
from dslc.registry import name_of
from dslc.shape import Shape, SizeProblem

Label = Annotated[int, Whole(-(2**31), 2**31 - 1)]


@dataclass(frozen=True)
class PixelCrossEntropyDetail:
    """The loss of a pixel is -log p of its class times the weight of the class, if there are `class_weights`."""

    weight: float
    classes: int
    class_weights: tuple[float, ...]


@dataclass(frozen=True)
class PixelCrossEntropy(Loss):
    """The mean over all pixels of the mini-batch that have a label, computed from the logits under a softmax over the
    channels; a vector is one pixel. The label `ignore` and NaN are missing labels, as the ignore_index of PyTorch's
    CrossEntropyLoss. With class weights the sum is still divided by the number of labels.
    """

    ignore: Label = 255
    weight: Positive = 1.0
    class_weights: ClassWeights = ()

    through = "softmax"
    metrics = ("accuracy",)
    pixels = True
    place: ClassVar[str] = "pixel"
    """What has a class."""

    @property
    def numbers(self) -> bool:
        """Class numbers have no unit."""
        return False

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem for a single channel and for class weights that do not fit."""
        if shape[-1] < 2:
            raise SizeProblem(
                f"{name_of(self)} needs at least two classes, but this output has one channel",
                notes=("help: for yes or no: end with sigmoid, with loss binary_cross_entropy or dice",),
            )
        if self.class_weights == BALANCED:
            raise SizeProblem(
                f"class_weights=balanced counts examples, and here each {self.place} has a class",
                notes=("help: give a number for each class, such as class_weights=(1, 5)",),
            )
        if self.class_weights and len(self.class_weights) != shape[-1]:
            raise SizeProblem(f"class_weights has {len(self.class_weights)} numbers, but there are {shape[-1]} classes")

    def target_shape(self, shape: Shape) -> Shape:
        """A class number for each pixel, as a real number: NaN is a missing one."""
        return shape[:-1]

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """-sum(w log p of the class) / count and w (p - onehot) / count over the labels that are present."""
        there, share = shares(target, weights)
        label = np.where(there, target, 0).astype(int)
        shifted = z - z.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        share = self.weight * share * (np.asarray(self.class_weights)[label] if self.class_weights else 1)
        onehot = np.eye(z.shape[-1])[label]
        return -(share[..., None] * onehot * log_p).sum(), share[..., None] * (np.exp(log_p) - onehot)

    def lower(self, site: LossSite) -> None:
        """Counts the labels that are present, then one `pixel_cross_entropy`: softmax, loss and gradient together."""
        assert not isinstance(self.class_weights, str)
        detail = PixelCrossEntropyDetail(self.weight, site.z.shape[-1], self.class_weights)
        site.op("count_present", "count", (site.target, site.sample_weights), (site.count,), detail)
        needed = () if site.dz is None else (site.count,)
        reads = (site.z, site.target, site.sample_weights, *needed)
        site.op("pixel_cross_entropy", "loss", reads, site.results, detail)
