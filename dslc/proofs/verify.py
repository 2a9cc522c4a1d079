"""Compares the compiled C with the NumPy interpreter: outputs, gradients, ten optimizer steps.

A difference is judged relative to the largest number of its tensor. For gradients that is not enough. The gradient of
a bias before a batchnorm, for example, is exactly zero because its terms cancel, and the C computes their rounding
error. So a gradient is also judged relative to the size of its terms (`terms.py`): with random weights their sum is
about the root of the sum of their squares. If nothing cancels, this is no
larger than the gradient itself. If everything cancels, one term that is missing, doubled or of the wrong sign is
still 1 / sqrt(terms) of it: with a million terms, ten times what is allowed. The sum of the absolute values would be
a possible scale too, but it would hide one such term in ten thousand.

An optimizer such as adam makes full steps even from numbers that are only rounding errors, be it a whole gradient or
one entry of it, and these differ between any two programs. In the ten steps the interpreter therefore uses the C's
value for every entry of a gradient in which both agree within the tolerance. What the C does with it is compared like
everything else. Where they do not agree it keeps its own value, and the parameters drift apart.

With `precision mixed` both round operands to bf16, and may round some apart: `flips.py` says how much that makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dslc.numerics import Array, np
from dslc.proofs.flips import flips, with_exact_products
from dslc.proofs.gradcheck import unwrap_single
from dslc.proofs.reference import Interpreter
from dslc.proofs.terms import sizes_of_terms
from dslc.runtime.data.random import random_batch

if TYPE_CHECKING:
    from dslc.runtime.model import Model

STEPS = 10
TOLERANCES = {"float32": (1e-5, 1e-4, 1e-2), "float64": (1e-12, 1e-10, 1e-8)}
"""For outputs, gradients, and parameters after the steps, relative to the scale of a tensor. The third is larger since
steps of adam or rmsprop amplify the rounding errors of gradients near zero."""


@dataclass(frozen=True)
class Comparison:
    """One tensor: the largest absolute difference, relative to the largest value in the interpreter; for a gradient,
    relative to that or to the size of its terms, whichever is larger."""

    what: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


def verify(model: Model, count: int, seed: int = 0) -> list[Comparison]:
    """Compares every output, every gradient and, after ten training steps, every parameter and every output once more:
    with running averages that are not those of the beginning.

    count: examples in the mini-batch, drawn by the seed. The steps change the model's parameters.

    Raises:
        AssertionError: the graph reads what it has not made.
    """
    network = model.network
    model.plan.graph.verify()
    x, y = random_batch(network, count, seed)
    interpreter = Interpreter(
        network, {n: v.numpy().astype(np.float64) for n, v in model.parameters.items()}, model.seed
    )
    precise_x = {name: a.astype(np.float64) for name, a in x.items()}
    precise_y = {name: a if a.dtype.kind == "i" else a.astype(np.float64) for name, a in y.items()}
    for_outputs, for_gradients, for_steps = TOLERANCES[network.dtype]
    of_outputs, of_gradients = flips(interpreter, precise_x, precise_y, for_outputs, seed)
    rows = _compare("output", _outputs(model, x), interpreter.predict(precise_x), for_outputs, {}, of_outputs)
    if network.training is None:
        return rows
    _, gradients, _ = interpreter.loss_and_gradients(precise_x, precise_y)
    terms = sizes_of_terms(replace(interpreter, network=with_exact_products(network)), precise_x, precise_y, seed)
    found = model.gradients(unwrap_single(x), unwrap_single(y))
    rows += _compare("gradient", found, gradients, for_gradients, terms, of_gradients)
    for _ in range(STEPS):
        _, exact, results = interpreter.loss_and_gradients(precise_x, precise_y)
        found = model.gradients(unwrap_single(x), unwrap_single(y))
        agreed = {n: _agreed(exact[n], found[n], for_gradients * terms[n] + of_gradients[n]) for n in exact}
        interpreter.update(agreed, results, model.learning_rate(model.epoch))
        model.train_step(unwrap_single(x), unwrap_single(y))
    after = {name: view.numpy() for name, view in model.parameters.items()}
    rows += _compare(f"after {STEPS} steps", after, interpreter.shown, for_steps, {}, {})
    what, outputs = f"output after {STEPS} steps", interpreter.predict(precise_x)
    return rows + _compare(what, _outputs(model, x), outputs, for_steps, {}, of_outputs)


def _outputs(model: Model, x: Mapping[str, Array]) -> dict[str, Array]:
    """What the C predicts, by head."""
    found = model.predict(unwrap_single(x))
    return found if isinstance(found, dict) else {model.network.heads[0].name: found}


def _agreed(exact: Array, found: Array, allowed: float) -> Array:
    """The entries that were found, where they are near enough to the exact ones; else these."""
    return np.where(np.abs(found - exact) <= allowed, found, exact)


def _compare(
    what: str,
    found: Mapping[str, Array],
    wanted: Mapping[str, Array],
    tolerance: float,
    terms: Mapping[str, float],
    flipped: Mapping[str, float],
) -> list[Comparison]:
    """terms: the sizes of a gradient's terms. flipped: what operands may make that are rounded apart."""
    rows = []
    for name, exact in wanted.items():
        scale = max(float(np.abs(exact).max()), terms.get(name, 0.0)) or 1.0
        allowed = tolerance + flipped.get(name, 0.0) / scale
        rows.append(Comparison(f"{what} {name}", float(np.abs(found[name] - exact).max()) / scale, allowed))
    return rows
