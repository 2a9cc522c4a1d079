"""positional: adds to every step of a sequence what tells its place (Vaswani et al. 2017, section 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from dslc.inits import Init
from dslc.inits.normal import Normal
from dslc.language.arguments import OneOf
from dslc.layers import Example, Layer, Mode, Reference, Weights
from dslc.layers._arithmetic import CombineDetail
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.scalar import variable
from dslc.shape import Shape, require_sequence

LONGEST = 10_000.0
"""The wavelengths of the waves go from 2 pi to this many times 2 pi."""


@dataclass(frozen=True)
class Waves(Init):
    """The fixed table of `positional(sinusoidal)`."""

    elementwise = False

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """sin(t / LONGEST^(2i / channels)) in channel 2i and the cosine in channel 2i + 1; draws nothing."""
        steps, channels = np.indices(shape)
        angles = steps / LONGEST ** (channels // 2 * 2 / shape[1])
        waves: Array = np.where(channels % 2, np.cos(angles), np.sin(angles))
        return waves


@dataclass(frozen=True)
class Positional(Layer):
    """x + P with a row of P for every step: `learned`, or fixed waves of different lengths, `sinusoidal`, which the
    weights hold too."""

    kind: Annotated[str, OneOf(("learned", "sinusoidal"))] = "learned"

    examples = (
        Example("positional", ((6, 5),)),
        Example("positional(sinusoidal)", ((9, 17),)),
        Example("positional", ((1, 1),)),
    )

    @property
    def learned(self) -> bool:
        """Whether the rows learn."""
        return self.kind == "learned"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the input. Raises SizeProblem for what is no sequence."""
        require_sequence(inputs[0], "positional")
        return inputs[0]

    def parameters(self, inputs: tuple[Shape, ...]) -> tuple[Weights, ...]:
        """weight (steps, channels), at first from N(0, 0.02^2) as in GPT-2 unless the layer has an init of its own; of
        waves a table that does not learn."""
        if self.learned:
            return (Weights("weight", inputs[0], Normal(0.02), usual=True),)
        return (Weights("table", inputs[0], Waves(), trained=False),)

    @property
    def _role(self) -> str:
        return "weight" if self.learned else "table"

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        """y = x + P; dx = dy, and dP = dy summed over the examples."""
        learned = self.learned
        return Reference(xs[0] + p[self._role], lambda dy: ((dy,), {"weight": dy.sum(axis=0)} if learned else {}))

    def forward(self, site: Site) -> None:
        """One `combine` of x and the table."""
        shape = site.y.shape
        detail = CombineDetail(variable("x1") + variable("x2"), ("x1", "x2"), shape, (shape, shape, shape))
        site.op("combine", "forward", (site.x[0], site.parameter(self._role)), (site.y,), detail)

    def backward(self, site: Site) -> None:
        """dP by `channel_sum`; dx is dy."""
        if (dw := site.gradient(self._role)) is not None:
            site.op("channel_sum", "backward_weight", (site.dy,), (dw,))
        if (dx := site.dx[0]) is not None:
            site.op("identity", "backward", (site.dy,), (dx,))
