"""The learning curve: the errors of a network that is trained on more and more of the training set, and at each size
the notes' bias and variance ('Bias and Variance')."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.analysis.diagnosis import Errors, diagnose
from dslc.runtime.analysis.page import figures_of, render_page
from dslc.runtime.analysis.vega import SERIES, Chart, axis, chart, number
from dslc.runtime.data.examples import Dataset, Split
from dslc.runtime.data.lazy import taken
from dslc.runtime.data.splits import stratified_order
from dslc.runtime.model import Model

WRONG, LOSS = "share of wrong answers", "loss"
COLUMNS = ("examples", "train", "dev", "bias", "variance")


@dataclass(frozen=True)
class Point:
    """The errors after training on so many examples, on these and on the dev set; `bias` and `variance` as `diagnose`
    tells them."""

    examples: int
    train: float
    dev: float
    bias: float
    variance: float


@dataclass(frozen=True)
class LearningCurve:
    """`error` says what the errors are. `human`: the error of people, which bias is measured from."""

    net: str
    error: str
    human: float
    points: tuple[Point, ...]


def sizes_up_to(count: int, steps: int) -> tuple[int, ...]:
    """So many sizes that grow by equal factors: from a twentieth of the training set, but at least ten, to all."""
    first = min(count, max(10, count // 20))
    return tuple(dict.fromkeys(round(size) for size in np.geomspace(first, count, steps)))


def learning_curve(
    fresh: Callable[[], Model],
    dataset: Dataset,
    sizes: Sequence[int],
    human: float,
    seed: int,
    told: Callable[[Point], None],
) -> LearningCurve:
    """Trains a fresh network for each size, with the dev set to keep the best weights.

    A smaller part is within each larger one, with about the class balance of the whole. `told` gets each point as soon
    as it is there.

    Raises:
        DataError: there is no dev set, or a size is not in the training set.
    """
    if dataset.dev is None:
        raise DataError("the data were too few for a dev set: variance cannot be told")
    count = len(dataset.train.y)
    if not all(1 <= size <= count for size in sizes):
        raise DataError(f"the training set has {count:,} examples: sizes go from 1 to that, not to {max(sizes):,}")
    order = stratified_order(dataset.train.y, seed)
    net, error, points = "", WRONG, []
    for part in _parts(dataset.train, order, sizes):
        model = fresh()
        model.fit(part.x, part.y, dataset.dev.given, sample_weight=part.weights)
        results = [model.evaluate(*each.given) for each in (part, dataset.dev)]
        error = WRONG if all("accuracy" in numbers for numbers in results) else LOSS
        train, dev = (1 - numbers["accuracy"] if error == WRONG else numbers["loss"] for numbers in results)
        bias, variance = (gap.size for gap in diagnose(Errors(human, train, dev)))
        points.append(Point(len(part.y), train, dev, bias, variance))
        told(points[-1])
        net = model.network.name
    return LearningCurve(net, error, human, tuple(points))


def _parts(train: Split, order: np.ndarray, sizes: Sequence[int]) -> Iterator[Split]:
    for size in sizes:
        at = np.sort(order[:size])
        weights = None if train.weights is None else train.weights[at]
        yield Split(taken(train.x, at), train.y[at], at, train.origins, weights)


def as_csv(curve: LearningCurve) -> bytes:
    """A row a point, with all digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([p.examples, p.train, p.dev, p.bias, p.variance] for p in curve.points)
    return text.getvalue().encode()


def render_curve(curve: LearningCurve, script: str) -> str:
    """The page. script: the JavaScript of Vega; without it there is only the table."""
    errors = {"train": [p.train for p in curve.points], "dev": [p.dev for p in curve.points]}
    gaps = {"bias": [p.bias for p in curve.points], "variance": [p.variance for p in curve.points]}
    figures = {curve.error: _lines(curve, errors, curve.error), "bias and variance": _lines(curve, gaps, "error")}
    return render_page("curve.html.j2", script, {"curves": figures_of("curves", figures)}, curve=curve)


def _lines(curve: LearningCurve, columns: dict[str, list[float]], title: str) -> Chart:
    values = [
        {"examples": point.examples, "of": name, "value": number(value)}
        for name, column in columns.items()
        for point, value in zip(curve.points, column, strict=True)
    ]
    colors = {"domain": list(columns), "range": list(SERIES[: len(columns)])}
    encoding = {
        "x": axis(
            "examples", "examples of the training set", scale={"type": "log", "nice": False}, axis={"grid": False}
        ),
        "y": axis("value", title),
        "color": {"field": "of", "type": "nominal", "scale": colors},
        "tooltip": [axis("of", "of", "nominal"), axis("examples", "examples"), axis("value", title)],
    }
    return chart(values, height=280, mark={"type": "line", "point": True}, encoding=encoding)
