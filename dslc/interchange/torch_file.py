"""Weights of PyTorch without PyTorch: the zip format of torch.save, of whose pickle only what tensors need is done.

A pickle is a program. Here nothing of it runs: its instructions are read one by one, and all that it can make is
numbers, texts, containers and tensors. Whatever names another function or class is refused.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from dslc.language.diagnostics import DataError
from dslc.numerics import Array, np
from dslc.runtime.data.files import reported, require_file

KINDS: Mapping[str, str] = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bf16", "LongStorage": "i8",
    "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
"""Classes of storages in PyTorch, and what is in them."""
LARGEST_PICKLE = 64 << 20
"""Bytes of names and shapes; the numbers lie beside it."""


class _Refused(Exception):
    """What the pickle says is no tensors; the text says what it is."""


@dataclass(frozen=True)
class _Name:
    """A function or class that a pickle names."""

    module: str
    name: str


@dataclass(frozen=True)
class _Storage:
    """Numbers of a kind in a file of the archive."""

    kind: str
    key: str


def read_torch(path: Path) -> dict[str, Array]:
    """The tensors in a file of torch.save by their names, in its order; those inside of others with a dot between.

    Raises:
        DataError: it is no such file, is damaged, or holds something else than tensors, numbers and texts.
    """
    with reported(path):
        require_file(path)
        try:
            with zipfile.ZipFile(path) as archive:
                return _Reader(archive, path.stat().st_size).tensors()
        except zipfile.BadZipFile as error:
            raise DataError(f"{path} is no file of torch.save of PyTorch 1.6 or later, or damaged: {error}") from None
        except (_Refused, ValueError, KeyError, IndexError, TypeError, EOFError, NotImplementedError) as error:
            raise DataError(f"{path} cannot be read as weights of PyTorch: {error}") from None
        except (RuntimeError, OverflowError, UnicodeError, AttributeError) as error:
            raise DataError(f"{path} is damaged: {error}") from None


class _Reader:
    """An archive, and the stack of its pickle."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.archive = archive
        names = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(names) != 1:
            raise _Refused("it has no data.pkl: it is no file of torch.save")
        self.prefix = names[0].removesuffix("data.pkl")
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.room = 4 * size
        """Bytes that all tensors together may take: several may show the same numbers."""

    def tensors(self) -> dict[str, Array]:
        """Every tensor by name."""
        order = self._text("byteorder", "little")
        if order != "little":
            raise _Refused(f"its numbers are {order}-endian")
        found = self._unpickled(self._bytes("data.pkl", LARGEST_PICKLE))
        tensors: dict[str, Array] = {}
        _collect(found, "", tensors, set())
        if not tensors:
            raise _Refused("there are no tensors in it")
        return tensors

    def _bytes(self, name: str, most: int) -> bytes:
        info = self.archive.getinfo(self.prefix + name)
        if info.file_size > most or info.compress_type != zipfile.ZIP_STORED:
            raise _Refused(f"{name} is compressed, or would have {info.file_size:,} bytes")
        return self.archive.read(info)

    def _text(self, name: str, default: str) -> str:
        if self.prefix + name not in self.archive.namelist():
            return default
        return self._bytes(name, 100).decode("ascii", "replace").strip()

    def _unpickled(self, data: bytes) -> Any:
        for operation, argument, _ in pickletools.genops(io.BytesIO(data)):
            if operation.name == "STOP":
                return self.stack.pop()
            if operation.name in CONSTANTS:
                self.stack.append(CONSTANTS[operation.name]())
            elif operation.name in LITERALS:
                self.stack.append(argument)
            elif operation.name in ACTIONS:
                ACTIONS[operation.name](self, argument)
            else:
                raise _Refused("it holds other objects of Python than tensors: save model.state_dict() instead")
        raise _Refused("its pickle has no end")

    # ------------------------------------------------------------------------------------------- instructions

    def marked(self) -> list[Any]:
        """What lies on the stack since the last mark, which is taken off."""
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(_Name(module, name))

    def tuple_of(self, count: int) -> None:
        found = self.stack[-count:]
        if len(found) < count:
            raise _Refused("its pickle takes more from its stack than there is")
        del self.stack[-count:]
        self.stack.append(tuple(found))

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise _Refused("its pickle puts items into something else than a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[key if isinstance(key, str | int | tuple) else str(key)] = value

    def append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise _Refused("its pickle appends to something else than a list")
        self.stack[-1].extend(items)

    def call(self) -> None:
        """A tensor, a parameter, or an ordered dict."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if function in (_Name("torch._utils", "_rebuild_tensor_v2"), _Name("torch._utils", "_rebuild_tensor")):
            self.stack.append(self._tensor(*arguments[:4]))
        elif function == _Name("torch._utils", "_rebuild_parameter"):
            self.stack.append(arguments[0])
        elif function == _Name("collections", "OrderedDict") and not arguments:
            self.stack.append({})
        elif function == _Name("torch", "Size") and len(arguments) == 1:
            self.stack.append(tuple(arguments[0]))
        else:
            shown = f"{function.module}.{function.name}" if isinstance(function, _Name) else "a value"
            raise _Refused(f"it holds {shown}, which is no tensor: save model.state_dict() instead")

    def persistent(self) -> None:
        """("storage", class, key, place, count)."""
        what, kind, key, _, _ = self.stack.pop()
        if what != "storage" or not isinstance(kind, _Name) or kind.name not in KINDS or not str(key).isalnum():
            raise _Refused("its tensors are of a kind that dslc does not know")
        self.stack.append(_Storage(KINDS[kind.name], str(key)))

    def state(self) -> None:
        """The metadata of a state dict are not needed."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise _Refused("it holds an object with a state of its own: save model.state_dict() instead")

    def _tensor(self, storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Array:
        if not isinstance(storage, _Storage) or len(size) != len(stride):
            raise _Refused("a tensor has no storage")
        if any(not isinstance(n, int) or n < 0 for n in (offset, *size, *stride)):
            raise _Refused("a tensor has a shape of something else than whole numbers")
        kind = "u2" if storage.kind == "bf16" else storage.kind
        place = np.dtype(f"<{kind}" if kind != "?" else kind)
        count = prod(size)
        info = self.archive.getinfo(f"{self.prefix}data/{storage.key}")
        there = info.file_size // place.itemsize
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count > there or (count and last >= there):
            raise _Refused(f"a tensor of the shape {size} has only {there:,} numbers")
        if not count:
            return np.zeros(size, np.float32)
        self.room -= count * place.itemsize
        if self.room < 0:
            raise _Refused("its tensors are larger than the file")
        numbers = np.frombuffer(self._bytes(f"data/{storage.key}", info.file_size), place)
        steps = tuple(step * place.itemsize for step in stride)
        seen = np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False)
        if storage.kind == "bf16":
            return (seen.astype(np.uint32) << 16).view(np.float32)
        return np.ascontiguousarray(seen)


def _collect(found: Any, name: str, tensors: dict[str, Array], seen: set[int]) -> None:
    """The tensors in dicts inside of each other, each of which is looked at once; all else, such as the number of an
    epoch, is left out."""
    if isinstance(found, np.ndarray):
        tensors[name] = found
    elif isinstance(found, dict) and id(found) not in seen:
        seen.add(id(found))
        for key, value in found.items():
            _collect(value, f"{name}.{key}" if name else str(key), tensors, seen)


CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "NONE": lambda: None, "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}  # fmt: skip
LITERALS = {"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINBYTES",
            "SHORT_BINBYTES"}  # fmt: skip
ACTIONS: Mapping[str, Callable[[_Reader, Any], Any]] = {
    "PROTO": lambda reader, _: None,
    "FRAME": lambda reader, _: None,
    "MARK": lambda reader, _: reader.marks.append(len(reader.stack)),
    "BINPUT": lambda reader, place: reader.memo.__setitem__(place, reader.stack[-1]),
    "LONG_BINPUT": lambda reader, place: reader.memo.__setitem__(place, reader.stack[-1]),
    "MEMOIZE": lambda reader, _: reader.memo.__setitem__(len(reader.memo), reader.stack[-1]),
    "BINGET": lambda reader, place: reader.stack.append(reader.memo[place]),
    "LONG_BINGET": lambda reader, place: reader.stack.append(reader.memo[place]),
    "GLOBAL": _Reader.name,
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.marked())),
    "TUPLE1": lambda reader, _: reader.tuple_of(1),
    "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "SETITEM": lambda reader, _: reader.set_items([reader.stack.pop(-2), reader.stack.pop()]),
    "SETITEMS": lambda reader, _: reader.set_items(reader.marked()),
    "APPEND": lambda reader, _: reader.append([reader.stack.pop()]),
    "APPENDS": lambda reader, _: reader.append(reader.marked()),
    "REDUCE": lambda reader, _: reader.call(),
    "BINPERSID": lambda reader, _: reader.persistent(),
    "BUILD": lambda reader, _: reader.state(),
}
