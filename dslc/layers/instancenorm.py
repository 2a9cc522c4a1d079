"""instancenorm: instance normalization (Ulyanov et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.language.arguments import Flag, Positive
from dslc.layers import Example
from dslc.layers._group_norm import GroupNormalization
from dslc.shape import Shape, SizeProblem, require_places, show_shape


@dataclass(frozen=True)
class InstanceNorm(GroupNormalization):
    """(x - mean) / sqrt(var + eps) with the mean and the biased variance of a channel of one example, and with
    affine=on gamma times that plus beta (Ulyanov et al. 2016). There are no running averages: prediction does the
    same."""

    eps: Positive = 1e-5
    affine: Flag = False

    examples = (
        Example("instancenorm", ((3, 5, 6),)),
        Example("instancenorm(eps=1e-2, affine=on)", ((4, 3, 17),)),
        Example("instancenorm(affine=on)", ((12, 13, 3),)),
        Example("instancenorm", ((7, 5),)),
    )

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for vectors, and for images and sequences of one place."""
        require_places(inputs[0], "instancenorm")
        if prod(inputs[0][:-1]) == 1:
            place = "pixel" if len(inputs[0]) == 3 else "step"
            raise SizeProblem(
                f"instancenorm of {show_shape(inputs[0])} has one {place} a channel, which is its own mean",
                notes=("help: layernorm or groupnorm look at several channels together",),
            )
        return inputs[0]

    def groups_of(self, shape: Shape) -> int:
        """Every channel is a group."""
        return shape[-1]
