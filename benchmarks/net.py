"""What a rival builds a network from, without a word of dslc in it, and the data that everyone gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LABEL_SETS = 16
"""Labels change from step to step: a network that knew them by heart would compute with vanishing gradients."""


@dataclass(frozen=True)
class Step:
    """A layer. `inputs` count values: 0 is the network's input, i the result of step i. `args` are the layer's numbers;
    `image` is the shape that a dense layer's input had before it was flattened."""

    kind: str
    name: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    args: dict[str, Any]
    image: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Net:
    """A network without its last layer, the `head` (softmax or sigmoid), which training leaves to the loss.

    `forward_work` and `training_work` are multiply-adds of one example.
    """

    text: str
    input: tuple[int, ...]
    steps: tuple[Step, ...]
    outputs: int
    head: str
    optimizer: str
    settings: dict[str, Any]
    batch: int
    dtype: str
    forward_work: int
    training_work: int

    @property
    def is_chain(self) -> bool:
        """Every layer takes just the result of the one before it."""
        return all(step.inputs == (i,) for i, step in enumerate(self.steps))

    @property
    def has_images(self) -> bool:
        return len(self.input) == 3

    @property
    def has_dropout(self) -> bool:
        return any(step.kind == "dropout" for step in self.steps)

    def last_use(self, value: int) -> int:
        """The number of the last step that reads a value."""
        return max((i for i, step in enumerate(self.steps, 1) if value in step.inputs), default=len(self.steps))


def make_data(net: Net) -> tuple[Array, Array]:
    """A mini-batch, the same in every process, and sets of labels for it."""
    random = np.random.default_rng(0)
    x = random.standard_normal((net.batch, *net.input)).astype(net.dtype)
    if net.head == "softmax":
        return x, random.integers(0, net.outputs, (LABEL_SETS, net.batch))
    return x, random.integers(0, 2, (LABEL_SETS, net.batch, net.outputs)).astype(net.dtype)
