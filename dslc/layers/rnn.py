"""rnn: the simple recurrent layer (Elman 1990)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dslc.language.arguments import OneOf
from dslc.layers import Example
from dslc.layers._recurrent import Recurrent
from dslc.layers._walk import Back, Carried
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Rnn(Recurrent):
    """h[t] = tanh(W_input x[t] + b_input + W_hidden h[t - 1] + b_hidden), or relu in place of tanh, as PyTorch's
    RNN."""

    activation: Annotated[str, OneOf(("tanh", "relu"))] = "tanh"

    gates = 1
    kept = 1
    examples = (
        Example("rnn(3)", ((5, 4),)),
        Example("rnn(17, return=last, bias=off)", ((6, 3),)),
        Example("rnn(4, bidirectional=on)", ((7, 2),)),
    )

    @property
    def cell(self) -> str:
        """The activation."""
        return self.activation

    def step(self, of_input: Array, of_hidden: Array, before: Carried) -> tuple[Carried, Array]:
        """h = tanh(a + b), or max(0, a + b), of the two sums."""
        h = np.tanh(of_input + of_hidden) if self.activation == "tanh" else np.maximum(0, of_input + of_hidden)
        return Carried(h, before.cell), h

    def step_back(self, saved: Array, before: Carried, slope: Carried) -> Back:
        """dz = dh * (1 - h^2), or dh where h > 0, for both sums."""
        dz = slope.hidden * (1 - saved**2 if self.activation == "tanh" else saved > 0)
        return dz, dz, Carried(np.zeros_like(dz), slope.cell)
