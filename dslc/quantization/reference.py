"""The arithmetic of a quantized network in NumPy, written from the formulas. The C has the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dslc.numerics import Array, np
from dslc.quantization.arithmetic import limited, requantize, shifted
from dslc.quantization.program import (
    AveragePool,
    Concat,
    Lookup,
    MaxPool,
    Operation,
    Port,
    Product,
    Program,
    Sum,
    Window,
)

Values = dict[str, Array]


def encode(program: Program, port: Port, x: Array) -> Array:
    """Numbers (n, *shape) as bytes: floor(x * gain + offset), limited to what there is."""
    q = np.floor(x.astype(np.float32).astype(np.float64) * port.gain.astype(np.float64) + port.offset)
    return limited(q, program.tensor(port.tensor).encoding)


def run(program: Program, inputs: Mapping[str, Array]) -> Values:
    """Every value (n, *shape) by its name, of the bytes of the inputs by the names of their tensors."""
    values: Values = dict(inputs)
    for op in program.operations:
        values[op.y] = compute(program, op, tuple(values[name] for name in op.reads))
    return values


def compute(program: Program, op: Operation, xs: tuple[Array, ...]) -> Array:
    """The result of an operation, uint8 (n, *shape)."""
    y = _FORMULAS[type(op)](program, op, xs)
    return y.reshape(len(xs[0]), *program.tensor(op.y).shape)


def taps(x: Array, window: Window, fill: int) -> Array:
    """(n, rows, columns, window rows, window columns, channels): the numbers under each window, `fill` where it is
    outside of the image."""
    x = x.reshape(-1, *window.image)
    ends = [
        max(0, (window.result[a] - 1) * window.stride[a] + window.dilation[a] * (window.size[a] - 1) + 1
            - window.before[a] - window.image[a])
        for a in (0, 1)
    ]  # fmt: skip
    pads = [(window.before[a], ends[a]) for a in (0, 1)]
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    rows, columns = (
        np.arange(window.result[a])[:, None] * window.stride[a] + np.arange(window.size[a]) * window.dilation[a]
        for a in (0, 1)
    )
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def _product(program: Program, op: Product, xs: tuple[Array, ...]) -> Array:
    """Sums of whole numbers below 2^53 are exact in double precision."""
    zero = program.tensor(op.reads[0]).encoding.zero
    found = taps(xs[0], op.window, zero).astype(np.float64)
    each, filters = op.window.image[2] // op.groups, len(op.weight) // op.groups
    sums = [
        np.tensordot(found[..., g * each : (g + 1) * each], op.weight[g * filters : (g + 1) * filters].astype(float),
                     ([3, 4, 5], [1, 2, 3]))
        for g in range(op.groups)
    ]  # fmt: skip
    total = np.concatenate(sums, axis=-1).astype(np.int64) + op.bias
    return requantize(total, op.multiplier, op.shift, program.tensor(op.y).encoding)


def _max_pool(program: Program, op: MaxPool, xs: tuple[Array, ...]) -> Array:
    found: Array = taps(xs[0], op.window, 0).max(axis=(3, 4))
    return found


def _average_pool(program: Program, op: AveragePool, xs: tuple[Array, ...]) -> Array:
    zero = program.tensor(op.reads[0]).encoding.zero
    sums = taps(xs[0].astype(np.int64) - zero, op.window, 0).sum(axis=(3, 4))
    return requantize(sums, op.multiplier[counts(op)][..., None], op.shift, program.tensor(op.y).encoding)


def counts(op: AveragePool) -> Array:
    """How many numbers count in each window, (rows, columns)."""
    along = []
    for a in (0, 1):
        start = np.arange(op.window.result[a]) * op.window.stride[a] - op.window.before[a]
        low, high = (0, op.window.image[a]) if op.counted is None else (-op.window.before[a], op.counted[a])
        along.append(np.minimum(start + op.window.size[a], high) - np.maximum(start, low))
    found: Array = along[0][:, None] * along[1]
    return found


def _sum(program: Program, op: Sum, xs: tuple[Array, ...]) -> Array:
    total = np.sum([x.astype(np.int64) * int(m) for x, m in zip(xs, op.multiplier, strict=True)], axis=0) + op.bias
    to = program.tensor(op.y).encoding
    return limited(to.zero + shifted(total, op.shift), to)


def _concat(program: Program, op: Concat, xs: tuple[Array, ...]) -> Array:
    to = program.tensor(op.y).encoding
    scaled = [x.astype(np.int64) * int(m) + int(b) for x, m, b in zip(xs, op.multiplier, op.bias, strict=True)]
    return np.concatenate([limited(to.zero + shifted(x, op.shift), to) for x in scaled], axis=-1)


def _lookup(program: Program, op: Lookup, xs: tuple[Array, ...]) -> Array:
    found: Array = op.table[xs[0]]
    return found


_FORMULAS: Mapping[type, Callable[[Program, Any, tuple[Array, ...]], Array]] = {
    Product: _product, MaxPool: _max_pool, AveragePool: _average_pool, Sum: _sum, Concat: _concat, Lookup: _lookup,
}  # fmt: skip
