"""Frozen dataclasses that are cheap to define.

`dataclass(frozen=True)` compiles six methods for each class. There are about a hundred classes of errors and syntax
nodes, and `dslc check` should answer at once, so they share the methods below.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Makes a class derived from `Record` a frozen dataclass that shares the methods of `Record`."""
    return dataclass(init=False, repr=False, eq=False)(cls)


class Record:
    """Base of records: fields by position or by name, compared by value. Assigning to a field raises
    FrozenInstanceError."""

    __match_args__: ClassVar[tuple[str, ...]] = ()
    """The names of the fields in their order: `dataclass` sets them."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        names = self.__match_args__
        if len(positional) == len(names) and not named:
            self.__dict__.update(zip(names, positional, strict=True))
            return
        own = fields(self)  # type: ignore[arg-type]
        given = dict(zip(names, positional, strict=False)) | named
        if len(positional) > len(own) or len(given) != len(positional) + len(named) or given.keys() - {*names}:
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(names)}")
        for f in own:
            value = given.get(f.name, f.default)
            if value is MISSING:
                raise TypeError(f"{type(self).__name__} needs {f.name}")
            self.__dict__[f.name] = value

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")

    def _compared(self) -> tuple[object, ...]:
        return tuple(getattr(self, f.name) for f in fields(self) if f.compare)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Record) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((type(self), *self._compared()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in fields(self))})"  # type: ignore[arg-type]
