"""What every contender is: a network in some framework that predicts, and perhaps learns, what ours does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dslc.ir import Head, Network, Node, Parameter, Value
from dslc.layers.dropout import Dropout
from dslc.registry import name_of
from dslc.runtime.data.random import random_batch

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Job = Literal["train", "predict"]
LABEL_SETS = 8
"""Labels change from step to step: a network that knew them by heart would compute with vanishing numbers."""


class Unknown(Exception):
    """A network has something that is not translated; the message names it."""


@dataclass(frozen=True)
class Given:
    """The data of a job: inputs by name, and sets of targets by head of which each step takes the next."""

    x: Arrays
    targets: tuple[Arrays, ...]


class Contender:
    """A network with these parameters, by the language's names and in its shapes.

    Raises:
        ImportError: the framework is not installed.
        Unknown: the framework's network would not be the same.
    """

    def __init__(self, network: Network, weights: Arrays, threads: int) -> None:
        raise NotImplementedError

    def take(self, job: Job, given: Given) -> None:
        """Makes ready for many calls of a job. Raises Unknown where it cannot be done."""
        raise NotImplementedError

    def call(self, turn: int) -> Any:
        """One call: a training step with the targets of this turn, or a prediction of the whole batch."""
        raise NotImplementedError

    def arrays(self, result: Any) -> list[Array]:
        """A result in NumPy, after waiting for it: the loss, or the outputs by head as ours are shaped."""
        raise NotImplementedError

    def choice(self) -> str:
        """What was chosen among several ways, for the reader."""
        return ""


def given_for(network: Network, job: Job, count: int) -> Given:
    """Random data, the same in every process. Sequences with labels have all their steps, so that any labels fit."""
    x, _ = random_batch(network, count, 0)
    for lengths in filter(None, map(network.lengths_of, network.heads)):
        x[lengths.name][...] = network.whole_numbers[lengths][1]
    sets = LABEL_SETS if job == "train" else 0
    return Given(x, tuple(random_batch(network, count, seed)[1] for seed in range(1, sets + 1)))


def without_dropout(network: Network) -> Network:
    """The network with its dropout off: random numbers of different libraries cannot be compared."""

    def quiet(node: Node) -> Node:
        layer = node.layer
        return replace(node, layer=replace(layer, rate=0.0, keep=None)) if isinstance(layer, Dropout) else node

    return replace(network, nodes=tuple(quiet(node) for node in network.nodes))


# ----------------------------------------------------------------------------------------- what translations share


def known(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """An entry of a table. Raises Unknown where there is none."""
    if name not in table:
        raise Unknown(f"the {kind} {name}")
    return table[name]


def require_layers(network: Network, layers: Mapping[str, Any]) -> None:
    """Raises Unknown, with the first layer or kind of input that is not translated."""
    if network.tables:
        raise Unknown("columns of tables")
    for node in network.nodes:
        known(layers, name_of(node.layer), "layer")
        if node.borrowed:
            raise Unknown("shared parameters")


def require_training(network: Network, losses: Mapping[str, Any], optimizers: Sequence[str]) -> None:
    """Raises Unknown, with the first thing of `train` that is not translated."""
    training = network.training
    if training is None:
        raise Unknown("a network without `train`")
    for thing, present in (
        ("clip", training.clip), ("a schedule", training.schedule), ("the average of parameters", training.average)
    ):  # fmt: skip
        if present is not None:
            raise Unknown(thing)
    for head in network.heads:
        if head.loss is None or getattr(head.loss, "class_weights", None):
            raise Unknown("class_weights" if head.loss else "a head without a loss")
        known(losses, name_of(head.loss), "loss")
    if name_of(training.optimizer) not in optimizers:
        raise Unknown(f"the optimizer {name_of(training.optimizer)}")
    for p in network.parameters:
        decay_of(p, 1)


def decay_of(p: Parameter, batch: int) -> float:
    """l2 as the field's weight decay, which is added to the gradient. Raises Unknown for other regularizers."""
    for penalty in p.regularizers:
        if name_of(penalty) != "l2":
            raise Unknown(f"the regularizer {name_of(penalty)}")
    return sum(penalty.strength / batch for penalty in p.regularizers)


def judged(network: Network, head: Head) -> Value:
    """What the loss is computed from: what flows into the head's softmax or sigmoid, where the loss knows it."""
    producer = network.producer(head.value)
    through = head.loss is not None and head.loss.through is not None
    return producer.inputs[0] if through and producer is not None else head.value


def reads(node: Node) -> Iterator[str]:
    """The names of the values that a layer reads."""
    return (value.name for value in node.inputs)


LayerTable = Mapping[str, Callable[..., Any]]
