"""Folders of IDX files, as MNIST and Fashion-MNIST come."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Dataset, Reading, Split
from dslc.runtime.data.files import may_hold, require_file
from dslc.runtime.data.sizes import bytes_of

Array = np.ndarray[Any, Any]
PREFIXES = {"train": "train", "test": "t10k"}
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Types of numbers by the third byte of a file."""


def reads(path: Path) -> bool:
    """A folder with IDX files under the names of MNIST."""
    return path.is_dir() and any(_file(path, prefix, "images-idx3") for prefix in PREFIXES.values())


def read(path: Path, how: Reading) -> Dataset:
    """`train-images-idx3-ubyte` and its labels, and `t10k-...` as the test set; each perhaps with .gz.

    Raises:
        DataError: a file is missing, or does not hold what it announces.
    """
    parts = {part: _pair(path, prefix, how.labelled) for part, prefix in PREFIXES.items()}
    train, test = parts["train"], parts["test"]
    if train is None:
        if how.labelled or test is None:
            raise DataError(f"{path} has no train-images-idx3-ubyte[.gz]")
        train, test = test, None
    labelled = _file(path, PREFIXES["train"], "labels-idx1") is not None
    return Dataset(str(path), train, None, test, labelled=labelled)


def _pair(path: Path, prefix: str, labelled: bool) -> Split | None:
    images, labels = _file(path, prefix, "images-idx3"), _file(path, prefix, "labels-idx1")
    if images is None:
        return None
    x = read_idx(images)
    if labels is None:
        if labelled:
            raise DataError(f"{images} has no labels beside it: {prefix}-labels-idx1-ubyte[.gz]")
        return Split(x, np.zeros(len(x)))
    y = read_idx(labels)
    if len(x) != len(y):
        raise DataError(f"{images} holds {len(x)} images and {labels} {len(y)} labels")
    return Split(x, y)


def _file(path: Path, prefix: str, kind: str) -> Path | None:
    name = f"{prefix}-{kind}-ubyte"
    candidates = (path / name, path / f"{name}.gz", path / name.replace("-idx", ".idx"))
    return next((file for file in candidates if file.exists() or file.is_symlink()), None)


def read_idx(path: Path) -> Array:
    """The array in an IDX file: two zero bytes, a type, the number of axes, their lengths, then the numbers.

    Raises:
        DataError: it is none, or cut short or damaged.
    """
    require_file(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read(file, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is cut short or damaged: {error}") from None


def _read(file: IO[bytes] | gzip.GzipFile, path: Path) -> Array:
    head = file.read(4)
    axes = head[3] if len(head) == 4 else 0
    lengths = file.read(4 * axes)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not axes or len(lengths) < 4 * axes:
        raise DataError(f"{path} is no IDX file")
    shape = np.frombuffer(lengths, ">i4").tolist()
    dtype = np.dtype(TYPES[head[2]])
    size, stored = bytes_of(shape, dtype.itemsize, str(path)), path.stat().st_size
    if size > stored if path.suffix != ".gz" else not may_hold(stored, size):
        raise DataError(f"{path} announces {shape} and is cut short: its {stored:,} bytes cannot hold so many numbers")
    body = file.read(size + 1)
    if len(body) != size:
        found = f"holds {len(body)} bytes" if len(body) < size else "holds more"
        raise DataError(f"{path} announces {shape} and {found}")
    array: Array = np.frombuffer(body, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
