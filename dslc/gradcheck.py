"""Numerical against analytic gradients, in float64 (notes: 'Gradient checking for a neural network')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dslc.diagnostics import DataError
from dslc.ir import Network
from dslc.layers.dropout import Dropout
from dslc.layers.linear import Linear
from dslc.numerics import Array, np

if TYPE_CHECKING:
    from dslc.runtime.model import Model

STEP = 1e-5
TOLERANCE = 1e-6
"""The relative difference that counts as agreement."""
KINK = 1e-3
"""Where two step sizes disagree by more than this, relative to the larger, a kink lies between: no derivative there."""


@dataclass(frozen=True)
class GradientRow:
    """One parameter: how many of its entries were compared, how many lay at kinks, and the notes' relative difference
    ||approx - exact|| / (||approx|| + ||exact||)."""

    name: str
    compared: int
    skipped: int
    difference: float
    norm: float

    @property
    def verdict(self) -> str:
        if not self.compared:
            return "nothing compared"
        if self.norm == 0:
            return "all zero"
        return "ok" if self.difference <= TOLERANCE else "differs"


def check_gradients(
    model: Model, x: Mapping[str, Array], y: Mapping[str, Array], entries: int, seed: int = 0
) -> list[GradientRow]:
    """A row for every parameter that learns, on at most so many entries of each, drawn by the seed.

    model: in float64. x, y: one mini-batch by input and by head. A gradient that is zero in all its entries fails: it
    would agree with anything that is missing.
    """
    inputs, targets = only_one(x), only_one(y)
    exact = model.gradients(inputs, targets)
    random = np.random.default_rng(seed)
    rows = []
    for name, gradient in exact.items():
        chosen = random.permutation(gradient.size)[:entries]
        pairs = [(_slopes(model, name, int(i), inputs, targets), float(gradient.flat[i])) for i in chosen]
        kept = [(near, g) for (near, far), g in pairs if abs(near - far) <= KINK * max(abs(near), abs(far), 1e-4)]
        approx, analytic = np.array([a for a, _ in kept]), np.array([g for _, g in kept])
        scale = float(np.linalg.norm(approx) + np.linalg.norm(analytic))
        difference = float(np.linalg.norm(approx - analytic)) / scale if scale else 0.0
        rows.append(GradientRow(name, len(kept), len(pairs) - len(kept), difference, float(np.abs(gradient).max())))
    return rows


def refuse_dropout(network: Network) -> None:
    """Gradient checking does not work with dropout (notes: 'Notes for grad check').

    Raises:
        DataError: the network has dropout; names the layers.
    """
    names = [node.name for node in network.nodes if isinstance(node.layer, Dropout)]
    if names:
        raise DataError(
            f"gradients cannot be checked with dropout ({', '.join(names)}): each step drops other elements, so there "
            "is no one cost to differentiate; --without-dropout checks the network with it switched off"
        )


def without_dropout(network: Network) -> Network:
    """The network with dropout switched off; all else, batch norm too, stays as in training."""
    nodes = (replace(n, layer=Linear()) if isinstance(n.layer, Dropout) else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes))


def only_one(arrays: Mapping[str, Array]) -> object:
    """What the model takes: an array where there is one, else all by name."""
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)


def _slopes(model: Model, name: str, index: int, x: object, y: object) -> tuple[float, float]:
    """Central differences with the step and with twice the step."""
    view = model.parameters[name]
    whole = view.numpy()
    before = float(whole.flat[index])

    def loss_at(value: float) -> float:
        whole.flat[index] = value
        view[...] = whole
        return float(model.loss(x, y))

    slopes = [(loss_at(before + h) - loss_at(before - h)) / (2 * h) for h in (STEP, 2 * STEP)]
    loss_at(before)
    return slopes[0], slopes[1]
