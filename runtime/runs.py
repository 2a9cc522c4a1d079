"""Run folders: what a training leaves behind, and models loaded back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dslc import ast
from dslc.cache import write_whole
from dslc.compiler import check_file, check_text
from dslc.diagnostics import DataError
from dslc.ir import Network
from dslc.parse import parse
from dslc.runtime.datasets import Dataset
from dslc.runtime.model import Model
from dslc.runtime.splits import Partition, Shares
from dslc.source import Source

SPEC, WEIGHTS, HISTORY, REPORT = "spec.net", "weights.safetensors", "history.csv", "report.html"
SPLIT = "split.json"


@contextmanager
def run_folder(wanted: str | None, net: str) -> Iterator[Path]:
    """A folder for a run, made before it begins; it goes again if the run fails and leaves it empty.

    Raises:
        DataError: the folder cannot be made.
    """
    folder = _make_folder(wanted, net)
    try:
        yield folder
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise


def _make_folder(wanted: str | None, net: str) -> Path:
    """The folder named, or `runs/<net>-<number>` with the first number that is free."""
    try:
        if wanted is not None:
            folder = Path(wanted)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        number = 1
        while True:
            folder = Path("runs") / f"{net.lower()}-{number}"
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise DataError(f"cannot make the run folder {folder}: {error.strerror}") from None


def spec_as_trained(network: Network, overrides: Mapping[str, str]) -> str:
    """The spec's text with the values that the params really had."""
    text = network.source.text
    params = [d for d in parse(Source(network.source.name, text)).declarations if isinstance(d, ast.ParamDecl)]
    for param in reversed(params):
        if param.name in overrides:
            text = text[: param.value.span.start] + overrides[param.name] + text[param.value.span.end :]
    return text


def load_run(run: str, threads: int) -> Model:
    """A trained model from its run folder or its weights file (which holds the spec).

    Raises:
        DataError: there is no such run, or its files do not fit.
    """
    path = Path(run)
    if path.is_dir():
        if not (path / SPEC).exists() or not (path / WEIGHTS).exists():
            raise DataError(f"{run} is no run folder: it has no {SPEC} with {WEIGHTS}")
        model = Model(check_file(path / SPEC), threads)
        model.load_weights(path / WEIGHTS)
        return model
    model = Model(check_text(_spec_inside(path)), threads)
    model.load_weights(path)
    return model


def write_partition(folder: Path, partition: Partition) -> None:
    """How the data were split."""
    write_whole(folder / SPLIT, (json.dumps(asdict(partition), indent=2) + "\n").encode())


def partition_of(run: str) -> Partition | None:
    """How the data of a run were split; None where nothing says so, as for a weights file.

    Raises:
        DataError: the file that says it is broken.
    """
    path = Path(run) / SPLIT
    if not path.is_file():
        return None
    try:
        given = json.loads(path.read_text("utf-8"))
        return Partition(Shares(**given["shares"]), int(given["seed"]), str(given["fingerprint"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None


def split_as_trained(dataset: Dataset, run: str, seed: int) -> Dataset:
    """The parts that a run was trained with, if these are its data, else those that training would make by itself."""
    partition = partition_of(run)
    if partition is not None and partition.of(dataset.train.y):
        return dataset.split(partition.shares, partition.seed)
    return dataset.with_dev(seed)


def _spec_inside(path: Path) -> str:
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if "spec" not in metadata:
        raise DataError(f"{path} does not say which network its weights belong to")
    return str(metadata["spec"])
