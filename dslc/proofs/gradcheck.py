"""Numerical against analytic gradients, in float64 (notes: 'Gradient checking for a neural network')."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.layers import Mode
from dslc.layers._augmentation import Augmentation
from dslc.layers.dropout import Dropout
from dslc.layers.linear import Linear
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape

if TYPE_CHECKING:
    from dslc.runtime.model import Model

EPSILON = 1e-5
"""Half the way between the two points of a difference."""
TOLERANCE = 1e-6
"""The relative difference that counts as agreement."""
GREAT, WORRY = 1e-7, 1e-3
"""What the relative difference of all parameters together says, as it is taught: 1e-7 is great, about 1e-5 asks for a
careful look at the components, 1e-3 is a worry."""
ROUNDING = 1e-14
"""How far a loss may be off; a slope is by this much divided by epsilon."""


@dataclass(frozen=True)
class Entry:
    """One entry of a parameter and its slope, found in both ways."""

    index: tuple[int, ...]
    numerical: float
    analytic: float


@dataclass(frozen=True)
class GradientRow:
    """One parameter: how many of its entries were compared, how many lay at kinks, the notes' relative difference
    ||approx - exact|| / (||approx|| + ||exact||), whether all slopes are zero, and the entry that differs most."""

    name: str
    compared: int
    skipped: int
    difference: float
    zero: bool
    worst: Entry | None

    @property
    def verdict(self) -> str:
        if not self.compared:
            return "nothing compared"
        if self.zero:
            return "all zero"
        return "ok" if self.difference <= TOLERANCE else "differs"


@dataclass(frozen=True)
class GradientCheck:
    """The parameters one by one, and the relative difference of all in one vector, the notes' theta."""

    rows: tuple[GradientRow, ...]
    difference: float

    @property
    def failures(self) -> tuple[GradientRow, ...]:
        return tuple(row for row in self.rows if row.verdict != "ok")

    @property
    def verdict(self) -> str:
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
    """A row for every parameter that learns, on at most so many entries of each, drawn by the seed.

    model: in float64. x, y: one mini-batch by input and by head. A gradient that is zero in all its entries fails: it
    would agree with anything that is missing.
    """
    inputs, targets = only_one(x), only_one(y)
    exact = model.gradients(inputs, targets)
    differences = _Differences(model, inputs, targets, epsilon)
    random = np.random.default_rng(seed)
    compared = [
        _compare(differences, name, gradient, random.permutation(gradient.size)[:entries])
        for name, gradient in exact.items()
    ]
    numerical, analytic = (np.concatenate([getattr(c, side) for c in compared]) for side in ("numerical", "analytic"))
    return GradientCheck(tuple(c.row(exact[c.name]) for c in compared), _relative_difference(numerical, analytic))


@dataclass(frozen=True)
class _Compared:
    """The entries of one parameter that do not lie at kinks, by their flat indices; and their slopes."""

    name: str
    indices: Array
    numerical: Array
    analytic: Array
    skipped: int
    noise: float

    def row(self, gradient: Array) -> GradientRow:
        """`gradient` is the whole analytic one."""
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
    """Of two vectors, as in the notes: ||numerical - analytic|| / (||numerical|| + ||analytic||)."""
    scale = float(np.linalg.norm(numerical) + np.linalg.norm(analytic))
    return float(np.linalg.norm(numerical - analytic)) / scale if scale else 0.0


class _Differences:
    """Slopes of the loss of one mini-batch: two-sided differences, with epsilon and with twice that.

    Where a smooth loss is bent, twice the step gives the same slope and twice the difference between the slopes on
    both sides. Where a kink lies within reach at least one of the two is otherwise, by about as much as the kink moves
    the slope: there is no derivative there, and the entry is left out. Nothing of this looks at the analytic gradient.
    """

    def __init__(self, model: Model, x: object, y: object, epsilon: float) -> None:
        self.model, self.x, self.y, self.epsilon = model, x, y, epsilon
        self.here = float(model.loss(x, y))
        self.noise = ROUNDING * max(1.0, abs(self.here)) / epsilon

    def slopes(self, name: str, indices: Array) -> tuple[Array, Array]:
        """Of these entries of a parameter: the slope, and how much a kink may have moved it."""
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


@dataclass(frozen=True)
class AsPredicted(Augmentation):
    """An augmentation that does in training what it does at prediction."""

    layer: Augmentation

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.layer.infer(inputs)

    def augmented(self, x: Array, mode: Mode) -> Array:
        return self.layer.unchanged(x)

    def forward(self, site: Site) -> None:
        self.layer.predict(site)


def without_augmentation(network: Network) -> tuple[Network, tuple[str, ...]]:
    """The network on the examples as they are at prediction, and the names of the layers that would change them: the
    cost is one function of the parameters only while nothing is drawn (notes: 'Notes for grad check'). No gradient
    flows through augmentation, so there is nothing in it to check."""
    augmenting = {node.name: node.layer for node in network.nodes if isinstance(node.layer, Augmentation)}
    nodes = (replace(n, layer=AsPredicted(augmenting[n.name])) if n.name in augmenting else n for n in network.nodes)
    return replace(network, nodes=tuple(nodes)), tuple(augmenting)


def only_one(arrays: Mapping[str, Array]) -> object:
    """What the model takes: an array where there is one, else all by name."""
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)
