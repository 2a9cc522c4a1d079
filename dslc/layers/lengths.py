"""lengths: how many steps a text has before its padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Whole
from dslc.layers import Example, Layer, Mode, Reference
from dslc.layers.embedding import MOST_WORDS
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, describe


@dataclass(frozen=True)
class LengthsDetail:
    """An example has `steps` words; `padding` is no word."""

    steps: int
    padding: int


@dataclass(frozen=True)
class Lengths(Layer):
    """The number of words up to the last one that is not `padding`, for the argument `lengths` of other layers."""

    padding: Annotated[int, Whole(0, MOST_WORDS)] = 0

    counts = True
    examples = (Example("lengths", ((7,),)), Example("lengths(padding=3)", ((5,),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """One number. Raises SizeProblem for what is no vector of words."""
        if len(inputs[0]) != 1:
            raise SizeProblem(
                f"lengths needs the numbers of words, one a step, but its input is {describe(inputs[0])}",
                notes=("help: declare the input by the number of steps, as in input text: 200",),
            )
        return (1,)

    def whole_numbers(self, inputs: tuple[Shape, ...]) -> Mapping[int, tuple[int, int]]:
        """Numbers of words."""
        return {0: (0, MOST_WORDS)}

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = 1 + the last place that is not padding, 0 if there is none; nothing flows back."""
        steps = np.arange(1, xs[0].shape[1] + 1)
        found = np.where(xs[0] != self.padding, steps, 0).max(axis=1, keepdims=True).astype(xs[0].dtype)
        return Reference(found, lambda dy: ((np.zeros_like(xs[0]),), {}))

    def forward(self, site: Site) -> None:
        """One `lengths`."""
        site.op("lengths", "forward", site.x, (site.y,), LengthsDetail(site.x[0].elements, self.padding))

    def backward(self, site: Site) -> None:
        """Emits nothing: only the input comes before."""
