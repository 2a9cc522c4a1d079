"""cross_entropy: -log of the probability of the right class (notes: 'Softmax regression', 'Loss function')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import ClassWeights, Fraction, Positive
from dslc.losses import ClassLoss, LossSite
from dslc.numerics import Array, np


@dataclass(frozen=True)
class CrossEntropyDetail:
    """The loss of one example is -sum_j q_j log p_j with q = (1 - smoothing) * onehot + smoothing / classes."""

    weight: float
    classes: int
    smoothing: float


@dataclass(frozen=True)
class CrossEntropy(ClassLoss):
    """The mean over the mini-batch, computed from the logits under the softmax.

    label_smoothing moves that share of the target evenly to all classes (Szegedy et al. 2015); an example still has the
    weight of its own class.
    """

    label_smoothing: Fraction = 0.0
    weight: Positive = 1.0
    class_weights: ClassWeights = ()

    through = "softmax"
    instead = "dense(1) -> sigmoid with loss binary_cross_entropy"

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """With p = softmax(z) and q the smoothed target: -sum(w * q * log p) / n and w * (p - q) / n, where w is the
        weight of the example's class (notes: 'Softmax regression')."""
        count, classes = z.shape
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        q = np.full_like(z, self.label_smoothing / classes)
        q[np.arange(count), target] += 1 - self.label_smoothing
        share = self.weight * self.of_examples(target, weights)[:, None]
        return -(share * q * log_p).sum(), share * (np.exp(log_p) - q)

    def lower_loss_and_gradient(self, site: LossSite) -> None:
        """One `cross_entropy`, which computes softmax, loss and gradient together."""
        detail = CrossEntropyDetail(self.weight, site.z.shape[0], self.label_smoothing)
        site.op("cross_entropy", "loss", (site.z, site.target, site.sample_weights), site.results, detail)
