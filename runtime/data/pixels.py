"""One image file as numbers: decoded with Pillow, upright, of a stated size, with one channel or three."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Reading

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, Any]
BRIGHTNESS = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to grey (ITU-R 601-2)."""
FITS = ("stretch", "crop", "pad")
"""How an image comes to the size asked for: its sides change freely, its middle is taken, its edges are filled up."""


def require_pillow() -> None:
    """Raises DataError where Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise DataError("images are read with Pillow: pip install 'dslc[data]'") from None


def read_pixels(file: Path, how: Reading) -> tuple[Array, str]:
    """The pixels (h, w, 1) of a grey image or (h, w, 3) of one in color, as integers of 8 bits, or of 16 where a grey
    image has so many, and what is to be noted of it, if anything.

    An image is turned as its EXIF data say; transparent pixels lie on the background; palettes, CMYK and other color
    spaces become red, green and blue.

    Raises:
        DataError: Pillow cannot read the file: it is broken, cut short, or larger than Pillow allows.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                frames = getattr(image, "n_frames", 1)
                upright = ImageOps.exif_transpose(image)
                pixels = np.asarray(_sized(_plain(upright, how.background), how))
    except UnidentifiedImageError:
        raise DataError(f"cannot read the image {file}: it is no image that Pillow knows, or damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(f"cannot read the image {file}: it has more than {most:,} pixels, as a bomb would") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise DataError(f"cannot read the image {file}: {error}") from None
    note = f"{file}: only the first of {frames} images is taken" if frames > 1 else ""
    return (pixels[..., None] if pixels.ndim == 2 else pixels), note


def _plain(image: Image, background: tuple[int, int, int]) -> Image:
    """In one of three modes: L (grey, 8 bits), I;16 (grey, 16 bits), RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        return _sixteen_bits(image)
    if image.mode == "F":
        raise ValueError("its pixels are fractions: save it with 8 or 16 bits")
    if image.has_transparency_data:
        grey = image.mode in ("LA", "La", "L", "1")
        under = Image.new("RGBA", image.size, (*background, 255))
        flat = Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")
        return flat.convert("L") if grey and len(set(background)) == 1 else flat
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _sixteen_bits(image: Image) -> Image:
    from PIL import Image

    values = np.asarray(image)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise ValueError("its pixels have more than 16 bits: save it with 8 or 16")
    return Image.fromarray(values.astype(np.uint16))


def _sized(image: Image, how: Reading) -> Image:
    from PIL import Image, ImageOps

    if how.resize is None or image.size == how.resize[::-1]:
        return image
    size, smooth = how.resize[::-1], Image.Resampling.BILINEAR
    if how.fit == "crop":
        return ImageOps.fit(image, size, smooth)
    if how.fit == "stretch":
        return image.resize(size, smooth)
    inside = ImageOps.contain(image, size, smooth)
    canvas = Image.new(image.mode, size, _color(image.mode, how.background))
    canvas.paste(inside, ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2))
    return canvas


def _color(mode: str, background: tuple[int, int, int]) -> Any:
    """The background in an image's mode; of grey ones its brightness."""
    if mode == "RGB":
        return background
    grey = round(float(BRIGHTNESS @ background))
    return grey if mode == "L" else 257 * grey


def stacked(
    images: list[Array], channels: int | None = None, itemsize: int | None = None
) -> tuple[Array, tuple[str, ...]]:
    """Images of one size as (n, h, w, c), and what was done to some of them. The list is emptied.

    They get so many channels, one or three; unless told, three if any has color. Grey becomes three equal channels,
    color its brightness as ITU-R 601-2 weighs it. 8 bits become 16 where others have those, or `itemsize` says so, with
    the same share of white.
    """
    given = [image.shape[2] for image in images]
    channels = channels or max(given)
    kind = itemsize or max(image.dtype.itemsize for image in images)
    result = np.empty((len(images), *images[0].shape[:2], channels), np.uint8 if kind == 1 else np.uint16)
    for i in range(len(images) - 1, -1, -1):
        image = images.pop()
        if image.shape[2] > channels:
            image = np.rint(image @ BRIGHTNESS)[..., None].astype(image.dtype)
        result[i] = image.astype(np.uint16) * 257 if image.dtype.itemsize < kind else image
    return result, channel_notes(given, channels)


def channel_notes(given: list[int], channels: int) -> tuple[str, ...]:
    """What is to be noted of images with so many channels each that get `channels`."""
    grey, color = sum(found < channels for found in given), sum(found > channels for found in given)
    notes = (f"{grey} grey images have three equal channels now",) if grey else ()
    return (*notes, *((f"{color} images of color are grey now",) if color else ()))
