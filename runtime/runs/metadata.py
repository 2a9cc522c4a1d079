"""Run metadata: `run.json`, which records what the other files of a run do not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import Dataset
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
    try:
        metadata = RunMetadata(**json.loads(path.read_text("utf-8")))
        "".join([metadata.data, *metadata.environment.values()]).encode()  # raises if one is not a string
        return metadata
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        names = ", ".join(f.name for f in fields(RunMetadata))
        raise DataError(f"{path} does not hold the metadata of a run: {names}") from None
