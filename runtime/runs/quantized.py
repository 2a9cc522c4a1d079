"""Folders of quantized networks: writing and reading them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.compiler import check_file, check_text
from dslc.cores import Threads
from dslc.language.diagnostics import DataError
from dslc.quantization.program import Program
from dslc.quantization.storage import from_arrays, to_arrays
from dslc.runtime.data.schema import Schema
from dslc.runtime.model import Model
from dslc.runtime.quantized import QuantizedModel
from dslc.runtime.runs.checkpoints import SPEC
from dslc.runtime.runs.folder import SPLIT, load_run
from dslc.runtime.runs.metadata import METADATA
from dslc.runtime.runs.trained import trained
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.training.weights import DATA, read_arrays, write_arrays
from dslc.target import Target

Array = np.ndarray[Any, Any]
INTEGERS, TOLD = "int8.safetensors", "quantization.txt"
PROGRAM = "program"
"""The key of the metadata that holds all but the arrays."""
KEPT = "kept/"
"""What the names of parameters that stay in float begin with."""
SIGNALS = "signals"
"""The array that says how far the heads are from the network in float, if that is known."""


def write_quantized(folder: Path, model: QuantizedModel, report: str, run: str | None = None) -> None:
    """Writes the spec, the integers, and what the report says; and what the `run` that it comes of says of its data.

    Raises:
        DataError: the folder is that of another network, or cannot be written.
    """
    require_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SPEC, as_trained(model.network).encode())
        write_whole(folder / TOLD, report.encode())
        for name in (METADATA, SPLIT):
            if run is not None and (Path(run) / name).is_file():
                shutil.copyfile(Path(run) / name, folder / name)
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror}") from None
    arrays, text = to_arrays(model.program)
    kept = {f"{KEPT}{name}": array for name, array in parameters_in_float(model).items()}
    known = {} if model.signals is None else {SIGNALS: np.array(model.signals)}
    every = {**arrays, **kept, **known}
    write_arrays(folder / INTEGERS, model.network, every, {DATA: model.schema.to_json(), PROGRAM: text})


def require_free(folder: Path) -> None:
    """Raises DataError where a quantized network cannot be written to a folder: a file, or a folder of others."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: name a folder with -o")
    if folder.exists() and any(folder.iterdir()) and not (folder / INTEGERS).exists():
        raise DataError(f"{folder} exists already, and holds no quantized network: name another folder with -o")


def parameters_in_float(model: QuantizedModel) -> dict[str, Array]:
    """The parameters of layers behind the integers, and class weights: all that is not in the integers."""
    network = model.network
    layers = {name for ending in model.program.endings for name in ending.layers}
    names = {p.name for node in network.nodes if node.name in layers for p in node.roles.values()}
    names |= {p.name for head in network.answers if (p := network.class_weights(head)) is not None}
    return {name: np.asarray(model.trained.parameters[name], np.float32) for name in sorted(names)}


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
    network = check_file(path.with_name(SPEC)) if path.with_name(SPEC).exists() else check_text(about["spec"])
    try:
        program: Program = from_arrays(arrays, about[PROGRAM])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    schema = Schema.from_json(about[DATA])
    kept = {name.removeprefix(KEPT): array for name, array in arrays.items() if name.startswith(KEPT)}
    signals = _signals(arrays, program, path)
    return QuantizedModel(trained(network, kept, schema), program, schema, target, signals, threads)


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
