"""A trained classifier with a class to spare, which whoever uses it teaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dslc.derived import rounded_values
from dslc.export.network import Trained
from dslc.ir import Head, Network, Node, Parameter, Value
from dslc.language.diagnostics import CallError
from dslc.layers.dense import Dense
from dslc.layers.softmax import Softmax
from dslc.losses import Loss
from dslc.losses.cross_entropy import CrossEntropy
from dslc.numerics import Array, np

OWN = "my class"
"""What the class is called before it has a name."""


def with_own_class(trained: Trained) -> Trained:
    """One more class behind the others. Its logit is the mean of theirs: it is never the likeliest, and the others keep
    their order. All layers but the last are frozen: a few examples teach it, and spoil little of what it knows.

    Raises:
        CallError: the network does not end in one `dense -> softmax` that tells classes, or it rounds.
    """
    network = trained.network
    if rounded_values(network):
        raise CallError("--training: a page learns no network of quantize int8: leave --training out")
    dense, softmax, head = _last_layers(network)
    count = head.value.shape[0]
    wider: dict[str, Value] = {v.name: Value(v.name, (count + 1,)) for v in (dense.output, softmax.output)}
    nodes = tuple(_widened(node, wider, node is dense) for node in network.nodes)
    heads = (replace(head, value=wider.get(head.value.name, head.value)),)
    widened = replace(network, nodes=nodes, heads=heads)
    widened.verify()
    names = trained.classes.get(head.name, tuple(map(str, range(count))))
    parameters = {**trained.parameters, **_with_a_mean({p.name: trained.parameters[p.name] for p in dense.parameters})}
    return replace(trained, network=widened, parameters=parameters, classes={head.name: (*names, OWN)})


def _last_layers(network: Network) -> tuple[Node, Node, Head]:
    head = network.heads[0]
    softmax = network.producer(head.value)
    dense = network.producer(softmax.inputs[0]) if softmax is not None else None
    if len(network.heads) == 1 and dense is not None and softmax is not None and _tells_classes(head.loss):
        ends = isinstance(softmax.layer, Softmax) and isinstance(dense.layer, Dense)
        weighed = network.class_weights(head) is not None
        alone = sum(dense.output in node.inputs for node in network.nodes) == 1
        if ends and alone and not weighed:
            return dense, softmax, head
    raise CallError("--training: a page learns classes, so the network must end in one `dense -> softmax` whose loss "
                    "is cross_entropy without class weights")  # fmt: skip


def _tells_classes(loss: Loss | None) -> bool:
    return isinstance(loss, CrossEntropy) and loss.numbered and not loss.class_weights


def _widened(node: Node, wider: Mapping[str, Value], grows: bool) -> Node:
    """The node with values as they are now; with one more unit where it `grows`, else frozen."""
    inputs = tuple(wider.get(v.name, v) for v in node.inputs)
    node = replace(node, inputs=inputs, output=wider.get(node.output.name, node.output))
    if not grows:
        return replace(node, parameters=tuple(replace(p, frozen=True) for p in node.parameters))
    assert isinstance(node.layer, Dense)
    layer = replace(node.layer, units=node.layer.units + 1)
    return replace(node, layer=layer, parameters=tuple(map(_one_more, node.parameters)))


def _one_more(parameter: Parameter) -> Parameter:
    """Units come first in the weights and the bias of a dense layer, which learns also if the spec freezes it."""
    shape = (parameter.shape[0] + 1, *parameter.shape[1:])
    return replace(parameter, shape=shape, frozen=False)


def _with_a_mean(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays with a last row that is the mean of the others."""
    return {n: np.concatenate([a, a.mean(axis=0, keepdims=True)]).astype(a.dtype) for n, a in parameters.items()}
