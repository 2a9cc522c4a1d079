"""Images that are decoded when they are needed, and the file in which decoded ones are kept."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dslc.json_text import parsed
from dslc.language.diagnostics import DataError
from dslc.runtime.data.decoding import Decoders
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.lazy import LazyArray, portion_rows, row_bytes
from dslc.runtime.data.pixels import stacked

Array = np.ndarray[Any, Any]
MAGIC = b"dslcpix1"
DECIDES = ("resize", "fit", "channels", "background", "skip_broken")
"""What of `Reading` decides what the pixels are."""


class ImageFiles(LazyArray):
    """Image files of one size as an array (n, h, w, c). Each is decoded anew whenever it is read."""

    def __init__(self, files: Sequence[Path], shape: tuple[int, ...], itemsize: int, decoders: Decoders) -> None:
        self.files, self.decoders = files, decoders
        self.shape, self.dtype = (len(files), *shape), np.dtype(np.uint8 if itemsize == 1 else np.uint16)

    @property
    def block(self) -> int:
        """Files need no neighbours: an epoch is shuffled as a whole."""
        return 1

    def rows(self, at: Array) -> Array:
        """The images at these places.

        Raises:
            DataError: one cannot be read, or has changed its size.
        """
        images, wanted = [], [self.files[i] for i in at]
        for file, found in zip(wanted, self.decoders.decoded(wanted, keep=True), strict=True):
            if found.pixels is None:
                raise DataError(found.error)
            if found.shape[:2] != self.shape[1:3] or found.itemsize > self.dtype.itemsize:
                raise DataError(f"{file} has changed since it was first read")
            images.append(found.pixels)
        if not images:
            return np.empty((0, *self.shape[1:]), self.dtype)
        return stacked(images, self.shape[3], self.dtype.itemsize)[0]


@dataclass(frozen=True)
class Kept:
    """What a cache says of the images in it: the places of the files that could be read, and what was noted."""

    key: str
    places: list[int]
    notes: list[str]


def cache_key(files: Sequence[Path], how: Reading) -> str:
    """What a cache depends on, hashed: the files with their sizes and times, and how they are read."""
    stats = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    about = {name: getattr(how, name) for name in DECIDES}
    return hashlib.sha256(json.dumps([MAGIC.decode(), stats, about]).encode()).hexdigest()


def open_cache(path: Path, key: str) -> tuple[Array, Kept] | None:
    """The images in a cache, memory-mapped; None if there is none, or one of other images.

    Raises:
        DataError: the file is something else.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            file.seek(-16, os.SEEK_END)
            magic, size = struct.unpack("<8sQ", file.read(16))
            if magic != MAGIC:
                raise ValueError
            file.seek(-16 - size, os.SEEK_END)
            kept = Kept(**parsed(file.read(size)))
        return (npy.open_memmap(path, mode="r"), kept) if kept.key == key else None
    except (OSError, ValueError, TypeError):
        raise DataError(f"--cache {path}: this file holds no images of ours, and is not overwritten") from None


def write_cache(path: Path, images: ImageFiles, kept: Kept) -> None:
    """Decodes all images into a cache, which takes the place of an older one when it is whole.

    Raises:
        DataError: an image cannot be read, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            try:
                header = {"descr": npy.dtype_to_descr(images.dtype), "fortran_order": False, "shape": images.shape}
                npy.write_array_header_2_0(file, header)
                each = portion_rows(row_bytes(images), 1)
                for first in range(0, len(images), each):
                    file.write(images[first : first + each].tobytes())
                about = json.dumps(asdict(kept)).encode()
                file.write(about + struct.pack("<8sQ", MAGIC, len(about)))
                file.close()
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise DataError(f"cannot write the cache {path}: {error.strerror}") from None
