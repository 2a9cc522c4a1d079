"""Words or characters and their numbers: learned from the training set, and kept with the weights."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.layers.embedding import Embedding
from dslc.layers.lengths import Lengths
from dslc.losses.step_cross_entropy import StepCrossEntropy
from dslc.runtime.data.examples import DataNote

Array = np.ndarray[Any, Any]
CHARACTERS, WORDS = UNITS = ("characters", "words")
WORD = re.compile(r"\w+|[^\w\s]")
"""A word, or a sign between words; texts are in lower case."""
FILL = 0
"""Stands behind the end of a text."""


class Characters(np.ndarray[Any, Any]):
    """Code points of a running text (n, steps), which the vocabulary has yet to number."""


@dataclass(frozen=True)
class TextInput:
    """The only input of a network, `steps` numbers of `words` words. `continues`: at each step the network says which
    one comes next."""

    name: str
    steps: int
    words: int
    layer: str
    continues: bool

    @property
    def first(self) -> int:
        """The number of the first word that is known: before it is that of unknown ones, and before this one what fills
        up short texts."""
        return 1 if self.continues else 2

    @property
    def usual(self) -> str:
        """What a text is made of unless something is said."""
        return CHARACTERS if self.continues else WORDS


def text_input(network: Network) -> TextInput | None:
    """The input of a network that reads text; None where its input is something else, or it has several."""
    if len(network.inputs) != 1:
        return None
    value = network.inputs[0]
    readers = [n for n in network.nodes if isinstance(n.layer, Embedding) and n.inputs[0] == value]
    if not readers:
        return None
    (steps,), words = value.shape, min(node.layer.words for node in readers)  # type: ignore[attr-defined]
    said = [head for head in network.heads if isinstance(head.loss, StepCrossEntropy)]
    continues = any(head.value.shape == (steps, words) for head in said)
    return TextInput(value.name, steps, words, readers[0].name, continues)


@dataclass(frozen=True)
class Vocabulary:
    """`tokens` are the words or characters with the numbers from `first` on; all others have the one before."""

    unit: str
    tokens: tuple[str, ...]
    first: int

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.first + len(self.tokens)

    def numbers(self, text: str) -> Array:
        """The numbers of the tokens of a text."""
        known = {token: i for i, token in enumerate(self.tokens, self.first)}
        return np.array([known.get(token, self.first - 1) for token in tokens_of(text, self.unit)], np.int64)

    def rows(self, texts: Iterable[str], steps: int) -> Array:
        """Texts as rows (n, steps) of numbers: short ones are filled up, of long ones the rest is left out."""
        known = {token: i for i, token in enumerate(self.tokens, self.first)}
        found = [[known.get(token, self.first - 1) for token in tokens_of(text, self.unit)[:steps]] for text in texts]
        rows = np.full((len(found), steps), FILL, np.int64)
        for row, numbers in zip(rows, found, strict=True):
            row[: len(numbers)] = numbers
        return rows

    def of_characters(self, codes: Array) -> Array:
        """Code points as numbers, in the same shape."""
        known = np.array([ord(token) for token in self.tokens])  # in rising order
        at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        found = np.where(known[at] == np.asarray(codes), at + self.first, self.first - 1)
        return np.asarray(found)

    def unknown_share(self, numbers: Array) -> float:
        """The share of unknown ones among numbers, without what fills up."""
        texts = numbers if self.first == 1 else numbers[numbers != FILL]
        return float(np.mean(texts == self.first - 1)) if texts.size else 0.0

    def text(self, numbers: Array) -> str:
        """Numbers of characters as text; an unknown one is the replacement character."""
        return "".join(
            self.tokens[n - self.first] if n >= self.first else "\ufffd" for n in np.asarray(numbers).ravel()
        )


def tokens_of(text: str, unit: str) -> Sequence[str]:
    """The characters of a text, or its words in lower case with the signs between them."""
    return text if unit == CHARACTERS else WORD.findall(text.lower())


def is_text(given: Any) -> bool:
    """Whether these are texts (n,), or windows of a running text."""
    if isinstance(given, (list, tuple)):
        return len(given) > 0 and all(isinstance(text, str) for text in given)
    if not isinstance(given, np.ndarray) or isinstance(given, Characters):
        return isinstance(given, Characters)
    words = given.dtype.kind == "U" or (given.dtype == object and all(isinstance(text, str) for text in given.flat))
    return given.ndim == 1 and len(given) > 0 and words


def refuse_half_texts(name: str, given: Any) -> None:
    """Raises DataError for an input that is one text, or that has some texts among other things."""
    if isinstance(given, str):
        raise DataError(f"input {name} is a single text: give a list of texts, one for each example")
    if isinstance(given, (list, tuple)) or (isinstance(given, np.ndarray) and given.dtype == object):
        no_texts = [i for i, text in enumerate(given) if not isinstance(text, str)]
        if no_texts and len(no_texts) < len(given):
            i = no_texts[0]
            raise DataError(f"input {name}: example {i} (from 0) is no text but {given[i]!r:.40}")


def learned(wanted: TextInput, given: Any, unit: str | None) -> Vocabulary:
    """The vocabulary of training texts, or of windows of a running text, whose characters are numbered in rising order;
    of words and characters of texts the most frequent ones are known. A note tells it.

    Raises:
        DataError: the network has another number of words than there are.
    """
    if isinstance(given, Characters):
        found = Vocabulary(CHARACTERS, tuple(map(chr, np.unique(given))), wanted.first)
        _require_size(wanted, found, len(found.tokens))
        count = f"{len(found.tokens)} different characters"
        _note(wanted, f"{count} are numbered from {found.first} on, {found.first - 1} is any other")
        return found
    unit = unit or wanted.usual
    counted = Counter(token for text in given for token in tokens_of(text, unit))
    ranked = sorted(counted, key=lambda token: (-counted[token], token))
    found = Vocabulary(unit, tuple(ranked[: max(0, wanted.words - wanted.first)]), wanted.first)
    _require_size(wanted, found, len(ranked))
    _note(wanted, _told(wanted, found, counted, given))
    return found


def _require_size(wanted: TextInput, found: Vocabulary, different: int) -> None:
    if found.size == wanted.words:
        return
    special = "unknown ones" if found.first == 1 else "padding and unknown ones"
    made = f"{different:,} different {found.unit}, which with {found.first} more for {special} make {found.size}"
    also = f", and what it says dense({found.size})" if wanted.continues else ""
    raise DataError(
        f"the training set has {made}, but {wanted.layer} of the network has {wanted.words} words: "
        f"make it embedding({found.size}, ...){also}"
    )


def _told(wanted: TextInput, found: Vocabulary, counted: Counter[str], texts: Iterable[str]) -> str:
    """What became of the texts."""
    total, kept = sum(counted.values()), sum(counted[token] for token in found.tokens)
    text = (
        f"the {len(found.tokens):,} most frequent of {len(counted):,} {found.unit} are numbered from {found.first} on; "
    )
    text += f"{found.first - 1} is any other, {1 - kept / max(1, total):.1%} of the training set, {FILL} fills up"
    lengths = [len(tokens_of(text, found.unit)) for text in texts]
    long, empty = sum(n > wanted.steps for n in lengths), lengths.count(0)
    text += f"; {long} of {len(lengths)} texts are longer than {wanted.steps} and are cut" if long else ""
    return text + (f"; {empty} texts are empty" if empty else "")


def _note(wanted: TextInput, text: str) -> None:
    warnings.warn(f"input {wanted.name}: {text}", DataNote, stacklevel=5)


def require_filled_up(network: Network, wanted: TextInput) -> None:
    """Raises DataError where a layer takes another number than 0 for what fills up texts."""
    for node in network.nodes:
        padding = node.layer.padding if isinstance(node.layer, (Embedding, Lengths)) else None
        if padding not in (None, FILL) and not wanted.continues:
            raise DataError(f"texts are filled up with {FILL}, and {node.name} has padding={padding}")
