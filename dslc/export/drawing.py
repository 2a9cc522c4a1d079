"""How the drawings of a data set look, so that what is drawn on a page looks like them."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.numerics import Array, np


@dataclass(frozen=True)
class DrawingStyle:
    """`bright`: bright ink on dark ground. `box`: the longer side of what is drawn, as a share of the image's."""

    bright: bool = True
    box: float = 20 / 28


def style_of(images: Array | None) -> DrawingStyle:
    """The style of images (n, height, width, 1) with numbers from 0 to 1; of MNIST where there are none: digits in a
    square of 20 by 20 of 28 by 28 pixels (LeCun et al. 1998)."""
    if images is None or images.ndim != 4 or images.shape[3] != 1:
        return DrawingStyle()
    edges = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    bright = float(np.mean([edge.mean() for edge in edges])) < 0.5
    ink = (images if bright else 1 - images)[..., 0] > 0.2
    sides = [max(_extent(one.any(axis=1)), _extent(one.any(axis=0))) for one in ink if one.any()]
    return DrawingStyle(bright, float(np.median(sides)) / max(images.shape[1:3]) if sides else 1.0)


def _extent(used: Array) -> int:
    """From the first to the last true entry."""
    places = np.flatnonzero(used)
    return int(places[-1] - places[0] + 1)
