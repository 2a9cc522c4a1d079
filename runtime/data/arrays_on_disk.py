"""NumPy's own files: an .npz with x and y, and a folder of .npy files, which stay on the disk."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Dataset, Reading, Split
from dslc.runtime.data.files import may_hold, require_file
from dslc.runtime.data.sizes import bytes_of, require_memory

Array = np.ndarray[Any, Any]
ALSO = {"_train": "", "_val": "_dev", "_valid": "_dev"}
"""Endings of names that others use, and ours."""
SUFFIXES = ("", "_dev", "_test")
"""Endings of the names of parts."""


def reads(path: Path) -> bool:
    """An .npz, or a folder with .npy files."""
    return path.suffix == ".npz" if path.is_file() else path.is_dir() and any(path.glob("*.npy"))


def read(path: Path, how: Reading) -> Dataset:
    """`x` and `y`, and where there are `x_dev`, `y_dev`, `x_test`, `y_test`; Keras' names are understood. For a network
    with several heads the targets of each have its name in place of y. `weight`, `weight_dev` and `weight_test` are
    sample weights.

    Raises:
        DataError: a file is none, is cut short, holds Python objects, or announces what cannot be.
    """
    arrays = {file.stem: _mapped(file) for file in sorted(path.glob("*.npy"))} if path.is_dir() else _npz(path)
    return from_arrays(str(path), arrays, how.labelled, how.heads)


def from_arrays(
    name: str, arrays: Mapping[str, Array], labelled: bool = True, heads: Mapping[str, bool] | None = None
) -> Dataset:
    """A data set of the arrays that its parts' names say. heads: those of a network with several, and whether they need
    targets of their own.

    Raises:
        DataError: x or y is missing, or they do not belong together.
    """
    given = _with_our_names(name, arrays, heads or {})
    for suffix in SUFFIXES if heads else ():
        if labelled:
            _refuse_two_ways(name, given, heads or {}, suffix)
        _join_targets(name, given, heads or {}, suffix)
    needed = [head for head, alone in (heads or {}).items() if alone]
    if labelled and len(needed) > 1 and ("y" not in given or given["y"].dtype.names is None):
        held = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"{name} must hold x and targets called {', '.join(needed)}; it holds {held}")
    if "x" not in given or ("y" not in given and labelled):
        raise DataError(f"{name} must hold x and y; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    parts = [_part(name, given, suffix, labelled) for suffix in SUFFIXES]
    train, dev, test = parts
    assert train is not None
    return Dataset(name, train, dev, test, labelled="y" in given)


def _refuse_two_ways(name: str, given: Mapping[str, Array], heads: Mapping[str, bool], suffix: str) -> None:
    """Raises DataError where targets are called y and by the names of heads too."""
    y, found = f"y{suffix}", ", ".join(head + suffix for head in heads if head + suffix in given)
    if found and y in given and "y" not in heads:
        raise DataError(
            f"{name} holds targets called {found} and {y} besides, which is those of no output: leave out {y}"
        )


def _join_targets(name: str, given: dict[str, Array], heads: Mapping[str, bool], suffix: str) -> None:
    """Puts one array of records, with a field for each head, in the place of y.

    Raises:
        DataError: there are targets for some heads only, or not equally many.
    """
    found = {head: given[head + suffix] for head in heads if head + suffix in given}
    if not found:
        return
    if lacking := [head + suffix for head, needed in heads.items() if needed and head not in found]:
        raise DataError(f"{name} holds {', '.join(head + suffix for head in found)}, and lacks {', '.join(lacking)}")
    if len({array.shape[:1] for array in found.values()}) > 1 or not all(array.ndim for array in found.values()):
        shapes = ", ".join(f"{head + suffix} {array.shape}" for head, array in found.items())
        raise DataError(f"{name}: there must be as many targets for each head, and there are {shapes}")
    if len(found) == 1:  # as if it were called y, so that the same dev set is drawn
        (given[f"y{suffix}"],) = found.values()
        return
    words = {head: array.astype(str) if array.dtype.kind == "S" else array for head, array in found.items()}
    joined = np.empty(len(next(iter(words.values()))), [(h, a.dtype, a.shape[1:]) for h, a in words.items()])
    for head, array in words.items():
        joined[head] = array
    given[f"y{suffix}"] = joined


def _with_our_names(name: str, arrays: Mapping[str, Array], heads: Iterable[str]) -> dict[str, Array]:
    given: dict[str, Array] = {}
    for key, array in arrays.items():
        what, underline, ending = key.rpartition("_")
        known = what in ("x", "y", "weight", *heads) and underline + ending in ALSO
        ours = what + ALSO[underline + ending] if known else key
        if ours in given or (ours != key and ours in arrays):
            raise DataError(f"{name} holds both {ours} and another array that means the same")
        given[ours] = array
    return given


def _part(name: str, arrays: Mapping[str, Array], suffix: str, labelled: bool) -> Split | None:
    x, y = arrays.get(f"x{suffix}"), arrays.get(f"y{suffix}")
    if x is not None and y is None and not labelled:
        y = np.zeros(len(x))
    if (x is None) != (y is None):
        raise DataError(f"{name} holds only one of x{suffix} and y{suffix}")
    if x is None or y is None:
        return None
    if not x.ndim or not y.ndim:
        raise DataError(f"{name}: x{suffix} and y{suffix} must have an axis of examples")
    if len(x) != len(y):
        raise DataError(f"{name}: x{suffix} has {len(x)} examples and y{suffix} {len(y)}")
    weights = arrays.get(f"weight{suffix}")
    if weights is not None and weights.shape != (len(x),):
        raise DataError(f"{name}: weight{suffix} has the shape {weights.shape}, and there are {len(x)} examples")
    return Split(x, y.astype(str) if y.dtype.kind == "S" else y, weights=weights)


# ------------------------------------------------------------------------------------------------ files


def _npz(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as file:
            require_memory(sum(info.file_size for info in file.infolist()), f"{path} announces arrays")
            return {info.filename.removesuffix(".npy"): _member(file, info, path) for info in file.infolist()}
    except (DataError, OSError, MemoryError):
        raise
    except Exception as error:  # zipfile and its ways to pack have an error each, and more where lengths are wrong
        raise DataError(f"{path} is no .npz, or it is cut short or damaged: {error}") from None


def _member(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Array:
    what = f"{path}: {info.filename.removesuffix('.npy')}"
    if not may_hold(info.compress_size, info.file_size):
        raise DataError(f"{what} announces {info.file_size:,} bytes; its {info.compress_size:,} packed ones hold fewer")
    with file.open(info) as member:
        _checked_header(member, info.file_size, what)
    with file.open(info) as member:
        array: Array = npy.read_array(member, allow_pickle=False)
    return array


def _mapped(path: Path) -> Array:
    require_file(path)
    with path.open("rb") as file:
        _checked_header(file, path.stat().st_size, str(path), in_memory=False)
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _checked_header(file: IO[bytes], size: int, what: str, in_memory: bool = True) -> None:
    """Reads how large an array is said to be, and compares it with the bytes that there are."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # the header is a Python literal: what NumPy raises depends on where parsing it ends
        raise DataError(f"{what} is no array of NumPy: {error}") from None
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects, which are not unpacked: save numbers or words")
    body = size - file.tell()
    if in_memory or any(axis < 0 for axis in shape):
        bytes_of(shape, dtype.itemsize, what)
    announced = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if announced != body:
        raise DataError(f"{what} announces the shape {list(shape)}, {announced:,} bytes, and holds {body:,}")
