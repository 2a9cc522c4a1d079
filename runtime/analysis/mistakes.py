"""Error analysis (notes: 'Error analysis'): the examples with the worst mistakes, and a tally of their causes."""

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
from dslc.runtime.analysis.calibration import Calibration, calibration_of
from dslc.runtime.data.arrays import as_targets
from dslc.runtime.data.examples import Split
from dslc.runtime.data.files import require_file
from dslc.runtime.data.soft_labels import likeliest
from dslc.runtime.model import Model

Array = np.ndarray[Any, Any]
COLUMNS = ("index", "true", "predicted", "probability", "loss", "tags")
FILE = "file"
"""A further column where the examples are files, or rows of one."""
MISSING = -1
"""Stands for a missing label; an answer to it cannot be wrong."""


@dataclass(frozen=True)
class Answers:
    """True and predicted answers for n examples: class numbers (n, 1) for a softmax, 1 (yes) and 0 (no) as (n, k) for a
    sigmoid. `probability` (n,): what the model assigns to its whole answer."""

    true: Array
    predicted: Array
    probability: Array

    @property
    def wrong(self) -> Array:
        """The positions of the examples with at least one wrong answer."""
        return np.flatnonzero(((self.true != self.predicted) & (self.true != MISSING)).any(axis=1))


@dataclass(frozen=True)
class Mistake:
    """A classified example, mostly wrongly. `index`: its position in the data. `loss`: the loss of this example alone.
    `file`: the file, or file and line, that it comes from; empty if unknown."""

    index: int
    true: str
    predicted: str
    probability: float
    loss: float
    file: str = ""


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes, largest loss first, and all answers, with how sure of them the network is."""

    worst: tuple[Mistake, ...]
    answers: Answers
    calibration: Calibration | None = None

    @property
    def wrong(self) -> int:
        """The number of misclassified examples."""
        return len(self.answers.wrong)

    @property
    def examples(self) -> int:
        """The number of all examples."""
        return len(self.answers.true)

    @property
    def rate(self) -> float:
        """The share of the examples that are misclassified."""
        return self.wrong / self.examples

    def with_positions(self, part: Split) -> Mistakes:
        """The same mistakes of a part of the data, with each `index` replaced by the position in the whole data, and
        with files."""
        return replace(self, worst=with_positions(self.worst, part))


@dataclass(frozen=True)
class Cause:
    """A tag, the number of errors that have it, and their share of all tagged errors."""

    tag: str
    errors: int
    share: float

    @property
    def left(self) -> float:
        """The share of the errors that would be left if all errors with this tag were fixed: the notes' ceiling."""
        return 1 - self.share


def find_mistakes(model: Model, x: Any, y: Any, most: int) -> Mistakes:
    """The misclassified examples with the largest loss, at most `most`; `index` is the position in x.

    Raises:
        DataError: the network has several outputs or predicts real numbers, or the data do not fit it.
    """
    if model.network.tables:
        x = model.schema.inputs(model.network, x)  # once, not for each example
    output, head = model.predict(x), model.network.heads[0]
    target = class_targets(model, y, len(output))
    given = answers(head, output, target)
    wrong = _as_mistakes(model, x, y, given, given.wrong)
    worst = sorted(wrong, key=lambda mistake: -mistake.loss)[:most]
    return Mistakes(tuple(worst), given, calibration_of(head, output, target))


def surest(model: Model, x: Any, y: Any, given: Answers, most: int) -> tuple[Mistake, ...]:
    """The right answers of the largest probability, at most `most`; `index` is the position in x."""
    right = np.setdiff1d(np.flatnonzero((given.true != MISSING).any(axis=1)), given.wrong)
    at = right[np.argsort(-given.probability[right], kind="stable")[:most]]
    if model.network.tables:
        x = model.schema.inputs(model.network, x)
    return tuple(_as_mistakes(model, x, y, given, at))


def with_positions(shown: Sequence[Mistake], part: Split) -> tuple[Mistake, ...]:
    """The same examples of a part of the data, with each `index` replaced by the position in the whole data."""
    return tuple(replace(m, index=int(part.places[m.index]), file=part.origin(m.index) or "") for m in shown)


