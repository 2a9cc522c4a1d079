"""lstm: long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.language.arguments import Number
from dslc.layers import Example
from dslc.layers._recurrent import Recurrent
from dslc.layers._walk import Back, Carried, logistic
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class ForgetBias(Init):
    """`forget` for the second quarter, the forget gates, and 0 for the others."""

    forget: float

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """(0, ..., forget, ..., 0, ..., 0, ...)."""
        return np.repeat([0.0, self.forget, 0.0, 0.0], shape[0] // 4)


@dataclass(frozen=True)
class Lstm(Recurrent):
    """c[t] = f * c[t - 1] + i * g and h[t] = o * tanh(c[t]), where i, f, o = sigmoid and g = tanh of W_input x[t] +
    b_input + W_hidden h[t - 1] + b_hidden, in the order i, f, g, o, as PyTorch's LSTM. The input bias of f starts as
    `forget_bias`; 1 helps where much must be remembered (Jozefowicz et al. 2015)."""

    forget_bias: Number = 0.0

    gates = 4
    kept = 4
    examples = (
        Example("lstm(3)", ((5, 4),)),
        Example("lstm(17, return=last, forget_bias=1)", ((6, 3),)),
        Example("lstm(2, bidirectional=on, return=last)", ((5, 5), (1,))),
        Example("lstm(5, bias=off)", ((2, 2),)),
    )

    @property
    def cell(self) -> str:
        """`lstm`."""
        return "lstm"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """As `Recurrent.infer`; raises SizeProblem for a forget_bias without biases too."""
        if self.forget_bias and not self.bias:
            raise SizeProblem("forget_bias has no effect with bias=off", argument="forget_bias")
        return super().infer(inputs)

    def first_bias(self) -> Init:
        """Zeros, but `forget_bias` for the forget gates."""
        return ForgetBias(self.forget_bias) if self.forget_bias else super().first_bias()

    def step(self, of_input: Array, of_hidden: Array, before: Carried) -> tuple[Carried, Array]:
        """The formulas of the class; the four gates are saved."""
        i, f, g, o = np.split(of_input + of_hidden, 4, axis=1)
        i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
        c = f * before.cell + i * g
        return Carried(o * np.tanh(c), c), np.concatenate([i, f, g, o], axis=1)

    def step_back(self, saved: Array, before: Carried, slope: Carried) -> Back:
        """dc[t] += dh * o * (1 - tanh(c)^2); di = dc * g, df = dc * c[t - 1], dg = dc * i, do = dh * tanh(c), each
        times the slope of its sigmoid or tanh; dc[t - 1] = dc * f."""
        i, f, g, o = np.split(saved, 4, axis=1)
        through = np.tanh(f * before.cell + i * g)
        dc = slope.cell + slope.hidden * o * (1 - through**2)
        parts = [dc * g * i * (1 - i), dc * before.cell * f * (1 - f), dc * i * (1 - g**2)]
        dz = np.concatenate([*parts, slope.hidden * through * o * (1 - o)], axis=1)
        return dz, dz, Carried(np.zeros_like(dc), dc * f)
