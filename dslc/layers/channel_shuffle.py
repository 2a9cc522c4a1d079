"""channel_shuffle: mixes the channels of groups (Zhang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.language.arguments import Count
from dslc.layers import Example
from dslc.layers._swapping import SwapDetail, Swapping
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class ChannelShuffle(Swapping):
    """The first channel of every group, then the second of every group, and so on."""

    groups: Count

    examples = (Example("channel_shuffle(3)", ((2, 3, 12),)), Example("channel_shuffle(2)", ((10,),)))

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem if the groups do not divide the channels."""
        if inputs[0][-1] % self.groups:
            raise SizeProblem(
                f"the {inputs[0][-1]} channels cannot be divided into {self.groups} groups", argument="groups"
            )
        return inputs[0]

    def swap(self, shape: Shape) -> SwapDetail:
        """(pixels, groups, channels of a group) becomes (pixels, channels of a group, groups)."""
        return SwapDetail(prod(shape[:-1]), self.groups, shape[-1] // self.groups, 1)
