"""dropout: inverted dropout (notes: 'Implementing dropout'; Srivastava et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Real
from dslc.layers import Example, Mode, Passing, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.philox import random_words
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class DropoutDetail:
    """An element is dropped if its random word is below `threshold` (a share of 2^32); the others are multiplied by
    `scale`."""

    threshold: int
    scale: float
    stream: int


@dataclass(frozen=True)
class Dropout(Passing):
    """In training drops each element with probability `rate` and divides the others by 1 - rate; does nothing at
    prediction. `keep` is another way to write 1 - rate. A rate of 0 is off."""

    rate: Annotated[float | None, Real(0, 1, open_high=True)] = None
    keep: Annotated[float | None, Real(0, 1, open_low=True)] = None

    examples = (Example("dropout(0.4)", ((9, 5, 3),)), Example("dropout(keep=0.8)", ((33,),)))

    @property
    def drop(self) -> float:
        """The probability that an element is dropped."""
        return self.rate or 0.0 if self.keep is None else 1 - self.keep

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem unless one of `rate` and `keep` is given."""
        if self.keep is not None and self.rate is not None:
            raise SizeProblem("rate and keep say the same thing: give one of them", argument="keep")
        if self.keep is None and self.rate is None:
            raise SizeProblem("this dropout drops nothing", notes=("help: give a rate: dropout(0.5)",))
        return inputs[0]

    def _detail(self, stream: int) -> DropoutDetail:
        return DropoutDetail(int(self.drop * 2**32), 1 / (1 - self.drop), stream)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * mask with mask = 0 or 1 / (1 - rate), drawn for each element; dx = dy * mask (notes: 'Implementing
        dropout')."""
        x = xs[0]
        if not mode.training:
            return Reference(x, lambda dy: ((dy,), {}))
        detail = self._detail(mode.stream)
        words = random_words(x.size, mode.seed, mode.step, mode.stream).reshape(x.shape)
        mask = np.where(words >= detail.threshold, detail.scale, 0.0)
        return Reference(x * mask, lambda dy: ((dy * mask,), {}))

    def forward(self, site: Site) -> None:
        """In training one `dropout`; at prediction, and if it is off, an `identity`."""
        if not site.training or not self.drop:
            super().forward(site)
        else:
            site.op("dropout", "forward", site.x, (site.y,), self._detail(site.index))

    def backward(self, site: Site) -> None:
        """The same operation on dy: the mask is drawn again from the same random words instead of being stored."""
        if not self.drop:
            super().backward(site)
        elif (dx := site.dx[0]) is not None:
            site.op("dropout", "backward", (site.dy,), (dx,), self._detail(site.index))
