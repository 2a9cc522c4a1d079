"""All that a report shows of a trained model on data: its mistakes, or residuals, and what its layers see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dslc.language.diagnostics import UsageError
from dslc.runtime.analysis.error_analysis import ErrorAnalysis, analyze_errors
from dslc.runtime.analysis.feature_maps import Tiles, activations, first_filters
from dslc.runtime.analysis.pictures import as_png, pictures_of
from dslc.runtime.analysis.residuals import Residuals, residuals_of
from dslc.runtime.data.arrays import as_inputs, as_targets
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.data.examples import Split
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sight:
    """What layers see: the `filters` of the first, and what the layers make of the example with the number `index` in
    the data, of which `picture` is a PNG."""

    filters: Tiles | None = None
    maps: tuple[Tiles, ...] = ()
    picture: bytes = b""
    index: int = 0


@dataclass(frozen=True)
class Findings:
    """What was found on the part of the data with the name `part`; `errors` of a network that predicts classes,
    `residuals` of one that predicts numbers. `examples`: how many there are of each part of the data."""

    part: str = ""
    errors: ErrorAnalysis | None = None
    residuals: Residuals | None = None
    sight: Sight = field(default_factory=Sight)
    examples: tuple[tuple[str, int], ...] = ()


def look_at(model: Model, dataset: Dataset) -> Findings:
    """Looks at a trained model: at the test set, else the dev set; where there is neither, only at its layers."""
    name, part = ("test", dataset.test) if dataset.test else ("dev", dataset.dev)
    examples = tuple((name, len(split.y)) for name, split in dataset.parts.items())
    sight = _sight(model, part or dataset.train)
    if part is None:
        return Findings(sight=sight, examples=examples)
    return Findings(name, analyze_errors(model, dataset), _residuals(model, part), sight, examples)


def _residuals(model: Model, part: Split) -> Residuals | None:
    """Of a network with one output of numbers, whose loss judges no classes."""
    head, *more = model.network.heads
    if more or head.loss is None or "accuracy" in head.loss.metrics or head.loss.pixels:
        return None
    output = model.predict(part.x)
    target = as_targets(model.network, model.schema.targets(model.network, part.y), len(output), model.dtype)[0]
    return residuals_of(output, target, part) if target.shape == output.shape else None


def _sight(model: Model, part: Split) -> Sight:
    """Nothing where the input is no image or Pillow is missing, which was said with the examples."""
    network, weights = model.network, model.copy_weights()
    if len(network.inputs) > 1 or len(network.inputs[0].shape) != 3 or network.tables:
        return Sight()
    first = part.x[[0]]
    try:
        pictures = pictures_of(network, first)
        picture = b"" if pictures is None else as_png(pictures[0])
        maps = activations(network, weights, as_inputs(network, model.schema.inputs(network, first), np.float64)[0])
        return Sight(first_filters(network, weights), maps, picture, int(part.places[0]))
    except UsageError:
        return Sight()
