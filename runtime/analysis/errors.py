"""Error analysis (notes: 'Error analysis'): the examples that a model gets most wrong, and a tally of their causes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.ir import Head
from dslc.language.diagnostics import DataError
from dslc.runtime.data.arrays import as_inputs, as_targets
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
COLUMNS = ("index", "true", "predicted", "probability", "loss", "tags")
MISSING = -1
"""Stands for an answer that nobody gave: it cannot be wrong."""


@dataclass(frozen=True)
class Answers:
    """What a head said of n examples: class numbers (n, 1) from a softmax, yes (1) and no (0) as (n, k) from a sigmoid.

    `probability` (n,) is what the model gives to the whole of its answer.
    """

    true: Array
    predicted: Array
    probability: Array

    @property
    def wrong(self) -> Array:
        """The positions of the examples with at least one wrong answer."""
        return np.flatnonzero(((self.true != self.predicted) & (self.true != MISSING)).any(axis=1))


@dataclass(frozen=True)
class Mistake:
    """An example that was classified wrongly. `index`: where it stands in the data. `loss`: of this example alone."""

    index: int
    true: str
    predicted: str
    probability: float
    loss: float


@dataclass(frozen=True)
class Mistakes:
    """The worst first; `wrong` of `examples` were wrong in all."""

    worst: tuple[Mistake, ...]
    answers: Answers

    @property
    def wrong(self) -> int:
        return len(self.answers.wrong)

    @property
    def examples(self) -> int:
        return len(self.answers.true)

    @property
    def rate(self) -> float:
        """The share of the examples that is wrong."""
        return self.wrong / self.examples

    def placed(self, places: Array) -> Mistakes:
        """The same where each `index` is the example's place."""
        return replace(self, worst=tuple(replace(m, index=int(places[m.index])) for m in self.worst))


@dataclass(frozen=True)
class Cause:
    """A tag with the number of errors that carry it and their share of the errors looked at."""

    tag: str
    errors: int
    share: float

    @property
    def left(self) -> float:
        """The ceiling: the share of the errors that is left if all errors with this tag are fixed."""
        return 1 - self.share


def find_mistakes(model: Model, x: Any, y: Any, most: int) -> Mistakes:
    """The `most` examples with the largest loss among those classified wrongly; `index` counts in x.

    Raises:
        DataError: the network has several outputs or predicts numbers, or the data do not fit it.
    """
    inputs = as_inputs(model.network, x, model.dtype)
    target = classes_wanted(model, y, len(inputs[0]))
    given = answers(model.network.heads[0], model.predict(x), target)
    wrong = given.wrong
    losses = np.array([_loss_of_one(model, inputs, target, i) for i in wrong])
    order = np.argsort(-losses, kind="stable")[:most]
    worst = [
        Mistake(
            int(i), _words(given.true[i]), _words(given.predicted[i]), float(given.probability[i]), float(losses[at])
        )
        for at, i in zip(order, wrong[order], strict=True)
    ]
    return Mistakes(tuple(worst), given)


def classes_wanted(model: Model, y: Any, count: int) -> Array:
    """The targets of the one head, if it judges by classes.

    Raises:
        DataError: it does not, or there are several, or y does not fit.
    """
    head, *more = model.network.heads
    if more:
        names = ", ".join(h.name for h in model.network.heads)
        raise DataError(f"this looks at networks with one output, and {model.network.name} has several: {names}")
    if head.loss is not None and not tells_classes(head):
        raise DataError(f"{model.network.name} predicts numbers, not classes: no example is simply right or wrong")
    return as_targets(model.network, y, count, model.dtype)[0]


def tells_classes(head: Head) -> bool:
    """Whether it is right or wrong, and not more or less near."""
    return head.loss is not None and "accuracy" in head.loss.metrics


def answers(head: Head, output: Array, target: Array) -> Answers:
    """output (n, classes) of a softmax with class numbers (n,), or (n, ...) of a sigmoid with targets alike."""
    assert head.loss is not None
    if head.loss.classes:
        return Answers(target[:, None], output.argmax(axis=1)[:, None], output.max(axis=1))
    yes, asked = output.reshape(len(output), -1), target.reshape(len(target), -1)
    there, predicted = ~np.isnan(asked), yes >= head.loss.threshold
    each = np.where(there, np.where(predicted, yes, 1 - yes), 1)
    true = np.where(there, asked >= 0.5, MISSING)
    return Answers(true.astype(int), predicted.astype(int), each.prod(axis=1))


def _loss_of_one(model: Model, inputs: list[Array], target: Array, i: int) -> float:
    """As the file's loss counts it, with its weight and smoothing."""
    one = [array[i : i + 1] for array in inputs]
    return model.evaluate(one[0] if len(one) == 1 else tuple(one), target[i : i + 1])["loss"]


def _words(labels: Array) -> str:
    return " ".join("-" if label == MISSING else str(label) for label in labels)


# ------------------------------------------------------------------------------------------------ the file to tag


def as_csv(mistakes: Sequence[Mistake]) -> bytes:
    """A row a mistake; the column `tags` is left empty for a person to fill."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([m.index, m.true, m.predicted, f"{m.probability:.6g}", f"{m.loss:.6g}", ""] for m in mistakes)
    return text.getvalue().encode()


def read_tags(path: Path) -> list[tuple[str, ...]]:
    """The tags of each row of a table with a column `tags`, in lower case; a cell parts them with commas or semicolons.

    Spreadsheets save with commas, semicolons or tabs between the columns: the header shows which.

    Raises:
        DataError: it cannot be read, or has no such column.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines(keepends=True)
        delimiter = max(",;\t", key=(lines or [""])[0].count)
        rows = list(csv.DictReader(lines, delimiter=delimiter))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} is no table of text: save it as CSV in UTF-8") from None
    if not rows or "tags" not in rows[0]:
        raise DataError(f"{path} has no rows with a column 'tags': take the CSV that `dslc errors RUN` writes")
    cells = [(row["tags"] or "").replace(";", ",").lower().split(",") for row in rows]
    return [tuple(dict.fromkeys(tag.strip() for tag in cell if tag.strip())) for cell in cells]


def tally(rows: Sequence[tuple[str, ...]]) -> list[Cause]:
    """The causes, the most frequent first. Shares are of the errors with a tag: the others nobody has looked at.

    An error may have several causes, so that shares may sum to more than 1.
    """
    seen = [tags for tags in rows if tags]
    counts = Counter(tag for tags in seen for tag in tags)
    return [Cause(tag, n, n / len(seen)) for tag, n in sorted(counts.items(), key=lambda found: (-found[1], found[0]))]
