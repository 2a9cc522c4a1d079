"""How a model did on the data held out: counts by class, and what it got most wrong."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.language.diagnostics import UsageError
from dslc.runtime.analysis.errors import MISSING, Mistakes, find_mistakes, tells_classes
from dslc.runtime.analysis.pictures import as_png, pictures_of
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.metrics import confusion_of
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
WORST = 24
"""How many of the worst examples are kept."""


@dataclass(frozen=True)
class Judged:
    """How a model did on the data held out: `part` is their name, `matrix` (classes, classes) counts true classes by
    row and predicted ones by column. `pictures` of the worst mistakes are PNG; none where they are no images.
    `names` are those of the classes."""

    part: str
    matrix: Array
    mistakes: Mistakes
    pictures: tuple[bytes, ...]
    names: tuple[str, ...]


def judge(model: Model, dataset: Dataset) -> Judged | None:
    """On the test set, else on the dev set; None where there is neither, or not one head that tells classes.

    The answers of a sigmoid with several outputs count together, as in its metrics.
    """
    name, part = ("test", dataset.test) if dataset.test else ("dev", dataset.dev)
    head, *more = model.network.heads
    if part is None or more or head.loss is None or not tells_classes(head):
        return None
    mistakes = find_mistakes(model, part.x, part.y, WORST)
    said = mistakes.answers
    there = said.true != MISSING
    matrix = confusion_of(said.predicted[there], said.true[there], head.value.shape[-1] if head.loss.classes else 2)
    names = model.schema.names(head) or ("0", "1")
    pictures = _pictures(model, part.x[[m.index for m in mistakes.worst]])
    return Judged(name, matrix, mistakes.placed(part), pictures, names)


def _pictures(model: Model, x: Array) -> tuple[bytes, ...]:
    pictures = pictures_of(model.network, x)
    if pictures is None:
        return ()
    try:
        return tuple(as_png(picture) for picture in pictures)
    except UsageError as error:
        warnings.warn(f"the report shows no examples: {error}", stacklevel=3)
        return ()
