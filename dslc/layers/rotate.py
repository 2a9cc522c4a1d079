"""rotate: rotates images about their center (notes: 'Data augmentation')."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Real
from dslc.layers import Example, Mode
from dslc.layers._augmentation import ImageAugmentation, example_words
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class RotateDetail:
    """An image of this shape is rotated by an angle from -radians to radians, given by its first random word."""

    shape: Shape
    radians: float
    stream: int


@dataclass(frozen=True)
class Rotate(ImageAugmentation):
    """In training rotates each image by an angle from -degrees to degrees, all equally likely. Pixels are interpolated
    bilinearly between the four nearest; outside the image there are zeros. 0 is off."""

    degrees: Annotated[float, Real(0, 180)]

    examples = (
        Example("rotate(20)", ((7, 6, 3),)),
        Example("rotate(180)", ((5, 8, 1),)),
        Example("rotate(90)", ((1, 4, 2),)),
    )

    @property
    def off(self) -> bool:
        """A rotation by 0 degrees."""
        return self.degrees == 0

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for an image of a single pixel."""
        height, width, _ = shape = super().infer(inputs)
        if height == width == 1:
            raise SizeProblem("one pixel looks the same from all sides: rotate would do nothing")
        return shape

    def augmented(self, x: Array, mode: Mode) -> Array:
        """Each image of x rotated by (2 * u - 1) * degrees, with u in (0, 1) from its first random word."""
        turns = (example_words(len(x), mode)[:, 0] + 0.5) / 2**31 - 1
        return np.stack([rotated(image, float(turn) * self._radians) for image, turn in zip(x, turns, strict=True)])

    @property
    def _radians(self) -> float:
        return math.radians(self.degrees)

    def detail(self, shape: Shape, stream: int) -> RotateDetail:
        """Shape, largest angle in radians and random stream for training."""
        return RotateDetail(shape, self._radians, stream)


def rotated(image: Array, angle: float) -> Array:
    """An image (height, width, channels) rotated counterclockwise, as seen on a screen, by an angle in radians."""
    height, width, _ = image.shape
    middle = (height - 1) / 2, (width - 1) / 2
    down, right = np.arange(height)[:, None] - middle[0], np.arange(width)[None, :] - middle[1]
    rows = math.cos(angle) * down + math.sin(angle) * right + middle[0]
    columns = math.cos(angle) * right - math.sin(angle) * down + middle[1]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    result = np.zeros_like(image)
    for i in (0, 1):
        for j in (0, 1):
            weight = (1 - np.abs(rows - (top + i))) * (1 - np.abs(columns - (left + j)))
            inside = (top + i >= 0) & (top + i < height) & (left + j >= 0) & (left + j < width)
            pixels = image[np.clip(top + i, 0, height - 1), np.clip(left + j, 0, width - 1)]
            result += (weight * inside)[..., None] * pixels
    return result
