"""Layers on sequences as ONNX operators. Between layers a sequence is (batch, channels, steps), and the lengths of
examples are (batch, 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dslc.export.onnx.place import Form, Place
from dslc.export.onnx.windows import global_pool, pads_of, reach_of
from dslc.layers.conv1d import Conv1d
from dslc.numerics import Array, np
from dslc.shape import Window, as_image

FLOAT, INT32, INT64 = 1, 6, 7
"""Types, as Cast counts them."""
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
"""The gates of the language in the order of ONNX: i f g o as i o f c, r z n as z r h."""


def _embedding(at: Place) -> str:
    table = at.parameters["weight"].copy()
    if at.layer.padding is not None:
        table[at.layer.padding] = 0
    words = at.op("Cast", *at.x, to=INT64)
    return at.op("Transpose", at.op("Gather", at.weight("weight", table), words, axis=0), perm=[0, 2, 1])


def _positional(at: Place) -> str:
    role = "weight" if at.layer.learned else "table"
    return at.op("Add", *at.x, at.weight(role, at.parameters[role].T))


def _lengths(at: Place) -> str:
    """The largest number of a step whose word is not padding."""
    words = at.op("Not", at.op("Equal", *at.x, at.number(at.layer.padding)))
    steps = at.parts.constant(f"{at.node.name}/steps", np.arange(1, at.shape[0] + 1, dtype=np.float32))
    return at.op("ReduceMax", at.op("Mul", at.op("Cast", words, to=FLOAT), steps), axes=[1], keepdims=1)


def steps_within(at: Place, axes: int, count: int | None = None) -> str:
    """Whether steps, along the last of so many axes, are before the length of their example. count: how many there are,
    by default those of the first input."""
    steps = at.parts.constant(f"{at.node.name}/steps", np.arange(count or at.shape[0], dtype=np.float32))
    return at.op("Less", steps, at.reshaped(at.x[-1], "lengths", *(1 for _ in range(axes - 1))))


def _of_steps(kind: str) -> Form:
    """Pooling over all steps, or over those that an example has: 0 where it has none."""
    whole = global_pool(kind)

    def form(at: Place) -> str:
        if len(at.x) == 1:
            return whole(at)
        there = steps_within(at, 3)
        if kind == "GlobalAveragePool":
            known = at.op("Where", there, at.x[0], at.number(0))
            total = at.op("ReduceSum", known, at.indices("axes", (2,)), keepdims=0)
            return _kept(at, at.op("Div", total, at.op("Max", at.x[1], at.number(1))))
        known = at.op("Where", there, at.x[0], at.number(float(np.finfo(np.float32).min)))
        some = at.op("Less", at.number(0), at.x[1])
        return _kept(at, at.op("Where", some, at.op("ReduceMax", known, axes=[2], keepdims=0), at.number(0)))

    return form


def _kept(at: Place, channels: str) -> str:
    """(batch, channels), with one step where the layer keeps that axis."""
    return at.reshaped(channels, "step", at.shape[1], 1) if at.layer.keep else channels


# ------------------------------------------------------------------------------------------- windows


def _along_steps(pads: Sequence[int]) -> list[int]:
    """Of an image of one row: before and after its steps."""
    return [pads[1], pads[3]]


def _conv1d(at: Place) -> str:
    layer: Conv1d = at.layer
    filters = at.weight("weight", at.parameters["weight"].transpose(2, 1, 0))
    return at.op(
        "Conv", *at.x, filters, *((at.weight("bias"),) if layer.bias else ()), kernel_shape=[layer.size],
        strides=[layer.stride], dilations=[layer.dilation], group=layer.groups,
        pads=_along_steps(pads_of(layer.conv.window, as_image(at.shape))),
    )  # fmt: skip


def _pool1d(at: Place, kind: str, x: str, window: Window, pads: list[int], **attributes: int) -> str:
    return at.op(kind, x, kernel_shape=[window.size[1]], strides=[window.stride[1]], pads=pads, **attributes)


def _maxpool1d(at: Place) -> str:
    image = as_image(at.shape)
    window = at.layer.window_for(image)
    return _pool1d(at, "MaxPool", at.x[0], window, _along_steps(reach_of(window, image)))


def _avgpool1d(at: Place) -> str:
    """Padding that counts becomes zeros; what windows reach beyond it never counts."""
    image, x = as_image(at.shape), at.x[0]
    window = at.layer.window_for(image)
    pads, own = (_along_steps(found(window, image)) for found in (reach_of, pads_of))
    if at.layer.counts_padding and any(own):
        x = at.op("Pad", x, at.indices("pads", (0, 0, own[0], 0, 0, own[1])), mode="constant")
        pads = [reach - pad for reach, pad in zip(pads, own, strict=True)]
    return _pool1d(at, "AveragePool", x, window, pads, count_include_pad=0)


# ------------------------------------------------------------------------------------------- recurrence


def _recurrent(kind: str) -> Form:
    """LSTM, GRU or RNN: its operator has the steps first, and a first axis for the directions."""

    def form(at: Place) -> str:
        layer, directions = at.layer, len(at.layer.directions)
        x = at.op("Transpose", at.x[0], perm=[2, 0, 1])
        weights = [at.weight(role, _gates(at, kind, role)) for role in ("weight_input", "weight_hidden")]
        bias = ""
        if layer.bias:
            both = [_gates(at, kind, role) for role in ("bias_input", "bias_hidden")]
            bias = at.weight("bias", np.concatenate(both, axis=1))
        lengths = ""
        if len(at.x) > 1:
            lengths = at.op("Cast", at.op("Reshape", at.x[1], at.indices("flat", (-1,))), to=INT32)
        activations = {"activations": ["Relu"] * directions} if layer.cell == "relu" else {}
        before = {"linear_before_reset": 1} if kind == "gru" else {}
        every, last = at.parts.op(
            f"{at.node.name}/{kind.upper()}", kind.upper(), (x, *weights, bias, lengths), 2, hidden_size=layer.units,
            direction="bidirectional" if layer.bidirectional else "forward", **activations, **before,
        )  # fmt: skip
        if layer.return_ == "last":
            return at.reshaped(at.op("Transpose", last, perm=[1, 0, 2]), "size", directions * layer.units)
        return at.reshaped(at.op("Transpose", every, perm=[2, 1, 3, 0]), "size", directions * layer.units, at.shape[0])

    return form


def _gates(at: Place, kind: str, role: str) -> Array:
    """A parameter of all directions, (directions, gates * units, ...), with the gates in the order of ONNX."""
    found = []
    for suffix in at.layer.directions:
        array = at.parameters[f"{role}{suffix}"]
        blocks = array.reshape(len(GATES[kind]), at.layer.units, *array.shape[1:])
        found.append(blocks[list(GATES[kind])].reshape(array.shape))
    return np.stack(found)


FORMS: Mapping[str, Form] = {
    "avgpool1d": _avgpool1d,
    "conv1d": _conv1d,
    "embedding": _embedding,
    "global_avgpool": _of_steps("GlobalAveragePool"),
    "global_maxpool": _of_steps("GlobalMaxPool"),
    "gru": _recurrent("gru"),
    "lengths": _lengths,
    "lstm": _recurrent("lstm"),
    "maxpool1d": _maxpool1d,
    "positional": _positional,
    "rnn": _recurrent("rnn"),
}
"""By the name of the layer."""
