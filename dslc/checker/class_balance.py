"""`class_weights=balanced`: a parameter of the head's last layer, which `fit` sets from its targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dslc.inits.ones import Ones
from dslc.ir import Head, Node, Parameter, class_weights_role


def with_class_weights(heads: Iterable[Head], nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes, with one number for each class where a head's loss is balanced. Being parameters, the numbers are
    stored with the weights and in checkpoints; being none of the optimizer's, they do not learn."""
    made = {head.value: head for head in heads if head.loss is not None and head.loss.balanced}
    return tuple(_with_weights(node, made[node.output]) if node.output in made else node for node in nodes)


def _with_weights(node: Node, head: Head) -> Node:
    name = f"{node.name}.{class_weights_role(head.name)}"
    weights = Parameter(name, head.value.shape, Ones(), trained=False, frozen=node.frozen)
    return replace(node, parameters=(*node.parameters, weights))
