"""Gradient checking in float64, analytic against numerical (notes: 'Gradient checking for a neural network')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.layers import Mode
from dslc.layers._augmentation import Augmentation
from dslc.layers._recurrent import Recurrent
from dslc.layers.linear import Linear
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.proofs.reference import Interpreter
from dslc.proofs.terms import sizes_of_terms
from dslc.shape import Shape

if TYPE_CHECKING:
    from dslc.runtime.model import Model

EPSILON = 1e-5
"""The step: the two points of a central difference are 2 epsilon apart."""
TOLERANCE = 1e-6
"""The largest relative difference that counts as agreement."""
GREAT, WORRY = 1e-7, 1e-3
"""How to read the relative difference of all parameters together, as the notes teach it: 1e-7 is great, about 1e-5
calls for a careful look at the components, 1e-3 is a worry."""
ROUNDING = 1e-14
"""The rounding error of a loss, relative to it; the error of a slope is this divided by epsilon."""
MISSING = 1000
"""A term this many times as large as the rounding error of a slope would be missed."""


@dataclass(frozen=True)
class Entry:
    """One entry of a parameter: its index, its numerical and its analytic gradient."""

    index: tuple[int, ...]
    numerical: float
    analytic: float


@dataclass(frozen=True)
class GradientRow:
    """One parameter: how many of its entries were compared and how many were skipped because they are at kinks, the
    relative difference ||numerical - analytic|| / (||numerical|| + ||analytic||), whether the whole gradient is zero,
    the entry that differs most, and whether the zero is a sum of terms so large that one missing would show: then the
    difference is relative to them."""

    name: str
    compared: int
    skipped: int
    difference: float
    zero: bool
    worst: Entry | None
    cancels: bool = False

    @property
    def verdict(self) -> str:
        """`ok`, `differs`, `all zero`, `ok: terms cancel` or `nothing compared`."""
        if not self.compared:
            return "nothing compared"
        if self.zero:
            return "ok: terms cancel" if self.cancels else "all zero"
        return "ok" if self.difference <= TOLERANCE else "differs"


@dataclass(frozen=True)
class GradientCheck:
    """A row for each parameter, and the relative difference of all together as one vector, the notes' theta."""

    rows: tuple[GradientRow, ...]
    difference: float

    @property
    def failures(self) -> tuple[GradientRow, ...]:
        """The rows whose verdict is not `ok`."""
        return tuple(row for row in self.rows if not row.verdict.startswith("ok"))

    @property
    def verdict(self) -> str:
        """How to read the relative difference of all parameters together, in words."""
        if self.difference <= GREAT:
            return "great: at most 1e-7"
        return "look at the rows: 1e-5 or so" if self.difference < WORRY else "worry: 1e-3 or more"


def check_gradients(
    model: Model,
    x: Mapping[str, Array],
    y: Mapping[str, Array],
    entries: int,
    seed: int = 0,
    epsilon: float = EPSILON,
) -> GradientCheck:
    """Compares the gradients of every parameter that learns, on at most `entries` entries of each, drawn by the seed.

    model: in float64. x, y: one mini-batch, arrays (n, *shape) by input and by head. epsilon: half the distance between
    the points of a difference. A gradient that is zero in all its entries fails, since it would hide a missing term;
    but not if it is a sum of large terms that cancel, as that of a bias before a batch norm.
    """
    inputs, targets = unwrap_single(x), unwrap_single(y)
    exact = model.gradients(inputs, targets)
    differences = _Differences(model, inputs, targets, epsilon)
    random = np.random.default_rng(seed)
    compared = [
        _compare(differences, name, gradient, random.permutation(gradient.size)[:entries])
        for name, gradient in exact.items()
    ]
    numerical, analytic = (np.concatenate([getattr(c, side) for c in compared]) for side in ("numerical", "analytic"))
    rows = tuple(c.row(exact[c.name]) for c in compared)
    if any(row.zero for row in rows):
        terms = _terms(model, x, y, seed)
        rows = tuple(_judged_by_terms(row, terms[row.name], differences.noise) if row.zero else row for row in rows)
    return GradientCheck(rows, _relative_difference(numerical, analytic))


def _judged_by_terms(row: GradientRow, terms: float, noise: float) -> GradientRow:
    """A row of zeros, with its difference relative to the size of the terms if they are large."""
    if terms <= MISSING * noise or row.worst is None:
        return row
    return replace(row, cancels=True, difference=abs(row.worst.numerical - row.worst.analytic) / terms)


def _terms(model: Model, x: Mapping[str, Array], y: Mapping[str, Array], seed: int) -> dict[str, float]:
    parameters = {name: view.numpy().astype(np.float64) for name, view in model.parameters.items()}
    precise = {name: a.astype(np.float64) for name, a in x.items()}
    return sizes_of_terms(Interpreter(model.network, parameters, model.seed), precise, y, seed)


