"""Examples as images, drawn with Pillow: a single one, or a sheet of many with captions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.language.diagnostics import UsageError

Array = np.ndarray[Any, Any]
SIDE = 112
"""The longer side of a picture, in pixels."""
GAP, LINE, FONT = 12, 17, 13
ACROSS = 10
"""The largest number of pictures in a row."""


def pictures_of(network: Network, x: Any) -> Array | None:
    """The examples x as images, bytes (n, height, width, 1 or 3); None if they are not images.

    They are images if the network's input is one, or if the input is a vector and x has the shape of images. 0 is black
    and 1 is white; data outside of this range are scaled to fit.
    """
    array, shape = np.asarray(x), network.inputs[0].shape
    if len(network.inputs) > 1 or not len(array):
        return None
    if len(shape) == 3:
        array = array.reshape(len(array), *shape)
    elif len(shape) == 1 and array.ndim == 3:
        array = array[..., None]
    return _as_bytes(array) if array.ndim == 4 and array.shape[-1] in (1, 3) else None


def _as_bytes(images: Array) -> Array:
    if images.dtype == np.uint8:
        return images
    low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    return np.round((images.astype(np.float64) - low) * (255 / (high - low))).astype(np.uint8)


def as_png(picture: Array, side: int = SIDE) -> bytes:
    """A picture, bytes (height, width, 1 or 3), as a PNG of the same size, or scaled down to `side` pixels.

    Raises:
        UsageError: Pillow is not installed.
    """
    image = _image(picture)
    image.thumbnail((side, side))
    return _png(image)


def sheet(pictures: Array, captions: Sequence[tuple[str, ...]]) -> bytes:
    """All pictures, bytes (n, height, width, 1 or 3), in rows with lines of text under each, as a PNG.

    Raises:
        UsageError: Pillow is not installed.
    """
    pillow = _pillow()
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(FONT)
    drawn = [_enlarged(_image(picture)) for picture in pictures]
    across = min(ACROSS, math.ceil(math.sqrt(len(drawn))))
    width = max(drawn[0].width, *(math.ceil(font.getlength(line)) for lines in captions for line in lines)) + GAP
    height = drawn[0].height + LINE * len(captions[0]) + GAP
    page = pillow.new("RGB", (across * width + GAP, math.ceil(len(drawn) / across) * height + GAP), "white")
    pen = ImageDraw.Draw(page)
    for i, (image, lines) in enumerate(zip(drawn, captions, strict=True)):
        left, top = GAP + i % across * width, GAP + i // across * height
        page.paste(image, (left, top))
        for row, line in enumerate(lines):
            pen.text((left, top + image.height + 2 + row * LINE), line, "black", font)
    return _png(page)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("pictures need Pillow: pip install 'dslc[plots]'") from None
    return Image


def _image(picture: Array) -> Any:
    return _pillow().fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)


def _enlarged(image: Any) -> Any:
    """The image close to SIDE pixels: small images are scaled up by a whole factor, large ones are scaled down."""
    times = SIDE // max(image.size)
    if times:
        return image.resize((image.width * times, image.height * times), _pillow().Resampling.NEAREST)
    smaller = image.copy()
    smaller.thumbnail((SIDE, SIDE))
    return smaller


def _png(image: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, format="png", optimize=True)
    return data.getvalue()
