"""How data are read on the command line, and `dslc data`: what a table holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dslc.cli.app import app, examples, positive
from dslc.cli.whole import OptionalWhole
from dslc.language.diagnostics import CallError, ExampleError

if TYPE_CHECKING:
    from dslc.ir import Network
    from dslc.runtime.data.examples import Dataset, Reading, Split
    from dslc.runtime.data.schema import Schema
    from dslc.runtime.model import Model
    from dslc.runtime.quantized import QuantizedModel


@Parameter(name="*")
@dataclass(frozen=True)
class DataOptions:
    """How the data are read. A run knows how its own were: what is not said is as in its training."""

    target: Annotated[
        str | None, Parameter(help="The column that is to be predicted, of a table or a list of images.")
    ] = None
    weight: Annotated[
        str | None,
        Parameter(help="The column that says what each example counts, as if it were there so many times."),
    ] = None
    no_header: Annotated[
        bool, Parameter(negative=(), help="The first row of a table is data: its columns are called 1, 2, ...")
    ] = False
    scale: Annotated[
        Literal["on", "off"] | None,
        Parameter(help="on: images of 8 bits are divided by 255, of 16 by 65535; off: they stay as they are."),
    ] = None
    resize: Annotated[str | None, Parameter(help="HxW, the rows and columns that all images get.")] = None
    fit: Annotated[
        Literal["stretch", "crop", "pad"] | None,
        Parameter(help="How an image comes to that size; crop: its middle, pad: all of it on the background."),
    ] = None
    background: Annotated[
        str | None, Parameter(help="Under transparent pixels and around padded images: white, black or as in #a0b1c2.")
    ] = None
    skip_broken: Annotated[
        bool, Parameter(negative=(), help="Go on without images that cannot be read, and list them.")
    ] = False
    workers: Annotated[
        OptionalWhole,
        Parameter(help="How many processes decode images; 0: none but this one. By the number of images unless given."),
    ] = None
    text: Annotated[
        str | None, Parameter(help="The column of a table that holds texts; the only one of words unless given.")
    ] = None
    tokens: Annotated[
        Literal["characters", "words"] | None,
        Parameter(help="What an input of words is made of; characters where the next one is to be said, else words."),
    ] = None
    cache: Annotated[
        str | None,
        Parameter(help="A file in which decoded images are kept, and found again as long as they do not change."),
    ] = None

    def reading(self, usual: Reading) -> Reading:
        """As these options say, else as usual.

        Raises:
            CallError: a size or a color is none.
        """
        return replace(
            usual,
            target=usual.target if self.target is None else self.target,
            weight=usual.weight if self.weight is None else self.weight,
            weight_known=usual.weight_known and self.weight is None,
            header=not self.no_header and usual.header,
            scale=usual.scale if self.scale is None else self.scale == "on",
            resize=usual.resize if self.resize is None else _size(self.resize),
            fit=self.fit or usual.fit,
            background=usual.background if self.background is None else _color(self.background),
            skip_broken=self.skip_broken,
            workers=None if self.workers is None else positive(self.workers, "--workers", 0),
            cache=self.cache,
            text_column=self.text,
            tokens=self.tokens or usual.tokens,
        )


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise CallError(f"--resize wants rows and columns, as in 28x28, not {text!r}")
    return int(sides[0]), int(sides[1])


def _color(text: str) -> tuple[int, int, int]:
    named = {"white": (255, 255, 255), "black": (0, 0, 0)}
    if text in named:
        return named[text]
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
        return red, green, blue
    except ValueError:
        raise CallError(f"--background wants white, black, or a color as in #a0b1c2, not {text!r}") from None


def training_data(network: Network, data: str, options: DataOptions, schema: Schema | None = None) -> Dataset:
    """The data for a network that is to be trained; `schema`: what it knows of those it has seen before.

    Raises:
        DataError: as `load_dataset`.
    """
    from dslc.runtime.data.datasets import load_dataset
    from dslc.runtime.data.schema import Schema

    return load_dataset(data, how=options.reading((schema or Schema()).reading(network, labelled=True)))


def run_data(model: Model | QuantizedModel, data: str, options: DataOptions, labelled: bool = True) -> Dataset:
    """Data for a trained model, read as those of its training were; `labelled`: with targets to judge by.

    Raises:
        DataError: as `load_dataset`.
    """
    from dslc.runtime.data.datasets import load_dataset

    found = load_dataset(data, how=options.reading(model.schema.reading(model.network, labelled)))
    return encode_tables(model, found)


def encode_tables(model: Model | QuantizedModel, dataset: Dataset) -> Dataset:
    """The data with declared columns and texts as the network takes them.

    Raises:
        DataError: with the file, the line and the column; or the model has not learned them.
    """
    if not model.network.tables and not model.schema.vocabularies:
        return dataset
    parts: dict[str, Any] = {"as_read": dataset.inputs}
    for name, part in dataset.parts.items():
        with locating(part):
            parts[name.replace("-", "_")] = replace(part, x=model.schema.inputs(model.network, part.x))
    return replace(dataset, **parts)


def judged(run: str, dataset: Dataset, parts: bool = False) -> tuple[Dataset, Split, str]:
    """The data, the part of them that a run is judged by, and what that is called: the test set, else what its training
    held out, else all. parts: split as in its training even where there is a test set.

    Raises:
        DataError: the run's split cannot be read.
    """
    from dslc.runtime.runs.folder import partition_of

    partition = partition_of(run)
    if partition is not None and dataset.is_of(partition) and (parts or dataset.test is None):
        dataset = dataset.split(partition.shares, partition.seed)
    if dataset.test is not None:
        return dataset, dataset.test, "the test set"
    return (dataset, dataset.dev, "the dev set") if dataset.dev is not None else (dataset, dataset.train, "all of it")


@contextmanager
def locating(part: Split) -> Iterator[None]:
    """Errors of examples name the file and line of the example."""
    try:
        yield
    except ExampleError as error:
        raise error.at(part.name(error.example)) from None


def data_of(run: str, data: str | None, options: DataOptions) -> tuple[str, DataOptions]:
    """The data and how to read them: those that are given, else those of the run's training, with its target.

    Raises:
        CallError: none are given, and the run does not say which it had.
        DataError: there is no such run, or its `run.json` cannot be read.
    """
    from dslc.runtime.runs.metadata import read_metadata
    from dslc.runtime.training.weights import require_run

    require_run(run)
    if data is not None:
        return data, options
    metadata = read_metadata(Path(run))
    if metadata is None:
        raise CallError(f"{run} does not say with which data it was trained: name data, as in --data mnist")
    return metadata.data, replace(options, target=options.target or metadata.target)


@app.command(
    help_epilogue=examples(
        "dslc data titanic.csv --target survived",
        "dslc data titanic.csv --spec titanic.net",
        "dslc data measured.parquet",
    )
)
def data(
    table: str,
    *,
    target: str | None = None,
    spec: str | None = None,
    no_header: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Show what a table holds: a row a column with its type, missing cells, range and distinct values.

    A word stands beside what a network should not be given: constants,
    identifiers, a copy of the target.

    Args:
        table: A .csv, .tsv, .parquet, .arrow or the like.
        target: The column to be predicted.
        spec: A .net file whose input declares columns: shows what becomes of each.
        no_header: The first row is data: the columns are called 1, 2, ...
    """
    from dslc.cli.tables import print_table
    from dslc.runtime.data.profile import profile

    found = profile(table, target, not no_header)
    cells = [(c.name, c.kind, f"{c.missing:,}", c.range, f"{c.distinct:,}", c.warning) for c in found.columns]
    columns = ("column", "type", "missing", "range", "distinct", "")
    print_table(f"{table}: {found.rows:,} rows, {len(cells)} columns", columns, cells, "llrlrl")
    if spec is not None:
        _print_encodings(spec, table, target, not no_header)


def _print_encodings(spec: str, path: str, target: str | None, header: bool) -> None:
    """What the columns that a spec declares become, learned from the whole table."""
    from dslc.cli.tables import print_table
    from dslc.compiler import check_file
    from dslc.runtime.data.asked import reading_for
    from dslc.runtime.data.datasets import load_dataset
    from dslc.runtime.data.schema import Schema

    network = check_file(spec)
    declared = network.table(network.inputs[0].name)
    if declared is None:
        raise CallError(f"--spec: the input of {spec} declares no columns")
    how = replace(reading_for(network), target=target, labelled=False, header=header)
    train = load_dataset(path, how=how).train
    with locating(train):
        learned = Schema().of_tables(network, train.x).tables[declared.input]
    cells = [
        (encoding.column, column.declared, str(encoding.width), encoding.told)
        for column, encoding in zip(declared.columns, learned, strict=True)
    ]
    print()
    print_table(f"input {declared.input} of {spec}", ("column", "declared as", "numbers", ""), cells, "llrl")
