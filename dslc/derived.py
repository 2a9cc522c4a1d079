"""Networks made of others: a part of one, one that shows what is inside, and one whose inputs are parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from dslc.inits.ones import Ones
from dslc.ir import Head, Network, Node, Parameter, Value
from dslc.language.diagnostics import DataError, did_you_mean
from dslc.language.source import Span
from dslc.layers._augmentation import Augmentation
from dslc.layers._fake_quantize import FakeQuantize
from dslc.layers.linear import Linear
from dslc.layers.reshape import Reshape
from dslc.layers.scale import Scale


def showing(network: Network, layers: Iterable[str]) -> Network:
    """A network that only predicts, with an output for each of these layers.

    Raises:
        DataError: there is no such layer.
    """
    heads = tuple(Head(name, _value(network, name)) for name in layers)
    return replace(network, heads=heads, training=None).needed()


def predicting(network: Network) -> Network:
    """The network without what training alone needs: its loss, and outputs that are `train_only` with their layers."""
    return replace(network, heads=network.answers, training=None).needed()


def part_of(network: Network, output: str, start: str | None, freeze: Iterable[str]) -> Network:
    """The network up to an output or a layer; with `start` only what comes behind that layer, whose result is the input
    then. `freeze`: layers that do not learn in the part, nor others that share their parameters.

    Raises:
        DataError: there is no such layer, or nothing is between the two.
    """
    head = next((h for h in network.heads if h.name == output), None) or Head(output, _value(network, output))
    nodes = network.nodes
    inputs = network.inputs
    if start is not None:
        begin = _value(network, start)
        nodes = tuple(node for node in nodes if node.output != begin)
        inputs = (*inputs, begin)
    for name in freeze:
        _value(network, name)
    still = {p.name for node in nodes if node.name in set(freeze) for p in (*node.parameters, *node.borrowed)}
    nodes = tuple(_frozen(node, still) for node in nodes)
    training = None if head.loss is None else network.training
    found = replace(network, heads=(replace(head, train_only=False),), nodes=nodes, inputs=inputs, training=training)
    found = found.needed()
    read = {value for node in found.nodes for value in node.inputs} | {found.lengths_of(h) for h in found.heads}
    if not found.nodes or (start is not None and begin not in read):
        raise DataError(f"{output} does not depend on {start}: there is no part between them")
    return replace(found, inputs=tuple(value for value in found.inputs if value in read))


def with_inputs_as_parameters(network: Network) -> Network:
    """The network as it predicts, in which nothing learns but its inputs of numbers (`with_gradients`): each is 1 times
    a parameter, a number for each of its elements, so that the gradient of the parameter is that of the input of a
    single example.

    Raises:
        DataError: the network has no loss, no input of numbers, columns of tables, or cuts its images.
    """
    if network.training is None:
        raise DataError("this network has no `train`: there is no loss to differentiate")
    if network.tables:
        raise DataError("columns of a table are no numbers that a loss could be differentiated by")
    if not with_gradients(network):
        raise DataError("its inputs are words or lengths: whole numbers have no gradient")
    pixels = {value: _pixels(value, network.nodes[0].span) for value in with_gradients(network)}
    renamed = {value: nodes[-1].output for value, nodes in pixels.items()}
    nodes = [node for nodes in pixels.values() for node in nodes]
    for node in map(_at_prediction, network.nodes):
        nodes.append(replace(node, inputs=tuple(renamed.get(value, value) for value in node.inputs)))
    inputs = tuple(pixels[value][0].inputs[0] if value in pixels else value for value in network.inputs)
    training = replace(network.training, clip=None, average=None, slices=1, batch=1)
    return replace(network, inputs=inputs, nodes=tuple(nodes), training=training)


def unrounded(network: Network) -> Network:
    """The network without the rounding of `quantize int8`: in numbers that are as fine as floats are."""
    passed = {node.output: node.inputs[0] for node in network.nodes if isinstance(node.layer, FakeQuantize)}
    nodes = tuple(
        replace(node, inputs=tuple(passed.get(value, value) for value in node.inputs), rounds_weight=False)
        for node in network.nodes
        if node.output not in passed
    )
    heads = tuple(replace(head, value=passed.get(head.value, head.value)) for head in network.heads)
    return replace(network, nodes=nodes, heads=heads)


def rounded_values(network: Network) -> dict[str, Value]:
    """The values that `quantize int8` rounds, by the name of the parameter that is their range."""
    return {
        p.name: node.inputs[0]
        for node in network.nodes
        if isinstance(node.layer, FakeQuantize)
        for p in node.parameters
    }


def with_gradients(network: Network) -> tuple[Value, ...]:
    """The inputs that a loss can be differentiated by: not words and lengths."""
    return tuple(value for value in network.inputs if value not in network.whole_numbers)


def factor_of(value: Value) -> str:
    """The parameter that stands for an input in `with_inputs_as_parameters`."""
    return f"{value.name}_pixels.factor"


def _pixels(value: Value, span: Span) -> tuple[Node, Node]:
    """An input of ones, times the parameter, in the input's own size."""
    flat = Value(value.name, (value.elements,))
    scaled = Value(f"{value.name}_pixels", flat.shape)
    factor = Parameter(factor_of(value), flat.shape, Ones())
    first = Node(scaled.name, Scale(), (flat,), scaled, (factor,), span, span)
    shaped = Value(f"{value.name}_shaped", value.shape)
    return first, Node(shaped.name, Reshape(value.shape), (scaled,), shaped, (), span, span)


def _at_prediction(node: Node) -> Node:
    """A node that does in training what it does at prediction."""
    layer = node.layer
    if isinstance(layer, Augmentation) and layer.infer(node.input_shapes) != node.input_shapes[0]:
        raise DataError(f"{node.name} cuts the images: their gradients would not have the size of the input")
    own = {p.name for p in (*node.parameters, *node.borrowed)}
    return _frozen(replace(node, layer=Linear()) if layer.drops or layer.augments else node, own)


def _frozen(node: Node, names: Collection[str]) -> Node:
    """With those of its parameters, of its own or shared, that have one of the names, held still."""

    def still(p: Parameter) -> Parameter:
        return replace(p, frozen=True, regularizers=(), constraints=()) if p.name in names else p

    return replace(node, parameters=tuple(map(still, node.parameters)), borrowed=tuple(map(still, node.borrowed)))


def _value(network: Network, name: str) -> Value:
    """The result of a layer, or an output."""
    known = {node.name: node.output for node in network.nodes} | {head.name: head.value for head in network.heads}
    if name not in known:
        near = did_you_mean(name, known) or f"its layers: {', '.join(known)}"
        raise DataError(f"the network has no layer or output {name!r}; {near.removeprefix('help: ')}")
    return known[name]
