"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from dslc.interchange.arranging import as_image
from dslc.interchange.draft import Step
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.values import Flowing, Lacking, in_order
from dslc.numerics import Array, np
from dslc.shape import Shape, Sides, Window


def shown(step: Step, like: Flowing) -> Flowing:
    """The result of a layer over images as the ONNX tensor that it is: with as many axes as the input had."""
    index = in_order(step.shape)
    return Flowing(step.result, step.shape, index[:, 0] if like.index.ndim == 2 else index)


def pair(numbers: list[int] | None, default: int, axes: int) -> tuple[int, int]:
    """Two numbers for rows and columns; a line of pixels has one row."""
    found = [default] * axes if numbers is None else numbers
    if len(found) != axes or axes not in (1, 2):
        raise Lacking(f"it has windows of {len(found)} axes: the language has two")
    return (1, found[0]) if axes == 1 else (found[0], found[1])


def _sides(at: At, shape: Shape, window: Window, axes: int) -> Sides:
    """The padding of a window over an image, from `pads` or `auto_pad`."""
    pads, auto = at.wholes("pads"), at.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        same = Window(window.size, window.stride, "same", window.dilation)
        rows, columns = (same.padding(axis, shape[axis]) for axis in (0, 1))
        return (rows, columns) if auto == "SAME_UPPER" else (rows[::-1], columns[::-1])
    if pads is None or auto == "VALID":
        return (0, 0), (0, 0)
    if len(pads) != 2 * axes:
        raise Lacking("its pads do not have two numbers for each axis")
    if min(pads) < 0:
        raise Lacking("its padding is negative")
    rows = (0, 0) if axes == 1 else (pads[0], pads[2])
    return rows, (pads[axes - 1], pads[2 * axes - 1])


def _window(at: At, image: Flowing, size: tuple[int, int], axes: int) -> Window:
    stride = pair(at.wholes("strides"), 1, axes)
    dilation = pair(at.wholes("dilations"), 1, axes)
    plain = Window(size, stride, (0, 0), dilation)
    return Window(size, stride, _sides(at, image.shape, plain, axes), dilation)


def _both(window: Window) -> Sides:
    """The padding of a window as numbers for all four sides."""
    (top, bottom), (left, right) = (window.padding(axis, 0) for axis in (0, 1))
    return (top, bottom), (left, right)


def _sum_of(one: Sides, other: Sides) -> Sides:
    (a, b), (c, d) = one
    (e, f), (g, h) = other
    return (a + e, b + f), (c + g, d + h)


def _filters(weight: Array) -> Array:
    """(filters, channels / groups, rows, columns) as (rows, columns, channels / groups, filters)."""
    return np.ascontiguousarray((weight[:, :, None] if weight.ndim == 3 else weight).transpose(2, 3, 1, 0))


def padding(pad: str | tuple[Any, ...], window: Window) -> str | tuple[Any, ...]:
    """A padding as one writes it: `same` for the usual one of odd filters, or a number."""
    if isinstance(pad, str):
        return pad
    (top, bottom), (left, right) = pad
    if top != bottom or left != right:
        return pad
    if not (top or left):
        return "valid"
    usual = all(
        step == 1 and f % 2 == 1 and p == d * (f - 1) // 2
        for step, f, d, p in zip(window.stride, window.size, window.dilation, (top, left), strict=True)
    )
    return "same" if usual else (top, left)


