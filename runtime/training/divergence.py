"""Steps that are not finite: where, the likely cause and what to try, and whether training goes on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dslc.ir import HALVE_LR, SKIP, STOP
from dslc.layers import Mode
from dslc.runtime.data.scaling import scaled
from dslc.runtime.native.arguments import BYTES
from dslc.runtime.training.pieces import Piece
from dslc.runtime.training.trainable import Trainable

Array = np.ndarray[Any, Any]
LARGE = 1e3
"""No parameter of a network that learns is as large as this: it has been growing."""
IN_A_ROW = 20
"""After so many steps in a row that are not finite training ends, whatever `on_nan` says: nothing is learned."""
NUMBERS = 20_000_000
"""How many numbers the search for the layer may compute: of a large network it looks at a few examples."""


class Diverged(RuntimeWarning):
    """A step was not finite."""


class NotFinite:
    """What becomes of the steps of a training that are not finite."""

    def __init__(self, model: Trainable) -> None:
        self.model = model
        self.step, self.in_a_row = -1, 0
        self.told = -1

    def goes_on(self, piece: Piece, done: int, kept: str) -> bool:
        """Says whether training goes on behind the mini-batch at position `done` of a piece, with half the learning
        rate if the file says so; and tells of it, of those left out of the first in each epoch. kept: which weights
        are left if training ends."""
        model = self.model
        self.in_a_row = self.in_a_row + 1 if model.step == self.step else 1
        self.step = model.step
        policy = STOP if self.in_a_row == IN_A_ROW else model.training.on_nan
        if policy == SKIP and self.told == model.epoch:
            return True
        self.told = model.epoch
        cause = explain(model, piece, done)
        if policy == HALVE_LR:
            model.lr_factor /= 2
        what = "the loss or a gradient is" if model.training.checks_gradients else "the loss is"
        where = f"epoch {model.epoch + 1}, step {model.step + 1}"
        again = f" for the {IN_A_ROW}th time in a row" if self.in_a_row == IN_A_ROW else ""
        then = {
            STOP: f"training stops, {kept}",
            SKIP: "the step is left out",
            HALVE_LR: f"the step is left out, and the learning rate halved to {rate(model):g}",
        }[policy]
        warnings.warn(f"{what} not finite in {where}{again}: {then}; {cause}", Diverged, stacklevel=7)
        return policy != STOP


def spoiled(model: Trainable) -> bool:
    """Whether an update has left something that is not finite though its loss was: where only losses are looked at, as
    `on_nan stop` does. Tells of it."""
    broken = model.first_not_finite()
    if broken is not None:
        text = f"{broken} is not finite after epoch {model.epoch + 1}, though every loss was: training stops"
        cause = f"a gradient was too large, {_too_fast(model)}"
        remedy = "`on_nan skip` or `halve_lr` finds such steps before the update"
        warnings.warn(f"{text}; {cause}; {remedy}", Diverged, stacklevel=5)
    return broken is not None


def rate(model: Trainable) -> float:
    """The learning rate of the next step."""
    return model.learning_rate(model.epoch, model.step)


def explain(model: Trainable, piece: Piece, done: int) -> str:
    """The parameter or layer that is to blame, the likely cause and what helps."""
    broken = model.first_not_finite()
    if broken is not None:
        return f"{broken} is the first array that is not finite, {_too_fast(model)}"
    sizes = {name: float(np.abs(array).max(initial=0)) for name, array in model.trained_weights().items()}
    largest = max(sizes, key=lambda name: sizes[name], default=None)
    if largest is not None and sizes[largest] >= LARGE:
        return f"{largest} has grown to {sizes[largest]:.1e}, {_too_fast(model)}"
    return (
        f"{_where(model, piece, done)}; no parameter is large, so an input, a target or an activation is: standardize "
        "them; dslc inspect --checkpoint shows by layer where they explode"
    )


def _too_fast(model: Trainable) -> str:
    return f"so the learning rate {rate(model):g} is likely too high: try a tenth of it, a warmup, or clip"


def _where(model: Trainable, piece: Piece, done: int) -> str:
    """The first layer whose output is not finite, by the layers' references on examples with the largest inputs; where
    there is none, what holds the largest number."""
    network = model.network
    with np.errstate(all="ignore"):
        values = _inputs(model, piece, done)
        sizes = {f"input {name}": _size(x) for name, x in values.items()}
        for head, y in zip(network.heads, piece.targets, strict=True):
            sizes[f"the targets of {head.name}"] = _size(y[_examples(model, piece, done)])
        weights = model.trained_weights()
        for index, node in enumerate(network.nodes):
            own = {p.name.removeprefix(f"{node.name}."): weights[p.name] for p in node.parameters}
            mode = Mode(not node.frozen, model.seed, model.step, index)
            y = node.layer.reference(tuple(values[v.name] for v in node.inputs), own, mode).y
            if not np.isfinite(y).all():
                return f"the output of {node.name} is the first that is not finite"
            values[node.output.name], sizes[f"the output of {node.name}"] = y, _size(y)
    largest = max(sizes, key=lambda name: sizes[name])
    return f"the largest number is {sizes[largest]:.1e}, in {largest}"


def _size(array: Array) -> float:
    """The largest absolute value that is there: NaN in targets is a missing label."""
    return float(np.nanmax(np.abs(array), initial=0))


def _examples(model: Trainable, piece: Piece, done: int) -> Array:
    """The examples of a mini-batch that this rank has."""
    at = piece.order[done : done + model.mini_batch]
    return at[model.share.places(len(at))] if piece.told else at


def _inputs(model: Trainable, piece: Piece, done: int) -> dict[str, Array]:
    """Examples of a mini-batch by input, those with the largest numbers first, as many as may be looked at."""
    network = model.network
    numbers = sum(value.elements for value in (*network.inputs, *(node.output for node in network.nodes)))
    chosen = _examples(model, piece, done)
    found = [array[chosen] for array in piece.inputs]
    dtype = np.dtype(network.dtype)
    found = [scaled(array, dtype) if array.dtype == BYTES else array.astype(dtype) for array in found]
    sizes = np.max([np.abs(array.reshape(len(chosen), -1)).max(axis=1, initial=0) for array in found], axis=0)
    first = np.argsort(-sizes, kind="stable")[: max(1, NUMBERS // max(1, numbers))]
    return {
        value.name: array[first].reshape(-1, *value.shape) for value, array in zip(network.inputs, found, strict=True)
    }
