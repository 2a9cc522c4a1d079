"""One image file as numbers: decoded with Pillow, upright, of a stated size, with one channel or three."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.deep_pixels import deep_pixels, flat, upright
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.files import require_file

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, Any]
BRIGHTNESS = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to grey (ITU-R 601-2)."""
ORIENTATION = 0x0112
"""The EXIF tag that says how an image is turned."""
FITS = ("stretch", "crop", "pad")
"""How an image comes to the size asked for: its sides change freely, its middle is taken, its edges are filled up."""


def require_pillow() -> None:
    """Raises DataError where Pillow is not installed. What it logs of broken files is in its errors too."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise DataError("images are read with Pillow: pip install 'dslc[data]'") from None
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # else Python would print it


def read_pixels(file: Path, how: Reading) -> tuple[Array, str]:
    """The pixels (h, w, 1) of a grey image or (h, w, 3) of one in color, as integers of 8 bits, or of 16 where the
    file has so many, and what is to be noted of it, if anything.

    An image is turned as its EXIF data say; transparent pixels lie on the background; palettes, CMYK and other color
    spaces become red, green and blue.

    Raises:
        DataError: Pillow cannot read the file: it is broken, cut short, or larger than Pillow allows.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    require_file(file)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                frames = getattr(image, "n_frames", 1)
                deep = deep_pixels(image, file)
                if deep is None:
                    plain = _plain(ImageOps.exif_transpose(image), how.background)
                    pixels = np.asarray(_sized(plain, how, _fill(plain.mode, how)))
                else:
                    turned = upright(flat(deep, how.background), image.getexif().get(ORIENTATION, 1))
                    pixels = _sized_by_channel(turned, how)
    except UnidentifiedImageError:
        raise DataError(f"cannot read the image {file}: it is no image that Pillow knows, or damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = Image.MAX_IMAGE_PIXELS or 0
        raise DataError(f"cannot read the image {file}: it has more than {most:,} pixels, as a bomb would") from None
    except Exception as error:  # each of Pillow's forty decoders stumbles in its own way over what is damaged
        raise DataError(f"cannot read the image {file}: {str(error) or 'it is damaged'}") from None
    notes = [f"only the first of {frames} images is taken"] if frames > 1 else []
    notes += list(dict.fromkeys(str(warning.message) for warning in told))
    return (pixels[..., None] if pixels.ndim == 2 else pixels), f"{file}: {'; '.join(notes)}" if notes else ""


def _plain(image: Image, background: tuple[int, int, int]) -> Image:
    """In one of two modes: L (grey) or RGB, of 8 bits."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are fractions: save it with 8 or 16 bits")
    if image.has_transparency_data:
        grey = image.mode in ("LA", "La", "L", "1")
        under = Image.new("RGBA", image.size, (*background, 255))
        flat = Image.alpha_composite(under, image.convert("RGBA")).convert("RGB")
        return flat.convert("L") if grey and len(set(background)) == 1 else flat
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _sized_by_channel(pixels: Array, how: Reading) -> Array:
    """Pixels (h, w, channels) of 16 bits, which Pillow resizes where there is one channel."""
    from PIL import Image

    channels = pixels.shape[2]
    fills = [257 * _brightness(how.background)] if channels == 1 else [257 * part for part in how.background]
    planes = [Image.fromarray(np.ascontiguousarray(pixels[..., i])) for i in range(channels)]
    return np.dstack([np.asarray(_sized(plane, how, fill)) for plane, fill in zip(planes, fills, strict=True)])


def _sized(image: Image, how: Reading, fill: Any) -> Image:
    """Of the size asked for; `fill` is the color of what is padded."""
    from PIL import Image, ImageOps

    if how.resize is None or image.size == how.resize[::-1]:
        return image
    size, smooth = how.resize[::-1], Image.Resampling.BILINEAR
    if how.fit == "crop":
        return ImageOps.fit(image, size, smooth)
    if how.fit == "stretch":
        return image.resize(size, smooth)
    inside = ImageOps.contain(image, size, smooth)
    canvas = Image.new(image.mode, size, fill)
    canvas.paste(inside, ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2))
    return canvas


def _fill(mode: str, how: Reading) -> Any:
    """The background of an image of 8 bits; of grey ones its brightness."""
    return how.background if mode == "RGB" else _brightness(how.background)


def _brightness(color: tuple[int, int, int]) -> int:
    return round(float(BRIGHTNESS @ color))


def stacked(images: list[Array], channels: int | None = None) -> tuple[Array, tuple[str, ...]]:
    """Images of one size as (n, h, w, c), and what was done to some of them. The list is emptied.

    They get so many channels, one or three; unless told, three if any has color. Grey becomes three equal channels,
    color its brightness as ITU-R 601-2 weighs it. 8 bits become 16 where others have those, with the same share of
    white.
    """
    channels = channels or max(image.shape[2] for image in images)
    grey = sum(image.shape[2] < channels for image in images)
    color = sum(image.shape[2] > channels for image in images)
    kind = max(image.dtype.itemsize for image in images)
    result = np.empty((len(images), *images[0].shape[:2], channels), np.uint8 if kind == 1 else np.uint16)
    for i in range(len(images) - 1, -1, -1):
        image = images.pop()
        if image.shape[2] > channels:
            image = np.rint(image @ BRIGHTNESS)[..., None].astype(image.dtype)
        result[i] = image.astype(np.uint16) * 257 if image.dtype.itemsize < kind else image
    notes = (f"{grey} grey images have three equal channels now",) if grey else ()
    return result, (*notes, *((f"{color} images of color are grey now",) if color else ()))
