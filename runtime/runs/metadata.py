"""Run metadata: `run.json`, which records what the other files of a run do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dslc.runtime.data.datasets import Dataset
from dslc.runtime.data.files import read_json
from dslc.runtime.data.named import is_data_name
from dslc.runtime.data.schema import Schema
from dslc.runtime.training.history import History

METADATA = "run.json"


@dataclass(frozen=True)
class RunMetadata:
    """The metadata of a run: the data it was trained with (a name or an absolute path) and their target column, the
    epoch whose weights were kept, and why training ended (as in `History`). `schema`: what the weights know of the
    data, `environment` the call, the machine and the versions, both for people to read."""

    data: str
    target: str | None
    best_epoch: int | None
    stopped: str
    schema: dict[str, Any] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        dataset: Dataset, history: History, schema: Schema, environment: Mapping[str, str] = MappingProxyType({})
    ) -> RunMetadata:
        """The metadata of a training. A path is made absolute, so that it can be found from any folder."""
        named = is_data_name(dataset.name)
        data = dataset.name if named else str(Path(dataset.name).resolve())
        return RunMetadata(data, dataset.target, history.best_epoch, history.stopped, asdict(schema), dict(environment))

    def to_json(self) -> bytes:
        """The contents of `run.json`."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def read_metadata(folder: Path) -> RunMetadata | None:
    """Reads the metadata of a run; None if it has none, as runs of earlier versions.

    Raises:
        DataError: the file cannot be read or holds something else.
    """
    path = folder / METADATA
    if not path.exists():
        return None
    return read_json(path, _metadata, "delete it, and name the data of the training with --data")


def _metadata(given: Any) -> RunMetadata:
    """Raises TypeError or ValueError where it is not the metadata of a run."""
    metadata = RunMetadata(**given)
    "".join([metadata.data, metadata.stopped, metadata.target or "", *metadata.environment.values()]).encode()
    if not isinstance(metadata.best_epoch, int | None):
        raise TypeError("an epoch is a whole number")
    return metadata
