"""dslc keeps images and filters channels last; some rivals want the channels first."""

from __future__ import annotations

import numpy as np

from rivals import Array


def filters_first(weight: Array) -> Array:
    """Filters (rows, columns, channels, filters) as (filters, channels, rows, columns)."""
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1))


def channels_first(weight: Array, image: tuple[int, ...]) -> Array:
    """Dense weights (units, inputs) for an image that is flattened channel by channel."""
    return np.ascontiguousarray(weight.reshape(-1, *image).transpose(0, 3, 1, 2).reshape(len(weight), -1))
