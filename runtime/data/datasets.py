"""DATA of the command line: names and paths, each read by the reader of its form."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from dslc.language.diagnostics import DataError, did_you_mean
from dslc.runtime.data import arrays_on_disk, idx, image_lists, images, parquet, tables, texts
from dslc.runtime.data.examples import DataNote, Dataset, Reader, Reading, Split
from dslc.runtime.data.files import reported, require_file, require_target
from dslc.runtime.data.named import data_names, is_data_name, load_named

READERS: tuple[Reader, ...] = (arrays_on_disk, image_lists, parquet, tables, idx, images)
"""The first that reads a path is taken."""


def load_dataset(data: str, target: str | None = None, how: Reading = Reading()) -> Dataset:
    """A data set by its name, see `named`, or what stands at a path: an .npz, a folder of .npy or IDX
    files, a table with `target` as its target column, a folder of images by class, a list of images. What the reader
    assumed is warned of.

    Raises:
        DataError: it cannot be read or holds no x and y.
    """
    how = how if target is None else replace(how, target=target)
    with reported(Path(data)):
        found = replace(_load(data, how), how=how)
    notes = found.notes
    if how.weight is not None and found.train.weights is None and how.labelled:
        if not how.weight_known:
            raise DataError(f"--weight names a column of a table or of a list of images, and {data} is neither")
        notes += (f"{data} has no column {how.weight!r}, the sample weights of the training: each example counts once",)
    for note in notes:
        warnings.warn(note, DataNote, stacklevel=2)
    return found


def _load(data: str, how: Reading) -> Dataset:
    if is_data_name(data):
        return load_named(data)
    path = Path(data)
    require_target(path)
    if not data or not path.exists():
        known = data_names()
        near = did_you_mean(data, known).removeprefix("help: ")
        raise DataError(
            f"there are no data at {data or 'an empty path'}: give an .npz, a table, a folder or one of the names "
            f"{', '.join(known)}" + (f"; {near}" if near else "")
        )
    if not path.is_dir():
        require_file(path)
    if texts.reads(path, how):
        return texts.read(path, how)
    if how.text_column is not None:
        raise DataError(f"--text names a column of a table for a network whose input are words, and {path} is none")
    reader = next((reader for reader in READERS if reader.reads(path)), None)
    if reader is None:
        raise DataError(
            f"{path} is neither an .npz, a table ({', '.join(tables.ENDINGS)}) nor a folder of .npy, IDX or image files"
        )
    try:
        return reader.read(path, how)
    except DataError:
        raise
    except (ValueError, EOFError) as error:
        raise DataError(f"cannot read {data}: {error}") from None


__all__ = ["Dataset", "Split", "load_dataset"]
