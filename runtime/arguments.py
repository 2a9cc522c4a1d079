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
        self._all_finite, self._all_within, self._all_below = (
            library.function(name) for name in ("all_finite", "all_within", "all_below")
        )
        self._real = "float[]" if self.dtype == np.float32 else "double[]"
        self._kinds = {self.dtype: self._real, np.dtype(np.int32): "int32_t[]", np.dtype(np.int64): "int64_t[]"}
        self._input = network.inputs[0].shape if len(network.inputs) == 1 else None
        heads = network.heads
        loss = heads[0].loss if len(heads) == 1 else None
        self._classes = heads[0].value.shape[-1] if loss is not None and loss.classes else 0
        self._target = heads[0].value.shape if loss is not None and not loss.classes else None
        self._yes_or_no = loss is not None and loss.yes_or_no

    def pointer(self, array: Array) -> Any:
        return self._from_buffer(self._kinds[array.dtype], array)

    def pointers(self, arrays: list[Array]) -> list[Any]:
        return [self._from_buffer(self._kinds[array.dtype], array) for array in arrays]

    def inputs(self, x: Any) -> list[Array]:
        """The inputs, dense and finite. Raises DataError."""
        return [x] if self.fitting(x) is not None else as_inputs(self.network, x, self.dtype)

    def fitting(self, x: Any) -> Any:
        """The pointer to the only input, if `x` is that and can be handed over as it is; else None."""
        if type(x) is np.ndarray and x.dtype == self.dtype and x.shape[1:] == self._input and x.flags.c_contiguous:
            numbers = self._from_buffer(self._real, x)
            if x.size and self._all_finite(numbers, x.size):
                return numbers
        return None

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
        if self._target is None or y.dtype != self.dtype or y.shape != (count, *self._target):
            return False
        numbers = self._from_buffer(self._real, y)
        return bool(self._all_within(numbers, y.size, 0, 1) if self._yes_or_no else self._all_finite(numbers, y.size))
