"""Files as the system gives them: what cannot be opened, or takes more memory than there is, is told by its name."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dslc.json_text import parsed
from dslc.language.diagnostics import DataError
from dslc.runtime.data.sizes import memory

T = TypeVar("T")
GZIP = b"\x1f\x8b"
DEFLATE = 1032
"""A byte of gz or zip holds at most so many (zlib's technical details)."""
PIECE = 1 << 20
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device"}


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """What the system refuses, as an error with the name of the file, or of `path`, where it tells none.

    Raises:
        DataError: a file cannot be opened or read, or there is not enough memory.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {error.filename or path}: {(error.strerror or str(error)).lower()}") from None
    except MemoryError:
        raise DataError(f"there is not enough memory to read {path}") from None


def require_file(path: Path) -> None:
    """Before it is opened, for opening a pipe may wait for ever.

    Raises:
        DataError: it is a folder, a pipe or another thing that is no file, or a link to nothing.
        OSError: it is not there, or may not be looked at.
    """
    require_target(path)
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise DataError(f"{path} is {KINDS.get(kind, 'something else')}; a file is wanted")


def require_target(path: Path) -> None:
    """Raises DataError where a path is a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to {path.readlink()}, where nothing is")


def read_json(path: Path, made: Callable[[Any], T], remedy: str) -> T:
    """What `made` makes of a file of JSON, one of those that runs write.

    Raises:
        DataError: it cannot be read, or holds something else: then the message is `remedy`, behind the name of the file
            and that it is damaged.
    """
    with reported(path):
        require_file(path)
        text = path.read_bytes()
    try:
        return made(parsed(text))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise DataError(f"{path} is damaged: {remedy}") from None


def is_packed(path: Path) -> bool:
    """Whether its first bytes are those of gz."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def read_whole(path: Path, copies: int) -> bytes:
    """What a file holds, unpacked if it is packed. `copies`: so many times as much memory is taken for it later.

    Raises:
        DataError: that would be more than there is; or it is packed, and cut short or damaged.
    """
    require_file(path)
    size, most = path.stat().st_size, memory() // copies
    packed = is_packed(path)
    try:
        if size > most or (packed and size * DEFLATE > most and unpacked_size(path, most) > most):
            raise DataError(f"{path} holds more than {most / 1e9:.3g} GB of text, too much for the memory there is")
        with gzip.open(path) if packed else path.open("rb") as file:
            data: bytes = file.read()
            return data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is compressed and cut short or damaged: {error}") from None


def read_beginning(path: Path, most: int) -> bytes:
    """No more than so many bytes of what a file holds; nothing where it is packed and damaged."""
    require_file(path)
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as file:
            data: bytes = file.read(most)
            return data
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


def unpacked_size(path: Path, most: int) -> int:
    """How many bytes a gz holds, found piece by piece; it is given up beyond `most`."""
    found = 0
    with gzip.open(path) as file:
        while found <= most and (piece := file.read(PIECE)):
            found += len(piece)
    return found


def may_hold(packed: int, announced: int) -> bool:
    """Whether so many bytes of gz or zip may hold what is announced."""
    return announced <= DEFLATE * packed + PIECE
