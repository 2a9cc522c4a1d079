"""The steps of a recurrent layer in NumPy, for its reference: forward, and back through time (Werbos 1990)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dslc.numerics import Array, np


@dataclass(frozen=True)
class Carried:
    """The state (n, units) of some examples, or its gradient; only an lstm has a cell."""

    hidden: Array
    cell: Array


Back = tuple[Array, Array, Carried]
"""The gradients of a step's two weighted sums, and of the state before it as far as it does not come
through those sums."""


class Cell(Protocol):
    """What the walk needs of a layer, see `Recurrent`."""

    @property
    def units(self) -> int:
        """Numbers in a state."""

    @property
    def return_(self) -> str:
        """`all` or `last`."""

    @property
    def truncate(self) -> int:
        """Steps that a gradient passes between, 0 for all."""

    def step(self, of_input: Array, of_hidden: Array, before: Carried) -> tuple[Carried, Array]:
        """The state after a step, and what is saved of it."""

    def step_back(self, saved: Array, before: Carried, slope: Carried) -> Back:
        """The way back through it."""


class Walk:
    """One direction of a layer over some sequences (n, steps, channels)."""

    def __init__(self, layer: Cell, xs: tuple[Array, ...], p: Mapping[str, Array], suffix: str) -> None:
        self.layer, self.x, self.suffix = layer, xs[0], suffix
        names = (f"{kind}_{which}" for kind in ("weight", "bias") for which in ("input", "hidden"))
        self.p = {name: p[f"{name}{suffix}"] for name in names if f"{name}{suffix}" in p}
        n, steps, _ = self.x.shape
        lengths = xs[1] if len(xs) > 1 else np.full((n, 1), steps)
        self.order = list(range(steps))[:: -1 if suffix else 1]
        self.active = [t < lengths for t in range(steps)]
        self.before: dict[int, Carried] = {}
        self.saved: dict[int, Array] = {}
        self.y = self._forward()

    def _forward(self) -> Array:
        n, steps, _ = self.x.shape
        zero = np.zeros((n, self.layer.units), self.x.dtype)
        state, y = Carried(zero, zero), np.zeros((n, steps, self.layer.units), self.x.dtype)
        for t in self.order:
            self.before[t] = state
            of_input = self.x[:, t] @ self.p["weight_input"].T + self.p.get("bias_input", 0)
            of_hidden = state.hidden @ self.p["weight_hidden"].T + self.p.get("bias_hidden", 0)
            after, self.saved[t] = self.layer.step(of_input, of_hidden, state)
            y[:, t] = np.where(self.active[t], after.hidden, 0)
            state = _where(self.active[t], after, state)
        return y if self.layer.return_ == "all" else state.hidden

    def back(self, dy: Array) -> tuple[Array, dict[str, Array]]:
        """dx and the gradients of the parameters."""
        d = {name: np.zeros_like(value) for name, value in self.p.items()}
        dx, zero = np.zeros_like(self.x), np.zeros((len(self.x), self.layer.units), self.x.dtype)
        each = self.layer.return_ == "all"
        slope = Carried(zero if each else dy, zero)
        for place, t in reversed(list(enumerate(self.order))):
            here = Carried(slope.hidden + dy[:, t] if each else slope.hidden, slope.cell)
            of_input, of_hidden, direct = self.layer.step_back(self.saved[t], self.before[t], here)
            of_input, of_hidden = (np.where(self.active[t], part, 0) for part in (of_input, of_hidden))
            dx[:, t] = of_input @ self.p["weight_input"]
            self._add(d, "input", of_input, self.x[:, t])
            self._add(d, "hidden", of_hidden, self.before[t].hidden)
            cut = self.layer.truncate and place % self.layer.truncate == 0
            through = Carried(direct.hidden + of_hidden @ self.p["weight_hidden"], direct.cell)
            slope = _where(self.active[t], Carried(zero, zero) if cut else through, slope)
        return dx, {f"{name}{self.suffix}": value for name, value in d.items()}

    def _add(self, d: dict[str, Array], which: str, slope: Array, x: Array) -> None:
        d[f"weight_{which}"] += slope.T @ x
        if f"bias_{which}" in d:
            d[f"bias_{which}"] += slope.sum(axis=0)


def _where(active: Array, new: Carried, old: Carried) -> Carried:
    """The new state of the examples (n, 1) that are active, the old one of the others."""
    return Carried(np.where(active, new.hidden, old.hidden), np.where(active, new.cell, old.cell))


def logistic(x: Array) -> Array:
    """1 / (1 + e^-x); e^-|x| does not overflow."""
    small = np.exp(-np.abs(x))
    found: Array = np.where(x < 0, small, 1) / (1 + small)
    return found
