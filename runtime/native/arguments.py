"""The caller's arrays as pointers for C: an array that fits is checked in C and passed without a copy; others are
converted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dslc.codegen.build import Library
from dslc.ir import Head, Network
from dslc.runtime.data.arrays import as_inputs, as_targets
from dslc.runtime.data.label_sequences import require_alignments
from dslc.runtime.data.sample_weights import as_weights
from dslc.shape import Shape

Array = np.ndarray[Any, Any]
LABELS = np.dtype(np.int32)
BYTES = np.dtype(np.uint8)


class _Target(NamedTuple):
    """How the target of a network with one head is passed: dtype, C type and shape of an example; and the C function
    that checks it, with its last arguments."""

    dtype: Any
    kind: Any
    shape: Shape
    fits: Callable[..., int]
    limits: tuple[float, ...]


class Arguments:
    """Converts inputs and targets of a network to the arrays that its C functions take, and arrays to pointers."""

    def __init__(self, network: Network, library: Library, dtype: Any) -> None:
        self.network, self.dtype = network, np.dtype(dtype)
        self._from_buffer, named = library.module.ffi.from_buffer, library.module.ffi.typeof
        self._null = library.module.ffi.NULL
        self._all_finite, self._all_within, self._all_below = (
            library.function(name) for name in ("all_finite", "all_within", "all_below")
        )
        self._real, self._labels = named("float[]" if self.dtype == np.float32 else "double[]"), named("int32_t[]")
        self.reals = partial(self._from_buffer, self._real)  # the pointer to an array of the network's precision
        self._kinds = {self.dtype: self._real, LABELS: self._labels, np.dtype(np.int64): named("int64_t[]")}
        self._kinds[BYTES] = named("uint8_t[]")
        self._input = network.inputs[0].shape if len(network.inputs) == 1 and not network.whole_numbers else None
        heads = network.heads
        self.output = heads[0].value.shape if len(network.answers) == 1 else None
        self._target = self._only_target(heads[0]) if len(heads) == 1 and heads[0].loss is not None else None

    def _only_target(self, head: Head) -> _Target | None:
        """None for soft labels, whose sums C does not check, for labels of pixels, some of which are ignored, and for
        rows of labels."""
        shape = head.value.shape
        if head.loss is not None and (head.loss.pixels or head.loss.sequences):
            return None
        if head.loss is not None and head.loss.classes and not head.loss.numbered:
            return None
        if head.loss is not None and head.loss.numbered:
            return _Target(LABELS, self._labels, (), self._all_below, (shape[-1],))
        if head.loss is not None and head.loss.target_range is not None:
            least, most = head.loss.target_range
            largest = min(most, float(np.finfo(self.dtype).max))
            return _Target(self.dtype, self._real, shape, self._all_within, (least, largest))
        return _Target(self.dtype, self._real, shape, self._all_finite, ())

    def pointers(self, arrays: Sequence[Array | None]) -> list[Any]:
        """Pointers to these arrays, typed for C by their dtype; NULL where there is none."""
        return [self._null if a is None else self._from_buffer(self._kinds[a.dtype], a) for a in arrays]

    def inputs(self, x: Any) -> list[Array]:
        """The inputs as contiguous arrays (n, *shape). Raises DataError if they do not fit or are not finite."""
        return [x] if self.direct_pointer(x) is not None else as_inputs(self.network, x, self.dtype)

    def targets(self, y: Any, count: int) -> list[Array]:
        """The targets of all heads for `count` examples, in the heads' order. Raises DataError if they do not fit."""
        return (
            [y] if self.direct_target_pointer(y, count) is not None else as_targets(self.network, y, count, self.dtype)
        )

    def weights(self, given: Any, count: int) -> Array | None:
        """The sample weights of `count` examples; None where all count alike. Raises DataError if they do not fit."""
        return None if given is None else as_weights(given, count, self.dtype)

    def batch(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[list[Any], int]:
        """The pointers to inputs, targets and sample weights, and the number of examples. Raises DataError if they do
        not fit."""
        numbers = self.direct_pointer(x)
        inputs = as_inputs(self.network, x, self.dtype) if numbers is None else [x]
        pointers, count = self.pointers(inputs) if numbers is None else [numbers], len(inputs[0])
        target = self.direct_target_pointer(y, count)
        targets = self.pointers(self._targets_of(inputs, y)) if target is None else [target]
        return [*pointers, *targets, *self.pointers([self.weights(sample_weight, count)])], count

    def _targets_of(self, inputs: list[Array], y: Any) -> list[Array]:
        """The targets of these inputs, which both together must fit."""
        targets = as_targets(self.network, y, len(inputs[0]), self.dtype)
        require_alignments(self.network, inputs, targets)
        return targets

    def direct_pointer(self, x: Any) -> Any:
        """The pointer to x if the network has one input and x can be passed without conversion; else None."""
        if type(x) is np.ndarray and x.dtype is self.dtype and x.shape[1:] == self._input and x.flags.c_contiguous:
            numbers, size = self.reals(x), x.size
            if size and self._all_finite(numbers, size):
                return numbers
        return None

    def direct_target_pointer(self, y: Any, count: int) -> Any:
        """The pointer to y if the network has one head and y can be passed without conversion; else None."""
        target = self._target
        if (
            target is not None
            and type(y) is np.ndarray
            and y.dtype is target.dtype
            and y.shape == (count, *target.shape)
            and y.flags.c_contiguous
        ):
            numbers = self._from_buffer(target.kind, y)
            if target.fits(numbers, y.size, *target.limits):
                return numbers
        return None
