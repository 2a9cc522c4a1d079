"""dropout: inverted dropout (notes: 'Implementing dropout'; Srivastava et al. 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Annotated, ClassVar

from dslc.language.arguments import Real
from dslc.layers import Example, Mode, Passing, Reference
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.philox import random_words
from dslc.registry import name_of
from dslc.scalar import Scalar
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class DropoutDetail:
    """An element x becomes `low` if its random word is below the share `rate` of 2^32. Then all are multiplied by
    `scale`, and what makes their mean that of x, if it is 0, is added. Rate and scale may be formulas in a rate that is
    known at run time. `words` are drawn for an example."""

    rate: Scalar | float
    scale: Scalar | float
    stream: int
    low: float = 0.0
    words: int = 0


@dataclass(frozen=True)
class Dropout(Passing):
    """In training drops each element with probability `rate` and divides the others by 1 - rate; does nothing at
    prediction. `keep` is another way to write 1 - rate. A rate of 0 is off."""

    rate: Annotated[float | None, Real(0, 1, open_high=True)] = None
    keep: Annotated[float | None, Real(0, 1, open_low=True)] = None

    kind: ClassVar[str] = "dropout"
    """The operation."""
    low: ClassVar[float] = 0.0
    """What becomes of dropped elements, before they are scaled."""
    drops = True
    examples: ClassVar[tuple[Example, ...]] = (
        Example("dropout(0.4)", ((9, 5, 3),)),
        Example("dropout(keep=0.8)", ((33,),)),
    )

    @property
    def drop(self) -> float:
        """The probability that an element is dropped."""
        return self.rate or 0.0 if self.keep is None else 1 - self.keep

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        """The rate, or what it is written with."""
        given = {"rate": self.rate} if self.keep is None else {"keep": self.keep}
        return {name: value for name, value in given.items() if value is not None and self.drop}

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem unless one of `rate` and `keep` is given."""
        if self.keep is not None and self.rate is not None:
            raise SizeProblem("rate and keep say the same thing: give one of them", argument="keep")
        if self.keep is None and self.rate is None:
            name = name_of(self)
            raise SizeProblem(f"this {name} drops nothing", notes=(f"help: give a rate: {name}(0.5)",))
        return inputs[0]

    def mask(self, shape: Shape) -> Shape:
        """What is drawn for an example of this shape: whether each element is dropped."""
        return shape

    @property
    def scale(self) -> float:
        """What elements are multiplied by in training: 1 / (1 - rate)."""
        return 1 / (1 - self.drop)

    def detail(self, stream: int) -> DropoutDetail:
        """What becomes of dropped elements and of the others, in training."""
        return DropoutDetail(self.drop, self.scale, stream, self.low)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x * mask with mask = 0 or 1 / (1 - rate), drawn for each element; dx = dy * mask (notes: 'Implementing
        dropout')."""
        x = xs[0]
        if not mode.training:
            return Reference(x, lambda dy: ((dy,), {}))
        scale, low = self.scale, self.low
        drawn = (len(x), *self.mask(x.shape[1:]))
        kept = random_words(prod(drawn), mode.seed, mode.step, mode.stream).reshape(drawn) >= int(self.drop * 2**32)
        y = np.where(kept, x, low) * scale - scale * self.drop * low
        return Reference(y, lambda dy: ((np.where(kept, dy * scale, 0.0),), {}))

    def forward(self, site: Site) -> None:
        """In training one operation; at prediction, and if it is off, an `identity`."""
        if not site.training or not self.drop:
            super().forward(site)
        else:
            site.op(self.kind, "forward", site.x, (site.y,), self._detail(site))

    def backward(self, site: Site) -> None:
        """The same operation on dy: the mask is drawn again from the same random words instead of being stored."""
        if not self.drop:
            super().backward(site)
        elif (dx := site.dx[0]) is not None:
            slope = replace(self._detail(site), low=0.0)
            site.op(self.kind, "backward", (site.dy,), (dx,), slope)

    def _detail(self, site: Site) -> DropoutDetail:
        return replace(self.detail(site.index), words=prod(self.mask(site.y.shape)))
