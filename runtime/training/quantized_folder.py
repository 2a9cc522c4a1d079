"""Writes the folder of a quantized network: its spec, and a file with its integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.export.network import Trained
from dslc.language.diagnostics import DataError
from dslc.language.shipped import SPEC
from dslc.quantization.program import Program
from dslc.quantization.storage import to_arrays
from dslc.runtime.data.schema import Schema
from dslc.runtime.training.spec_text import as_trained
from dslc.runtime.training.weights import DATA, write_arrays

Array = np.ndarray[Any, Any]
INTEGERS = "int8.safetensors"
TOLD = ("quantization.txt", "run.json", "split.json")
"""What the command line tells beside them: of what the quantizing cost, and of the data."""
PROGRAM = "program"
"""The key of the metadata that holds all but the arrays."""
KEPT = "kept/"
"""What the names of parameters that stay in float begin with."""
SIGNALS = "signals"
"""The array that says how far the heads are from the network in float, if that is known."""


def write_folder(
    folder: Path, trained: Trained, program: Program, schema: Schema, signals: tuple[float, ...] | None
) -> None:
    """Writes spec and integers; what is told of another quantized network that was there is removed.

    Raises:
        DataError: the folder is that of something else, or cannot be written.
    """
    require_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in TOLD:
            (folder / name).unlink(missing_ok=True)
        write_whole(folder / SPEC, as_trained(trained.network).encode())
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror}") from None
    arrays, text = to_arrays(program)
    kept = {f"{KEPT}{name}": array for name, array in parameters_in_float(trained, program).items()}
    known = {} if signals is None else {SIGNALS: np.array(signals)}
    write_arrays(
        folder / INTEGERS, trained.network, {**arrays, **kept, **known}, {DATA: schema.to_json(), PROGRAM: text}
    )


def require_free(folder: Path) -> None:
    """Raises DataError where a quantized network cannot be written to a folder: a file, or a folder of others."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: name a folder for a quantized network")
    if folder.exists() and any(folder.iterdir()) and not (folder / INTEGERS).exists():
        raise DataError(f"{folder} exists already, and holds no quantized network: name another folder")


def parameters_in_float(trained: Trained, program: Program) -> dict[str, Array]:
    """The parameters of layers behind the integers, and class weights: all that is not in the integers."""
    network = trained.network
    layers = {name for ending in program.endings for name in ending.layers}
    names = {p.name for node in network.nodes if node.name in layers for p in node.roles.values()}
    names |= {p.name for head in network.answers if (p := network.class_weights(head)) is not None}
    return {name: np.asarray(trained.parameters[name], np.float32) for name in sorted(names)}
