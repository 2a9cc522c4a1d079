"""A network as a TensorFlow Lite model, so that LiteRT can be measured beside dslc: the layers of networks for devices.

What a converter does is done here too: batch norm is folded into the convolution before it, and relu is fused.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from dslc.export.network import Trained
from dslc.ir import Node
from dslc.registry import name_of

UNARY = {"relu": tfl.BuiltinOperator.RELU, "tanh": tfl.BuiltinOperator.TANH}


class Writer:
    """A model under construction: its buffers, tensors and operators."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.buffers: list[Any] = [tfl.BufferT()]
        self.tensors: list[Any] = []
        self.codes: list[int] = []
        self.operators: list[Any] = []
        self.values: dict[str, int] = {}
        self.made_by: dict[int, Any] = {}

    def model(self) -> bytes:
        """For a batch of one."""
        network = self.trained.network
        given = [self.tensor(value.name, (1, *value.shape)) for value in network.inputs]
        self.values |= {value.name: at for value, at in zip(network.inputs, given, strict=True)}
        for node in network.nodes:
            self.values[node.output.name] = getattr(self, f"_{name_of(node.layer)}")(node)
        graph = tfl.SubGraphT()
        graph.tensors, graph.operators, graph.inputs = self.tensors, self.operators, given
        graph.outputs = [self.values[head.value.name] for head in network.answers]
        model = tfl.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes = [_code(number) for number in self.codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    # --------------------------------------------------------------------------------------- parts

    def tensor(self, name: str, shape: tuple[int, ...], numbers: np.ndarray | None = None) -> int:
        """Its index; with numbers it is constant."""
        made = tfl.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), 0
        if numbers is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(numbers).tobytes(), np.uint8)
            self.buffers.append(buffer)
            made.buffer = len(self.buffers) - 1
            made.type = tfl.TensorType.INT32 if numbers.dtype == np.int32 else tfl.TensorType.FLOAT32
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, name: str, numbers: np.ndarray) -> int:
        """A tensor that holds numbers."""
        return self.tensor(name, numbers.shape, numbers)

    def operator(
        self, code: int, inputs: list[int], name: str, shape: tuple[int, ...], kind: str = "", **options: Any
    ) -> int:
        """An operator and its result, which has a batch of one. kind: of its options."""
        if code not in self.codes:
            self.codes.append(code)
        made = tfl.OperatorT()
        made.opcodeIndex, made.inputs = self.codes.index(code), inputs
        made.outputs = [self.tensor(name, (1, *shape))]
        if kind:
            made.builtinOptionsType = getattr(tfl.BuiltinOptions, kind)
            made.builtinOptions = getattr(tfl, f"{kind}T")()
            for key, value in options.items():
                setattr(made.builtinOptions, key, value)
        self.operators.append(made)
        self.made_by[made.outputs[0]] = made
        return made.outputs[0]

    def x(self, node: Node) -> int:
        """What a layer of one input reads."""
        return self.values[node.inputs[0].name]

    def padded(self, node: Node, window: Any) -> tuple[int, int]:
        """The input of a window, and TensorFlow's padding: a PAD of its own where that is not `same`."""
        shape = node.inputs[0].shape
        sides = [window.padding(axis, shape[axis]) for axis in (0, 1)]
        if sides == [(0, 0), (0, 0)]:
            return self.x(node), tfl.Padding.VALID
        if sides == [_same(shape[axis], window.size[axis], window.stride[axis]) for axis in (0, 1)]:
            return self.x(node), tfl.Padding.SAME
        wider = (*(shape[axis] + sum(sides[axis]) for axis in (0, 1)), shape[2])
        pads = self.constant(f"{node.name}_pads", np.array([(0, 0), *sides, (0, 0)], np.int32))
        return self.operator(
            tfl.BuiltinOperator.PAD, [self.x(node), pads], f"{node.name}_padded", wider, "PadOptions"
        ), tfl.Padding.VALID

    # --------------------------------------------------------------------------------------- layers

    def _conv(self, node: Node) -> int:
        layer, weight = node.layer, self.trained.parameters[f"{node.name}.weight"]
        x, padding = self.padded(node, layer.window)
        bias = self.trained.parameters.get(f"{node.name}.bias", np.zeros(layer.filters, np.float32))
        inputs = [
            x,
            self.constant(f"{node.name}.weight", weight.transpose(3, 0, 1, 2).astype(np.float32)),
            self.constant(f"{node.name}.bias", bias.astype(np.float32)),
        ]
        rows, columns = layer.stride
        return self.operator(
            tfl.BuiltinOperator.CONV_2D, inputs, node.name, node.output.shape, "Conv2DOptions",
            padding=padding, strideH=rows, strideW=columns, dilationHFactor=1, dilationWFactor=1,
        )  # fmt: skip

    def _dense(self, node: Node) -> int:
        numbers = self.trained.parameters
        inputs = [
            self.x(node),
            *(self.constant(f"{node.name}.{role}", numbers[f"{node.name}.{role}"].astype(np.float32))
              for role in ("weight", "bias")),
        ]  # fmt: skip
        return self.operator(
            tfl.BuiltinOperator.FULLY_CONNECTED, inputs, node.name, node.output.shape, "FullyConnectedOptions"
        )

    def _batchnorm(self, node: Node) -> int:
        """Folded into the filters and the bias of the convolution before it."""
        at = self.x(node)
        of = {role: self.trained.parameters[p.name].astype(np.float64) for role, p in node.roles.items()}
        factor = of["gamma"] / np.sqrt(of["var"] + node.layer.eps)
        _, weight, bias = self.made_by[at].inputs
        self._scale(weight, factor[:, None, None, None])
        old = self._numbers(bias)
        self._set(bias, (old - of["mean"]) * factor + of["beta"])
        return at

    def _numbers(self, tensor: int) -> np.ndarray:
        data = self.buffers[self.tensors[tensor].buffer].data
        return np.frombuffer(data.tobytes(), np.float32).reshape(self.tensors[tensor].shape).astype(np.float64)

    def _set(self, tensor: int, numbers: np.ndarray) -> None:
        self.buffers[self.tensors[tensor].buffer].data = np.frombuffer(numbers.astype(np.float32).tobytes(), np.uint8)

    def _scale(self, tensor: int, factor: np.ndarray) -> None:
        self._set(tensor, self._numbers(tensor) * factor)

    def _relu(self, node: Node) -> int:
        made = self.made_by[self.x(node)]
        if hasattr(made.builtinOptions, "fusedActivationFunction"):
            made.builtinOptions.fusedActivationFunction = tfl.ActivationFunctionType.RELU
            return self.x(node)
        return self._unary(node)

    def _unary(self, node: Node) -> int:
        return self.operator(UNARY[name_of(node.layer)], [self.x(node)], node.name, node.output.shape)

    _tanh = _unary

    def _softmax(self, node: Node) -> int:
        return self.operator(
            tfl.BuiltinOperator.SOFTMAX, [self.x(node)], node.name, node.output.shape, "SoftmaxOptions", beta=1.0
        )

    def _add(self, node: Node) -> int:
        inputs = [self.values[value.name] for value in node.inputs]
        return self.operator(tfl.BuiltinOperator.ADD, inputs, node.name, node.output.shape, "AddOptions")

    def _flatten(self, node: Node) -> int:
        shape = self.constant(f"{node.name}_shape", np.array([1, *node.output.shape], np.int32))
        return self.operator(
            tfl.BuiltinOperator.RESHAPE, [self.x(node), shape], node.name, node.output.shape,
            "ReshapeOptions", newShape=[1, *node.output.shape],
        )  # fmt: skip

    def _global_avgpool(self, node: Node) -> int:
        axes = self.constant(f"{node.name}_axes", np.array([1, 2], np.int32))
        return self.operator(
            tfl.BuiltinOperator.MEAN, [self.x(node), axes], node.name, node.output.shape, "ReducerOptions"
        )

    def _pool(self, node: Node, code: int) -> int:
        window = node.layer.window_for(node.inputs[0].shape)
        x, padding = self.padded(node, window)
        rows, columns = window.stride
        return self.operator(
            code, [x], node.name, node.output.shape, "Pool2DOptions", padding=padding, strideH=rows, strideW=columns,
            filterHeight=window.size[0], filterWidth=window.size[1],
        )  # fmt: skip

    def _maxpool(self, node: Node) -> int:
        return self._pool(node, tfl.BuiltinOperator.MAX_POOL_2D)

    def _avgpool(self, node: Node) -> int:
        return self._pool(node, tfl.BuiltinOperator.AVERAGE_POOL_2D)


def _code(number: int) -> Any:
    made = tfl.OperatorCodeT()
    made.builtinCode, made.version = number, 1
    made.deprecatedBuiltinCode = min(number, 127)
    return made


def _same(rows: int, size: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's `same` puts before and behind."""
    total = max(0, (-(-rows // stride) - 1) * stride + size - rows)
    return total // 2, total - total // 2


def tflite(trained: Trained) -> bytes:
    """The model of a network of conv, dense, batchnorm behind conv, relu, tanh, softmax, add, flatten and pools."""
    return Writer(trained).model()
