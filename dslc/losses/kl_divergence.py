"""kl_divergence: how far the predicted probabilities are from those of the target (Kullback and Leibler 1951)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Positive
from dslc.losses import ClassLoss, LossSite
from dslc.losses.cross_entropy import CrossEntropyDetail
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class KlDivergence(ClassLoss):
    """The mean over the mini-batch of sum_j t_j log(t_j / p_j), computed from the logits under the softmax, as
    PyTorch's KLDivLoss with reduction="batchmean". Targets are probabilities (n, classes); one of 0 adds nothing.

    It is the cross-entropy without the entropy of the target, with the same gradient: 0 is the best value.
    """

    weight: Positive = 1.0

    through = "softmax"
    instead = "dense(1) -> sigmoid with loss binary_cross_entropy"
    class_weights = ()

    @property
    def numbered(self) -> bool:
        """Targets are probabilities."""
        return False

    def target_shape(self, shape: Shape) -> Shape:
        """A probability for each class."""
        return shape

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """With p = softmax(z): sum(t * (log t - log p)) / n and (p * sum(t) - t) / n."""
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        log_t = np.log(np.where(target > 0, target, 1))
        share = self.weight * self.of_examples(target, weights)[:, None]
        slopes = np.exp(log_p) * target.sum(axis=1, keepdims=True) - target
        return (share * target * (log_t - log_p)).sum(), share * slopes

    def lower_loss_and_gradient(self, site: LossSite) -> None:
        """One `soft_cross_entropy`, less the entropy."""
        detail = CrossEntropyDetail(self.weight, site.z.shape[0], 0.0, divergence=True)
        site.op("soft_cross_entropy", "loss", (site.z, site.target, site.sample_weights), site.results, detail)
