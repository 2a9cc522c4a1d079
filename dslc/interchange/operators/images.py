"""Padding, resizing, and the norm of neighbouring channels."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Any

from dslc.interchange.arranging import as_image, as_vector, mixed
from dslc.interchange.operators._at import At, Translation
from dslc.interchange.operators.windows import pair, shown
from dslc.interchange.values import MOST, Flowing, Lacking, in_order
from dslc.numerics import np


def _pad(at: At) -> Flowing:
    x = at.flowing()
    pads, value = at.listed("pads", 1) or at.wholes("paddings"), at.real("value", 0.0)
    if at.given(2):
        value = float(np.ravel(at.needed(2))[0])
    rank = x.index.ndim + 1
    axes = at.listed("axes", 3) or list(range(rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise Lacking("its pads do not have two numbers for each axis")
    around = {axis % rank: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    sides = [around.get(axis, (0, 0)) for axis in range(rank)]
    if not any(map(any, sides)):
        return x
    if at.text("mode", "constant") != "constant" or value != 0:
        raise Lacking("it pads with something else than zeros")
    if min(map(min, sides)) < 0 or any(sides[0]):
        raise Lacking("it pads the batch, or cuts off")
    return _zeros_around(at, x, sides[1:])


def _zeros_around(at: At, x: Flowing, sides: list[tuple[int, int]]) -> Flowing:
    """Rows and columns by `zeropad`, channels by a frozen layer of ones and zeros."""
    before, after = sides[0]
    image = as_image(at.draft, x) if x.index.ndim > 1 else as_vector(at.draft, x)
    if before or after:
        if x.index.ndim == 1 and not image.last:
            raise Lacking("it pads numbers that are in another order")
        count = image.shape[-1]
        if count * (before + count + after) > MOST:
            raise Lacking(f"its result has {before + count + after:,} channels")
        step = mixed(at.draft, image.source, np.eye(count, before + count + after, before, dtype=np.float32))
        if x.index.ndim == 1:
            return Flowing(step.result, step.shape, np.arange(step.shape[0], dtype=np.int32))
        image = Flowing(step.result, step.shape, in_order(step.shape))
    if not any(map(any, sides[1:])):
        return Flowing(image.source, image.shape, in_order(image.shape)[:, 0] if x.index.ndim == 2 else image.index)
    around = ((0, 0), *sides[1:]) if x.index.ndim == 2 else tuple(sides[1:])
    return shown(at.emit("zeropad", image, pad=around), x)


def _resize(at: At) -> Flowing:
    """Whole multiples, by repeating pixels or between the centers of pixels."""
    x, image = at.flowing(), as_image(at.draft, at.flowing())
    scale = _scale(at, (at.batch, *x.index.shape))
    if scale == (1, 1):
        return x
    mode = at.text("mode", "nearest")
    if mode == "nearest":
        if not all(_repeats(at, n, s) for n, s in zip(image.shape, scale, strict=False)):
            raise Lacking("it takes other pixels than the nearest before: the language repeats each of them")
    elif mode == "linear" and at.node.kind == "Resize":
        where = at.text("coordinate_transformation_mode", "half_pixel")
        if where not in ("half_pixel", "pytorch_half_pixel"):
            raise Lacking(f"it is bilinear with {where}: the language has half_pixel")
    else:
        raise Lacking(f"its mode is {mode}: the language has nearest and bilinear")
    words: dict[str, Any] = {} if mode == "nearest" else {"mode": "bilinear"}
    return shown(at.emit("upsample", image, scale=scale, **words), x)


def _scale(at: At, shape: tuple[int, ...]) -> tuple[int, int]:
    places = (2, 3) if at.node.kind == "Resize" and at.opset > 10 else (1, 9)
    scales, sizes = at.constant(places[0]), at.constant(places[1])
    if at.node.attributes.get("axes") is not None:
        raise Lacking("it resizes some of the axes only")
    if scales is None or not scales.size:
        if sizes is None and isinstance(at.node.attributes.get("scales"), list):
            scales = np.array(at.node.attributes["scales"])
        elif sizes is not None and sizes.size == len(shape):
            scales = sizes / np.array(shape)
        else:
            raise Lacking("it says neither scales nor sizes")
    found = [float(s) for s in scales.ravel()]
    if len(found) != len(shape) or found[:2] != [1.0, 1.0] or any(s != floor(s) or s < 1 for s in found):
        raise Lacking(f"its scales are {found}: the language has whole multiples of rows and columns")
    return pair([int(s) for s in found[2:]], 1, len(shape) - 2)


def _repeats(at: At, n: int, scale: int) -> bool:
    """Whether the nearest pixel of each new one is the one that is repeated."""
    where, rounding = (
        at.text("coordinate_transformation_mode", "half_pixel"),
        at.text("nearest_mode", "round_prefer_floor"),
    )
    if at.node.kind == "Upsample" or at.opset < 11:
        where, rounding = "asymmetric", "floor"
    new = np.arange(n * scale)
    old = new / scale if where == "asymmetric" else (new + 0.5) / scale - 0.5
    if where == "align_corners":
        old = new * (n - 1) / max(1, n * scale - 1)
    nearest = {"floor": np.floor(old), "ceil": np.ceil(old), "round_prefer_floor": np.ceil(old - 0.5),
               "round_prefer_ceil": np.floor(old + 0.5)}[rounding]  # fmt: skip
    return bool((np.clip(nearest, 0, n - 1) == new // scale).all())


def _lrn(at: At) -> Flowing:
    x, size = at.flowing(), at.whole("size")
    step = at.emit(
        "lrn", as_image(at.draft, x), size=size, alpha=at.real("alpha", 1e-4) / size, beta=at.real("beta", 0.75),
        k=at.real("bias", 1.0),
    )  # fmt: skip
    return shown(step, x)


TRANSLATIONS: Mapping[str, Translation] = {
    "LRN": _lrn,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
"""By the name of the operator."""
