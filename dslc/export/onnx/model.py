"""A network as an ONNX model: the whole export, from the layers to the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dslc.codegen.summary import version
from dslc.derived import predicting
from dslc.export.network import Trained
from dslc.export.onnx import (
    activations,
    attention,
    combining,
    formulas,
    matrices,
    normalization,
    rounding,
    sequences,
    shapes,
    windows,
)
from dslc.export.onnx.place import Form, GraphParts, Place, axes_of, channels_to_end, channels_to_front
from dslc.ir import Head, Network, Node, Value
from dslc.language.diagnostics import CallError, UsageError
from dslc.layers._fake_quantize import fake_quantized_weight
from dslc.numerics import np
from dslc.registry import name_of
from dslc.shape import Shape

OPSET, IR_VERSION = 17, 8
"""Of 2022: LayerNormalization is in it, and runtimes for devices read it."""
LARGEST = 2**31 - 2**20
"""Bytes of weights that fit into one file: a protobuf message has at most 2 GB."""
FORMS: Mapping[str, Form] = {
    **activations.FORMS, **windows.FORMS, **normalization.FORMS, **shapes.FORMS, **combining.FORMS, **sequences.FORMS,
    **attention.FORMS, **matrices.FORMS, **formulas.FORMS, **rounding.FORMS,
}  # fmt: skip

Layers = Callable[[GraphParts, dict[str, str], Network], None]
"""Adds the layers of a network to a graph. It is given the names of the inputs there by value, and adds the others."""


def export_onnx(trained: Trained, channels_first: bool = False) -> bytes:
    """A model that computes what `predict` does, for any number of examples, checked by onnx.checker.

    Inputs and outputs are (batch, rows, columns, channels) or (batch, features), with `channels_first` images are
    (batch, channels, rows, columns).

    Raises:
        UsageError: the package onnx is not installed.
        CallError: a layer has no form in ONNX, an input is a table that Python encodes, or the weights are too large
            for a file.
    """

    def layers(parts: GraphParts, names: dict[str, str], network: Network) -> None:
        for node in network.nodes:
            names[node.output.name] = layer_in_onnx(parts, trained, node, names)

    return model_of(trained, channels_first, layers)


def layer_in_onnx(parts: GraphParts, trained: Trained, node: Node, names: Mapping[str, str]) -> str:
    """Adds a layer, which reads what `names` says of its inputs, and gives the name of its result."""
    own = {role: trained.parameters[p.name] for role, p in node.roles.items()}
    if node.rounds_weight:
        own["weight"] = fake_quantized_weight(own["weight"], node.roles["weight"].units)
    place = Place(parts, node, tuple(names[value.name] for value in node.inputs), own)
    return FORMS[name_of(node.layer)](place)


def model_of(trained: Trained, channels_first: bool, layers: Layers) -> bytes:
    """A model with the inputs and outputs of a network, and between them what `layers` adds. Raises as
    `export_onnx`."""
    onnx = onnx_package()
    trained = replace(trained, network=predicting(trained.network))
    network = trained.network
    _require_forms(network)
    parts = GraphParts()
    names = {value.name: _input(parts, trained, value, channels_first) for value in network.inputs}
    layers(parts, names, network)
    ends = [_output(parts, names[head.value.name], head, channels_first) for head in network.heads]
    model = _model(onnx, trained, parts, ends, channels_first)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def onnx_package() -> Any:
    """The package onnx. Raises UsageError, which says how to get it, where it is not installed."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
    except ImportError:
        raise UsageError("ONNX needs the package onnx: pip install dslc[onnx]") from None
    return onnx


def _require_forms(network: Network) -> None:
    if network.tables:
        raise CallError("exported ONNX takes numbers, and the columns that this spec declares are encoded in Python")
    missing = [f"{node.name} ({name_of(node.layer)})" for node in network.nodes if not _has_form(node)]
    if missing:
        raise CallError(f"these layers have no form in ONNX: {', '.join(missing)}")
    size = 4 * sum(p.elements for p in network.parameters)
    if size > LARGEST:
        raise CallError(f"the weights take {size:,} bytes; a file of ONNX holds at most {LARGEST:,}")


def _has_form(node: Node) -> bool:
    """Whether there is a form of its kind, for as many values as it reads."""
    layer = node.layer
    return name_of(layer) in FORMS and (layer.merges or bool(layer.takes) or len(node.inputs) == 1)


# ------------------------------------------------------------------------------------------- its ends


def _outside(shape: Shape, channels_first: bool) -> tuple[str | int, ...]:
    """The shape of an input or output as a caller sees it; the batch has a name, not a size."""
    return ("batch", *(axes_of(shape) if channels_first else shape))


def _input(parts: GraphParts, trained: Trained, value: Value, channels_first: bool) -> str:
    """What the layers read of an input: without its offset, which is subtracted in double precision, and with the
    channels first."""
    name = value.name
    parts.results.add(name)
    offset = trained.offsets.get(value.name)
    if offset is not None:
        known = parts.constant(f"{value.name}/offset", np.array(offset, np.float64))
        (name,) = parts.op(f"{value.name}/Sub", "Sub", (name, known))
        (name,) = parts.op(f"{value.name}/Cast", "Cast", (name,), to=1)
    if len(value.shape) > 1 and not channels_first:
        (name,) = parts.op(f"{value.name}/Transpose", "Transpose", (name,), perm=channels_to_front(value.shape))
    return name


def _output(parts: GraphParts, name: str, head: Head, channels_first: bool) -> str:
    """Gives the value of a head its name (with `_` behind it where an input has that), and puts the channels last."""
    shape = head.value.shape
    if len(shape) > 1 and not channels_first:
        return parts.op(head.name, "Transpose", (name,), perm=channels_to_end(shape))[0]
    return parts.op(head.name, "Identity", (name,))[0]


def _model(onnx: Any, trained: Trained, parts: GraphParts, ends: list[str], channels_first: bool) -> Any:
    network, helper = trained.network, onnx.helper
    kinds = {v.name: onnx.TensorProto.DOUBLE if v.name in trained.offsets else onnx.TensorProto.FLOAT
             for v in network.inputs}  # fmt: skip
    inputs = [
        helper.make_tensor_value_info(v.name, kinds[v.name], _outside(v.shape, channels_first)) for v in network.inputs
    ]
    outputs = [
        helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, _outside(head.value.shape, channels_first))
        for end, head in zip(ends, network.heads, strict=True)
    ]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in parts.constants.items()]
    graph = helper.make_graph(parts.nodes, network.name, inputs, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="dslc", producer_version=version(),
    )  # fmt: skip
    helper.set_model_props(model, _metadata(trained))
    return model


def _metadata(trained: Trained) -> dict[str, str]:
    """`class_names`, a list in JSON; where there are several heads `HEAD.class_names`."""
    alone = len(trained.network.heads) == 1
    return {("" if alone else f"{head}.") + "class_names": json.dumps(names) for head, names in trained.classes.items()}
