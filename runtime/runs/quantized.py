"""Folders of quantized networks: writing and reading them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.compiler import check_text
from dslc.cores import Threads
from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.language.shipped import SPEC
from dslc.quantization.program import Program
from dslc.quantization.storage import from_arrays
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.schema import Schema
from dslc.runtime.model import Model
from dslc.runtime.quantized import QuantizedModel
from dslc.runtime.runs.folder import SPLIT, load_run
from dslc.runtime.runs.metadata import METADATA
from dslc.runtime.runs.trained import trained
from dslc.runtime.training.quantized_folder import INTEGERS, KEPT, PROGRAM, SIGNALS
from dslc.runtime.training.weights import DATA, read_arrays
from dslc.target import Target

Array = np.ndarray[Any, Any]
TOLD = "quantization.txt"


def write_quantized(folder: Path, model: QuantizedModel, report: str, run: str | None = None) -> None:
    """Writes the spec, the integers, and what the report says; and what the `run` that it comes of says of its data.

    Raises:
        DataError: the folder is that of another network, or cannot be written.
    """
    model.save(folder)
    try:
        write_whole(folder / TOLD, report.encode())
        for name in (METADATA, SPLIT):
            if run is not None and (Path(run) / name).is_file():
                shutil.copyfile(Path(run) / name, folder / name)
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror}") from None


def is_quantized(run: str) -> bool:
    """Whether a folder, or a file out of it, is that of a quantized network."""
    path = Path(run)
    return (path / INTEGERS).is_file() or (path.is_file() and path.name == INTEGERS)


def require_float(run: str) -> None:
    """Raises DataError where a run is quantized: for what only a run that was trained can say."""
    if is_quantized(run):
        raise DataError(f"{run} is quantized: use the run it comes from")


def read_quantized(run: str, target: Target | None = None, threads: Threads = "auto") -> QuantizedModel:
    """The quantized network of a folder, or of its file with the integers.

    Raises:
        DataError: there is none, or its files do not fit together.
    """
    path = Path(run) / INTEGERS if Path(run).is_dir() else Path(run)
    arrays, about = read_arrays(path)
    if PROGRAM not in about:
        raise DataError(f"{path} holds no quantized network")
    network = _network(path, about["spec"])
    try:
        program: Program = from_arrays(arrays, about[PROGRAM])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    schema = Schema.from_json(about[DATA])
    kept = {name.removeprefix(KEPT): array for name, array in arrays.items() if name.startswith(KEPT)}
    signals = _signals(arrays, program, path)
    return QuantizedModel(trained(network, kept, schema), program, schema, target, signals, threads)


def _network(path: Path, text: str) -> Network:
    """The network whose integers a file has: that of the text in it. A `spec.net` beside it only shows this text."""
    shown = path.with_name(SPEC)
    if shown.is_file() and shown.read_bytes() != text.encode():
        note = f"{shown} was edited and is not looked at: the integers are those of the spec in {path.name}"
        warnings.warn(f"{note}; to change the network, quantize its run again", DataNote, stacklevel=4)
    return check_text(text)


def _signals(arrays: Mapping[str, Array], program: Program, path: Path) -> tuple[float, ...] | None:
    """What is known of the heads' distance from the network in float. Raises DataError if it does not fit them."""
    if SIGNALS not in arrays:
        return None
    if arrays[SIGNALS].shape != (len(program.endings),):
        raise DataError(f"cannot read {path}: it has {SIGNALS} of other heads")
    return tuple(map(float, arrays[SIGNALS]))


def load_predictor(run: str, threads: Threads) -> Model | QuantizedModel:
    """What predicts and is judged: a quantized network, or a model as `load_run` gives it.

    Raises:
        DataError: there is no such run, or its files do not fit together.
    """
    return read_quantized(run, threads=threads) if is_quantized(run) else load_run(run, threads)
