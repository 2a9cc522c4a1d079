"""What differs between kernels that are one function of C: such a value is a parameter, and prints as its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import add, floordiv, mod, mul, sub
from typing import NoReturn


class Size(int):
    """A number that prints as C. It counts as that of the first kernel; `values` are those of all, in order. `reached`
    collects the largest values of what is computed from it."""

    code: str
    values: tuple[int, ...]
    reached: list[int]

    def __new__(cls, code: str, values: Sequence[int], reached: list[int]) -> Size:
        """A size with the C that computes it."""
        size = super().__new__(cls, values[0])
        size.code, size.values, size.reached = code, tuple(values), reached
        reached.append(max(values))
        return size

    def __str__(self) -> str:
        return self.code

    def __format__(self, spec: str) -> str:
        return self.code

    def __add__(self, other: int) -> int:
        return _combined(add, "+", self, other)

    def __radd__(self, other: int) -> int:
        return _combined(add, "+", other, self)

    def __sub__(self, other: int) -> int:
        return _combined(sub, "-", self, other)

    def __rsub__(self, other: int) -> int:
        return _combined(sub, "-", other, self)

    def __mul__(self, other: int) -> int:
        return self if other == 1 and not isinstance(other, Size) else _combined(mul, "*", self, other)

    def __rmul__(self, other: int) -> int:
        return self if other == 1 else _combined(mul, "*", other, self)

    def __floordiv__(self, other: int) -> int:
        return _combined(floordiv, "/", self, other)

    def __mod__(self, other: int) -> int:
        return _combined(mod, "%", self, other)

    def _unknown(self, *_: object) -> NoReturn:
        raise TypeError(f"{self} is a parameter, of which there is no such expression")

    __neg__ = __abs__ = __pow__ = __truediv__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __float__ = _unknown


class Name(str):
    """A function that is a parameter: prints as its name; `values` are what it is for each kernel."""

    values: tuple[str, ...]

    def __new__(cls, code: str, values: Sequence[str]) -> Name:
        """A parameter of this name."""
        name = super().__new__(cls, code)
        name.values = tuple(values)
        return name


def _combined(compute: Callable[[int, int], int], sign: str, left: int, right: int) -> Size:
    known = left if isinstance(left, Size) else right
    assert isinstance(known, Size)
    pairs = zip(_values(left, known), _values(right, known), strict=True)
    return Size(f"({left} {sign} {right})", [compute(a, b) for a, b in pairs], known.reached)


def _values(size: int, like: Size) -> Sequence[int]:
    return size.values if isinstance(size, Size) else (size,) * len(like.values)


def largest(size: int) -> int | str:
    """The largest value of all kernels that share a function, where these are known: how long an array must be."""
    if not isinstance(size, Size):
        return size
    return size.code if len(size.values) == 1 else max(size.values)


def bytes_of(size: int) -> str:
    """The bytes of so many numbers, in C."""
    return f"{'(size_t)' if isinstance(size, Size) else ''}{size} * sizeof(real)"


def unsigned(size: int) -> str:
    """A number of 32 bits without a sign, in C."""
    return f"(uint32_t){size}" if isinstance(size, Size) else f"{size}u"


def _parts(key: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, tuple):
        return [(f"{key[:-1]}{i}", part) for i, part in enumerate(value, 1)]
    return [(key, value)]


def sizes_of(context: Mapping[str, object], keys: Sequence[str]) -> dict[str, int | str]:
    """What may be parameters, by their names: `channels`, and of `widths` those of its parts, `width1`, `width2`."""
    found: dict[str, int | str] = {}
    for key in (key for key in keys if key in context):
        value = context[key]
        for name, part in _parts(key, value):
            if isinstance(part, int | str):
                found[name] = part
    return found


def with_parameters(
    context: Mapping[str, object], keys: Sequence[str], parameters: Mapping[str, Size | Name]
) -> dict[str, object]:
    """The context with these parameters in place of values."""
    changed = dict(context)
    for key in (key for key in keys if key in context):
        value = context[key]
        if isinstance(value, tuple):
            changed[key] = tuple(parameters.get(f"{key[:-1]}{i}", part) for i, part in enumerate(value, 1))
        else:
            changed[key] = parameters.get(key, value)
    return changed


def parameters(values: Mapping[str, Sequence[int | str]]) -> dict[str, Size | Name]:
    """Parameters by their names, which have these values for the kernels of a function."""
    reached: list[int] = []
    found: dict[str, Size | Name] = {}
    for name, some in values.items():
        texts = [value for value in some if isinstance(value, str)]
        numbers = [value for value in some if isinstance(value, int)]
        found[name] = Name(name, texts) if texts else Size(name, numbers, reached)
    return found


def declared(parameter: Size | Name) -> str:
    """A parameter in C: as wide as all that is computed from it in the functions that take it."""
    if isinstance(parameter, Name):
        return f"product *{parameter}"
    return f"{'int' if max(parameter.reached) < 1 << 31 else 'int64_t'} {parameter}"
