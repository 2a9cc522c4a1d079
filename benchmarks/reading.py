"""Specs as the rivals get them: checked by dslc, with the numbers worked out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from dslc.compiler import check_text
from dslc.ir import Network, Node, Value
from dslc.lowering.lower import lower
from dslc.registry import name_of
from net import Net, Step


def read_net(text: str) -> Net:
    """The network that a spec describes."""
    return describe(check_text(text), text)


def without_dropout(net: Net) -> Net:
    """The network to compare results with: random numbers differ from framework to framework."""
    return read_net(re.sub(r"\s*->\s*dropout\([^)]*\)", "", net.text))


def with_batch(net: Net, batch: int) -> Net:
    """The network for mini-batches of another size."""
    return read_net(re.sub(r"(?m)^(\s*batch\s+)\d+", rf"\g<1>{batch}", net.text))


def describe(network: Network, text: str) -> Net:
    """A checked network as a `Net`."""
    *nodes, last = network.nodes
    training = network.training
    assert training is not None and training.batch is not None and training.schedule is None, "schedules are left out"
    assert not any(p.regularizers for p in network.parameters), "regularizers are left out"
    assert name_of(last.layer) in ("softmax", "sigmoid") and len(network.inputs) == 1
    numbers = {value.name: i for i, value in enumerate([*network.inputs, *(node.output for node in nodes)])}
    graph = lower(network)
    assert graph.train is not None
    return Net(
        text=text,
        input=network.inputs[0].shape,
        steps=tuple(_step(node, network, numbers) for node in nodes),
        outputs=last.output.elements,
        head=name_of(last.layer),
        optimizer=name_of(training.optimizer),
        settings=asdict(training.optimizer),
        batch=training.batch,
        dtype=network.dtype,
        forward_work=sum(operation.multiply_adds for operation in graph.predict.operations),
        training_work=sum(operation.multiply_adds for operation in graph.train.operations),
    )


def _step(node: Node, network: Network, numbers: dict[str, int]) -> Step:
    kind = name_of(node.layer)
    inputs = tuple(numbers[value.name] for value in node.inputs)
    step = Step(kind, node.name, inputs, node.input_shapes[0], _arguments(kind, node.layer, node.input_shapes[0]))
    return replace(step, image=_flattened(node.inputs[0], network)) if kind == "dense" else step


def _flattened(value: Value, network: Network) -> tuple[int, ...] | None:
    maker = network.producer(value)
    return maker.input_shapes[0] if maker is not None and name_of(maker.layer) == "flatten" else None


def _arguments(kind: str, layer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The numbers of a layer. Raises KeyError for a layer that the rivals do not know."""
    known: dict[str, Callable[[], dict[str, Any]]] = {
        "dense": lambda: {"units": layer.units, "bias": layer.bias},
        "conv": lambda: {"filters": layer.filters, "dilation": layer.dilation, "groups": layer.groups,
                         "bias": layer.bias, **_window(layer.window, shape)},
        "maxpool": lambda: _window(layer.window_for(shape), shape),
        "avgpool": lambda: _window(layer.window_for(shape), shape),
        "batchnorm": lambda: {"momentum": layer.momentum, "eps": layer.eps},
        "dropout": lambda: {"rate": layer.drop},
        **dict.fromkeys(("global_avgpool", "flatten", "add", "relu", "tanh"), dict),
    }  # fmt: skip
    return known[kind]()


def _window(window: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    pads = [window.padding(axis, shape[axis]) for axis in (0, 1)]
    assert all(before == after for before, after in pads), "the rivals' layers pad evenly"
    return {"size": window.size, "stride": window.stride, "pad": (pads[0][0], pads[1][0])}
