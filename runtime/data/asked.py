"""What a network asks of its data."""

from __future__ import annotations

from dataclasses import replace

from dslc.ir import Head, Network
from dslc.runtime.data.examples import Reading, TextReading
from dslc.runtime.data.vocabulary import text_input


def tells_labels(head: Head) -> bool:
    """Whether its answers are classes: those of a softmax, or the yes and no of one sigmoid."""
    return head.loss is not None and (head.loss.classes or (head.loss.binary and head.value.elements == 1))


def class_count(head: Head) -> int:
    """How many classes it tells."""
    return head.value.shape[-1] if head.loss is not None and head.loss.classes else 2


def reading_for(network: Network) -> Reading:
    """What a network asks of its data: numbers for targets unless it tells classes, targets for each of several heads,
    and images of its channels."""
    heads = {head.name: head in network.answers for head in network.heads} if len(network.heads) > 1 else None
    return replace(_reading_of_inputs(network), heads=heads)


def _reading_of_inputs(network: Network) -> Reading:
    numbers = network.training is not None and not any(tells_labels(head) for head in network.heads)
    shape, table = network.inputs[0].shape, network.table(network.inputs[0].name)
    if table is not None:
        return Reading(numbers=numbers, columns=table.names, declared=True)
    wanted = text_input(network)
    if wanted is not None:
        return Reading(numbers=numbers, text=TextReading(wanted.steps, wanted.continues))
    return Reading(numbers=numbers, channels=shape[2] if len(shape) == 3 and shape[2] in (1, 3) else None)
