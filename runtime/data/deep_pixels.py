"""Images of 16 bits a channel. Of those in color Pillow keeps the upper 8 bits; the lower ones come from decoding them
once more with the bytes of each number taken the other way around."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Array = np.ndarray[Any, Any]
WHITE = 65535
OTHER_ORDER = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
"""Pillow's words for the order of bytes in the files: big, little, the machine's own; and what is the reverse."""
SIXTEEN = r";16[BLN ]"
"""In Pillow's words for 16 bits a channel; `BGR;16` are 16 bits for all three."""
WHOLE = ("zip", "raw", "libtiff")
"""Pillow's decoders that hand on all bits (PNG, TIFF)."""
DEPTHS = {"JPEG2000": rb"\xff\x51.{38}(.)", "AVIF": rb"pixi.{5}(.)"}
"""Where the bits of a channel stand in formats whose pixels Pillow shortens to 8 bits: in the segment of the
image's size, less 1 (ISO 15444-1, A.5.1), and in the box `pixi` (ISO 23008-12, 6.5.6)."""
HEADER = 1 << 16


def deep_pixels(image: ImageFile, file: Path) -> Array | None:
    """The pixels (h, w, channels) of 16 bits, as they are stored: grey, grey and alpha, color, color and alpha; None
    where they have 8. `file` is where the image comes from.

    Raises:
        ValueError: they have more than 8 bits in a form that is not read.
    """
    modes = {_raw_mode(tile) for tile in image.tile}
    if image.mode.startswith("I"):
        return _with_transparency(image, _grey(image))
    if not any(re.search(SIXTEEN, mode) for mode in modes):
        _refuse_shortened(image)
        return None
    mode, order = (modes.pop().split(";") if len(modes) == 1 else ("", ""))[:2]
    if mode not in ("RGB", "RGBA", "LA") or order not in OTHER_ORDER or image.tile[0][0] not in WHOLE:
        raise ValueError("its colors have 16 bits in a form that is not read: save it as PNG, or with 8 bits")
    if mode == "LA":  # a grey of two bytes and an alpha of two
        four = _decoded(file, "RGBA").astype(np.uint16)
        return four[..., ::2] << 8 | four[..., 1::2]
    upper = np.asarray(image).astype(np.uint16)
    lower = _decoded(file, f"{mode};{OTHER_ORDER[order]}")
    return _with_transparency(image, upper << 8 | lower)


def _raw_mode(tile: Any) -> str:
    """How Pillow calls the layout of the pixels in the file; with `16` in it where they have so many bits."""
    args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    if str(tile[0]).startswith("ppm"):
        return str(args[0]) if args[-1] <= 255 else f"{args[0]};16 of {args[-1]}"  # the last is the largest number
    return str(args[0]) if args else ""


def _decoded(file: Path, mode: str) -> Array:
    """The bytes (h, w, channels) of an image, decoded with another layout of the pixels than the file says."""
    from PIL import Image

    with Image.open(file) as image:
        image.tile = [_with_mode(tile, mode) for tile in image.tile]
        return np.asarray(image)


def _with_mode(tile: Any, mode: str) -> Any:
    """A part of a file with another layout; tuples before Pillow 11.1, with names since."""
    args = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def _refuse_shortened(image: ImageFile) -> None:
    pattern = DEPTHS.get(image.format or "")
    if pattern is None or image.fp is None:
        return
    at = image.fp.tell()
    image.fp.seek(0)
    found = re.search(pattern, image.fp.read(HEADER), re.DOTALL)
    image.fp.seek(at)
    bits = (found[1][0] & 127) + (image.format == "JPEG2000") if found else 8
    if bits > 8:
        raise ValueError(f"its colors have {bits} bits, which are not read from {image.format}: save it as PNG")


def _grey(image: Image) -> Array:
    values = np.asarray(image)
    if values.min(initial=0) < 0 or values.max(initial=0) > WHITE:
        raise ValueError("its pixels have more than 16 bits: save it with 8 or 16")
    return values.astype(np.uint16)[..., None]


def _with_transparency(image: Image, pixels: Array) -> Array:
    """With an alpha channel where the file names a color that is transparent."""
    clear = image.info.get("transparency")
    if clear is None:
        return pixels
    alpha = np.where((pixels == np.array(clear)).all(axis=2), 0, WHITE)
    return np.dstack([pixels, alpha.astype(np.uint16)])


def flat(pixels: Array, background: tuple[int, int, int]) -> Array:
    """Without alpha, on a background of 8 bits: (h, w, 1) of grey on grey, else (h, w, 3). c = a C + (1 - a) B."""
    if pixels.shape[2] in (1, 3):
        return pixels
    under = np.array(background) * 257
    alpha = pixels[..., -1:] / WHITE
    stays_grey = pixels.shape[2] == 2 and len(set(background)) == 1
    mixed: Array = alpha * pixels[..., :-1] + (1 - alpha) * (under[:1] if stays_grey else under)
    return np.rint(mixed).astype(np.uint16)


def upright(pixels: Array, orientation: int) -> Array:
    """Turned as EXIF's orientation says (1 to 8; CIPA DC-008, 4.6.5.1)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
