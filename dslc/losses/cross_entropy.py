"""cross_entropy: -log of the probability of the right class (notes: 'Softmax regression', 'Loss function')."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import ClassWeights, Flag, Fraction, Positive
from dslc.losses import ClassLoss, LossSite
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class CrossEntropyDetail:
    """The loss of one example is -sum_j q_j log p_j with q = (1 - smoothing) * onehot + smoothing / classes; as a
    divergence, with sum_j q_j log q_j added."""

    weight: float
    classes: int
    smoothing: float
    divergence: bool = False


@dataclass(frozen=True)
class CrossEntropy(ClassLoss):
    """The mean over the mini-batch, computed from the logits under the softmax.

    label_smoothing moves that share of the target evenly to all classes (Szegedy et al. 2015); an example still has the
    weight of its own class. With soft_labels targets are probabilities (n, classes) in place of class numbers.
    """

    label_smoothing: Fraction = 0.0
    weight: Positive = 1.0
    class_weights: ClassWeights = ()
    soft_labels: Flag = False

    through = "softmax"
    instead = "dense(1) -> sigmoid with loss binary_cross_entropy"

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem as for class numbers, and for class weights of soft labels, which have no one class."""
        super().check(shape)
        if self.soft_labels and self.class_weights:
            raise SizeProblem("class_weights weigh class numbers, and with soft_labels=on targets are probabilities")

    def target_shape(self, shape: Shape) -> Shape:
        """() for a class number, (classes,) for soft labels."""
        return shape if self.soft_labels else ()

    @property
    def numbered(self) -> bool:
        """Not with soft labels."""
        return not self.soft_labels

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """With p = softmax(z) and q the smoothed target: -sum(w * q * log p) / n and w * (p * sum(q) - q) / n, where w
        is the weight of the example's class (notes: 'Softmax regression'); the sum of q is 1."""
        classes = z.shape[1]
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        label = target if self.soft_labels else np.eye(classes)[target]
        q = (1 - self.label_smoothing) * label + self.label_smoothing / classes
        share = self.weight * self.of_examples(target, weights)[:, None]
        return -(share * q * log_p).sum(), share * (np.exp(log_p) * q.sum(axis=1, keepdims=True) - q)

    def lower_loss_and_gradient(self, site: LossSite) -> None:
        """One `cross_entropy`, or `soft_cross_entropy`, which computes softmax, loss and gradient together."""
        detail = CrossEntropyDetail(self.weight, site.z.shape[0], self.label_smoothing)
        kind = "soft_cross_entropy" if self.soft_labels else "cross_entropy"
        site.op(kind, "loss", (site.z, site.target, site.sample_weights), site.results, detail)
