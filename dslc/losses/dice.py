"""dice: how little the predicted and the true region of an image overlap (Milletari et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.language.arguments import Positive
from dslc.losses import Loss, LossSite
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class DiceDetail:
    """Each of `channels` is a map of `pixels`; `smooth` is added above and below."""

    weight: float
    smooth: float
    pixels: int
    channels: int


@dataclass(frozen=True)
class Dice(Loss):
    """The mean over mini-batch and channels of 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth), with sums over
    the pixels of an image or the units of a vector, computed from the logits under the sigmoid.

    A NaN target is missing: it is left out of the sums, and a channel of an example without any target is not counted.
    """

    smooth: Positive = 1.0
    weight: Positive = 1.0

    through = "sigmoid"
    metrics = ("accuracy",)
    binary = True

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """With N = 2 sum(p t) + smooth and D = sum(p) + sum(t) + smooth: the mean of 1 - N / D over the channels that
        have a target, and (N / D^2 - 2 t / D) p (1 - p) / count."""
        pixels, channels = _maps(z.shape[1:])
        there = ~np.isnan(target).reshape(-1, pixels, channels)
        t = np.where(there, target.reshape(there.shape), 0)
        p = np.where(there, np.exp(-np.logaddexp(0, -z.reshape(there.shape))), 0)
        above, below = 2 * (p * t).sum(axis=1) + self.smooth, (p + t).sum(axis=1) + self.smooth
        each = np.where(there.any(axis=1), 1.0 if weights is None else weights[:, None], 0)
        share = self.weight * each / (each.sum() or 1)
        rising = (above / below**2)[:, None] - 2 * t / below[:, None]
        slopes = np.where(there, share[:, None] * rising * p * (1 - p), 0)
        return (share * (1 - above / below)).sum(), slopes.reshape(z.shape)

    def lower(self, site: LossSite) -> None:
        """Counts the channels that have a target, then one `dice` for value and gradient."""
        detail = DiceDetail(self.weight, self.smooth, *_maps(site.z.shape))
        site.op("count_maps", "count", (site.target, site.sample_weights), (site.count,), detail)
        needed = () if site.dz is None else (site.count,)
        site.op("dice", "loss", (site.z, site.target, site.sample_weights, *needed), site.results, detail)


def _maps(shape: Shape) -> tuple[int, int]:
    """Pixels and channels of an image; a vector is one map of all its units."""
    return (prod(shape[:-1]), shape[-1]) if len(shape) > 1 else (shape[0], 1)
