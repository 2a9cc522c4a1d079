"""cross_entropy: -log of the probability of the right class (notes: 'Softmax regression', 'Loss function')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.arguments import Fraction, Positive
from dslc.geometry import SizeProblem
from dslc.ir import Shape
from dslc.losses import Loss, LossSite, require_vector
from dslc.numerics import Array, np


@dataclass(frozen=True)
class CrossEntropyDetail:
    """Loss of one example: -sum_j q_j log p_j with q = (1 - smoothing) * onehot + smoothing / classes."""

    weight: float
    classes: int
    smoothing: float


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The mean over the mini-batch, computed from the logits under the softmax.

    label_smoothing moves that share of the target evenly onto all classes (Szegedy et al. 2015).
    """

    label_smoothing: Fraction = 0.0
    weight: Positive = 1.0

    through = "softmax"
    classes = True
    metrics = ("accuracy",)

    def check(self, shape: Shape) -> None:
        require_vector(shape, "cross_entropy")
        if shape[0] < 2:
            raise SizeProblem(
                "cross_entropy needs at least two classes, and this output has one",
                notes=("help: for yes or no: dense(1) -> sigmoid with loss binary_cross_entropy",),
            )

    def reference(self, z: Array, target: Array) -> tuple[float, Array]:
        count, classes = z.shape
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        q = np.full_like(z, self.label_smoothing / classes)
        q[np.arange(count), target] += 1 - self.label_smoothing
        return -self.weight * (q * log_p).sum() / count, self.weight * (np.exp(log_p) - q) / count

    def lower(self, site: LossSite) -> None:
        detail = CrossEntropyDetail(self.weight, site.z.shape[0], self.label_smoothing)
        site.op("count_examples", "count", (), (site.count,), detail)
        site.op("cross_entropy", "loss", (site.z, site.target), site.results, detail)
