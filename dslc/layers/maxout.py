"""maxout: the largest of a few channels (Goodfellow et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Whole
from dslc.layers import Example, Layer, Mode, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class MaxoutDetail:
    """Channels of the result, each the largest of so many `pieces`."""

    channels: int
    pieces: int


@dataclass(frozen=True)
class Maxout(Layer):
    """The largest of every `pieces` channels in a row; of a vector, of its numbers. Of equal ones the first gets the
    gradient (Goodfellow et al. 2013)."""

    pieces: Annotated[int, Whole(2)]

    suits = "he"
    smooth = False
    examples = (Example("maxout(2)", ((14,),)), Example("maxout(3)", ((3, 5, 6),)), Example("maxout(4)", ((2, 3, 68),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """1 / pieces of the channels. Raises SizeProblem if they cannot be divided so."""
        *pixels, channels = inputs[0]
        if channels % self.pieces:
            what = "channels" if pixels else "numbers"
            raise SizeProblem(f"{channels} {what} cannot be divided into {self.pieces}s", argument="pieces")
        return (*pixels, channels // self.pieces)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y[c] = max over j of x[c * pieces + j]; dy goes to the first x that is the largest."""
        pieces = xs[0].reshape(*xs[0].shape[:-1], -1, self.pieces)
        first = pieces.argmax(axis=-1)[..., None] == np.arange(self.pieces)
        return Reference(pieces.max(axis=-1), lambda dy: (((dy[..., None] * first).reshape(xs[0].shape),), {}))

    def forward(self, site: Site) -> None:
        """One `maxout`."""
        site.op("maxout", "forward", site.x, (site.y,), self._detail(site))

    def backward(self, site: Site) -> None:
        """One `maxout_gradient` from dy and x."""
        if (dx := site.dx[0]) is not None:
            site.op("maxout_gradient", "backward", (site.dy, site.x[0]), (dx,), self._detail(site))

    def _detail(self, site: Site) -> MaxoutDetail:
        return MaxoutDetail(site.y.shape[-1], self.pieces)
