"""Folders of images: one folder a class, perhaps in folders train, dev and test; without classes to predict only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Dataset, Files, Reading, Split
from dslc.runtime.data.pixels import read_pixels, require_pillow, stacked

Array = np.ndarray[Any, Any]
PARTS = {"train": ("train", "training"), "dev": ("dev", "val", "valid", "validation"), "test": ("test", "testing")}
JUNK = ("thumbs.db", "desktop.ini", "__macosx")
"""What systems leave in folders; what begins with a point is junk too."""
SHOWN = 10


@dataclass(frozen=True)
class Found:
    """Image files with their labels (n,), what was not looked at, and perhaps sample weights (n,)."""

    files: tuple[Path, ...]
    labels: Array
    notes: tuple[str, ...] = ()
    weights: Array | None = None


def reads(path: Path) -> bool:
    """Any folder: readers of other folders are asked first."""
    return path.is_dir()


def read(path: Path, how: Reading) -> Dataset:
    """Stored pixels as x (n, h, w, c), names of folders as y.

    Raises:
        DataError: there are no images, one cannot be read, or they have different sizes; it names the file.
    """
    folders, notes = _folders(path)
    by_part = _parts(folders)
    if by_part:
        found = {part: _classes(folder) for part, folder in by_part.items()}
        others = [folder.name for folder in folders if folder not in by_part.values()]
        notes += (f"{path}: not looked at, for it is no part of the data: {_listed(others)}",) if others else ()
        notes += _loose(path)
    elif how.labelled or folders:
        found = {"train": _classes(path)}
    else:
        files = tuple(sorted(file for file in path.iterdir() if not file.is_dir() and not _junk(file)))
        found = {"train": Found(files, np.zeros(len(files)), notes)}
    if not found["train"].files:
        raise DataError(
            f"{path} holds neither x.npy and y.npy, nor train-images-idx3-ubyte[.gz] with its labels, nor a folder of "
            "images a class"
        )
    parts, more = read_parts(found, how)
    told = tuple(dict.fromkeys((*notes, *more)))
    return Dataset(str(path), parts["train"], parts.get("dev"), parts.get("test"), labelled=bool(folders), notes=told)


def _parts(folders: Sequence[Path]) -> dict[str, Path]:
    """The folders that hold parts of the data, by the part; none where `train` holds no folders: it may be a class.

    Raises:
        DataError: two of them mean the same part.
    """
    named = {part: [folder for folder in folders if folder.name.lower() in names] for part, names in PARTS.items()}
    if not any(_folders(folder)[0] for folder in named["train"]):
        return {}
    for part, same in named.items():
        if len(same) > 1:
            raise DataError(f"{same[0]} and {same[1]} both stand for the {part} set: leave one")
    return {part: same[0] for part, same in named.items() if same}


def read_parts(found: dict[str, Found], how: Reading) -> tuple[dict[str, Split], tuple[str, ...]]:
    """The images of each part, all of one form, and what is to be noted.

    Raises:
        DataError: as `read`.
    """
    require_pillow()
    images, kept, notes, broken = [], [], [], []
    listed = [(part, i) for part, one in found.items() for i in range(len(one.files))]
    for part, i in listed:
        file = found[part].files[i]
        try:
            pixels, note = read_pixels(file, how)
        except DataError as error:
            if not how.skip_broken:
                raise DataError(f"{error}; --skip-broken goes on without it") from None
            broken.append(str(error))
            continue
        notes += [note] if note else []
        images.append(pixels)
        kept.append((part, i))
        _refuse_other_size(images, found[kept[0][0]].files[kept[0][1]], file)
    if not any(part == "train" for part, _ in kept):
        raise DataError(f"no image of the training set can be read; the first: {broken[0]}")
    x, changed = stacked(images, how.channels)
    splits, begin = {}, 0
    for part, one in found.items():
        own = [i for its, i in kept if its == part]
        if own:
            origins = Files([str(one.files[i]) for i in own])
            weights = None if one.weights is None else one.weights[own]
            splits[part] = Split(x[begin : begin + len(own)], one.labels[own], origins=origins, weights=weights)
        begin += len(own)
    told = [*(note for one in found.values() for note in one.notes), *notes, *changed]
    return splits, (*told, *_left_out(broken))


def _refuse_other_size(images: Sequence[Array], before: Path, file: Path) -> None:
    first, last = images[0].shape[:2], images[-1].shape[:2]
    if first != last:
        sizes = f"{file} is {last[0]}x{last[1]}, {before} is {first[0]}x{first[1]} (rows x columns)"
        raise DataError(f"{sizes}: give them one size, as with --resize {first[0]}x{first[1]}")


def _left_out(broken: Sequence[str]) -> tuple[str, ...]:
    if not broken:
        return ()
    more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    return (f"{len(broken)} images left out: {'; '.join(broken[:SHOWN])}{more}",)


def _classes(path: Path) -> Found:
    """One folder a class. What else lies there is noted."""
    folders, notes = _folders(path)
    left = [*notes, *(_loose(path) if folders else ())]
    files: list[tuple[Path, str]] = []
    for folder in folders:
        inside = sorted(folder.iterdir())
        own = [file for file in inside if not file.is_dir() and not _junk(file)]
        deeper = [file.name for file in inside if file.is_dir() and not _junk(file)]
        junk = [file.name for file in inside if _junk(file)]
        left += [f"{folder}: skipped {_listed(junk)}"] if junk else []
        left += (
            [f"{folder}: not looked at, for images of a class stand side by side: {_listed(deeper)}"] if deeper else []
        )
        left += [] if own else [f"{folder} holds no images: there is no such class"]
        files += [(file, folder.name) for file in own]
    return Found(tuple(file for file, _ in files), np.array([label for _, label in files]), tuple(left))


def _loose(path: Path) -> tuple[str, ...]:
    """A note of the files beside folders."""
    loose = [file.name for file in path.iterdir() if not file.is_dir() and not _junk(file)]
    return (f"{path}: not looked at, for it is in no class: {_listed(loose)}",) if loose else ()


def _folders(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The folders in a folder but for junk, which is noted."""
    inside = sorted(path.iterdir())
    junk = [file.name for file in inside if _junk(file)]
    folders = [file for file in inside if file.is_dir() and not _junk(file)]
    return folders, (f"{path}: skipped {_listed(junk)}",) if junk else ()


def _junk(file: Path) -> bool:
    return file.name.startswith(".") or file.name.lower() in JUNK


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more
