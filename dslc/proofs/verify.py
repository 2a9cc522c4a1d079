"""Compiled C against the NumPy interpreter: outputs, gradients, ten optimizer steps.

A difference is judged relative to the largest number of its tensor. Of a gradient that number alone will not do: that
of a bias before a batchnorm is exactly zero, because its terms cancel, and what the C finds is the rounding of these
terms. So a gradient is judged relative to its terms as well: `Interpreter.weighed_gradients` adds them up with random
weights, which gives the root of the sum of their squares. Where nothing cancels that is no more than the gradient
itself, and where all cancels one term that is missing, doubled or of the wrong sign is still 1 / sqrt(terms) of it,
with a million terms ten times what is allowed. The sum of the absolute values would be a scale too, and hide one in
ten thousand.

An optimizer such as adam then makes whole steps of numbers that are nothing but rounding, be it a whole gradient or one
entry of it, and no two programs round alike. In the ten steps the interpreter therefore takes the C's number for every
entry of a gradient in which both agree, as far as the tolerance can tell; what the C does with it is compared as ever.
Where they do not agree it keeps its own, and the parameters part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslc.numerics import Array, np
from dslc.proofs.gradcheck import only_one
from dslc.proofs.reference import Interpreter
from dslc.runtime.data.random import random_batch

if TYPE_CHECKING:
    from dslc.runtime.model import Model

STEPS = 10
DRAWS = 2
"""How often the terms of a gradient are weighed: two normal numbers are not both near zero."""
TOLERANCES = {"float32": (1e-5, 1e-4, 1e-2), "float64": (1e-12, 1e-10, 1e-8)}
"""For outputs, gradients and parameters after the steps, relative to the scale of a tensor. Steps of adam or rmsprop
amplify the rounding of gradients near zero, hence the third."""


@dataclass(frozen=True)
class Comparison:
    """One tensor: the largest difference, relative to the largest value in the interpreter, of a gradient to the larger
    of that and its terms."""

    what: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance


def verify(model: Model, count: int, seed: int = 0) -> list[Comparison]:
    """Every output, gradient and, after ten steps, parameter that differs by how much.

    Raises:
        AssertionError: the graph reads what it has not made.
    """
    network = model.network
    model.plan.graph.verify()
    x, y = random_batch(network, count, seed)
    judge = Interpreter(network, {n: v.numpy().astype(np.float64) for n, v in model.parameters.items()}, model.seed)
    precise_x = {name: a.astype(np.float64) for name, a in x.items()}
    precise_y = {name: a if a.dtype.kind == "i" else a.astype(np.float64) for name, a in y.items()}
    for_outputs, for_gradients, for_steps = TOLERANCES[network.precision]
    outputs = model.predict(only_one(x))
    by_head = outputs if isinstance(outputs, dict) else {network.heads[0].name: outputs}
    rows = _compare("output", by_head, judge.predict(precise_x), for_outputs, {})
    if network.training is None:
        return rows
    _, gradients, _ = judge.loss_and_gradients(precise_x, precise_y)
    terms = _terms(judge, precise_x, precise_y, seed)
    rows += _compare("gradient", model.gradients(only_one(x), only_one(y)), gradients, for_gradients, terms)
    for _ in range(STEPS):
        _, exact, results = judge.loss_and_gradients(precise_x, precise_y)
        found = model.gradients(only_one(x), only_one(y))
        agreed = {n: _agreed(exact[n], found[n], for_gradients * terms[n]) for n in exact}
        judge.update(agreed, results, model.learning_rate(model.epoch))
        model.train_step(only_one(x), only_one(y))
    after = {name: view.numpy() for name, view in model.parameters.items()}
    return rows + _compare(f"after {STEPS} steps", after, judge.parameters, for_steps, {})


def _terms(judge: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array], seed: int) -> dict[str, float]:
    """By parameter that learns, how large the terms of its gradient are."""
    random = np.random.default_rng(seed)
    draws = [judge.weighed_gradients(x, y, random) for _ in range(DRAWS)]
    return {name: max(float(np.abs(draw[name]).max()) for draw in draws) for name in draws[0]}


def _agreed(exact: Array, found: Array, allowed: float) -> Array:
    """The entries that were found, where they are near enough to the exact ones; else these."""
    return np.where(np.abs(found - exact) <= allowed, found, exact)


def _compare(
    what: str, found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float, terms: Mapping[str, float]
) -> list[Comparison]:
    rows = []
    for name, exact in wanted.items():
        scale = max(float(np.abs(exact).max()), terms.get(name, 0.0)) or 1.0
        rows.append(Comparison(f"{what} {name}", float(np.abs(found[name] - exact).max()) / scale, tolerance))
    return rows
