"""standardize: input normalization (notes: 'Normalizing inputs')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape

PORTION = 4096
"""Examples that are read at a time while the statistics are computed."""


@dataclass(frozen=True)
class StandardizeDetail:
    """`pixels` is rows x columns (1 for vectors)."""

    channels: int
    pixels: int


@dataclass(frozen=True)
class Standardize(Layer):
    """(x - mean) / std for each feature or channel, with mean and standard deviation of the training set."""

    first = True
    examples = (
        Example("standardize", ((6,),)),
        Example("standardize", ((4, 5, 3),)),
        Example("standardize", ((4099,),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """mean and std, one number for each feature or channel; `fit` sets them and no step changes them."""
        shape = (inputs[0][-1],)
        return (Weights("mean", shape, "zeros", trained=False), Weights("std", shape, "ones", trained=False))

    def fitted(self, x: Array, weights: Array | None = None) -> dict[str, Array]:
        """Mean and biased standard deviation over all axes of x (n, *input) but the last, in one pass that merges
        portions as in Chan, Golub and LeVeque (1983). A constant feature gets the deviation 1, so that it becomes
        zero. weights: what each example counts (n,); one that weighs 0 is not looked at."""
        channels = x.shape[-1]
        count, mean, squares = 0.0, np.zeros(channels), np.zeros(channels)
        low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
        for start in range(0, len(x), PORTION):
            part, each, weight = _portion(x[start : start + PORTION], weights, start)
            if not weight:
                continue
            low, high = np.minimum(low, part.min(axis=0)), np.maximum(high, part.max(axis=0))
            center = np.average(part, axis=0, weights=each)
            away, total = center - mean, count + weight
            off = (part - center) ** 2
            squares += (off if each is None else each[:, None] * off).sum(axis=0) + away**2 * (count * weight / total)
            mean, count = mean + away * (weight / total), total
        constant = low == high
        return {"mean": np.where(constant, low, mean), "std": np.where(constant, 1.0, np.sqrt(squares / count))}

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = (x - mean) / std; dx = dy / std (notes: 'Normalizing inputs')."""
        return Reference((xs[0] - p["mean"]) / p["std"], lambda dy: ((dy / p["std"],), {}))

    def forward(self, site: Site) -> None:
        """One `standardize`, in training and at prediction."""
        channels = site.y.shape[-1]
        detail = StandardizeDetail(channels, site.y.elements // channels)
        site.op("standardize", "forward", (*site.x, site.parameter("mean"), site.parameter("std")), (site.y,), detail)

    def backward(self, site: Site) -> None:
        """Emits nothing: only the input comes before it."""


def _portion(x: Array, weights: Array | None, start: int) -> tuple[Array, Array | None, float]:
    """The pixels (pixels, channels) of the examples that count, what each of them weighs (None: one), and their sum."""
    channels = x.shape[-1]
    if weights is None:
        part = x.reshape(-1, channels).astype(np.float64)
        return part, None, float(len(part))
    each = weights[start : start + len(x)].astype(np.float64)
    part = x[each > 0].reshape(-1, channels).astype(np.float64)
    of_pixels = np.repeat(each[each > 0], x[0].size // channels)
    return part, of_pixels, float(of_pixels.sum())
