"""`quantize int8`: weights and the values between layers are rounded as `dslc quantize` rounds them."""

from __future__ import annotations

from dataclasses import replace

from dslc.inits.zeros import Zeros
from dslc.integer_groups import AFFINE, LARGEST, groups_of
from dslc.ir import MIXED, Network, Node, Parameter, Value
from dslc.language.diagnostics import Diagnostic, SpecError
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers._fake_quantize import FakeQuantize
from dslc.layers.dense import Dense


@record
class TiedInIntegers(Diagnostic):
    """`quantize int8` with a weight that two layers share and that one of them reads turned: `dense(6, tie=first)`."""

    layer: str
    owner: str
    message = "{layer} has the weight of {owner} turned: one rounding cannot serve the units of both"
    hints = ("help: remove tie={owner}, or train without quantize and let `dslc quantize` round",)


@record
class TwoRoundings(Diagnostic):
    """`quantize int8` in a file with `precision mixed`."""

    message = "quantize int8 does not go with precision mixed: products of rounded numbers would be rounded again"
    hints = ("help: remove one of the two",)


def with_rounding(network: Network, span: Span) -> Network:
    """The network with a `FakeQuantize` behind each value that becomes integers: inputs, and the end of each group of
    layers that is one operation on integers, but for maxima, which are among the numbers that were rounded before.
    Weights that are factors of integers are rounded too. span: the setting.

    Raises:
        SpecError: some layers have no form in integers, or share a turned weight; or products are in bf16.
    """
    if network.precision == MIXED:
        raise SpecError([TwoRoundings(span)])
    found = groups_of(network)
    read = {value for node in network.nodes for value in _rounded_inputs(node)}
    ends = [source.output for source in found.sources if source.output in read]
    ends += [group.output for group in found.groups if group.kind != LARGEST]
    weighed = {group.nodes[0].name for group in found.groups if group.kind == AFFINE}
    _refuse_turned([node for node in network.nodes if node.name in weighed])
    rounding = _behind(network, ends, span)
    given = {node.inputs[0]: node.output for node in rounding.values()}
    nodes = [rounding[value] for value in network.inputs if value in rounding]
    for node in network.nodes:
        rounds = node.name in weighed and node.parameter("weight") is not None
        rounded = _rounded_inputs(node)
        inputs = tuple(given.get(value, value) if value in rounded else value for value in node.inputs)
        nodes.append(replace(node, inputs=inputs, rounds_weight=rounds))
        if node.output in rounding:
            nodes.append(rounding[node.output])
    heads = tuple(replace(head, value=given.get(head.value, head.value)) for head in network.heads)
    return replace(network, nodes=tuple(nodes), heads=heads)


def _rounded_inputs(node: Node) -> tuple[Value, ...]:
    """What a layer takes rounded: all but words and numbers of steps, which a head of training alone may read."""
    whole = node.layer.whole_numbers(node.input_shapes)
    return tuple(value for index, value in enumerate(node.inputs) if index not in whole)


def _refuse_turned(nodes: list[Node]) -> None:
    wrong = [
        TiedInIntegers(node.call, node.name, str(node.layer.tie))
        for node in nodes
        if isinstance(node.layer, Dense) and node.layer.turned
    ]
    if wrong:
        raise SpecError(wrong)


def _behind(network: Network, values: list[Value], span: Span) -> dict[Value, Node]:
    """The rounding of these values."""
    taken = {node.name for node in network.nodes} | {value.name for value in network.inputs}
    taken |= {node.output.name for node in network.nodes}
    found = {}
    for value in values:
        name = f"{value.name}_int8"
        while name in taken:
            name += "_"
        taken.add(name)
        found[value] = _rounding(name, value, span)
    return found


def _rounding(name: str, value: Value, span: Span) -> Node:
    layer = FakeQuantize()
    (weights,) = layer.parameters((value.shape,))
    ends = Parameter(f"{name}.{weights.role}", weights.shape, Zeros(), trained=False)
    return Node(name, layer, (value,), Value(name, value.shape), (ends,), span, call=span)
