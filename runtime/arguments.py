"""The caller's arrays as pointers for C: what fits is handed over as it is, checked in C; the rest is converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.build import Library
from dslc.ir import Network
from dslc.runtime.data import as_inputs, as_targets

Array = np.ndarray[Any, Any]


class Arguments:
    """Turns inputs and targets of one network into arrays that its C takes, and arrays into pointers."""

    def __init__(self, network: Network, library: Library, dtype: Any) -> None:
        self.network, self.dtype = network, np.dtype(dtype)
        self._from_buffer = library.module.ffi.from_buffer
        self._all_within, self._all_below = library.function("all_within"), library.function("all_below")
        self._largest = float(np.finfo(self.dtype).max)
        real = "float[]" if self.dtype == np.float32 else "double[]"
        self._kinds = {self.dtype: real, np.dtype(np.int32): "int32_t[]", np.dtype(np.int64): "int64_t[]"}
        self._input = network.inputs[0].shape if len(network.inputs) == 1 else None
        heads = network.heads
        loss = heads[0].loss if len(heads) == 1 else None
        self._classes = heads[0].value.shape[-1] if loss is not None and loss.classes else 0
        self._target = heads[0].value.shape if loss is not None and not loss.classes else None
        self._range = (0.0, 1.0) if loss is not None and loss.yes_or_no else (-self._largest, self._largest)

    def pointer(self, array: Array) -> Any:
        return self._from_buffer(self._kinds[array.dtype], array)

    def pointers(self, arrays: list[Array]) -> list[Any]:
        return [self.pointer(array) for array in arrays]

    def inputs(self, x: Any) -> list[Array]:
        """The inputs, dense and finite. Raises DataError."""
        fits = type(x) is np.ndarray and x.dtype == self.dtype and x.shape[1:] == self._input and x.flags.c_contiguous
        if fits and x.size and self._all_within(self.pointer(x), x.size, -self._largest, self._largest):
            return [x]
        return as_inputs(self.network, x, self.dtype)

    def targets(self, y: Any, count: int) -> list[Array]:
        """The targets of all heads. Raises DataError."""
        if (
            type(y) is np.ndarray
            and y.flags.c_contiguous
            and (self._are_labels(y, count) or self._are_values(y, count))
        ):
            return [y]
        return as_targets(self.network, y, count, self.dtype)

    def _are_labels(self, y: Array, count: int) -> bool:
        fits = self._classes and y.dtype == np.int32 and y.shape == (count,)
        return bool(fits and self._all_below(self.pointer(y), count, self._classes))

    def _are_values(self, y: Array, count: int) -> bool:
        fits = self._target is not None and y.dtype == self.dtype and y.shape == (count, *self._target)
        return bool(fits and self._all_within(self.pointer(y), y.size, *self._range))
