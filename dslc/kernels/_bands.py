"""The direct convolution without a padded copy of the image: only the rows that some rows of results need are copied,
to a band with zeros around it. It takes less memory, and hardly longer."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Scratch, Setting, Variant, _direct
from dslc.layers.conv import ConvDetail

SHARE = 4
"""A band has at most one of so many parts of the padded image's rows, if that suffices for a row of results."""
SMALL = 1 << 10
"""Bytes that a band may always have."""
DEARER = 1.05
"""What it costs at least, of the direct convolution's time: rows that two bands have in common are copied twice."""

SIZES = (*(name for name in _direct.SIZES if name not in ("image_numbers", "row_groups")), "at_once", "band_rows",
         "tasks_of_image", "above", "in_rows", "before", "in_numbers", "some")  # fmt: skip
"""What may be parameters: numbers are those of a row."""


def suits(d: ConvDetail) -> bool:
    """Whether there is a padded copy to be saved."""
    return _direct.crosses_edge(d)


def rows_at_once(d: ConvDetail, itemsize: int) -> int:
    """How many rows of results a band is for."""
    rows, columns, depth = _direct.padded_shape(d)
    most, window = max(rows // SHARE, SMALL // (columns * depth * itemsize)), window_rows(d)
    return min(d.output[0], max(1, (most - window) // d.stride[0] + 1))


def window_rows(d: ConvDetail) -> int:
    """Rows of the image from the first to the last of a window."""
    return (d.size[0] - 1) * d.dilation[0] + 1


def variant(names: tuple[str, ...], d: ConvDetail, setting: Setting, more: Mapping[str, object]) -> Variant:
    """The kernel, with a band for each thread. `more`: what the template prints of the epilogue."""
    whole_images = ("image_numbers", "row_groups")
    found = {name: value for name, value in _direct.context(d, setting).items() if name not in whole_images}
    at_once, depth = rows_at_once(d, setting.itemsize), d.input[2]
    band_rows = (at_once - 1) * d.stride[0] + window_rows(d)
    bands = {
        "at_once": at_once, "band_rows": band_rows, "tasks_of_image": -(-d.output[0] // at_once), "above": d.before[0],
        "in_rows": d.input[0], "in_numbers": d.input[1] * depth, "before": d.before[1] * depth,
        "some": max(0, min(d.input[1], found["width"] - d.before[1])) * depth,
    }  # fmt: skip
    scratch = (Scratch("bands", setting.threads * band_rows * found["width"] * depth),)
    return Variant("bands", names, {**found, **bands, **more}, cost(d, setting), found["tiles"].products,
                   scratch=scratch, sizes=SIZES, overwritable=_direct.overwritable(more))  # fmt: skip


def cost(d: ConvDetail, setting: Setting) -> float:
    """Nanoseconds for a mini-batch on one thread."""
    return DEARER * _direct.cost(d, setting)
