"""Writes predictions to files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.ir import Head
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Files, Split
from dslc.runtime.model import Model
from dslc.runtime.quantized import QuantizedModel

Columns = dict[str, Sequence[Any]]
"""The columns of a table by their names."""


def write_predictions(path: Path, model: Model | QuantizedModel, examples: Split, top: int | None = None) -> int:
    """Writes what the model says of the examples, one row each, and returns how many: as .npy, a column an output, if
    the path ends so, else as CSV, see docs/data.md. `top`: only so many of the likeliest classes. The file is replaced
    atomically.

    Raises:
        DataError: the examples do not fit the network, or `top` is asked of an output that tells no classes.
        OSError: the file cannot be written.
    """
    outputs = model.predict(examples.x)
    by_head = outputs if isinstance(outputs, dict) else {model.network.heads[0].name: outputs}
    count = len(next(iter(by_head.values())))
    flat = {name: array.reshape(count, -1) for name, array in by_head.items()}
    if path.suffix == ".npy":
        write_whole(path, _npy(flat))
        return count
    columns: Columns = {}
    if isinstance(examples.origins, Files):
        columns["file"] = [examples.origin(i) for i in range(count)]
    for head in model.network.answers:
        prefix = f"{head.name}_" if len(flat) > 1 else ""
        found = _outputs(model, head, flat[head.name], prefix) if top is None else _top(model, head, flat, prefix, top)
        columns |= found
    write_whole(path, _csv(columns))
    return count


def _outputs(model: Model | QuantizedModel, head: Head, output: Any, prefix: str) -> Columns:
    """The class, where classes have names, and a column an output."""
    if head.name not in model.schema.classes:
        return {f"{head.name}_{i}": column for i, column in enumerate(output.T.tolist())}
    names = model.schema.classes[head.name].names[-output.shape[1] :]  # of one sigmoid: the one that it says yes to
    said = {f"{prefix}class": model.schema.predicted(head, output).tolist()}
    titles = [f"probability_{name}" if prefix + name in ("file", *said) else prefix + name for name in names]
    return said | dict(zip(titles, output.T.tolist(), strict=True))


def _top(model: Model | QuantizedModel, head: Head, flat: dict[str, Any], prefix: str, top: int) -> Columns:
    """The likeliest classes, each with its probability; ties go to the lower class number."""
    output, names = flat[head.name], model.schema.names(head)
    if names is None:
        raise DataError(f"{head.name} tells no classes: --top has nothing to choose from")
    if output.shape[1] == 1:
        output = np.hstack([1 - output, output])
    likeliest = np.argsort(-output, axis=1, kind="stable")[:, :top]
    columns: Columns = {}
    for place, chosen in enumerate(likeliest.T, 1):
        columns[f"{prefix}class_{place}"] = [names[i] for i in chosen]
        columns[f"{prefix}probability_{place}"] = output[np.arange(len(output)), chosen].tolist()
    return columns


def _npy(flat: dict[str, Any]) -> bytes:
    binary = io.BytesIO()
    np.save(binary, np.hstack(list(flat.values())))
    return binary.getvalue()


def _csv(columns: Columns) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()
