"""Finds layers, losses, optimizers, ... by name: `conv` is the file `layers/conv.py`. There is no list to keep up to
date."""

from __future__ import annotations

import importlib
import keyword
import pkgutil
from functools import cache
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def names(package: ModuleType) -> tuple[str, ...]:
    """The names that a package offers. A file whose name is a Python keyword ends in an underscore, which is left
    out."""
    return _names_in(tuple(package.__path__))


@cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    found = (module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))
    return tuple(sorted(name.rstrip("_") if keyword.iskeyword(name.rstrip("_")) else name for name in found))


def find(package: ModuleType, name: str, base: type[T]) -> type[T] | None:
    """The class derived from `base` in the file of this name; None if there is no such file."""
    if name not in names(package):
        return None
    classes = _classes_of(f"{package.__name__}.{name}", tuple(package.__path__))
    (found,) = (thing for thing in classes if issubclass(thing, base))
    return found


@cache
def _classes_of(module: str, folders: tuple[str, ...]) -> tuple[type, ...]:
    """What a file itself defines, in a package of these folders."""
    things = vars(importlib.import_module(module)).values()
    return tuple(thing for thing in things if type(thing) is type and thing.__module__ == module)


def name_of(thing: object) -> str:
    """The name of a layer, a loss, ... in the language, which is that of its file."""
    return type(thing).__module__.rpartition(".")[2].strip("_")


def every(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Everything in a package, by name."""
    return {name: cls for name in names(package) if (cls := find(package, name, base)) is not None}
