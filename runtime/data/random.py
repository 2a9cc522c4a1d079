"""Random data that fit a network: to compare its numbers, and to time it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.layers._embedding import Embedding
from dslc.losses.ctc import Ctc
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
        if isinstance(head.loss, Ctc):
            y[head.name] = _label_rows(head.loss, head.value.shape[-1], x.get(head.loss.lengths or ""), count, random)
        if head.loss is not None and head.loss.classes and not classes:
            y[head.name] /= y[head.name].sum(axis=1, keepdims=True)
    return x, y


def _label_rows(loss: Ctc, classes: int, steps: Array | None, count: int, random: np.random.Generator) -> Array:
    """Rows of labels without the blank, as many as fit into half of the steps where these are told."""
    labels = random.integers(0, classes - 1, (count, loss.labels))
    labels += labels >= loss.blank
    most = np.full(count, max(1, loss.labels // 2)) if steps is None else steps[:, 0] // 2
    lengths = np.minimum(random.integers(0, most + 1), loss.labels)
    return np.where(np.arange(loss.labels) < lengths[:, None], labels, np.float32(np.nan)).astype(np.float32)
