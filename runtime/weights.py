"""Weights as safetensors files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dslc.cache import write_whole
from dslc.diagnostics import DataError
from dslc.emit import version
from dslc.ir import Network

Array = np.ndarray[Any, Any]


def save_weights(path: str | Path, network: Network, arrays: Mapping[str, Array]) -> None:
    """Writes the file whole or not at all; its metadata hold the spec, its hash and the version."""
    text = network.source.text
    metadata = {"spec": text, "spec_sha256": hashlib.sha256(text.encode()).hexdigest(), "dslc_version": version()}
    data = save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata)
    try:
        write_whole(Path(path), data)
    except OSError as error:
        raise DataError(f"cannot write the weights to {path}: {error.strerror}") from None


def read_weights(
    path: str | Path, shapes: Mapping[str, tuple[int, ...]], only: Collection[str] | None, strict: bool
) -> dict[str, Array]:
    """The arrays of a file that fit. `only` names layers; with strict everything must fit.

    Raises:
        DataError: the file cannot be read, or names or shapes differ.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read weights from {path}: {error}") from None
    wanted = {name: shape for name, shape in shapes.items() if only is None or name.split(".")[0] in only}
    if only is not None:
        found = {name: array for name, array in found.items() if name in wanted or name.split(".")[0] in only}
        _require_layers(only, shapes)
    problems = _differences(found, wanted)
    if problems and strict:
        raise DataError(f"the weights in {path} do not fit this network:\n  " + "\n  ".join(problems))
    return {name: a for name, a in found.items() if wanted.get(name) == a.shape}


def _require_layers(only: Collection[str], shapes: Mapping[str, tuple[int, ...]]) -> None:
    layers = {name.split(".")[0] for name in shapes}
    unknown = [name for name in only if name not in layers]
    if unknown:
        raise DataError(
            f"no layer with parameters is called {', '.join(unknown)}; there are {', '.join(sorted(layers))}"
        )


def _differences(found: Mapping[str, Array], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    missing = [f"{name} {shape} is not in the file" for name, shape in wanted.items() if name not in found]
    extra = [f"{name} {a.shape} is not in the network" for name, a in found.items() if name not in wanted]
    other = [
        f"{name} has the shape {found[name].shape} in the file and {shape} in the network"
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    return [*missing, *extra, *other]
