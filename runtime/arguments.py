"""The caller's arrays as pointers for C: what fits is handed over as it is, checked in C; the rest is converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.build import Library
from dslc.ir import Network
from dslc.runtime.data import as_inputs, as_targets

Array = np.ndarray[Any, Any]
LABELS = np.dtype(np.int32)


class Arguments:
    """Turns inputs and targets of one network into arrays that its C takes, and arrays into pointers."""

    def __init__(self, network: Network, library: Library, dtype: Any) -> None:
        self.network, self.dtype = network, np.dtype(dtype)
        self._from_buffer = library.module.ffi.from_buffer
        self._all_finite, self._all_within, self._all_below = (
            library.function(name) for name in ("all_finite", "all_within", "all_below")
        )
        self._real = "float[]" if self.dtype == np.float32 else "double[]"
        self._kinds = {self.dtype: self._real, LABELS: "int32_t[]", np.dtype(np.int64): "int64_t[]"}
        self._input = network.inputs[0].shape if len(network.inputs) == 1 else None
        heads = network.heads
        loss = heads[0].loss if len(heads) == 1 else None
        self._classes = heads[0].value.shape[-1] if loss is not None and loss.classes else 0
        self._target = heads[0].value.shape if loss is not None and not loss.classes else None
        self._yes_or_no = loss is not None and loss.yes_or_no
        self._output = heads[0].value.shape if len(heads) == 1 else None

    def pointer(self, array: Array) -> Any:
        return self._from_buffer(self._kinds[array.dtype], array)

    def pointers(self, arrays: list[Array]) -> list[Any]:
        return [self._from_buffer(self._kinds[array.dtype], array) for array in arrays]

    def inputs(self, x: Any) -> list[Array]:
        """The inputs, dense and finite. Raises DataError."""
        return [x] if self.fitting(x) is not None else as_inputs(self.network, x, self.dtype)

    def targets(self, y: Any, count: int) -> list[Array]:
        """The targets of all heads. Raises DataError."""
        return [y] if self.fitting_target(y, count) is not None else as_targets(self.network, y, count, self.dtype)

    def batch(self, x: Any, y: Any) -> tuple[list[Any], int]:
        """The pointers to inputs and targets, and the number of examples. Raises DataError."""
        numbers = self.fitting(x)
        if numbers is not None and (target := self.fitting_target(y, len(x))) is not None:
            return [numbers, target], len(x)
        inputs = self.inputs(x)
        return self.pointers([*inputs, *self.targets(y, len(inputs[0]))]), len(inputs[0])

    def call(self, x: Any) -> tuple[Any, Any, Any] | None:
        """The pointer to the only input if it can be handed over as it is, a new array for the only output, and the
        pointer to that; else None. A small network takes less time than Python needs to go the longer way."""
        if self._output is None or (numbers := self.fitting(x)) is None:
            return None
        output = np.empty((len(x), *self._output), self.dtype)
        return numbers, output, self._from_buffer(self._real, output)

    def fitting(self, x: Any) -> Any:
        """The pointer to the only input, if `x` is that and can be handed over as it is; else None."""
        if type(x) is np.ndarray and x.dtype is self.dtype and x.shape[1:] == self._input and x.flags.c_contiguous:
            numbers = self._from_buffer(self._real, x)
            if x.size and self._all_finite(numbers, x.size):
                return numbers
        return None

    def fitting_target(self, y: Any, count: int) -> Any:
        """The pointer to the only target, if `y` is that and can be handed over as it is; else None."""
        if type(y) is not np.ndarray or not y.flags.c_contiguous:
            return None
        if self._target is not None:
            fits = y.dtype is self.dtype and y.shape == (count, *self._target)
            return self._values(self._from_buffer(self._real, y), y.size) if fits else None
        fits = self._classes and y.dtype is LABELS and y.shape == (count,)
        labels = self._from_buffer("int32_t[]", y) if fits else None
        return labels if fits and self._all_below(labels, count, self._classes) else None

    def _values(self, numbers: Any, size: int) -> Any:
        fits = self._all_within(numbers, size, 0, 1) if self._yes_or_no else self._all_finite(numbers, size)
        return numbers if fits else None
