"""Numbers in an order that a layer can read: the layers that put them there, where they lie otherwise."""

from __future__ import annotations

from math import prod

from dslc.interchange.draft import Draft, Step
from dslc.interchange.values import Flowing, Lacking, image_shape, in_order
from dslc.numerics import Array, np
from dslc.shape import Shape, show_shape


def as_image(draft: Draft, value: Flowing) -> Flowing:
    """A tensor (channels, rows, columns) or (channels, places) as an image of ours, channels last.

    Raises:
        Lacking: it has other axes, or no layer brings its numbers into this order.
    """
    if value.index.ndim not in (2, 3):
        raise Lacking(f"it wants an image, and its input has {value.index.ndim + 1} axes with the batch")
    shape = image_shape(value.index.shape)
    source = arranged(draft, value, np.moveaxis(value.index, 0, -1).ravel(), shape)
    return Flowing(source, shape, in_order(shape).reshape(value.index.shape))


def as_vector(draft: Draft, value: Flowing) -> Flowing:
    """A value with all its numbers as a vector of ours, in any order."""
    if len(value.shape) == 1:
        return value
    key = ("flatten", value.source)
    if key not in draft.known:
        step = draft.alone(value.source, "global_avgpool", "global_maxpool")
        if step is not None and step.arguments.get("keep"):
            flat = draft.again(step, keep=False)
        else:
            flat = draft.emit("flatten", (value.source,))
        draft.known[key] = Flowing(flat.result, flat.shape, value.index)
    return Flowing(draft.known[key].source, draft.known[key].shape, value.index)


def complete(draft: Draft, value: Flowing) -> Flowing:
    """A value of which every number stands at one place: what only shows a part of ours is cut out first."""
    if value.whole:
        return value
    if value.index.ndim == 1:
        shape: Shape = value.index.shape
        source = arranged(draft, as_vector(draft, value), value.index, shape)
        return Flowing(source, shape, np.arange(value.index.size, dtype=np.int32))
    try:
        return as_image(draft, value)
    except Lacking:
        return channels_last(draft, value)


def channels_last(draft: Draft, value: Flowing) -> Flowing:
    """A tensor (rows, columns, channels) as an image of ours. Raises Lacking as `arranged` does."""
    shape = value.index.shape if value.index.ndim == 3 else (1, *value.index.shape)
    if len(shape) != 3:
        raise Lacking(f"it has {value.index.ndim + 1} axes with the batch")
    source = arranged(draft, value, value.index.ravel(), shape)
    return Flowing(source, shape, np.arange(value.index.size, dtype=np.int32).reshape(value.index.shape))


def arranged(draft: Draft, value: Flowing, wanted: Array, shape: Shape) -> str:
    """Our value of this shape whose numbers, row by row, are those at the positions `wanted`.

    Raises:
        Lacking: no layers of the language give this order.
    """
    if np.array_equal(wanted, np.arange(prod(value.shape))):
        return _reshaped(draft, value.source, shape)
    key = ("arranged", value.source, shape, wanted.tobytes())
    if key not in draft.known:
        source = _by_channel(draft, value, wanted, shape) or _by_block(draft, value, wanted, shape)
        if source is None:
            raise Lacking(f"no layer brings the numbers of {show_shape(value.shape)} into the order that it wants")
        draft.known[key] = Flowing(source, shape, wanted)
    return draft.known[key].source


def _reshaped(draft: Draft, source: str, shape: Shape) -> str:
    if draft.shapes[source] == shape:
        return source
    key = ("reshape", source, shape)
    if key not in draft.known:
        step = draft.emit("flatten", (source,)) if len(shape) == 1 else draft.emit("reshape", (source,), size=shape)
        draft.known[key] = Flowing(step.result, shape, np.zeros(0, np.int32))
    return draft.known[key].source


def _by_channel(draft: Draft, value: Flowing, wanted: Array, shape: Shape) -> str | None:
    """Some of the channels of each pixel, in another order."""
    channels = value.shape[-1]
    pixels = prod(value.shape[:-1])
    if wanted.size % pixels or wanted.size // pixels != shape[-1]:
        return None
    table = wanted.reshape(pixels, -1) - channels * np.arange(pixels)[:, None]
    chosen = table[0]
    if not ((table == chosen).all() and (chosen >= 0).all() and (chosen < channels).all()):
        return None
    return _reshaped(draft, channel_choice(draft, value.source, chosen), shape)