def _as_mistakes(model: Model, x: Any, y: Any, given: Answers, at: Array) -> list[Mistake]:
    """The answers to these examples, each with its own loss."""
    names, found = model.schema.names(model.network.heads[0]), []
    for i in at:
        loss = model.evaluate(_one(x, i), _one(y, i))["loss"]
        true, predicted = _words(given.true[i], names), _words(given.predicted[i], names)
        found.append(Mistake(int(i), true, predicted, float(given.probability[i]), float(loss)))
    return found


def class_targets(model: Model, y: Any, count: int) -> Array:
    """The targets of a network with one head that predicts classes, for `count` examples.

    Raises:
        DataError: the network has several heads or predicts real numbers, or y does not fit it.
    """
    head, *more = model.network.answers
    if more:
        names = ", ".join(h.name for h in model.network.answers)
        raise DataError(f"error analysis needs a network with one output; {model.network.name} has several: {names}")
    if head.loss is not None and head.loss.pixels:
        raise DataError(f"{model.network.name} predicts a class for each pixel: an image is not just right or wrong")
    if head.loss is not None and not predicts_classes(head):
        raise DataError(f"{model.network.name} predicts numbers, not classes: its answers are not just right or wrong")
    return as_targets(model.network, model.schema.targets(model.network, y), count, model.dtype)[0]


def predicts_classes(head: Head) -> bool:
    """Whether a head predicts classes, so that each answer is right or wrong."""
    return head.loss is not None and "accuracy" in head.loss.metrics and not head.loss.pixels


def answers(head: Head, output: Array, target: Array) -> Answers:
    """The answers in a head's output: (n, classes) of a softmax, with class numbers (n,) as target, or (n, ...) of a
    sigmoid, with a target of the same shape."""
    assert head.loss is not None
    if head.loss.classes:
        return Answers(likeliest(target)[:, None], output.argmax(axis=1)[:, None], output.max(axis=1))
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


# ------------------------------------------------------------------------------------------------ tags


def as_csv(mistakes: Sequence[Mistake]) -> bytes:
    """The mistakes as CSV, one row each; the column `tags` is empty, for a person to fill in. The last column is the
    file, if there are files."""
    text, files = io.StringIO(newline=""), any(m.file for m in mistakes)
    writer = csv.writer(text)
    writer.writerow((*COLUMNS, FILE) if files else COLUMNS)
    for m in mistakes:
        row = [m.index, m.true, m.predicted, f"{m.probability:.6g}", f"{m.loss:.6g}", ""]
        writer.writerow([*row, m.file] if files else row)
    return text.getvalue().encode()


def read_tags(path: Path) -> list[tuple[str, ...]]:
    """The tags of each row of a CSV file with a column `tags`, in lower case; a cell separates them by commas or
    semicolons.

    The columns may be separated by commas, semicolons or tabs, as spreadsheets do; the header shows which.

    Raises:
        DataError: the file cannot be read, or has no column `tags`.
    """
    try:
        require_file(path)
        lines = path.read_text("utf-8-sig").splitlines(keepends=True)
        delimiter = max(",;\t", key=(lines or [""])[0].count)
        rows = list(csv.DictReader(lines, delimiter=delimiter))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} is not a text table: save it as CSV in UTF-8") from None
    if not rows or "tags" not in rows[0]:
        raise DataError(f"{path} has no rows with a column 'tags': use the CSV that `dslc errors RUN` writes")
    cells = [(row["tags"] or "").replace(";", ",").lower().split(",") for row in rows]
    return [tuple(dict.fromkeys(tag.strip() for tag in cell if tag.strip())) for cell in cells]


def tally(rows: Sequence[tuple[str, ...]]) -> list[Cause]:
    """The causes, the most frequent first. Shares are relative to the errors that have a tag, since nobody has examined
    the others. An error may have several causes, so the shares may add up to more than 1.
    """
    seen = [tags for tags in rows if tags]
    counts = Counter(tag for tags in seen for tag in tags)
    return [Cause(tag, n, n / len(seen)) for tag, n in sorted(counts.items(), key=lambda found: (-found[1], found[0]))]