@dataclass(frozen=True)
class _Compared:
    """The entries of one parameter that are not at kinks, by flat index, with both gradients. `skipped`: how many are
    at kinks. `noise`: the rounding error of a slope."""

    name: str
    indices: Array
    numerical: Array
    analytic: Array
    skipped: int
    noise: float

    def row(self, gradient: Array) -> GradientRow:
        """The row for the result. gradient: all of the parameter's analytic gradient."""
        largest = max(float(np.abs(a).max(initial=0)) for a in (gradient, self.numerical))
        difference = _relative_difference(self.numerical, self.analytic)
        return GradientRow(
            self.name, len(self.indices), self.skipped, difference, largest <= self.noise, self._worst(gradient.shape)
        )

    def _worst(self, shape: tuple[int, ...]) -> Entry | None:
        if not len(self.indices):
            return None
        at = int(np.abs(self.numerical - self.analytic).argmax())
        index = tuple(int(i) for i in np.unravel_index(int(self.indices[at]), shape))
        return Entry(index, float(self.numerical[at]), float(self.analytic[at]))


def _compare(differences: _Differences, name: str, gradient: Array, chosen: Array) -> _Compared:
    numerical, bends = differences.slopes(name, chosen)
    allowed = max(TOLERANCE * float(np.abs(numerical).max()), differences.noise)
    kept = bends <= allowed
    return _Compared(
        name, chosen[kept], numerical[kept], gradient.ravel()[chosen[kept]], int((~kept).sum()), differences.noise
    )


def _relative_difference(numerical: Array, analytic: Array) -> float:
    """||numerical - analytic|| / (||numerical|| + ||analytic||), 0 if both are zero (notes: 'Gradient checking')."""
    scale = float(np.linalg.norm(numerical) + np.linalg.norm(analytic))
    return float(np.linalg.norm(numerical - analytic)) / scale if scale else 0.0


class _Differences:
    """Slopes of the loss of one mini-batch by central differences, with steps of epsilon and 2 epsilon.

    For a smooth loss, twice the step gives the same slope, and twice the difference between the one-sided slopes. With
    a kink within reach at least one of the two does not hold, and the deviation is about as large as the effect of the
    kink on the slope. There is no derivative there, so the entry is skipped. The analytic gradient plays no part in
    this.
    """

    def __init__(self, model: Model, x: object, y: object, epsilon: float) -> None:
        self.model, self.x, self.y, self.epsilon = model, x, y, epsilon
        self.here = float(model.loss(x, y))
        self.noise = ROUNDING * max(1.0, abs(self.here)) / epsilon

    def slopes(self, name: str, indices: Array) -> tuple[Array, Array]:
        """For these entries of a parameter: the slopes, and how much a kink may have changed each."""
        found = np.array([self._slope(name, int(i)) for i in indices])
        return found[:, 0], found[:, 1]

    def _slope(self, name: str, index: int) -> tuple[float, float]:
        view = self.model.parameters[name]
        whole = view.numpy()
        before = float(whole.flat[index])

        def loss_at(step: float) -> float:
            whole.flat[index] = before + step
            view[...] = whole
            return float(self.model.loss(self.x, self.y))

        sides = [(loss_at(h) - self.here, loss_at(-h) - self.here, h) for h in (self.epsilon, 2 * self.epsilon)]
        loss_at(0.0)
        near, far = ((right - left) / (2 * h) for right, left, h in sides)
        bend, twice = ((right + left) / h for right, left, h in sides)
        return near, max(abs(near - far), abs(twice - 2 * bend))


def refuse_dropout(network: Network) -> None:
    """Refuses a network with dropout, for which gradient checking does not work (notes: 'Notes for grad check').

    Raises:
        DataError: the network has dropout; the message names the layers.
    """
    names = [node.name for node in network.nodes if node.layer.drops]
    if names:
        raise DataError(
            f"gradients cannot be checked with dropout ({', '.join(names)}): each step drops different elements, so "
            "there is no single cost to differentiate; --without-dropout checks the network with dropout switched off"
        )


def without_dropout(network: Network) -> Network:
    """The network with dropout switched off. Everything else, batch norm included, behaves as in training."""
    nodes = (replace(n, layer=Linear()) if n.layer.drops else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes))


@dataclass(frozen=True)
class PredictionMode(Augmentation):
    """An augmentation that behaves in training as it does at prediction."""

    layer: Augmentation

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The output shape of the augmentation."""
        return self.layer.infer(inputs)

    def augmented(self, x: Array, mode: Mode) -> Array:
        """x as the augmentation passes it on at prediction."""
        return self.layer.unchanged(x)

    def forward(self, site: Site) -> None:
        """The operations of the augmentation at prediction."""
        self.layer.predict(site)


def without_augmentation(network: Network) -> tuple[Network, tuple[str, ...]]:
    """The network with augmentation replaced by what it does at prediction, and the names of these layers.

    The cost is a function of the parameters only if nothing is drawn at random (notes: 'Notes for grad check'). No
    gradient flows through augmentation, so it has nothing to check.
    """
    augmenting = {node.name: node.layer for node in network.nodes if isinstance(node.layer, Augmentation)}
    nodes = (replace(n, layer=PredictionMode(augmenting[n.name])) if n.name in augmenting else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes)), tuple(augmenting)


def without_truncation(network: Network) -> tuple[Network, tuple[str, ...]]:
    """The network with the gradients of all steps, and the names of the layers that cut them off: what `truncate`
    leaves is not the slope of the loss."""
    cut = {node.name: node.layer for node in network.nodes if isinstance(node.layer, Recurrent) and node.layer.truncate}
    nodes = (replace(n, layer=replace(cut[n.name], truncate=0)) if n.name in cut else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes)), tuple(cut)


def unwrap_single(arrays: Mapping[str, Array]) -> object:
    """The arrays in the form that a model accepts: the array itself if there is only one, else a dict by name."""
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)
