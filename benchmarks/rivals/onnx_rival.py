"""ONNX Runtime: prediction only, with a model file put together node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper

from net import Net, Step, make_data
from rivals import Array, Rival, Weights
from rivals.layouts import channels_first, filters_first

OPSET, IR_VERSION = 17, 8
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
PLAIN = {"relu": "Relu", "tanh": "Tanh", "add": "Add"}


class OnnxRuntime(Rival):
    """One session for every size of batch."""

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        assert weights is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        model = make_model(net, weights).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        x, _ = make_data(net)
        self.x = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if net.has_images else x
        self.one = self.x[:1].copy()

    def predict(self) -> Any:
        return self.session.run(None, {"x": self.x})[0]

    def predict_one(self) -> Any:
        return self.session.run(None, {"x": self.one})[0]


def make_model(net: Net, weights: Weights) -> Any:
    """The network as an ONNX model, images channels first."""
    shape = [net.input[2], net.input[0], net.input[1]] if net.has_images else list(net.input)
    names = ["x", *(step.name for step in net.steps)]
    nodes = [node for step in net.steps for node in make_nodes(step, [names[i] for i in step.inputs], weights)]
    nodes.append(helper.make_node(net.head.capitalize(), [names[-1]], ["probabilities"], **_axis(net.head)))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TYPES[net.dtype], ["n", *shape])],
        [helper.make_tensor_value_info("probabilities", TYPES[net.dtype], ["n", net.outputs])],
        [numpy_helper.from_array(reorder(net, name, w), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _axis(head: str) -> dict[str, int]:
    return {"axis": 1} if head == "softmax" else {}


def reorder(net: Net, name: str, array: Array) -> Array:
    if array.ndim == 4:
        return filters_first(array)
    image = next(step.image for step in net.steps if step.name == name.partition(".")[0])
    return array if array.ndim != 2 or image is None else channels_first(array, image)


def make_nodes(step: Step, inputs: list[str], weights: Weights) -> list[NodeProto]:
    """The node of a layer; a global pooling takes two."""
    if step.kind in PLAIN:
        return [helper.make_node(PLAIN[step.kind], inputs, [step.name])]
    if step.kind == "dropout":
        return [helper.make_node("Identity", inputs, [step.name])]
    if step.kind == "global_avgpool":
        pooled = helper.make_node("GlobalAveragePool", inputs, [f"{step.name}_image"])
        return [pooled, helper.make_node("Flatten", [f"{step.name}_image"], [step.name])]
    kind, attributes = OPERATORS[step.kind]
    roles = ("weight", "bias", "gamma", "beta", "mean", "var")
    parameters = [f"{step.name}.{role}" for role in roles if f"{step.name}.{role}" in weights]
    return [helper.make_node(kind, [*inputs, *parameters], [step.name], **attributes(step.args))]


def window(a: dict[str, Any]) -> dict[str, Any]:
    return {"kernel_shape": a["size"], "strides": a["stride"], "pads": [*a["pad"], *a["pad"]]}


OPERATORS: dict[str, tuple[str, Any]] = {
    "dense": ("Gemm", lambda a: {"transB": 1}),
    "conv": ("Conv", lambda a: {"dilations": a["dilation"], "group": a["groups"], **window(a)}),
    "maxpool": ("MaxPool", window),
    "avgpool": ("AveragePool", window),
    "flatten": ("Flatten", lambda a: {"axis": 1}),
    "batchnorm": ("BatchNormalization", lambda a: {"epsilon": a["eps"]}),
}
