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
from dslc.runtime.data.arrays import as_targets
from dslc.runtime.data.examples import Split
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
COLUMNS = ("index", "true", "predicted", "probability", "loss", "tags")
FILE = "file"
"""A further column where the examples are files, or rows of one."""
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
    """An example that was classified wrongly. `index`: where it stands in the data. `loss`: of this example alone.
    `file`: where it comes from, empty where nothing says so."""

    index: int
    true: str
    predicted: str
    probability: float
    loss: float
    file: str = ""


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

    def placed(self, part: Split) -> Mistakes:
        """The same where each `index` is the place of the part's example in the data, with its file."""
        worst = (replace(m, index=int(part.places[m.index]), file=part.origin(m.index) or "") for m in self.worst)
        return replace(self, worst=tuple(worst))


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
    output, head = model.predict(x), model.network.heads[0]
    given = answers(head, output, classes_wanted(model, y, len(output)))
    wrong, names = given.wrong, model.schema.names(head)
    losses = np.array([model.evaluate(_one(x, i), _one(y, i))["loss"] for i in wrong])
    order = np.argsort(-losses, kind="stable")[:most]
    worst = []
    for at, i in zip(order, wrong[order], strict=True):
        true, predicted = _words(given.true[i], names), _words(given.predicted[i], names)
        worst.append(Mistake(int(i), true, predicted, float(given.probability[i]), float(losses[at])))
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
    return as_targets(model.network, model.schema.targets(model.network, y), count, model.dtype)[0]


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


def _one(given: Any, i: int) -> Any:
    """One example of inputs or targets, which are an array, or several by name or by place."""
    if isinstance(given, dict):
        return {name: array[i : i + 1] for name, array in given.items()}
    return tuple(array[i : i + 1] for array in given) if isinstance(given, tuple) else given[i : i + 1]


def _words(labels: Array, names: Sequence[str] | None) -> str:
    """Classes by name; the yes and no of several outputs as 1 and 0."""
    return " ".join("-" if label == MISSING else names[label] if names else str(label) for label in labels)


# ------------------------------------------------------------------------------------------------ the file to tag


def as_csv(mistakes: Sequence[Mistake]) -> bytes:
    """A row a mistake; the column `tags` is left empty for a person to fill. The last column is the file, if any."""
    text, files = io.StringIO(newline=""), any(m.file for m in mistakes)
    writer = csv.writer(text)
    writer.writerow((*COLUMNS, FILE) if files else COLUMNS)
    for m in mistakes:
        row = [m.index, m.true, m.predicted, f"{m.probability:.6g}", f"{m.loss:.6g}", ""]
        writer.writerow([*row, m.file] if files else row)
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
