"""Examples of a run's training: what a page that learns repeats, so that it does not forget what it knew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dslc.export.network import Trained
from dslc.export.page import Examples
from dslc.runtime.data.arrays import as_inputs, as_targets
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.frames import is_frame
from dslc.runtime.data.lazy import rows_of
from dslc.runtime.runs.folder import WEIGHTS
from dslc.runtime.runs.metadata import read_metadata
from dslc.runtime.training.weights import read_schema

A_CLASS = 20
"""Examples of each class."""


def rehearsal(run: str, trained: Trained) -> Examples | None:
    """The first examples of each class in the training set of a run; None of what is no folder of a run.

    Raises:
        DataError: the data are no longer there, or no longer as they were.
    """
    folder, network = Path(run), trained.network
    metadata = read_metadata(folder) if (folder / WEIGHTS).exists() else None
    if metadata is None:
        return None
    schema = read_schema(folder / WEIGHTS)
    train = load_dataset(metadata.data, metadata.target, schema.reading(network, labelled=True)).train
    y = np.asarray(as_targets(network, schema.targets(network, train.y), len(train.y), network.dtype)[0])
    chosen = np.sort(np.concatenate([np.flatnonzero(y == k)[:A_CLASS] for k in np.unique(y)]))
    some: Any = schema.inputs(network, train.x)[chosen] if is_frame(train.x) else rows_of(train.x, chosen)
    x = some if is_frame(train.x) else schema.inputs(network, some)
    return Examples(np.asarray(as_inputs(network, x, np.float32)[0]), y[chosen])
