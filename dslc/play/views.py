"""Pictures of a network while it learns: the decision boundary between two features, or filters and predictions of
images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.html_pieces import data_url
from dslc.runtime.analysis.feature_maps import first_filters
from dslc.runtime.analysis.mistakes import predicts_classes
from dslc.runtime.analysis.pictures import as_png, pictures_of
from dslc.runtime.data.examples import Dataset
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
SIDE, POINTS, IMAGES = 60, 400, 24
"""Fields of the plane in a row, and how many examples are shown."""


@dataclass(frozen=True)
class Plane:
    """Two features: what the network says in every field of the plane in which the training set lies."""

    grid: Array
    fixed: Json
    classes: bool

    def look(self, model: Model) -> Json:
        """What changes: a number for each field, row by row from below. Of classes it is the class and how sure, as
        1.75 for class 1 with probability 0.75."""
        output = model.predict(self.grid).reshape(len(self.grid), -1).astype(np.float64)
        if not self.classes:
            return {"values": np.round(output[:, 0], 4).tolist()}
        if output.shape[1] == 1:
            yes = output[:, 0]
            return {"values": np.round((yes >= 0.5) + np.clip(np.maximum(yes, 1 - yes), 0, 0.999), 3).tolist()}
        sure = np.clip(output.max(axis=1), 0, 0.999)
        return {"values": np.round(output.argmax(axis=1) + sure, 3).tolist()}


@dataclass(frozen=True)
class Images:
    """Some images of the dev set with what the network says of them, and its filters."""

    x: Any
    fixed: Json

    def look(self, model: Model) -> Json:
        """What changes: a line for each image, whether it is right, and a picture of the filters."""
        head = model.network.heads[0]
        output = model.predict(self.x)
        filters = first_filters(model.network, model.copy_weights())
        said = []
        if predicts_classes(head) and head.loss is not None and head.loss.classes:
            names = model.schema.names(head) or ()
            said = [f"{names[row.argmax()]} {row.max():.0%}" for row in output]
        return {"said": said, "filters": "" if filters is None else data_url(filters.png)}


def view_of(model: Model, dataset: Dataset) -> Plane | Images | None:
    """The view that suits a network and its data; None if there is none."""
    network = model.network
    if len(network.inputs) > 1 or len(network.heads) > 1 or network.tables:
        return None
    if network.inputs[0].shape == (2,):
        return _plane(model, dataset, predicts_classes(network.heads[0]))
    return _images(model, dataset)


def _plane(model: Model, dataset: Dataset, classes: bool) -> Plane:
    some = np.linspace(0, len(dataset.train.y) - 1, min(POINTS, len(dataset.train.y))).astype(int)
    x = np.asarray(dataset.train.x, np.float64).reshape(-1, 2)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 1.0)
    low, high = low - margin, high + margin
    across, up = (np.linspace(a, b, SIDE) for a, b in zip(low, high, strict=True))
    grid = np.stack([axis.ravel() for axis in np.meshgrid(across, up)], axis=1).astype(model.dtype)
    targets = np.asarray(model.schema.targets(model.network, dataset.train.y[some]), np.float64).reshape(len(some), -1)
    values = targets.argmax(axis=1) if classes and targets.shape[1] > 1 else targets[:, 0]
    names = (model.schema.names(model.network.heads[0]) or ()) if classes else ()
    points = np.round(np.column_stack([x[some], values]), 4).tolist()
    fixed = {"kind": "plane", "side": SIDE, "low": low.tolist(), "high": high.tolist(), "points": points}
    return Plane(grid, {**fixed, "classes": [str(name) for name in names]}, classes)


def _images(model: Model, dataset: Dataset) -> Images | None:
    part = dataset.dev or dataset.train
    some = np.linspace(0, len(part.y) - 1, min(IMAGES, len(part.y))).astype(int)
    x = part.x[some]
    pictures = pictures_of(model.network, x)
    if pictures is None:
        return None
    true = [str(label) for label in np.asarray(part.y)[some]] if np.ndim(part.y) == 1 else []
    return Images(x, {"kind": "images", "images": [data_url(as_png(p)) for p in pictures], "true": true})
