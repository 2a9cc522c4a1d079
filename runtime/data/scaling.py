"""The one rule by which stored images become numbers: integers of 8 or 16 bits without a sign are divided by the
largest number of their type. Other numbers are taken as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LARGEST = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def holds_images(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether an array, perhaps a lazy one, for an input of this shape holds images as they are stored: integers of 8
    or 16 bits in rows and columns, (n, h, w) or (n, h, w, c), or whatever such integers a network is given whose input
    is HxWxC."""
    return array.dtype in LARGEST and (array.ndim >= 3 or len(shape) == 3)


def scaled(array: Array, dtype: Any) -> Array:
    """Stored images as numbers from 0 to 1 of this dtype; nothing of the array's size is made but the result."""
    kind = np.dtype(dtype)
    numbers: Array = np.divide(array, kind.type(LARGEST[array.dtype]), dtype=kind)
    return numbers
