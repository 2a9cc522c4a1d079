"""Offsets: what is subtracted from inputs in double precision, where rounding to single would blur them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from dslc.ir import Network, Value
from dslc.layers import Layer
from dslc.runtime.data.frames import columns_of, frame_array, is_frame
from dslc.runtime.data.given import as_array
from dslc.runtime.data.lazy import LazyArray, portions_of

Array = np.ndarray[Any, Any]
FAR = 1024
"""Numbers that lie more than so many of their deviations from zero are shifted before they are rounded."""


def offsets_of(network: Network, xs: Mapping[str, Any], unfitted: Collection[str]) -> dict[str, tuple[float, ...]]:
    """For inputs `xs` that only a first layer such as standardize reads, and whose numbers lie far from zero."""
    found = {}
    for value in network.inputs:
        if value.name not in xs:
            continue
        readers = [node for node in network.nodes if value.name in {v.name for v in node.inputs}]
        if network.dtype == "float32" and readers and all(node.name in unfitted for node in readers):
            offset = _offset(readers[0].layer, value, xs[value.name])
            if offset is not None:
                found[value.name] = offset
    return found


def _offset(layer: Layer, value: Value, given: Any) -> tuple[float, ...] | None:
    """The mean of each feature that lies so far from zero that rounding would blur it; None where none does."""
    if is_frame(given):
        given = frame_array(given, columns_of(given))
    array = given if isinstance(given, LazyArray) else as_array(given, f"input {value.name}")
    wide = array.dtype in (np.float64, np.int64, np.uint64, np.int32, np.uint32)
    if len(value.shape) != 1 or not wide or not len(array) or np.prod(array.shape[1:]) != value.elements:
        return None
    with np.errstate(invalid="ignore"):
        about = layer.fitted((part.reshape(len(part), -1), None) for part in portions_of(array))
    if not np.isfinite(about["mean"]).all():
        return None  # the numbers are refused, with the example
    mean, std = about["mean"], about["std"]
    far = np.abs(mean) > FAR * std
    return tuple(np.where(far, mean, 0.0).tolist()) if far.any() else None
