"""A trained network as it lies in files, without compiling it: what an export begins with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dslc.compiler import check_file, check_text
from dslc.export.network import Images, Trained
from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.language.shipped import SPEC
from dslc.runtime.data.schema import Schema
from dslc.runtime.runs.checkpoints import CHECKPOINT, note_unfinished
from dslc.runtime.runs.folder import WEIGHTS
from dslc.runtime.training.checkpoint import BEST, LAST, position_of
from dslc.runtime.training.weights import differences, read_arrays, read_schema, require_run, require_weights

Array = np.ndarray[Any, Any]


def read_trained(run: str, weights: str | None = None, params: dict[str, object] | None = None) -> Trained:
    """The network of a run folder with its best weights, of a weights file with the spec inside, or of a spec with the
    weights of another file; `params` are for that spec.

    Raises:
        DataError: there is no such run, or its files do not fit together.
        SpecError: the spec is wrong.
    """
    path = Path(run)
    if weights is not None:
        return _fitting(check_file(path, params), Path(weights))
    if path.suffix == ".net" and path.is_file():
        raise DataError(f"{run} is a spec without numbers: name its weights with --weights")
    require_run(run)
    if path.is_dir():
        found = next((path / name for name in (WEIGHTS, CHECKPOINT) if (path / name).exists()), None)
        if not (path / SPEC).exists() or found is None:
            raise DataError(f"{run} is not a run folder: it has no {SPEC} with {WEIGHTS}")
        return _fitting(check_file(path / SPEC), found, run)
    _, metadata = read_arrays(path)
    if "spec" not in metadata:
        raise DataError(f"{run} does not contain the spec of the network that its weights belong to")
    return _fitting(check_text(metadata["spec"]), path)


def _fitting(network: Network, path: Path, run: str | None = None) -> Trained:
    """A network with the arrays of a file, and what that says of the data. A note says where they are those of the
    checkpoint of a run. Raises DataError if they do not fit."""
    arrays, about = read_arrays(path)
    best = _part(arrays, BEST)
    arrays = best or _part(arrays, LAST) or arrays
    if run is not None and path.name == CHECKPOINT:
        position = position_of(path, about)
        note_unfinished(run, position.epoch, position.best_epoch if best else None)
    shapes = {p.name: p.shape for p in network.parameters}
    if problems := differences(arrays, shapes):
        raise DataError(f"the weights in {path} do not fit this network:\n  " + "\n  ".join(problems))
    require_weights(path, arrays, network.dtype)
    return trained(network, arrays, read_schema(path))


def _part(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def trained(network: Network, arrays: dict[str, Array], schema: Schema) -> Trained:
    """A network with its parameters and what is known of its data."""
    classes = {head: known.names for head, known in schema.classes.items()}
    tables = {name: tuple(map(asdict, columns)) for name, columns in schema.tables.items()}
    images = Images(schema.fit, schema.background, schema.scale)
    return Trained(network, arrays, classes, schema.offsets, schema.features, tables, images)
