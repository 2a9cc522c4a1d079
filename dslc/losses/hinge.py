"""hinge: how much the right class's output lacks of being 1 above all others (Crammer and Singer 2001)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import ClassWeights, Positive
from dslc.losses import ClassLoss, LossDetail, LossSite
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Hinge(ClassLoss):
    """The mean over the mini-batch of max(0, 1 + max of z_j over the wrong classes j - z_right), as scikit-learn's.

    The slope at the margin is 0; of wrong classes that are equally high, the first one is pushed down.
    """

    weight: Positive = 1.0
    class_weights: ClassWeights = ()

    scores = True
    instead = "dense(1) with loss binary_hinge"

    def reference(self, z: Array, target: Array) -> tuple[float, Array]:
        count, everyone = len(z), np.arange(len(z))
        others = z.copy()
        others[everyone, target] = -np.inf
        rival = others.argmax(axis=1)
        short = 1 + z[everyone, rival] - z[everyone, target]
        pushed = self.weight / count * self.of_examples(target) * (short > 0)
        slope = np.zeros_like(z)
        slope[everyone, rival], slope[everyone, target] = pushed, -pushed
        losses = np.where(short < 0, 0, short)
        return self.weight * (self.of_examples(target) * losses).sum() / count, slope

    def judge(self, site: LossSite) -> None:
        site.op("hinge", "loss", (site.z, site.target), site.results, LossDetail(self.weight))
