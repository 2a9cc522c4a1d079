"""flip: mirrors half of the images, chosen at random (notes: 'Data augmentation')."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import OneOf
from dslc.layers import Example, Mode
from dslc.layers._augmentation import ImageAugmentation, example_words
from dslc.numerics import Array, np
from dslc.shape import Shape


@dataclass(frozen=True)
class FlipDetail:
    """An image of this shape is mirrored if the highest bit of its first random word is set."""

    shape: Shape
    vertical: bool
    stream: int


@dataclass(frozen=True)
class Flip(ImageAugmentation):
    """In training mirrors each image with probability 1/2: left and right (horizontal) or up and down (vertical)."""

    direction: Annotated[str, OneOf(("horizontal", "vertical"))]

    examples = (Example("flip(horizontal)", ((4, 5, 3),)), Example("flip(vertical)", ((5, 4, 1),)))

    def augmented(self, x: Array, mode: Mode) -> Array:
        """x[:, :, ::-1] (horizontal) or x[:, ::-1] (vertical) for the images whose bit is set."""
        mirrored = example_words(len(x), mode)[:, 0] >= 2**31
        other = x[:, ::-1] if self.direction == "vertical" else x[:, :, ::-1]
        return np.where(mirrored[:, None, None, None], other, x)

    def detail(self, shape: Shape, stream: int) -> FlipDetail:
        """Shape, direction and random stream for training."""
        return FlipDetail(shape, self.direction == "vertical", stream)
