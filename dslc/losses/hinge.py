"""hinge: how far the output of the right class is from being 1 above all others (Crammer and Singer 2001)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import ClassWeights, Positive
from dslc.losses import ClassLoss, LossDetail, LossSite
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Hinge(ClassLoss):
    """The mean over the mini-batch of max(0, 1 + max of z_j over the wrong classes j - z_right), as in scikit-learn.

    The slope at the margin is 0; of wrong classes with the same output, the first is pushed down.
    """

    weight: Positive = 1.0
    class_weights: ClassWeights = ()

    scores = True
    instead = "dense(1) with loss binary_hinge"

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """mean(w * max(0, 1 + z_rival - z_right)); within the margin the gradient is w / n for the rival, -w / n for
        the right class."""
        everyone, share = np.arange(len(z)), self.of_examples(target, weights)
        others = z.copy()
        others[everyone, target] = -np.inf
        rival = others.argmax(axis=1)
        short = 1 + z[everyone, rival] - z[everyone, target]
        pushed = self.weight * share * (short > 0)
        slope = np.zeros_like(z)
        slope[everyone, rival], slope[everyone, target] = pushed, -pushed
        losses = np.where(short < 0, 0, short)
        return self.weight * (share * losses).sum(), slope

    def lower_loss_and_gradient(self, site: LossSite) -> None:
        """One `hinge`."""
        site.op("hinge", "loss", (site.z, site.target, site.sample_weights), site.results, LossDetail(self.weight))
