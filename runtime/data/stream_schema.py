"""What the batches of a stream tell a model of its data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from dslc.ir import Head, Network
from dslc.language.diagnostics import DataError
from dslc.runtime.data.arrays import by_head
from dslc.runtime.data.asked import class_count, tells_labels
from dslc.runtime.data.labels import distinct_labels, labels_of
from dslc.runtime.data.schema import Schema
from dslc.runtime.data.stream import Stream
from dslc.runtime.data.stream_batches import pair_of

Array = np.ndarray[Any, Any]


def schema_of(schema: Schema, network: Network, stream: Stream, unfitted: Collection[str], anew: bool) -> Schema:
    """The schema with what a training set tells: columns and offsets by its first batch; labels, where these are not
    class numbers, by a pass through all of it.

    Raises:
        DataError: the first batch has no y, or the labels are more than the classes.
    """
    x, y = _pair(stream, network, stream.first())
    if y is None:
        raise DataError("a stream to train on has batches (x, y); its first batch is x alone")
    found = schema.of_inputs(network, x, unfitted if anew else (), anew)
    if not anew or not any(_named(found, head, given) for head, given in _with_heads(network, y)):
        return found
    return found.of_targets(network, _all_labels(network, stream), anew)


def _pair(stream: Stream, network: Network, batch: Any) -> tuple[Any, Any]:
    inputs, heads = (tuple(v.name for v in network.inputs), tuple(head.name for head in network.answers))
    return pair_of(batch, stream, inputs, heads)


def _with_heads(network: Network, y: Any) -> Iterator[tuple[Head, Any]]:
    return zip(network.heads, by_head(network, y), strict=True)


def _named(schema: Schema, head: Head, given: Any) -> bool:
    """Whether these targets are labels that the schema does not know, and not class numbers."""
    labels = labels_of(given) if tells_labels(head) and head.name not in schema.classes else None
    if labels is None or not len(labels):
        return False
    return labels.dtype.kind not in "iu" or bool(labels.min() < 0 or labels.max() >= class_count(head))


def _all_labels(network: Network, stream: Stream) -> Any:
    """The targets of a head that has labels: each label once; of another, those of the first batch."""
    found: dict[str, Any] = {}
    for batch in stream.open(0):
        for head, given in _with_heads(network, _pair(stream, network, batch)[1]):
            labels = labels_of(given) if tells_labels(head) else None
            if labels is None:
                found.setdefault(head.name, given)
            else:
                found[head.name] = np.array(distinct_labels(np.concatenate([found.get(head.name, labels[:0]), labels])))
    return found if len(network.heads) > 1 else next(iter(found.values()))
