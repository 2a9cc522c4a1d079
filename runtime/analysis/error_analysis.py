"""Error analysis of a model on held-out data: the confusion matrix and the worst mistakes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.language.diagnostics import UsageError
from dslc.runtime.analysis.calibration import Calibration
from dslc.runtime.analysis.mistakes import (
    MISSING,
    Mistake,
    Mistakes,
    find_mistakes,
    predicts_classes,
    surest,
    with_positions,
)
from dslc.runtime.analysis.pictures import as_png, pictures_of
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.metrics import confusion_of
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
MAX_MISTAKES, MAX_RIGHT = 24, 12
"""How many of the worst mistakes are kept, and of the surest right answers."""


@dataclass(frozen=True)
class ErrorAnalysis:
    """The error analysis of a model on held-out data. `part`: `test` or `dev`. `matrix`: the confusion matrix (classes,
    classes) with true classes as rows. `pictures`: PNG files of the worst mistakes, empty if they are not images.
    `names`: those of the classes. `best`: the right answers that are surest, with `best_pictures`. `calibration`: None
    where the outputs are no probabilities."""

    part: str
    matrix: Array
    mistakes: Mistakes
    pictures: tuple[bytes, ...]
    names: tuple[str, ...]
    best: tuple[Mistake, ...] = ()
    best_pictures: tuple[bytes, ...] = ()
    calibration: Calibration | None = None


def analyze_errors(model: Model, dataset: Dataset) -> ErrorAnalysis | None:
    """Analyzes a model's errors on the test set, else on the dev set. None if there is neither, or if the network does
    not have exactly one head that predicts classes.

    All outputs of a sigmoid are counted together, as in its metrics.
    """
    name, part = ("test", dataset.test) if dataset.test else ("dev", dataset.dev)
    head, *more = model.network.answers
    if part is None or more or head.loss is None or not predicts_classes(head):
        return None
    mistakes = find_mistakes(model, part.x, part.y, MAX_MISTAKES)
    best = surest(model, part.x, part.y, mistakes.answers, MAX_RIGHT)
    said = mistakes.answers
    there = said.true != MISSING
    matrix = confusion_of(said.predicted[there], said.true[there], head.value.shape[-1] if head.loss.classes else 2)
    names = model.schema.names(head) or ("0", "1")
    return ErrorAnalysis(
        name,
        matrix,
        mistakes.with_positions(part),
        _pictures(model, part.x, mistakes.worst),
        names,
        with_positions(best, part),
        _pictures(model, part.x, best),
        mistakes.calibration,
    )


def _pictures(model: Model, x: Array, shown: tuple[Mistake, ...]) -> tuple[bytes, ...]:
    pictures = pictures_of(model.network, x[[m.index for m in shown]])
    if pictures is None:
        return ()
    try:
        return tuple(as_png(picture) for picture in pictures)
    except UsageError as error:
        warnings.warn(f"the report shows no example images: {error}", stacklevel=3)
        return ()
