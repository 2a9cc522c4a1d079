"""What `standardize_target on` puts behind a head of numbers: y = x * std + mean, back in the unit of the targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Layer, Mode, Reference, Weights
from dslc.layers.standardize import StandardizeDetail
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class TargetUnit(Layer):
    """y = x * std + mean for each feature or channel, with mean and standard deviation of the training set's targets.
    It stands at the end of a head; the loss compares x with (target - mean) / std."""

    of_target = True

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input."""
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """mean and std, one number for each feature or channel; `fit` sets them and no step changes them."""
        shape = (inputs[0][-1],)
        return (Weights("mean", shape, "zeros", trained=False), Weights("std", shape, "ones", trained=False))

    def fitted(self, x: Array, weights: Array | None = None) -> dict[str, Array]:
        """Mean and biased standard deviation of targets x (n, *output), in double precision, over all axes but the
        last and those that are not missing (NaN). One that is constant, or always missing, gets the deviation 1.
        weights: what each example counts (n,)."""
        t = x.reshape(-1, x.shape[-1]).astype(np.float64)
        each = np.ones(len(x)) if weights is None else weights.astype(np.float64)
        counts = np.where(np.isnan(t), 0, np.repeat(each, len(t) // len(x))[:, None])
        total = np.maximum(counts.sum(axis=0), np.finfo(np.float64).tiny)
        counted = np.where(counts > 0, t, 0)
        mean = (counts * counted).sum(axis=0) / total
        std = np.sqrt((counts * (counted - mean) ** 2).sum(axis=0) / total)
        low, high = (f(np.where(counts > 0, t, end), axis=0) for f, end in ((np.min, np.inf), (np.max, -np.inf)))
        return {"mean": np.where(low == high, low, mean), "std": np.where((low < high) & (std > 0), std, 1.0)}

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * std + mean; dx = dy * std."""
        return Reference(xs[0] * p["std"] + p["mean"], lambda dy: ((dy * p["std"],), {}))

    def forward(self, site: Site) -> None:
        """One `unstandardize`; the loss does not read it."""
        channels = site.y.shape[-1]
        detail = StandardizeDetail(channels, site.y.elements // channels)
        site.op("unstandardize", "forward", (*site.x, site.parameter("mean"), site.parameter("std")), (site.y,), detail)

    def backward(self, site: Site) -> None:
        """Emits nothing: the gradient of the loss is that of x, and nothing follows."""
