"""The file of a run that says what its other files do not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import DATA_NAMES, Dataset
from dslc.runtime.data.schema import Schema
from dslc.runtime.training.history import History

FACTS = "run.json"


@dataclass(frozen=True)
class Facts:
    """What no other file of a run says: the data it was trained with, the epoch whose weights were kept, and why
    training ended (as in `History`). `schema`: what the weights know of the data, for people to read."""

    data: str
    target: str | None
    best_epoch: int | None
    stopped: str
    schema: dict[str, Any] | None = None

    @staticmethod
    def of(dataset: Dataset, history: History, schema: Schema) -> Facts:
        """A path is kept whole, so that it is found again from another folder."""
        named = dataset.name in DATA_NAMES
        data = dataset.name if named else str(Path(dataset.name).resolve())
        return Facts(data, dataset.target, history.best_epoch, history.stopped, asdict(schema))

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=2) + "\n").encode()


def read_facts(folder: Path) -> Facts | None:
    """None for a run that has none, of an earlier version.

    Raises:
        DataError: the file cannot be read or says something else.
    """
    path = folder / FACTS
    if not path.exists():
        return None
    try:
        facts = Facts(**json.loads(path.read_text("utf-8")))
        facts.data.encode()  # raises where it is no text
        return facts
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError):
        names = ", ".join(f.name for f in fields(Facts))
        raise DataError(f"{path} does not hold the facts of a run: {names}") from None