def _conv(at: At) -> Flowing:
    x, weight = at.flowing(), at.weights(1)
    if weight is None or weight.ndim - 2 != x.index.ndim - 1:
        raise Lacking("its filters do not have the axes of its input")
    image, filters = as_image(at.draft, x), _filters(weight)
    window = _window(at, image, (filters.shape[0], filters.shape[1]), x.index.ndim - 1)
    before = at.draft.alone(image.source, "zeropad")
    if before is not None:
        window = replace(window, pad=_sum_of(before.arguments["pad"], _both(window)))
        source = before.inputs[0]
        image = Flowing(source, at.draft.shapes[source], in_order(at.draft.shapes[source]))
    parameters = {"weight": filters, "bias": at.weights(2)}
    common: dict[str, Any] = {
        "size": window.size, "stride": window.stride, "pad": padding(window.pad, window), "dilation": window.dilation,
        "bias": at.given(2),
    }  # fmt: skip
    groups, channels = at.whole("group", 1), image.shape[-1]
    if groups > 1 and groups == channels and filters.shape[-1] % channels == 0:
        step = at.emit("depthwise", image, parameters=parameters, multiplier=filters.shape[-1] // channels, **common)
    else:
        step = at.emit("conv", image, parameters=parameters, filters=filters.shape[-1], groups=groups, **common)
    return shown(step, x)


def _conv_transpose(at: At) -> Flowing:
    """Its filters are (channels, filters / groups, rows, columns)."""
    x, weight = at.flowing(), at.weights(1)
    if weight is None or weight.ndim - 2 != x.index.ndim - 1:
        raise Lacking("its filters do not have the axes of its input")
    image, filters, axes = as_image(at.draft, x), _filters(weight), x.index.ndim - 1
    size, stride = (filters.shape[0], filters.shape[1]), pair(at.wholes("strides"), 1, axes)
    dilation = pair(at.wholes("dilations"), 1, axes)
    more = list(pair(at.wholes("output_padding"), 0, axes))
    full = [(n - 1) * s + d * (f - 1) + 1
            for n, s, d, f in zip(image.shape, stride, dilation, size, strict=False)]  # fmt: skip
    sides = _sides_of_transpose(at, image.shape, full, more, stride, axes)
    for axis, (before, after) in enumerate(sides):
        more[axis] += before - after  # what is cut off less at the end
    if min(more) < 0:
        raise Lacking("it cuts off more at the end than at the beginning")
    pad = tuple(before for before, _ in sides)
    groups = at.whole("group", 1)
    step = at.emit(
        "conv_transpose", image, parameters={"weight": filters, "bias": at.weights(2)},
        filters=weight.shape[1] * groups, size=size, stride=stride, pad=pad, output_pad=tuple(more), dilation=dilation,
        groups=groups, bias=at.given(2),
    )  # fmt: skip
    return shown(step, x)


def _sides_of_transpose(
    at: At, shape: Shape, full: list[int], more: list[int], stride: tuple[int, int], axes: int
) -> list[tuple[int, int]]:
    """What is cut off on each side: `pads`, or as much as `output_shape` and `auto_pad` leave over."""
    auto, wanted = at.text("auto_pad", "NOTSET"), at.wholes("output_shape")
    if wanted is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        return [tuple(side) for side in _sides(at, shape, Window((1, 1)), axes)]  # type: ignore[misc]
    target = [n * s for n, s in zip(shape, stride, strict=False)] if wanted is None else list(pair(wanted, 1, axes))
    sides = []
    for n, m, goal in zip(full, more, target, strict=True):
        total = n + m - goal
        if total < 0:
            raise Lacking("its result is larger than what the filters reach")
        small, large = total // 2, total - total // 2
        sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return sides


# ------------------------------------------------------------------------------------------- pools


def _pool(kind: str) -> Translation:
    def translation(at: At) -> Flowing:
        x = at.flowing()
        image, axes = as_image(at.draft, x), x.index.ndim - 1
        window = _window(at, image, pair(at.wholes("kernel_shape"), 1, axes), axes)
        if window.dilation != (1, 1):
            raise Lacking("its windows are dilated")
        stride = None if window.stride == window.size else window.stride
        (top, bottom), (left, right) = _both(window)
        pad = (top, left) if (top, left) == (bottom, right) else window.pad
        up = replace(window, ceil=bool(at.whole("ceil_mode", 0)))
        more = any(up.output(axis, image.shape[axis]) != window.output(axis, image.shape[axis]) for axis in (0, 1))
        counts: dict[str, Any] = {}
        if kind == "avgpool":
            counts["count_pad"] = bool(at.whole("count_include_pad", 0)) and any((top, bottom, left, right))
        step = at.emit(kind, image, size=window.size, stride=stride, pad=pad, ceil=more, **counts)
        return shown(step, x)

    return translation


def global_pool(at: At, kind: str, axes: tuple[int, ...], keep: bool) -> Flowing:
    """The mean or the maximum over some axes of a tensor, which have to be all pixels of each channel."""
    x = at.flowing()
    kept = [axis for axis in range(x.index.ndim) if axis not in axes]
    table = x.index.transpose(*kept, *axes).reshape(prod(x.index.shape[a] for a in kept), -1)
    channels = x.shape[-1]
    pixels = prod(x.shape[:-1])
    chosen = table[:, 0] % channels
    every = (
        np.sort(table, axis=1) == chosen[:, None] + channels * np.arange(pixels) if table.shape[1] == pixels else None
    )
    if len(x.shape) != 3 or every is None or not every.all():
        raise Lacking(f"it goes over axes {[a + 1 for a in axes]}: the language has it over all pixels of a channel")
    step = at.emit(kind, x, keep=keep)
    shape = [1 if axis in axes else n for axis, n in enumerate(x.index.shape)]
    if not keep:
        shape = [x.index.shape[axis] for axis in kept]
    return Flowing(step.result, step.shape, chosen.reshape(shape).astype(np.int32))


def _global(kind: str) -> Translation:
    return lambda at: global_pool(at, kind, tuple(range(1, at.flowing().index.ndim)), keep=True)


TRANSLATIONS: Mapping[str, Translation] = {
    "AveragePool": _pool("avgpool"),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global("global_avgpool"),
    "GlobalMaxPool": _global("global_maxpool"),
    "MaxPool": _pool("maxpool"),
}
"""By the name of the operator."""
