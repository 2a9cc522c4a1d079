"""DATA of the command line: names and paths to arrays, split into training, dev and test."""

from __future__ import annotations

import csv
import gzip
import zipfile
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.named import NAMES, named_arrays
from dslc.runtime.data.splits import Partition, Shares, fingerprint, stratified_order

Array = np.ndarray[Any, Any]
DEV_SHARE = 0.1
FEWEST = 20
"""From so many examples on, data without a dev set get one."""
DATA_NAMES = ("mnist", *NAMES)
"""What `load_dataset` knows by name."""


@dataclass(frozen=True)
class Split:
    """Some examples: x (n, ...) and y (n, ...). `drawn`: their places in the arrays that they were drawn from."""

    x: Array
    y: Array
    drawn: Array | None = None

    @property
    def places(self) -> Array:
        """Where each example stands in the data."""
        return np.arange(len(self.x)) if self.drawn is None else self.drawn


@dataclass(frozen=True)
class Dataset:
    """`train` is always there, the others where the data have them. `partition` says how these parts were made,
    `target` which column of a CSV y is."""

    name: str
    train: Split
    dev: Split | None = None
    test: Split | None = None
    train_dev: Split | None = None
    partition: Partition | None = None
    target: str | None = None

    @property
    def parts(self) -> dict[str, Split]:
        """The parts that there are, by their names."""
        found = {"train": self.train, "train-dev": self.train_dev, "dev": self.dev, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}

    def part(self, name: str) -> Split:
        """One of them.

        Raises:
            DataError: the data have no such part.
        """
        if name not in self.parts:
            raise DataError(f"{self.name} has no {name} set")
        return self.parts[name]

    def with_dev(self, seed: int) -> Dataset:
        """With a dev set: a tenth of the training set, drawn by the seed, where the data bring none."""
        return self.split(Shares(), seed)

    def split(self, shares: Shares, seed: int) -> Dataset:
        """Dev, test and train-dev set drawn from the training set by the seed, class by class where there are classes.

        Raises:
            DataError: the data bring parts that are asked for, or are too few.
        """
        self._refuse_twice(shares)
        y, count = self.train.y, len(self.train.y)
        usual = DEV_SHARE if self.dev is None and count >= FEWEST else 0.0
        sizes = [_part(count, usual if shares.dev is None else shares.dev), _part(count, shares.test)]
        sizes.append(_part(count - sum(sizes), shares.train_dev))
        if sum(sizes) >= count:
            raise DataError(f"{self.name} holds {count} examples: too few for this split")
        partition = Partition(shares, seed, fingerprint(y))
        if not any(sizes):
            return replace(self, partition=partition)
        order = stratified_order(y, seed)
        dev, test, train_dev, train = [self._take(at) for at in np.split(order, np.cumsum(sizes))]
        assert train is not None
        made = replace(self, train=train, train_dev=train_dev, partition=partition)
        return replace(made, dev=dev or self.dev, test=test or self.test)

    def _refuse_twice(self, shares: Shares) -> None:
        if shares.test and self.test is not None:
            raise DataError(f"{self.name} brings a test set: split the rest in two, as in --split 90/10")
        if shares.dev and self.dev is not None:
            raise DataError(f"{self.name} brings a dev set: --split has nothing to do")

    def _take(self, at: Array) -> Split | None:
        """These examples, in the order of the data."""
        at = np.sort(at)
        return Split(self.train.x[at], self.train.y[at], at) if len(at) else None


def _part(count: int, share: float) -> int:
    """How many of so many examples: at least one where a share is asked for."""
    return max(1, int(count * share + 1e-9)) if share else 0


def load_dataset(data: str, target: str | None = None) -> Dataset:
    """`mnist`, a data set of scikit-learn by its name, an .npz, a folder of IDX or .npy files, a folder with one
    folder of images a class, or a CSV with `target` as its target column.

    Raises:
        DataError: it cannot be read or holds no x and y.
    """
    if data == "mnist":
        return _mnist()
    if data in NAMES:
        return _from_arrays(data, named_arrays(data))
    path = Path(data)
    if not path.exists():
        raise DataError(f"there are no data at {data}: give {', '.join(DATA_NAMES)}, an .npz, a .csv or a folder")
    try:
        return _read(path, target)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot read {data}: {error}") from None


def _read(path: Path, target: str | None) -> Dataset:
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return _from_arrays(str(path), dict(file))
    if path.suffix == ".csv":
        return _csv(path, target)
    raise DataError(f"{path} is neither an .npz, a .csv nor a folder")


