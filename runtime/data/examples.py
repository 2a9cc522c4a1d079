"""What every reader gives: examples in parts, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.fingerprints import fingerprint, fingerprint_of_files, fingerprint_of_inputs
from dslc.runtime.data.lazy import taken
from dslc.runtime.data.splits import Partition, Shares, stratified_order

Array = np.ndarray[Any, Any]
DEV_SHARE = 0.1
FEWEST = 20
"""From so many examples on, data without a dev set get one."""


class DataNote(UserWarning):
    """Something that was assumed of data, or done to them."""


class Origins(Protocol):
    """Where examples come from."""

    def __call__(self, place: int) -> str:
        """The example at this place as people find it in their own files: a file's name, or a file and a line."""


@dataclass(frozen=True)
class Files:
    """Examples that are files, by their places."""

    paths: Sequence[str]

    def __call__(self, place: int) -> str:
        """The path of the example at a place."""
        return self.paths[place]


@dataclass(frozen=True)
class Split:
    """Some examples: x (n, ...), perhaps a lazy array or a frame of columns that a spec declares, and y (n, ...), which
    are class numbers, labels or numbers, or for several heads records of these (n,) with a field for each, and
    `weights` (n,), what each of them counts; None where all count alike. `drawn`: their places in the arrays that they
    were drawn from. `origins` says where those at these places come from."""

    x: Any
    y: Array
    drawn: Array | None = None
    origins: Origins | None = None
    weights: Array | None = None

    @property
    def given(self) -> tuple[Array, Array] | tuple[Array, Array, Array]:
        """x, y, and the sample weights where there are some: what `evaluate` takes, and `fit` as its dev set."""
        return (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)

    @property
    def places(self) -> Array:
        """Where each example stands in the data."""
        return np.arange(len(self.x)) if self.drawn is None else self.drawn

    def origin(self, index: int) -> str | None:
        """Where the example with this index in `x` comes from; None where nothing says so."""
        return None if self.origins is None else self.origins(int(self.places[index]))

    def name(self, index: int) -> str:
        """How the owner of the data finds it: by a file or a line, else by its number in the data."""
        return self.origin(index) or f"example {self.places[index]} (counted from 0)"


@dataclass(frozen=True)
class Dataset:
    """`train` is always there, the others where the data have them. `partition` says how these parts were made,
    `target` which column of a table y is, `features` which columns x has, `classes` the labels in the order of their
    numbers where the data have one. `labelled`: whether y was given; else it holds nothing to go by. `notes` say what
    was assumed, `how` how the data were read. `as_read`: the fingerprint of the training inputs, kept where these have
    been split or encoded since."""

    name: str
    train: Split
    dev: Split | None = None
    test: Split | None = None
    train_dev: Split | None = None
    partition: Partition | None = None
    target: str | None = None
    features: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    labelled: bool = True
    notes: tuple[str, ...] = ()
    how: Reading | None = None
    as_read: str | None = None

    @property
    def inputs(self) -> str:
        """The fingerprint of the training inputs as they were read.

        Raises:
            DataError: an example cannot be read any more.
        """
        if self.as_read is not None:
            return self.as_read
        if not isinstance(self.train.origins, Files):
            return fingerprint_of_inputs(self.train.x, self.features)
        try:
            return fingerprint_of_files(self.train.origins.paths)
        except OSError as error:
            raise DataError(f"cannot read {error.filename}: {error.strerror}") from None

    def is_of(self, partition: Partition) -> bool:
        """Whether these data, not split yet, are those that a partition is of."""
        same = partition.fingerprint == fingerprint(self.train.y)
        return same and (partition.inputs is None or partition.inputs == self.inputs)

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
        partition = Partition(shares, seed, fingerprint(y), self.inputs)
        whole = replace(self, partition=partition, as_read=partition.inputs)
        if not any(sizes):
            return whole
        order = stratified_order(y, seed)
        dev, test, train_dev, train = [self._take(at) for at in np.split(order, np.cumsum(sizes))]
        assert train is not None
        made = replace(whole, train=train, train_dev=train_dev)
        return replace(made, dev=dev or self.dev, test=test or self.test)

    def _refuse_twice(self, shares: Shares) -> None:
        if shares.test and self.test is not None:
            raise DataError(f"{self.name} brings a test set: split the rest in two, as in --split 90/10")
        if shares.dev and self.dev is not None:
            raise DataError(f"{self.name} brings a dev set: --split has nothing to do")

    def _take(self, at: Array) -> Split | None:
        """These examples, in the order of the data."""
        at = np.sort(at)
        if not len(at):
            return None
        weights = None if self.train.weights is None else self.train.weights[at]
        return replace(self.train, x=taken(self.train.x, at), y=self.train.y[at], drawn=at, weights=weights)


def _part(count: int, share: float) -> int:
    """How many of so many examples: at least one where a share is asked for."""
    return max(1, int(count * share + 1e-9)) if share else 0


@dataclass(frozen=True)
class TextReading:
    """What a network asks of text: `steps` words or characters, and if it `continues` the text the next one at each."""

    steps: int
    continues: bool


@dataclass(frozen=True)
class Reading:
    """How data are to be read.

    `declared`: `columns` are those that a spec declares, and stay as they are in the file, for the model to encode.
    `target`: the column of a table that is y, or of a list of images; `weight`: that of the sample weights, and
    `weight_known`: it is that of a run's training, which other data may lack. `numbers`:
    the targets are numbers, so that words among them are errors. `spelled`: numbers of a table are classes as they are
    written, since the model knows such classes. `labelled`: y is needed; to predict it is not.
    `columns`: the feature columns that a model knows, by which those of a table are found. `header`: the first row of a
    table names its columns. `scale`: integers of images are scaled to 0...1. `resize`: (height, width) of all images;
    `fit`: how an image comes to it. `channels`: one or three, as the network's input has them; else as the images have
    them. `background`: the color under transparent pixels, red, green and blue. `skip_broken`: goes on without images
    that cannot be read. `workers`: how many processes decode images, by their number unless given. `cache`: a file in
    which decoded images are kept. `text`: the network reads text, of the column `text_column` of a table, which is made
    of `tokens`, characters or words; as is usual for the network unless given. `heads`: those of a network with
    several, and whether each needs targets of its own.
    """

    target: str | None = None
    weight: str | None = None
    weight_known: bool = False
    numbers: bool = False
    spelled: bool = False
    labelled: bool = True
    columns: tuple[str, ...] | None = None
    declared: bool = False
    header: bool = True
    scale: bool = True
    resize: tuple[int, int] | None = None
    fit: str = "stretch"
    channels: int | None = None
    background: tuple[int, int, int] = (255, 255, 255)
    skip_broken: bool = False
    workers: int | None = None
    cache: str | None = None
    text: TextReading | None = None
    text_column: str | None = None
    tokens: str | None = None
    heads: Mapping[str, bool] | None = None


class Reader(Protocol):
    """A module that reads one form of data."""

    def reads(self, path: Path) -> bool:
        """Whether what stands at `path` has this form."""

    def read(self, path: Path, how: Reading) -> Dataset:
        """What stands there.

        Raises:
            DataError: with the place in the file, what was found there and what to do.
        """
