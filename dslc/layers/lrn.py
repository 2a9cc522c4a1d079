"""lrn: local response normalization (Krizhevsky, Sutskever and Hinton 2012, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.language.arguments import Count, Positive
from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, require_places


@dataclass(frozen=True)
class LrnDetail:
    """`pixels` is rows x columns; the others are the layer's arguments."""

    channels: int
    pixels: int
    size: int
    alpha: float
    beta: float
    k: float


@dataclass(frozen=True)
class Lrn(Layer):
    """y = x / s^beta, s = k + alpha * (sum of x^2 over the `size` nearest channels of the same pixel or step).

    As in the paper alpha multiplies the sum; PyTorch's LocalResponseNorm and Caffe's LRN multiply the mean: their alpha
    is this one times size.
    """

    size: Count = 5
    alpha: Positive = 1e-4
    beta: Positive = 0.75
    k: Positive = 2.0

    examples = (
        Example("lrn", ((3, 4, 7),)),
        Example("lrn(size=3, alpha=0.5, beta=0.6, k=1)", ((2, 3, 133),)),
        Example("lrn(7, alpha=0.3)", ((2, 2, 3),)),
        Example("lrn", ((5, 6),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for a vector and for an even `size`."""
        require_places(inputs[0], "lrn")
        if self.size % 2 == 0:
            raise SizeProblem(
                f"lrn needs an odd size, not {self.size}: it sums over as many channels before its own as after",
                notes=(f"help: size={self.size - 1} or size={self.size + 1}",),
                argument="size",
            )
        return inputs[0]

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * s^-beta with s = k + alpha * around(x^2), where `around` sums over the neighbouring channels.

        dx = dy * s^-beta - 2 * alpha * beta * x * around(dy * x * s^(-beta - 1)).
        """
        x = xs[0]
        s = self.k + self.alpha * self._around(x**2)

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            others = self._around(dy * x * s ** (-self.beta - 1))
            return (dy * s**-self.beta - 2 * self.alpha * self.beta * x * others,), {}

        return Reference(x * s**-self.beta, pull)

    def _around(self, x: Array) -> Array:
        """The sum over the neighbouring channels."""
        half = self.size // 2
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)])
        around: Array = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=-1).sum(axis=-1)
        return around

    def forward(self, site: Site) -> None:
        """One `lrn`; in training it also stores s."""
        kept = (site.save("sums", site.y.shape, batched=True),) if site.training else ()
        site.op("lrn", "forward", site.x, (site.y, *kept), self._detail(site))

    def backward(self, site: Site) -> None:
        """One `lrn_gradient` from dy, x and the stored s."""
        if (dx := site.dx[0]) is not None:
            reads = (site.dy, site.x[0], site.saved["sums"])
            site.op("lrn_gradient", "backward", reads, (dx,), self._detail(site))

    def _detail(self, site: Site) -> LrnDetail:
        channels = site.y.shape[-1]
        return LrnDetail(channels, site.y.elements // channels, self.size, self.alpha, self.beta, self.k)
