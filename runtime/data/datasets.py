"""DATA of the command line: names and paths, each read by the reader of its form."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import arrays_on_disk, idx, image_lists, images, parquet, tables
from dslc.runtime.data.arrays_on_disk import from_arrays
from dslc.runtime.data.examples import DataNote, Dataset, Reader, Reading, Split
from dslc.runtime.data.named import NAMES, named_arrays

DATA_NAMES = ("mnist", *NAMES)
"""What `load_dataset` knows by name."""
READERS: tuple[Reader, ...] = (arrays_on_disk, image_lists, parquet, tables, idx, images)
"""The first that reads a path is taken."""


def load_dataset(data: str, target: str | None = None, how: Reading = Reading()) -> Dataset:
    """`mnist`, a data set of scikit-learn by its name, or what stands at a path: an .npz, a folder of .npy or IDX
    files, a table with `target` as its target column, a folder of images by class, a list of images. What the reader
    assumed is warned of.

    Raises:
        DataError: it cannot be read or holds no x and y.
    """
    how = how if target is None else replace(how, target=target)
    found = replace(_load(data, how), how=how)
    for note in found.notes:
        warnings.warn(note, DataNote, stacklevel=2)
    return found


def _load(data: str, how: Reading) -> Dataset:
    if data == "mnist":
        return _mnist()
    if data in NAMES:
        return from_arrays(data, named_arrays(data))
    path = Path(data)
    if not path.exists():
        raise DataError(f"there are no data at {data}: give {', '.join(DATA_NAMES)}, an .npz, a table or a folder")
    reader = next((reader for reader in READERS if reader.reads(path)), None)
    if reader is None:
        raise DataError(
            f"{path} is neither an .npz, a table ({', '.join(tables.ENDINGS)}) nor a folder of .npy, IDX or image files"
        )
    try:
        return reader.read(path, how)
    except DataError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {data}: {error}") from None


def _mnist() -> Dataset:
    with resources.files("dslc.runtime.data.mnist").joinpath("mnist.npz").open("rb") as file, np.load(file) as arrays:
        return from_arrays("mnist", {name: arrays[name] for name in arrays.files})


__all__ = ["DATA_NAMES", "Dataset", "Split", "load_dataset"]
