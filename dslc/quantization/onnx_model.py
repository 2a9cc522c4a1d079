"""A quantized network as an ONNX model in which QuantizeLinear and DequantizeLinear say what integers compute: in
floats that stand for the integers of `program.py`, and that runtimes replace by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from dslc.derived import unrounded
from dslc.export.network import Trained
from dslc.export.onnx.model import layer_in_onnx, model_of
from dslc.export.onnx.place import GraphParts
from dslc.export.onnx.rounding import dequantized, rounded
from dslc.integer_groups import Group, groups_of
from dslc.ir import Network
from dslc.numerics import np
from dslc.quantization.arithmetic import Encoding
from dslc.quantization.program import Operation, Port, Product, Program, Window
from dslc.shape import Shape, as_image


def export_quantized_onnx(trained: Trained, program: Program, channels_first: bool = False) -> bytes:
    """A model that computes what the integers do, as far as floats can: sums of products are exact up to 2^24, and a
    number that lies in the middle of two steps may become either.

    Inputs, outputs and errors are those of `export_onnx`.
    """
    trained = replace(trained, network=unrounded(trained.network))
    return model_of(trained, channels_first, partial(_add_layers, trained, program))


def _add_layers(trained: Trained, program: Program, parts: GraphParts, names: dict[str, str], network: Network) -> None:
    """Each group of layers as one operation, the others as in float; behind each value of the program its rounding."""
    encodings = {tensor.name: tensor.encoding for tensor in program.tensors}
    groups = {group.output.name: group for group in groups_of(network).groups}
    inside = {node.name for group in groups.values() for node in group.nodes} - {
        g.nodes[-1].name for g in groups.values()
    }
    operations, ports = {op.y: op for op in program.operations}, {port.tensor: port for port in program.ports}
    for given in network.inputs:
        if given.name in encodings:
            names[given.name] = _rounded(parts, given.name, names[given.name], encodings[given.name])
    for node in network.nodes:
        value = node.output.name
        if node.name in inside:
            continue
        if value in ports:
            made = _standardized(parts, program, ports[value], names, node.output.shape)
        elif value in groups:
            made = _add_group(parts, trained, program, groups[value], operations[value], names)
        else:
            made = layer_in_onnx(parts, trained, node, names)
        names[value] = _rounded(parts, value, made, encodings[value]) if value in encodings else made


def _standardized(parts: GraphParts, program: Program, port: Port, names: Mapping[str, str], shape: Shape) -> str:
    """(x - mean) / std, which the port has as a gain and an offset to integers."""
    encoding = program.tensor(port.tensor).encoding
    by_channel = (-1, *(1 for _ in shape[1:]))
    mean = ((encoding.zero + 0.5 - port.offset) / port.gain).astype(np.float32).reshape(by_channel)
    factor = (port.gain * encoding.scale).astype(np.float32).reshape(by_channel)
    given = (names[port.name], parts.constant(f"{port.tensor}/mean", mean))
    (centered,) = parts.op(f"{port.tensor}/Sub", "Sub", given)
    return parts.op(f"{port.tensor}/Mul", "Mul", (centered, parts.constant(f"{port.tensor}/factor", factor)))[0]


def _rounded(parts: GraphParts, name: str, x: str, encoding: Encoding) -> str:
    """x on the steps of an encoding; where these are fewer than ONNX has, what is above them is cut off first."""
    if encoding.high < 255:
        ends = [(q - encoding.zero) * encoding.scale for q in (0, encoding.high)]
        limits = (parts.constant(f"{name}/{end:.9g}", np.array(end, np.float32)) for end in ends)
        (x,) = parts.op(f"{name}/Clip", "Clip", (x, *limits))
    return rounded(parts, name, x, encoding.scale, encoding.zero)


def _add_group(
    parts: GraphParts, trained: Trained, program: Program, group: Group, op: Operation, names: Mapping[str, str]
) -> str:
    """What an operation computes before it is rounded."""
    first = group.nodes[0]
    if not isinstance(op, Product):
        return layer_in_onnx(parts, trained, first, names)
    x, y = (program.tensor(name).encoding for name in (op.reads[0], op.y))
    scales = op.multiplier / 2.0**op.shift * y.scale / x.scale
    bias = op.bias.astype(np.int64) + x.zero * op.weight.reshape(len(op.weight), -1).astype(np.int64).sum(axis=1)
    terms = dequantized(parts, f"{op.name}/bias", bias.astype(np.int32), scales * x.scale)
    weight = partial(dequantized, parts, f"{op.name}/weight", scales=scales)
    shape = first.inputs[0].shape
    if len(shape) == 1 and op.groups == 1:
        matrix = op.weight.reshape(len(op.weight), -1)
        return parts.op(f"{op.name}/Gemm", "Gemm", (names[first.inputs[0].name], weight(matrix), terms), transB=1)[0]
    filters = np.ascontiguousarray(op.weight.transpose(0, 3, 1, 2))
    image = _as_image(parts, op.name, names[first.inputs[0].name], shape)
    made = _convolution(parts, op, (image, weight(filters), terms))
    return _as_shape(parts, op.name, made, group.nodes[0].output.shape)


def _convolution(parts: GraphParts, op: Product, inputs: tuple[str, ...]) -> str:
    w = op.window
    return parts.op(
        f"{op.name}/Conv", "Conv", inputs, kernel_shape=list(w.size), strides=list(w.stride),
        dilations=list(w.dilation), group=op.groups, pads=[*w.before, *_after(w)],
    )[0]  # fmt: skip


def _after(w: Window) -> list[int]:
    """How far the last windows reach beyond the image."""
    reach = [(w.result[a] - 1) * w.stride[a] + w.dilation[a] * (w.size[a] - 1) + 1 for a in (0, 1)]
    return [max(0, reach[a] - w.before[a] - w.image[a]) for a in (0, 1)]


def _as_image(parts: GraphParts, name: str, x: str, shape: Shape) -> str:
    """A vector as an image of one pixel, a sequence as one of one row: ONNX has the channels first."""
    return x if len(shape) == 3 else _reshaped(parts, f"{name}/image", x, (0, *_channels_first(shape)))


def _as_shape(parts: GraphParts, name: str, x: str, shape: Shape) -> str:
    """And back."""
    return x if len(shape) == 3 else _reshaped(parts, f"{name}/shape", x, (0, shape[-1], *shape[:-1]))


def _channels_first(shape: Shape) -> tuple[int, ...]:
    rows, columns, channels = (1, 1, *shape) if len(shape) == 1 else as_image(shape)
    return channels, rows, columns


def _reshaped(parts: GraphParts, name: str, x: str, shape: tuple[int, ...]) -> str:
    size = parts.constant(name, np.array(shape, np.int64))
    return parts.op(f"{name}/Reshape", "Reshape", (x, size))[0]
