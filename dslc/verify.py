"""Compiled C against the NumPy interpreter: outputs, gradients, ten optimizer steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslc.gradcheck import only_one
from dslc.ir import Network
from dslc.numerics import Array, np
from dslc.reference import Interpreter

if TYPE_CHECKING:
    from dslc.runtime.model import Model

STEPS = 10
TOLERANCES = {"float32": (1e-5, 1e-4, 1e-2), "float64": (1e-12, 1e-10, 1e-8)}
"""For outputs, gradients and parameters after the steps, relative to the largest value of a tensor. Steps of adam or
rmsprop amplify the rounding of gradients near zero, hence the third."""


@dataclass(frozen=True)
class Comparison:
    """One tensor: the largest difference, relative to the largest value in the interpreter."""

    what: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance


def random_batch(network: Network, count: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs from a normal distribution and targets that fit, by input and by head."""
    random = np.random.default_rng(seed)
    x = {v.name: random.standard_normal((count, *v.shape)).astype(np.float32) for v in network.inputs}
    y: dict[str, Array] = {}
    for head in network.heads:
        classes = head.loss is not None and head.loss.classes
        shape = (count, *head.value.shape)
        y[head.name] = random.integers(0, shape[-1], count) if classes else random.random(shape).astype(np.float32)
    return x, y


def verify(model: Model, count: int, seed: int = 0) -> list[Comparison]:
    """Every output, gradient and, after ten steps, parameter that differs by how much."""
    network = model.network
    x, y = random_batch(network, count, seed)
    judge = Interpreter(network, {n: v.numpy().astype(np.float64) for n, v in model.parameters.items()}, model.seed)
    precise_x = {name: a.astype(np.float64) for name, a in x.items()}
    precise_y = {name: a if a.dtype.kind == "i" else a.astype(np.float64) for name, a in y.items()}
    for_outputs, for_gradients, for_steps = TOLERANCES[network.precision]
    outputs = model.predict(only_one(x))
    by_head = outputs if isinstance(outputs, dict) else {network.heads[0].name: outputs}
    rows = _compare("output", by_head, judge.predict(precise_x), for_outputs)
    if network.training is None:
        return rows
    _, gradients, _ = judge.loss_and_gradients(precise_x, precise_y)
    rows += _compare("gradient", model.gradients(only_one(x), only_one(y)), gradients, for_gradients)
    for _ in range(STEPS):
        model.train_step(only_one(x), only_one(y))
        judge.train_step(precise_x, precise_y, model.learning_rate(model.epoch))
    after = {name: view.numpy() for name, view in model.parameters.items()}
    return rows + _compare(f"after {STEPS} steps", after, judge.parameters, for_steps)


def _compare(what: str, found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float) -> list[Comparison]:
    rows = []
    for name, exact in wanted.items():
        scale = float(np.abs(exact).max()) or 1.0
        rows.append(Comparison(f"{what} {name}", float(np.abs(found[name] - exact).max()) / scale, tolerance))
    return rows
