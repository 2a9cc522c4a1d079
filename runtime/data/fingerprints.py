"""By which data are known again: short texts that are the same for the same targets, and for the same inputs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dslc.philox import random_words
from dslc.runtime.data.frames import is_frame
from dslc.runtime.data.lazy import on_disk, portion_rows, rows_of, spread

Array = np.ndarray[Any, Any]
SAMPLE = 16
"""So many examples, spread over the data, stand for all; few, since those on the disk have to be read."""
BEGINNING = 1 << 16
"""So many bytes of a file are looked at, and its size."""


def fingerprint(y: Array) -> str:
    """Short and the same for the same targets."""
    return f"{len(y)}-{zlib.crc32(np.ascontiguousarray(y).tobytes()):08x}"


def fingerprint_of_inputs(x: Any, features: tuple[str, ...] | None) -> str:
    """Short and the same for inputs with the same examples at some places: numbers of any type, and columns with names
    in any order."""
    count = len(x)
    at = spread(count, SAMPLE) if count else np.arange(0)
    if is_frame(x):
        names = sorted(x.columns)
        return _hashed(count, repr((names, x.select(names)[at].rows())).encode())
    rows = rows_of(x, at)
    if features is not None and rows.ndim == 2 and rows.shape[1] == len(features):
        rows = rows[:, np.argsort(features, kind="stable")]
    if rows.dtype.kind not in "fiub":
        return _hashed(count, repr(rows.tolist()).encode())
    with np.errstate(over="ignore"):
        return _hashed(count, np.ascontiguousarray(rows, np.float32).tobytes())


def fingerprints_of_examples(x: Any) -> Array:
    """A number for each example (n,) uint64, the same for the same inputs: their bits as float32, each times a random
    number, summed modulo 2^64. None, (0,), for what would have to be read or is not made of numbers."""
    if not isinstance(x, np.ndarray) or on_disk(x) or x.dtype.kind not in "fiub" or not x.size:
        return np.zeros(0, np.uint64)
    factors = random_words(x[0].size, seed=0, step=0, stream=0).astype(np.uint64)
    found, each = np.empty(len(x), np.uint64), portion_rows(x[0].size)
    for first in range(0, len(x), each):
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(x[first : first + each].reshape(-1, len(factors)), np.float32)
        found[first : first + each] = (rows.view(np.uint32) * factors).sum(axis=1)
    return found


def sample_of(x: Any) -> tuple[int, ...]:
    """The fingerprints of a few examples, spread over all, by which they are found in other data."""
    if is_frame(x) or not len(x):
        return ()
    return tuple(map(int, fingerprints_of_examples(rows_of(x, spread(len(x), SAMPLE)))))


def fingerprint_of_files(paths: Sequence[str]) -> str:
    """That of examples that are files: what these hold, wherever they lie and however they are decoded.

    Raises:
        OSError: one is gone.
    """
    content = bytearray()
    for place in spread(len(paths), SAMPLE):
        path = Path(paths[place])
        with path.open("rb") as file:
            content += f"{path.stat().st_size} ".encode() + file.read(BEGINNING)
    return _hashed(len(paths), bytes(content))


def _hashed(count: int, content: bytes) -> str:
    return f"{count}-{zlib.crc32(content):08x}"
