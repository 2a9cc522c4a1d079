"""Random data that fit a network: to compare its numbers, and to time it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Network

Array = np.ndarray[Any, Any]


def random_batch(network: Network, count: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs from a normal distribution and targets that fit, by input and by head."""
    random = np.random.default_rng(seed)
    x = {v.name: random.standard_normal((count, *v.shape)).astype(np.float32) for v in network.inputs}
    y: dict[str, Array] = {}
    for head in network.heads:
        classes = head.loss is not None and head.loss.numbered
        shape = (count, *head.value.shape)
        y[head.name] = random.integers(0, shape[-1], count) if classes else random.random(shape).astype(np.float32)
        if head.loss is not None and head.loss.classes and not classes:
            y[head.name] /= y[head.name].sum(axis=1, keepdims=True)
    return x, y