def channel_choice(draft: Draft, source: str, chosen: Array) -> str:
    """Channels of a value by number: a slice, shuffled groups, or a frozen convolution or dense layer of ones and
    zeros."""
    channels, count = draft.shapes[source][-1], len(chosen)
    if np.array_equal(chosen, np.arange(channels)):
        return source
    if np.array_equal(chosen, chosen[0] + np.arange(count)):
        return draft.emit("slice", (source,), start=int(chosen[0]), end=int(chosen[0]) + count).result
    for groups in (g for g in range(2, channels) if channels % g == 0):
        shuffled = np.arange(channels).reshape(groups, -1).T.ravel()
        first = int(np.flatnonzero(shuffled == chosen[0])[0])
        if np.array_equal(chosen, shuffled[first : first + count]):
            key = ("shuffle", source, groups)
            if key not in draft.known:
                step = draft.emit("channel_shuffle", (source,), groups=groups)
                draft.known[key] = Flowing(step.result, step.shape, np.zeros(0, np.int32))
            return channel_choice(draft, draft.known[key].source, first + np.arange(count))
    table = (chosen[None, :] == np.arange(channels)[:, None]).astype(np.float32)
    return mixed(draft, source, table).result


def mixed(draft: Draft, source: str, table: Array) -> Step:
    """Every pixel times a frozen matrix (channels, new channels)."""
    if len(draft.shapes[source]) == 1:
        return draft.emit("dense", (source,), {"weight": table.T}, frozen=True, units=table.shape[1], bias=False)
    weight = {"weight": table[None, None]}
    return draft.emit("conv", (source,), weight, frozen=True, filters=table.shape[1], size=(1, 1), bias=False)


def _by_block(draft: Draft, value: Flowing, wanted: Array, shape: Shape) -> str | None:
    """Squares of pixels as channels, or back, with the channels in any order."""
    if len(value.shape) != 3 or len(shape) != 3:
        return None
    (rows, _, channels), (new_rows, *_) = value.shape, shape
    if new_rows and rows % new_rows == 0 and rows > new_rows:
        return _to_depth(draft, value, wanted, shape, rows // new_rows)
    if rows and new_rows % rows == 0 and new_rows > rows:
        block = new_rows // rows
        if channels % block**2 == 0:
            return _to_space(draft, value, wanted, shape, block)
    return None


def _to_depth(draft: Draft, value: Flowing, wanted: Array, shape: Shape, block: int) -> str | None:
    rows, columns, channels = value.shape
    if columns % block:
        return None
    squares = np.arange(prod(value.shape)).reshape(rows // block, block, columns // block, block, channels)
    deep = squares.transpose(0, 2, 1, 3, 4).ravel()
    inner = _seen_through(deep, wanted)
    step = draft.emit("space_to_depth", (value.source,), block=block)
    return _by_channel(draft, Flowing(step.result, step.shape, inner), inner, shape)


def _to_space(draft: Draft, value: Flowing, wanted: Array, shape: Shape, block: int) -> str | None:
    """PyTorch's pixel_shuffle has the pixels of a square within each channel: the channels change places first."""
    rows, columns, channels = value.shape
    few = channels // block**2
    pixels = rows * columns
    wide = np.arange(pixels * channels).reshape(rows, columns, block, block, few).transpose(0, 2, 1, 3, 4)
    places = np.empty(wide.size, np.int64)
    if wanted.size != wide.size:
        return None
    places[wide.ravel()] = wanted  # the number that must stand in each place before the squares are laid out
    table = places.reshape(pixels, channels) - channels * np.arange(pixels)[:, None]
    if not (table == table[0]).all() or sorted(table[0]) != list(range(channels)):
        return None
    source = channel_choice(draft, value.source, table[0])
    return _reshaped(draft, draft.emit("depth_to_space", (source,), block=block).result, shape)


def _seen_through(order: Array, wanted: Array) -> Array:
    """Where the numbers `wanted` stand after all were put into an order."""
    back = np.empty(order.size, np.int64)
    back[order] = np.arange(order.size)
    return np.asarray(back[wanted])
