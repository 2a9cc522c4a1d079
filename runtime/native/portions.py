"""Data for prediction and evaluation, so much at a time as is converted at once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.arrays import no_label, require_labels
from dslc.runtime.data.label_sequences import require_alignments
from dslc.runtime.data.lazy import PORTION
from dslc.runtime.data.parts import WHOLE, Part
from dslc.runtime.data.prefetch import Prefetch
from dslc.runtime.data.stream import as_stream, is_stream
from dslc.runtime.native.conversion import Array, Arrays, Conversion, nbytes, recut


def is_small(x: Any) -> bool:
    """Whether it is an array that is not worth another look: predictions of few examples take microseconds."""
    return type(x) is np.ndarray and x.nbytes <= PORTION // 8


def wants_portions(convert: Conversion, x: Any) -> bool:
    """Whether inputs are a stream, lie on the disk, or are too large to be converted as a whole."""
    return is_stream(x) or convert.wants_portions(x)


def first_inputs(convert: Conversion, x: Any) -> Arrays:
    """The inputs of the first example alone."""
    if is_stream(x):
        with closing(convert.batches(as_stream(x), labelled=False)) as batches:
            return [array[:1].copy() for array in next(batches)]
    if convert.arrays(x) is not None:
        return convert.inputs(convert.rows(x, np.arange(1)))
    return [array[:1] for array in convert.inputs(x)]


@contextmanager
def input_portions(convert: Conversion, x: Any, batch: int) -> Generator[Iterator[Arrays]]:
    """The inputs of arrays or a stream, in portions of whole mini-batches, each made while the one before is used."""
    if is_stream(x):
        made = recut(convert.batches(as_stream(x), labelled=False), batch)
    else:
        made = (inputs for inputs, _ in convert.in_order(x, batch))
    with Prefetch(made, nbytes, ahead=0) as portions:
        yield portions


Labelled = tuple[Arrays, Arrays, Array | None]
"""Inputs, targets, and what each example counts (n,); None where all count alike."""


@contextmanager
def labelled_portions(
    convert: Conversion, x: Any, y: Any, sample_weight: Any, batch: int, part: Part = WHOLE
) -> Generator[Iterator[Labelled]]:
    """The same with targets and sample weights, of a part of the examples. All at once where nothing is to be
    converted.

    Raises:
        DataError: the data do not fit, or all labels of a head are missing.
    """
    if y is None:
        refuse_weights(sample_weight)
        made = recut(convert.batches(as_stream(x), part=part), batch)
        with Prefetch(made, nbytes) as portions:
            yield _with_labels(convert, ((p[: _inputs(convert)], p[_inputs(convert) :]) for p in portions), part)
    elif is_stream(x):
        raise DataError("a stream has its targets in its batches (x, y): leave out y")
    elif convert.wants_portions(x):
        targets = convert.targets(y, convert.count(x))
        weights = convert.weights(sample_weight, len(targets[0]))
        require_labels(convert.network, targets, weights)
        with Prefetch(convert.in_order(x, batch, part), lambda portion: nbytes(portion[0]), ahead=0) as found:
            yield (_beside(convert, inputs, targets, weights, at) for inputs, at in found)
    else:
        inputs = convert.inputs(x)
        targets = convert.targets(y, len(inputs[0]))
        weights = convert.weights(sample_weight, len(inputs[0]))
        require_labels(convert.network, targets, weights)
        rows = part.rows(len(inputs[0]))
        inputs = [array[rows] for array in inputs]
        yield (_beside(convert, own, targets, weights, rows.start) for own in [inputs] if len(own[0]))


def refuse_weights(sample_weight: Any) -> None:
    """Raises DataError if there are weights: a stream has nowhere to put them."""
    if sample_weight is not None:
        raise DataError("sample_weight goes with arrays: a stream has x and y only")


def _beside(convert: Conversion, inputs: Arrays, targets: Arrays, weights: Array | None, first: int) -> Labelled:
    rows = slice(first, first + len(inputs[0]))
    own = [t[rows] for t in targets]
    require_alignments(convert.network, inputs, own)
    return inputs, own, None if weights is None else weights[rows]


def _inputs(convert: Conversion) -> int:
    return len(convert.network.inputs)


def _with_labels(convert: Conversion, pairs: Generator[tuple[Arrays, Arrays]], part: Part) -> Generator[Labelled]:
    """The same, no weights; DataError behind the last where a head has had no label, unless others have a part too."""
    missing = [head.loss is None or not head.loss.sequences for head in convert.network.heads]
    for inputs, targets in pairs:
        missing = [m and t.dtype.kind == "f" and bool(np.isnan(t).all()) for m, t in zip(missing, targets, strict=True)]
        yield inputs, targets, None
    for head, nothing in zip(convert.network.heads, missing, strict=True):
        if nothing and part == WHOLE:
            raise no_label(head, "all")
