"""The scale of activations and gradients by depth, which shows whether they vanish or explode (notes: 'Vanishing /
Exploding Gradients')."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dslc.ir import Network, Node
from dslc.numerics import Array, np
from dslc.proofs.reference import Arrays, Interpreter
from dslc.shape import show_shape

FACTOR = 1000.0
"""How many times smaller or larger than at its source a scale may be."""


@dataclass(frozen=True)
class Limits:
    """The range in which a scale is fine."""

    low: float
    high: float

    def verdict(self, scale: float) -> str:
        """`vanishes` or `explodes`; an empty string if the scale is fine."""
        if not math.isfinite(scale) or scale > self.high:
            return "explodes"
        return "vanishes" if scale < self.low else ""


@dataclass(frozen=True)
class LayerScale:
    """One layer: the standard deviation of its output and the share of zeros in it; standard deviation and norm of the
    gradient of one example's loss with respect to the output. These two are None if the gradient does not pass there:
    at the softmax under a cross-entropy loss, and before an augmentation."""

    layer: str
    output: str
    activation: float
    zeros: float
    gradient: float | None
    norm: float | None
    verdict: str


@dataclass(frozen=True)
class Scales:
    """All layers from input to output, and the limits behind the verdicts. Gradients are judged by their norm, which
    does not depend on the size of a layer and which `he` preserves from layer to layer."""

    layers: tuple[LayerScale, ...]
    activation: Limits
    norm: Limits


def measure(interpreter: Interpreter, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> Scales:
    """Measures the scales on one mini-batch, in training mode; without `train`, only activations, at prediction.

    inputs, targets: arrays (n, *shape) by input and by head.
    """
    network = interpreter.network
    with np.errstate(all="ignore"):
        values, gradients = _passes(interpreter, inputs, targets)
        given = max(float(x.std()) for x in inputs.values())
        activation = Limits(min(given, 1.0) / FACTOR, max(given, 1.0) * FACTOR)
        at_loss = max(
            (_norm(gradients[interpreter.loss_input(head).name]) for head in network.heads if gradients), default=0.0
        )
        norm = Limits(at_loss / FACTOR, at_loss * FACTOR)
        layers = [_layer(node, values, gradients, activation, norm) for node in network.nodes]
    return Scales(tuple(layers), activation, norm)


def _passes(
    interpreter: Interpreter, inputs: Mapping[str, Array], targets: Mapping[str, Array]
) -> tuple[Arrays, Arrays]:
    """Every value, and the gradients of each example's own loss; the network's loss is the mean of those."""
    if interpreter.network.training is None:
        return interpreter.run(inputs, training=False)[0], {}
    values, slopes = interpreter.flow(inputs, targets)
    unasked = _without_gradient(interpreter.network)
    return values, {name: slope * len(slope) for name, slope in slopes.items() if name not in unasked}


def _without_gradient(network: Network) -> set[str]:
    """The values that need no gradient: those that an augmentation reads, and all before them."""
    found: set[str] = set()
    for node in reversed(network.nodes):
        if node.layer.augments or node.output.name in found:
            found |= {value.name for value in node.inputs}
    return found


def _layer(node: Node, values: Arrays, gradients: Arrays, activation: Limits, norm: Limits) -> LayerScale:
    y, gradient = values[node.output.name], gradients.get(node.output.name)
    deviation, zeros = float(y.std()), float((y == 0).mean())
    shape = show_shape(node.output.shape)
    if gradient is None:
        return LayerScale(node.name, shape, deviation, zeros, None, None, _verdict(activation.verdict(deviation), ""))
    length = _norm(gradient)
    verdict = _verdict(activation.verdict(deviation), norm.verdict(length))
    return LayerScale(node.name, shape, deviation, zeros, float(gradient.std()), length, verdict)


def _norm(gradient: Array) -> float:
    """The root mean square, over the examples, of the norm of each one's gradient."""
    return float(np.sqrt((gradient**2).sum() / len(gradient)))


def _verdict(activation: str, gradient: str) -> str:
    found = [f"{what} {word}" for what, word in (("activation", activation), ("gradient", gradient)) if word]
    return ", ".join(found) or "ok"
