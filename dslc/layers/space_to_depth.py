"""space_to_depth: squares of pixels become pixels with more channels."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Count
from dslc.layers import Example
from dslc.layers._swapping import SwapDetail, Swapping
from dslc.shape import Shape, SizeProblem, require_image


@dataclass(frozen=True)
class SpaceToDepth(Swapping):
    """The channels of a square's pixels one after the other, row by row, as TensorFlow has them."""

    block: Count

    examples = (Example("space_to_depth(2)", ((4, 6, 3),)), Example("space_to_depth(3)", ((6, 3, 17),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (h / block, w / block, c * block^2). Raises SizeProblem if block does not divide both."""
        require_image(inputs[0], "space_to_depth")
        rows, columns, channels = inputs[0]
        if rows % self.block or columns % self.block:
            raise SizeProblem(
                f"{rows}x{columns} pixels cannot be divided into squares of {self.block}x{self.block}", argument="block"
            )
        return (rows // self.block, columns // self.block, channels * self.block**2)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The division of rows and columns, and the product of the channels."""
        (h, w, c), b = inputs[0], self.block
        return f"{h} / {b} = {h // b}; {w} / {b} = {w // b}; {c} * {b} * {b} = {c * b * b}"

    def swap(self, shape: Shape) -> SwapDetail:
        """(rows, block, columns, block * channels) becomes (rows, columns, block, block * channels)."""
        return SwapDetail(shape[0] // self.block, self.block, shape[1] // self.block, self.block * shape[2])
