"""Operators that only move numbers: carried out on constants, and on the positions of values that flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from dslc.interchange.arranging import as_vector, complete
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.settling import settled
from dslc.interchange.values import MOST, Constant, Flowing, Formula, Lacking, Value, rows_along
from dslc.numerics import Array, np

Move = Callable[[At, Array], Array | Sequence[Array]]


def moving(move: Move) -> Translation:
    """Carries a move out on what there is. The batch has to stay where it is."""

    def translation(at: At) -> Value | tuple[Value, ...]:
        value = at.value()
        if isinstance(value, Formula) and value.axis is not None and at.node.kind == "Expand":
            return value  # a number for each row counts for all of it anyway
        if isinstance(value, Constant):
            found = move(at, value.array)
            return Constant(found) if isinstance(found, np.ndarray) else tuple(map(Constant, found))
        x = settled(at.draft, value)
        size = prod(x.shape)
        batch = x.index + size * np.arange(at.batch, dtype=np.int64).reshape(-1, *(1 for _ in x.index.shape))
        found = move(at, batch)
        if isinstance(found, np.ndarray):
            return _flowing(at, x, found, size)
        return tuple(_flowing(at, x, part, size) for part in found)

    return translation


def _flowing(at: At, x: Flowing, found: Array, size: int) -> Flowing:
    """The positions without the batch."""
    if found.ndim < 1 or len(found) != at.batch:
        raise Lacking("it mixes examples, or leaves the batch out")
    owners = np.arange(at.batch).reshape(-1, *(1 for _ in found.shape[1:]))
    if not (found // size == owners).all():
        raise Lacking("it mixes the numbers of several examples")
    if not found.size:
        raise Lacking("its result is empty")
    index = found[0] % size
    moved = Flowing(x.source, x.shape, index if 0 in index.strides else index.astype(np.int32))
    return as_vector(at.draft, moved) if index.ndim == 1 and moved.whole else moved


def _reshape(at: At, x: Array) -> Array:
    wanted = at.listed("shape", 1)
    if wanted is None:
        raise Lacking("it has no shape")
    if not at.whole("allowzero", 0):
        wanted = [x.shape[i] if n == 0 and i < x.ndim else n for i, n in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(at: At, x: Array) -> Array:
    axis = at.whole("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), -1)


def _transpose(at: At, x: Array) -> Array:
    return x.transpose(at.wholes("perm") or range(x.ndim)[::-1])


def _squeeze(at: At, x: Array) -> Array:
    axes = at.listed("axes", 1)
    if axes is None:
        axes = [axis for axis, n in enumerate(x.shape) if n == 1 and (axis or isinstance(at.value(), Constant))]
    return x.squeeze(tuple(axis % x.ndim for axis in axes))


def _unsqueeze(at: At, x: Array) -> Array:
    axes = at.listed("axes", 1)
    if axes is None or len(axes) > 8:
        raise Lacking("it has no axes")
    return np.expand_dims(x, tuple(axes))


def _slice(at: At, x: Array) -> Array:
    starts, ends = at.listed("starts", 1), at.listed("ends", 2)
    if starts is None or ends is None:
        raise Lacking("it has no starts or ends")
    axes, steps = at.listed("axes", 3) or range(len(starts)), at.listed("steps", 4) or [1] * len(starts)
    chosen = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        last = None if step < 0 and end < -x.shape[axis] else end
        chosen[axis] = slice(start, last, step)
    return x[tuple(chosen)]


def _gather(at: At, x: Array) -> Array:
    return np.asarray(np.take(x, np.asarray(at.needed(1), np.int64), axis=at.whole("axis", 0)))


def _split(at: At, x: Array) -> Sequence[Array]:
    axis, count = at.whole("axis", 0), len(at.node.outputs)
    sizes = at.listed("split", 1)
    if sizes is None:
        part = -(-x.shape[axis] // count)
        sizes = [part] * (count - 1) + [x.shape[axis] - part * (count - 1)]
    if sum(sizes) != x.shape[axis] or len(sizes) != count or min(sizes) < 0:
        raise Lacking(f"it splits {x.shape[axis]} into {sizes}")
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _expand(at: At, x: Array) -> Array:
    shape = np.broadcast_shapes(x.shape, tuple(int(n) for n in at.needed(1).ravel()))
    if prod(shape) > MOST:
        raise Lacking(f"its result has {prod(shape):,} numbers")
    return np.broadcast_to(x, shape)


def _depth_to_space(at: At, x: Array) -> Array:
    block, (n, channels, rows, columns) = at.whole("blocksize"), x.shape
    few = channels // block**2
    if at.text("mode", "DCR") == "DCR":
        wide = x.reshape(n, block, block, few, rows, columns).transpose(0, 3, 4, 1, 5, 2)
    else:
        wide = x.reshape(n, few, block, block, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    return wide.reshape(n, few, rows * block, columns * block)


def _space_to_depth(at: At, x: Array) -> Array:
    block, (n, channels, rows, columns) = at.whole("blocksize"), x.shape
    order = (0, 3, 5, 1, 2, 4) if at.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    squares = x.reshape(n, channels, rows // block, block, columns // block, block).transpose(order)
    return squares.reshape(n, channels * block**2, rows // block, columns // block)


def _concat(at: At) -> Value:
    """Along the channels of pixels, or of vectors."""
    values = [at.value(i) for i in range(len(at.inputs))]
    if all(isinstance(v, Constant) for v in values):
        arrays = [v.array for v in values if isinstance(v, Constant)]
        return Constant(np.concatenate(arrays, axis=at.whole("axis")))
    parts = [settled(at.draft, v) for v in values]
    axis = at.whole("axis")
    axis = axis - 1 if axis > 0 else axis + parts[0].index.ndim
    if axis < 0:
        raise Lacking("it joins examples")
    parts = [complete(at.draft, part) for part in parts]
    if parts[0].index.ndim == 1:
        parts = [as_vector(at.draft, part) for part in parts]
    rows = [rows_along(part, axis) for part in parts]
    first = rows[0]
    if any(r is None or first is None or not np.array_equal(r.pixels, first.pixels) for r in rows) or len(
        {part.shape[:-1] for part in parts}
    ) > 1:  # fmt: skip
        raise Lacking("it joins along another axis than the channels")
    step = at.emit("concat", *parts)
    offsets = np.cumsum([0, *(part.shape[-1] for part in parts)])
    channels = np.concatenate([r.channels + o for r, o in zip(rows, offsets, strict=False) if r is not None])
    assert first is not None
    index = first.pixels.reshape(first.shape)[..., None] * step.shape[-1] + channels
    return Flowing(step.result, step.shape, np.moveaxis(index, -1, axis).astype(np.int32))


def _same(at: At) -> Value:
    return at.value()


def _cast(at: At) -> Value:
    """To a floating type; whole numbers of constants are shapes."""
    value, kind = at.value(), at.whole("to", 1)
    if isinstance(value, Constant):
        from onnx import helper

        return Constant(value.array.astype(helper.tensor_dtype_to_np_dtype(kind)))
    if kind not in (1, 10, 11, 16):
        raise Lacking("it turns numbers into another type")
    return value


def _dropout(at: At) -> tuple[Value, ...]:
    """Off at prediction; a mask is not needed."""
    if at.given(2) and at.needed(2).any():
        raise Lacking("it is in training mode: export the model for prediction")
    return (at.value(),)


TRANSLATIONS: Mapping[str, Translation] = {
    "Cast": _cast,
    "CastLike": _same,
    "Concat": _concat,
    "DepthToSpace": moving(_depth_to_space),
    "Dropout": _dropout,
    "Expand": moving(_expand),
    "Flatten": moving(_flatten),
    "Gather": moving(_gather),
    "Identity": _same,
    "Reshape": moving(_reshape),
    "Slice": moving(_slice),
    "SpaceToDepth": moving(_space_to_depth),
    "Split": moving(_split),
    "Squeeze": moving(_squeeze),
    "Transpose": moving(_transpose),
    "Unsqueeze": moving(_unsqueeze),
}
"""By the name of the operator."""
