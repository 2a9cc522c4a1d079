"""shift: moves images by whole pixels (notes: 'Data augmentation')."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import Whole
from dslc.layers import Example, Mode
from dslc.layers._augmentation import ImageAugmentation, below, example_words
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class ShiftDetail:
    """An image of this shape moves by -most to most pixels: down by its first random word, to the right by its
    second."""

    shape: Shape
    most: int
    stream: int


@dataclass(frozen=True)
class Shift(ImageAugmentation):
    """In training moves each image up or down and left or right by whole pixels from -pixels to pixels, all equally
    likely; zeros fill the gap. 0 is off."""

    pixels: Annotated[int, Whole(0)]

    examples = (Example("shift(2)", ((5, 4, 3),)), Example("shift(5)", ((6, 9, 1),)))

    @property
    def off(self) -> bool:
        """A shift by 0 pixels."""
        return self.pixels == 0

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem if the image could move out of sight."""
        height, width, _ = shape = super().infer(inputs)
        if self.pixels >= min(height, width):
            raise SizeProblem(
                f"shift by {self.pixels} can move an image of {height}x{width} out of sight",
                notes=(f"help: shift by {min(height, width) - 1} at most",) if min(height, width) > 1 else (),
                argument="pixels",
            )
        return shape

    def augmented(self, x: Array, mode: Mode) -> Array:
        """y[i, r, c] = x[i, r - down, c - right], 0 outside, with down and right drawn for each image."""
        most, (_, height, width, _) = self.pixels, x.shape
        framed = np.pad(x, ((0, 0), (most, most), (most, most), (0, 0)))
        moves = below(example_words(len(x), mode)[:, :2], 2 * most + 1) - most
        starts = most - moves
        return np.stack(
            [f[top : top + height, left : left + width] for f, (top, left) in zip(framed, starts, strict=True)]
        )

    def detail(self, shape: Shape, stream: int) -> ShiftDetail:
        """Shape, largest shift and random stream for training."""
        return ShiftDetail(shape, self.pixels, stream)
