"""Random data that fit a network: to compare its numbers, and to time it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.layers._embedding import Embedding
from dslc.losses.pixel_cross_entropy import PixelCrossEntropy
from dslc.runtime.data.encoding import Encoded

Array = np.ndarray[Any, Any]


def random_batch(network: Network, count: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs from a normal distribution, whole numbers where something is counted or looked up, and targets that fit,
    by input and by head. Columns of tables come as the network takes them."""
    random = np.random.default_rng(seed)
    x = {v.name: random.standard_normal((count, *v.shape)).astype(np.float32) for v in network.inputs}
    for node in network.nodes:
        if isinstance(node.layer, Embedding):
            for part in node.layer.learned:
                x[node.inputs[0].name][:, part.start] = random.integers(-1, part.values, count)
    for value, (least, most) in network.whole_numbers.items():
        x[value.name] = random.integers(least, most + 1, (count, *value.shape)).astype(np.float32)
    x |= {table.input: x[table.input].view(Encoded) for table in network.tables}
    y: dict[str, Array] = {}
    for head in network.heads:
        classes = head.loss is not None and head.loss.numbered
        shape = (count, *head.value.shape)
        y[head.name] = random.integers(0, shape[-1], count) if classes else random.random(shape).astype(np.float32)
        if isinstance(head.loss, PixelCrossEntropy):
            labels = random.integers(0, shape[-1], shape[:-1]).astype(np.float32)
            y[head.name] = np.where(labels == head.loss.ignore, np.float32(np.nan), labels)
        if head.loss is not None and head.loss.classes and not classes:
            y[head.name] /= y[head.name].sum(axis=1, keepdims=True)
    return x, y
