"""The common part of the layers that put a value into a larger one, or take a part of one."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.shape import Shape


@dataclass(frozen=True)
class BoxDetail:
    """A box of (rows, columns, channels) inside an image, which begins at `start`."""

    image: Shape
    box: Shape
    start: Shape
