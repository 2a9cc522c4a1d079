"""depth_to_space: pixels with many channels become squares of pixels (sub-pixel convolution, Shi et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.language.arguments import Count
from dslc.layers import Example
from dslc.layers._swapping import SwapDetail, Swapping
from dslc.shape import Shape, SizeProblem, require_image


@dataclass(frozen=True)
class DepthToSpace(Swapping):
    """The inverse of `space_to_depth`: the first channels are the first pixel of a square, and so on, row by row."""

    block: Count

    examples = (Example("depth_to_space(2)", ((2, 3, 12),)), Example("depth_to_space(3)", ((2, 1, 9),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """(h, w, c) becomes (h * block, w * block, c / block^2). Raises SizeProblem if block^2 does not divide c."""
        require_image(inputs[0], "depth_to_space")
        rows, columns, channels = inputs[0]
        if channels % self.block**2:
            raise SizeProblem(
                f"{channels} channels cannot be divided among {self.block**2} pixels", argument="block",
                notes=(f"help: the channels must be a multiple of {self.block} * {self.block}",),
            )  # fmt: skip
        return (rows * self.block, columns * self.block, channels // self.block**2)

    def formula(self, inputs: tuple[Shape, ...]) -> str:
        """The products of rows and columns, and the division of the channels."""
        (h, w, c), b = inputs[0], self.block
        return f"{h} * {b} = {h * b}; {w} * {b} = {w * b}; {c} / ({b} * {b}) = {c // b**2}"

    def swap(self, shape: Shape) -> SwapDetail:
        """(rows, columns, block, block * channels) becomes (rows, block, columns, block * channels)."""
        return SwapDetail(shape[0], shape[1], self.block, shape[2] // self.block)
