"""Views of a network's parameters: in the language's shapes, whatever layout the kernels use."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from dslc.layout import Layout
from dslc.runtime.native.locks import Lock

Array = np.ndarray[Any, Any]
PIECE = 1 << 18
"""How many numbers are looked at, copied or written at a time."""


def _in_place(operator: Callable[[Any, Any], Any]) -> Any:
    """An operator such as `+=`, which makes another array where this one may not be written."""

    def apply(self: Array, other: Any) -> Any:
        return in_place(self, other) if self.flags.writeable else operator(np.asarray(self), other)

    in_place = getattr(np.ndarray, f"__i{operator.__name__.strip('_')}__")
    return apply


class ReadOnly(Array):
    """Numbers that were read from a network, which NumPy refuses to write: it would change a copy. `view[...] += 1`
    reads, adds and writes, so its operator leaves them and makes another array. What is computed from them is a plain
    array."""

    __iadd__, __isub__, __imul__ = map(_in_place, (operator.add, operator.sub, operator.mul))
    __itruediv__, __ifloordiv__ = map(_in_place, (operator.truediv, operator.floordiv))
    __imod__, __ipow__ = map(_in_place, (operator.mod, operator.pow))

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array)[()]


def _read_only(array: Array) -> Array:
    found = array.view(ReadOnly)
    found.flags.writeable = False
    return found


class ParameterView:
    """One array in the memory of the compiled network. Reading, `view[...]` and `np.asarray(view)`, unpacks it into a
    copy that cannot be written; writing, `view[...] = array`, `view[0, 2] = 5` or `view[...] *= 2`, packs it and stores
    it at once. `numpy()` and `np.array(view)` are copies of your own.

    stored: returns the memory and its layout; called for every access, since a network that grows moves to other
    memory. lock: held during every access. writing, changed: called before and after every write.
    """

    def __init__(
        self,
        name: str,
        lock: AbstractContextManager[Any],
        stored: Callable[[], tuple[Array, Layout]],
        writing: Callable[[], None] = lambda: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self._lock, self._stored, self._writing, self._changed = name, lock, stored, writing, changed

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the language gives the parameter."""
        return self._stored()[1].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The network's precision, float32 or float64."""
        dtype: np.dtype[Any] = self._stored()[0].dtype
        return dtype

    def numpy(self) -> Array:
        """A copy in the language's shape, to be changed at will; the network stays as it is."""
        with self._lock:
            memory, layout = self._stored()
            return layout.unpack(memory)

    def is_finite(self) -> bool:
        """Whether all values are. As they are stored: padding is zero."""
        with self._lock:
            memory = self._stored()[0]
            return all(np.isfinite(memory[at : at + PIECE]).all() for at in range(0, len(memory), PIECE))

    def pieces(self) -> Iterator[Array]:
        """Copies of parts along the first axis, in their order: a parameter may be large."""
        with self._lock:
            memory, layout = self._stored()
            yield from layout.pieces(memory, PIECE)

    def kept(self) -> ParameterView:
        """A copy, in memory of its own and stored as this is."""
        with self._lock:
            memory, layout = self._stored()
            own = memory.copy()
            return ParameterView(self.name, Lock(), lambda: (own, layout))

    def take(self, other: ParameterView) -> None:
        """Takes the values of a view that is stored as this is, or was before the network has grown."""
        with self._lock:
            memory, layout = self._stored()
            values, theirs = other._stored()
            if theirs == layout:
                memory[:] = values
            else:
                layout.store(memory, theirs.unpack(values))

    def swap(self, other: Stored) -> None:
        """Exchanges the values with a copy that was `kept`, a piece at a time; or with an array."""
        with self._lock:
            memory, layout = self._stored()
            theirs = other._stored() if isinstance(other, ParameterView) else None
            if theirs is not None and theirs[1] == layout:
                for at in range(0, len(memory), PIECE):
                    mine, its = memory[at : at + PIECE], theirs[0][at : at + PIECE]
                    mine[:], its[:] = its.copy(), mine.copy()
            else:
                before = layout.unpack(memory)
                layout.store(memory, np.asarray(other))
                other[...] = before
            self._changed()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{self.name} is stored in a layout of its own: it is read as a copy")
        found = self.numpy()
        found = found if dtype is None else found.astype(dtype, copy=False)
        found.flags.writeable = bool(copy)
        return found

    def __getitem__(self, index: Any) -> Any:
        found = self.numpy()[index]
        return _read_only(found) if isinstance(found, np.ndarray) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        value = np.asarray(value)  # before the lock is held: a view of another network has one too
        with self._lock:
            self._writing()
            memory, layout = self._stored()
            if index is Ellipsis:
                whole = np.broadcast_to(value, layout.shape)
            else:
                whole = layout.unpack(memory)
                whole[index] = value
            layout.store(memory, whole)
            self._changed()

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{self.name} {self.shape} {self.dtype}>"


Stored = Array | ParameterView
"""An array, or what becomes one when it is read."""


def is_finite(values: Stored) -> bool:
    """Whether all values are; of a view without a copy."""
    return values.is_finite() if isinstance(values, ParameterView) else bool(np.isfinite(values).all())


def copied(weights: Mapping[str, Stored]) -> dict[str, Stored]:
    """Copies by name, stored as they were."""
    return {name: w.kept() if isinstance(w, ParameterView) else w.copy() for name, w in weights.items()}


class Parameters(Mapping[str, ParameterView]):
    """All parameters by name. Assigning an array replaces the values; raises ValueError if its shape differs."""

    def __init__(self, views: dict[str, ParameterView]) -> None:
        self._views = views

    def __getitem__(self, name: str) -> ParameterView:
        return self._views[name]

    def __setitem__(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        if array.shape != self._views[name].shape:
            raise ValueError(f"{name} has the shape {self._views[name].shape}, not {array.shape}")
        self._views[name][...] = array

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)
