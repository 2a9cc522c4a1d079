"""groupnorm and instancenorm: mean and variance of a group of channels, of each example alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Layer, Mode, Reference, Weights
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class GroupNormDetail:
    """`groups` of the channels that follow each other; `affine`: gamma and beta are read."""

    groups: int
    eps: float
    affine: bool


class GroupNormalization(Layer):
    """gamma * (x - mean) / sqrt(var + eps) + beta with the mean and the biased variance of all pixels of a group of
    channels, of each example alone. A subclass has the fields `eps` and `affine`, and says how many groups there
    are."""

    eps: float
    affine: bool

    def groups_of(self, shape: Shape) -> int:
        """The number of groups for an input of this shape."""
        raise NotImplementedError

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """gamma and beta (channels,); none with affine=off."""
        channels = inputs[0][-1:]
        return (Weights("gamma", channels, "ones"), Weights("beta", channels, "zeros")) if self.affine else ()

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """x_hat = (x - mean) / sqrt(var + eps), both over the pixels and the channels of a group; y = gamma * x_hat +
        beta (Wu and He 2018).

        With g = dy * gamma and means over the same numbers: dx = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(var +
        eps); dgamma sums dy * x_hat, and dbeta dy, over examples and pixels.
        """
        shape = xs[0].shape
        apart = (shape[0], -1, self.groups_of(shape[1:]), shape[-1] // self.groups_of(shape[1:]))
        gamma, beta = p.get("gamma", np.ones(())), p.get("beta", np.zeros(()))

        def mean(values: Array) -> Array:
            means: Array = values.mean(axis=(1, 3), keepdims=True)
            return means

        x = xs[0].reshape(apart)
        deviation = np.sqrt(mean((x - mean(x)) ** 2) + self.eps)
        normal = (x - mean(x)) / deviation
        flat = normal.reshape(shape)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            slope, axes = (dy * gamma).reshape(apart), tuple(range(dy.ndim - 1))
            dx = (slope - mean(slope) - normal * mean(slope * normal)) / deviation
            sums = {"gamma": (dy * flat).sum(axis=axes), "beta": dy.sum(axis=axes)}
            return (dx.reshape(shape),), sums if self.affine else {}

        return Reference(gamma * flat + beta, pull)

    def forward(self, site: Site) -> None:
        """One `groupnorm`, which keeps mean and 1 / sqrt(var + eps) for every channel of each example."""
        moments = site.save("moments", (2, site.y.shape[-1]), batched=True)
        reads = (*site.x, site.parameter("gamma"), site.parameter("beta"))
        site.op("groupnorm", "forward", reads, (site.y, moments), self._detail(site))

    def backward(self, site: Site) -> None:
        """`groupnorm_sums` sums over each example; dgamma and dbeta add these up by `channel_sum`, and dx is computed
        from them by `groupnorm_gradient`."""
        channels, gamma = site.y.shape[-1:], site.parameter("gamma")
        reads = (site.dy, site.x[0], site.saved["moments"])
        slopes = site.save("slopes", (2, *channels), batched=True)
        parts = tuple(site.save(what, channels, batched=True) for what in ("gamma_parts", "beta_parts") if self.affine)
        site.op("groupnorm_sums", "backward_sums", (*reads, gamma), (slopes, *parts), self._detail(site))
        for part, role in zip(parts, ("gamma", "beta"), strict=False):
            if (total := site.gradient(role)) is not None:
                site.op("channel_sum", f"backward_{role}", (part,), (total,))
        if (dx := site.dx[0]) is not None:
            site.op("groupnorm_gradient", "backward_input", (*reads, slopes, gamma), (dx,), self._detail(site))

    def _detail(self, site: Site) -> GroupNormDetail:
        return GroupNormDetail(self.groups_of(site.y.shape), self.eps, self.affine)
