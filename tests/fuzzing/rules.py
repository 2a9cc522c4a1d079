"""What random networks keep to, and why: numbers with which everything stays finite and small enough for NumPy, and
arguments that do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from dslc.checker.metrics import CLASS_METRICS, CONFUSION
from dslc.checker.target_units import BOUNDED
from dslc.language.arguments import BALANCED, Symbol
from dslc.layers import Layer
from dslc.losses import Loss
from dslc.shape import Shape

COUNTS = (3, 1, 2, 4, 5, 7, 8, 15, 16, 17, 33)
"""Channels, filters, units: around the numbers of lanes of all targets."""
SIDES = (4, 1, 2, 3, 5, 6, 7, 8, 9, 13)
REALS = (0.5, 0.1, 0.9, 0.01, 0.001, 1.5, 20.0, 0.0)
RATES = (0.01, 0.1, 0.001)
REALS_OF = {"lr": RATES, "eps": (1e-8, 1e-5, 1e-3, 0.1), "c": (0.1, -0.2), "std": (0.3, 0.05)}
"""Numbers that keep what is computed from them finite, by the name of the argument."""
BATCHES = (3, 1, 2, 5, 8, 17, 40, 70)
MOST_ELEMENTS, MOST_WORK, MOST_WEIGHTS = 4000, 1_000_000, 20_000
"""Of a value, a layer's multiply-adds for one example, and a layer's weights: what NumPy computes in a moment."""


def counts(name: str, shape: Shape) -> Sequence[int]:
    """The whole numbers that an argument of this name may be, behind a value of this shape."""
    if name in ("groups", "heads", "pieces"):
        return [n for n in range(1, shape[-1] + 1) if shape[-1] % n == 0]
    if name == "size" and len(shape) == 2:
        return [n for n in (3, 1, 2, 5, 4, 7) if n <= shape[0]]
    few = {"pixels": (1, 2), "block": (2, 1, 3), "multiplier": (2, 1, 3), "start": (0, 1, 2),
           "dilation": (2, 1, 3), "stride": (2, 1, 3, 4)}  # fmt: skip
    return few.get(name, COUNTS)


def settled(name: str, given: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The arguments of a call that go together, of something other than a layer: what a layer refuses, it says with
    the argument."""
    settled = dict(given)
    if settled.get("soft_labels"):
        settled.pop("class_weights", None)  # they weigh class numbers
    if "cross_entropy" in name and name != "cross_entropy" and settled.get("class_weights") == Symbol(BALANCED):
        del settled["class_weights"]  # they count examples, and here each pixel or step has a class
    if settled.get("centered"):
        settled.pop("beta", None)  # of a small one s - mean^2 is a small difference, and float32 is far off
    if settled.get("nesterov") and not settled.get("momentum"):
        settled["momentum"] = 0.9  # it has no effect without
    if name == "one_cycle":  # one of two lengths, of which that in epochs is known within fit alone
        settled.pop("epochs", None)
        settled["steps"] = 3
    if name == "ctc" and settled["labels"] > (steps := shape[0] if len(shape) > 1 else 1):
        settled["labels"] = steps  # more have no room
    if name == "ctc" and settled.get("blank", 0) >= shape[-1]:
        settled["blank"] = shape[-1] - 1  # the last class
    return settled


def too_much(layer: Layer, shape: Shape, result: Shape) -> bool:
    """A layer takes more than a moment for an example of this shape."""
    weights = sum(prod(w.shape) for w in layer.parameters((shape,)))
    return prod(result) > MOST_ELEMENTS or weights > MOST_WEIGHTS or layer.multiply_adds((shape,)) > MOST_WORK


def fits_target_unit(losses: Sequence[Loss], lasts: Sequence[str]) -> bool:
    """`standardize_target` has an effect on a loss, and no output of these has bounds. lasts: their last layers."""
    concerned = [last for loss, last in zip(losses, lasts, strict=True) if loss.numbers]
    return bool(concerned) and not any(last in BOUNDED for last in concerned)


def has_metric(loss: Loss, shape: Shape, metric: str) -> bool:
    """Whether an output of this shape has the metric; the better of two is always right."""
    if metric == "top2":
        return loss.classes and shape[-1] > 2
    return not loss.sequences and ("accuracy" in loss.metrics) == (metric in (*CLASS_METRICS, CONFUSION))
