"""groupnorm: group normalization (Wu and He 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.language.arguments import Count, Flag, Positive
from dslc.layers import Example
from dslc.layers._group_norm import GroupNormalization
from dslc.shape import Shape, SizeProblem, show_shape


@dataclass(frozen=True)
class GroupNorm(GroupNormalization):
    """gamma * (x - mean) / sqrt(var + eps) + beta with the mean and the biased variance over the pixels and the
    channels of a group, of each example alone (Wu and He 2018)."""

    groups: Count
    eps: Positive = 1e-5
    affine: Flag = True

    examples = (
        Example("groupnorm(2)", ((3, 5, 6),)),
        Example("groupnorm(3, eps=1e-2)", ((12,),)),
        Example("groupnorm(1)", ((4, 3, 17),)),
        Example("groupnorm(5, affine=off)", ((12, 13, 70),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem if the groups do not divide the channels, and for groups of a
        single number."""
        channels = inputs[0][-1]
        if channels % self.groups:
            what = "channels" if len(inputs[0]) > 1 else "numbers"
            raise SizeProblem(f"{channels} {what} cannot be divided into {self.groups} groups", argument="groups")
        if prod(inputs[0]) == self.groups:
            raise SizeProblem(
                f"{self.groups} groups of {show_shape(inputs[0])} have one number each, which is its own mean",
                argument="groups", notes=("help: fewer groups",),
            )  # fmt: skip
        return inputs[0]

    def groups_of(self, shape: Shape) -> int:
        """`groups`."""
        return self.groups
