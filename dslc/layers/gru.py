"""gru: gated recurrent units (Cho et al. 2014), with the reset gate behind the product, as in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.layers import Example
from dslc.layers._recurrent import Recurrent
from dslc.layers._walk import Back, Carried, logistic
from dslc.numerics import Array, np


@dataclass(frozen=True)
class Gru(Recurrent):
    """h[t] = (1 - z) * n + z * h[t - 1] with r = sigmoid(a_r + b_r), z = sigmoid(a_z + b_z) and n = tanh(a_n + r *
    b_n), where a = W_input x[t] + b_input and b = W_hidden h[t - 1] + b_hidden hold the gates r, z, n, as PyTorch's
    GRU."""

    gates = 3
    kept = 4
    examples = (
        Example("gru(3)", ((5, 4),)),
        Example("gru(17, return=last)", ((7, 3),)),
        Example("gru(2, bidirectional=on, bias=off)", ((4, 5), (1,))),
    )

    @property
    def cell(self) -> str:
        """`gru`."""
        return "gru"

    def step(self, of_input: Array, of_hidden: Array, before: Carried) -> tuple[Carried, Array]:
        """The formula of the class; r, z, n and the weighted sum that r scales are saved."""
        a_r, a_z, a_n = np.split(of_input, 3, axis=1)
        b_r, b_z, b_n = np.split(of_hidden, 3, axis=1)
        r, z = logistic(a_r + b_r), logistic(a_z + b_z)
        n = np.tanh(a_n + r * b_n)
        return Carried((1 - z) * n + z * before.hidden, before.cell), np.concatenate([r, z, n, b_n], axis=1)

    def step_back(self, saved: Array, before: Carried, slope: Carried) -> Back:
        """Through n = tanh(v) with v = a_n + r * b_n: dv = dh * (1 - z) * (1 - n^2), dr = dv * b_n; dz = dh * (h[t - 1]
        - n); of h[t - 1] itself dh * z."""
        r, z, n, b_n = np.split(saved, 4, axis=1)
        dh = slope.hidden
        dv = dh * (1 - z) * (1 - n**2)
        both = [dv * b_n * r * (1 - r), dh * (before.hidden - n) * z * (1 - z)]
        of_input, of_hidden = (np.concatenate([*both, last], axis=1) for last in (dv, dv * r))
        return of_input, of_hidden, Carried(dh * z, slope.cell)