def _mnist() -> Dataset:
    with resources.files("dslc.runtime.data.mnist").joinpath("mnist.npz").open("rb") as file, np.load(file) as arrays:
        return _from_arrays("mnist", {name: _pixels(arrays[name]) for name in arrays.files})


def _pixels(array: Array) -> Array:
    """Images as (n, h, w, 1) from 0 to 1; labels as they are."""
    return array[..., None].astype(np.float32) / np.float32(255) if array.ndim == 3 else array


def _from_arrays(name: str, arrays: dict[str, Array]) -> Dataset:
    if "x" not in arrays or "y" not in arrays:
        raise DataError(f"{name} must hold x and y; it holds {', '.join(sorted(arrays)) or 'nothing'}")

    def split(suffix: str) -> Split | None:
        x, y = arrays.get(f"x{suffix}"), arrays.get(f"y{suffix}")
        if (x is None) != (y is None):
            raise DataError(f"{name} holds only one of x{suffix} and y{suffix}")
        if x is None or y is None:
            return None
        if len(x) != len(y):
            raise DataError(f"{name}: x{suffix} has {len(x)} examples and y{suffix} {len(y)}")
        return Split(x, y)

    train = split("")
    assert train is not None
    return Dataset(name, train, split("_dev"), split("_test"))


def _folder(path: Path) -> Dataset:
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in sorted(path.glob("*.npy"))}
    if arrays:
        return _from_arrays(str(path), arrays)
    parts = {part: _idx_pair(path, prefix) for part, prefix in (("train", "train"), ("test", "t10k"))}
    if parts["train"] is None:
        return Dataset(str(path), Split(*_images(path)))
    return Dataset(str(path), parts["train"], None, parts["test"])


def _images(path: Path) -> tuple[Array, Array]:
    """One folder of images a class: pixels from 0 to 1 as (n, h, w, c), classes in the order of their names."""
    classes = sorted(folder for folder in path.iterdir() if folder.is_dir())
    files = [(file, i) for i, folder in enumerate(classes) for file in sorted(folder.glob("[!.]*")) if file.is_file()]
    if not files:
        raise DataError(
            f"{path} holds neither x.npy and y.npy, nor train-images-idx3-ubyte[.gz] with its labels, nor a folder of "
            "images a class"
        )
    images = [_image(file) for file, _ in files]
    for (file, _), image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise DataError(f"{file} is {_show(image)}, {files[0][0]} is {_show(images[0])}: give them one size")
    return np.stack(images), np.array([label for _, label in files])


def _image(file: Path) -> Array:
    try:
        from PIL import Image
    except ImportError:
        raise DataError("images are read with Pillow: pip install pillow") from None
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB"), np.float32)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image {file}: {error}") from None
    return (pixels[..., None] if pixels.ndim == 2 else pixels) / np.float32(255)


def _show(image: Array) -> str:
    return "x".join(map(str, image.shape))


def _idx_pair(path: Path, prefix: str) -> Split | None:
    found = [_idx_file(path, f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    if found[0] is None or found[1] is None:
        return None
    return Split(_pixels(_idx(found[0])), _idx(found[1]))


def _idx_file(path: Path, name: str) -> Path | None:
    candidates = (path / name, path / f"{name}.gz", path / name.replace("-idx", ".idx"))
    return next((file for file in candidates if file.exists()), None)


def _idx(path: Path) -> Array:
    """An IDX file: two zero bytes, a type, the number of axes, their lengths, then bytes."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise DataError(f"{path} is no IDX file of bytes")
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if body.size != int(np.prod(shape)):
        raise DataError(f"{path} announces {shape} and holds {body.size} bytes")
    return body.reshape(shape)


def _csv(path: Path, target: str | None) -> Dataset:
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if not rows:
        raise DataError(f"{path} holds no rows")
    if target is None or target not in header:
        raise DataError(f"name the target column of {path} with --target; its columns: {', '.join(header)}")
    if any(len(row) != len(header) for row in rows):
        bad = next(i for i, row in enumerate(rows, 2) if len(row) != len(header))
        raise DataError(f"{path}:{bad} has not {len(header)} columns")
    at = header.index(target)
    x = np.array([[float(cell) for i, cell in enumerate(row) if i != at] for row in rows])
    words = [row[at] for row in rows]
    try:
        y: Array = np.array([float(word) for word in words])
    except ValueError:
        y = np.unique(words, return_inverse=True)[1]
    return Dataset(str(path), Split(x, y), target=target)
