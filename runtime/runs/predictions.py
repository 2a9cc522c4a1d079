"""Writes predictions to files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cache import write_whole
from dslc.runtime.model import Model


def write_predictions(path: Path, model: Model, x: Any) -> int:
    """Writes the outputs for x (n, *input) and returns n: as .npy if the path ends so, else as CSV. Both have one row
    per example and one column per output. The file is replaced atomically.

    Raises:
        DataError: x does not fit the network.
        OSError: the file cannot be written.
    """
    outputs = model.predict(x)
    by_head = outputs if isinstance(outputs, dict) else {model.network.heads[0].name: outputs}
    count = len(next(iter(by_head.values())))
    flat = {name: array.reshape(count, -1) for name, array in by_head.items()}
    write_whole(path, _npy(flat) if path.suffix == ".npy" else _csv(flat))
    return count


def _npy(flat: dict[str, Any]) -> bytes:
    binary = io.BytesIO()
    np.save(binary, np.hstack(list(flat.values())))
    return binary.getvalue()


def _csv(flat: dict[str, Any]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([f"{name}_{i}" for name, array in flat.items() for i in range(array.shape[1])])
    writer.writerows(np.hstack(list(flat.values())).tolist())
    return text.getvalue().encode()
