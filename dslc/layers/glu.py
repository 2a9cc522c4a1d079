"""glu: the gated linear unit (Dauphin et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class Glu(Layer):
    """a * sigmoid(b), where a is the first half of the channels and b the second; of a vector, of its numbers (Dauphin
    et al. 2016)."""

    suits = "xavier"
    examples = (Example("glu", ((14,),)), Example("glu", ((3, 5, 2),)), Example("glu", ((3, 2, 34),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """Half of the channels. Raises SizeProblem if their number is odd."""
        *pixels, channels = inputs[0]
        if channels % 2:
            what = "channels" if pixels else "numbers"
            raise SizeProblem(
                f"glu needs two halves, and {channels} {what} have none",
                notes=("help: their number must be even: one half is multiplied by the sigmoid of the other",),
            )
        return (*pixels, channels // 2)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = a * s with s = 1 / (1 + e^-b) and a, b = the halves of x on the last axis; da = dy * s, db = dy * a * s *
        (1 - s). e^-|b| does not overflow."""
        a, b = np.split(xs[0], 2, axis=-1)
        small = np.exp(-np.abs(b))
        s, slope = np.where(b < 0, small, 1) / (1 + small), small / (1 + small) ** 2
        return Reference(a * s, lambda dy: ((np.concatenate([dy * s, dy * a * slope], axis=-1),), {}))

    def forward(self, site: Site) -> None:
        """One `glu`."""
        site.op("glu", "forward", site.x, (site.y,))

    def backward(self, site: Site) -> None:
        """One `glu_gradient` from dy and x."""
        if (dx := site.dx[0]) is not None:
            site.op("glu_gradient", "backward", (site.dy, site.x[0]), (dx,))
