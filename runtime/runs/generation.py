"""Text that a network writes, character by character."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data.texts import with_plain_ends
from dslc.runtime.data.vocabulary import CHARACTERS, FILL, text_input
from dslc.runtime.model import Model


def continuation(model: Model, start: str, length: int, temperature: float, seed: int) -> Iterator[str]:
    """The next characters, each drawn from what the model says behind the last one: with probabilities
    p^(1 / temperature), at 0 the likeliest one. Unknown ones are never drawn. A window holds the last characters; a
    causal network does not look at what fills up a short one.

    Raises:
        DataError: the model does not continue texts, or a character of the start is none of its vocabulary.
    """
    wanted = text_input(model.network)
    known = None if wanted is None else model.schema.vocabularies.get(wanted.name)
    if wanted is None or not wanted.continues or known is None or known.unit != CHARACTERS:
        raise DataError("this run does not say the next character of a text: train one with --data book.txt")
    start = with_plain_ends(start)
    said = list(known.numbers(start))
    if not said:
        raise DataError("there is no text to go on from: give at least one character")
    if known.first - 1 in said:
        strange = start[said.index(known.first - 1)]
        raise DataError(f"the character {strange!r} is none of the {len(known.tokens)} that the training set has")
    random = np.random.default_rng(seed)
    for _ in range(length):
        window = said[-wanted.steps :]
        row = np.full((1, wanted.steps), FILL)
        row[0, : len(window)] = window
        p = np.asarray(model.predict(row), np.float64)[0, len(window) - 1]
        p[: known.first] = 0
        said.append(_drawn(p, temperature, random))
        yield known.text(np.array(said[-1:]))


def _drawn(p: np.ndarray, temperature: float, random: np.random.Generator) -> int:
    if not temperature:
        return int(p.argmax())
    with np.errstate(divide="ignore"):
        scores = np.log(p) / temperature
    weights = np.exp(scores - scores.max())
    return int(random.choice(len(p), p=weights / weights.sum()))
