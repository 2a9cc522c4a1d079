"""What a model knows of its data: the names of classes and columns, and how its numbers came to be. It turns what
people give into what the network takes, is learned by `fit`, and lies with the weights."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from dslc.ir import Head, Network, Value
from dslc.json_text import parsed
from dslc.language.diagnostics import DataError, ExampleError
from dslc.runtime.data import encoding, vocabulary
from dslc.runtime.data.arrays import as_inputs, as_numbers, as_targets, by_head, by_name, require_labels
from dslc.runtime.data.asked import class_count, reading_for, tells_labels
from dslc.runtime.data.encoding import Encoded, Encoding
from dslc.runtime.data.examples import DataNote, Dataset, Reading
from dslc.runtime.data.frames import columns_of, frame_array, in_words, is_frame
from dslc.runtime.data.given import as_array
from dslc.runtime.data.label_sequences import require_alignments
from dslc.runtime.data.labels import Classes, labels_of, learned
from dslc.runtime.data.lazy import LazyArray, on_disk, portions_of
from dslc.runtime.data.offsets import offsets_of
from dslc.runtime.data.sample_weights import as_weights
from dslc.runtime.data.scaling import LARGEST, holds_images
from dslc.runtime.data.vocabulary import (
    Characters,
    Vocabulary,
    is_text,
    refuse_half_texts,
    require_filled_up,
    text_input,
)

Array = np.ndarray[Any, Any]
READ_ALIKE = ("header", "scale", "resize", "fit", "background", "tokens")
"""What of `Reading` stays from training to prediction."""
MANY_UNKNOWN = 0.2
"""Where a larger share of words or characters is unknown, a note says so."""


@dataclass(frozen=True)
class Schema:
    """`classes` by head that learned names, `features` the columns by input that was fitted on a table, `target` the
    column that y was, `weight` that of the sample weights. `offsets` by input: what is subtracted from each feature in
    double precision before it is rounded to the network's. `tables` by input: how each column that the spec declares
    becomes numbers. `vocabularies` by input: the numbers of words or characters. `header`, `scale`, `resize`, `fit`,
    `background`, `tokens`: how files are read, as in `Reading`."""

    classes: Mapping[str, Classes] = field(default_factory=dict)
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offsets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Encoding, ...]] = field(default_factory=dict)
    target: str | None = None
    weight: str | None = None
    header: bool = True
    scale: bool = True
    resize: tuple[int, int] | None = None
    fit: str = "stretch"
    background: tuple[int, int, int] = (255, 255, 255)
    tokens: str | None = None
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)

    def describing(self, network: Network, dataset: Dataset) -> Schema:
        """With how the data were read, their columns, and the order of their classes if they have one."""
        how = dataset.how or Reading()
        head, classes = network.heads[0], dict(self.classes)
        if dataset.classes is not None and tells_labels(head) and len(dataset.classes) == class_count(head):
            classes.setdefault(head.name, Classes(dataset.classes))
        columns = {} if dataset.features is None else {network.inputs[0].name: dataset.features}
        return replace(
            self,
            classes=classes,
            features=columns,
            target=dataset.target,
            weight=how.weight,
            **{name: getattr(how, name) for name in READ_ALIKE},
        )

    def reading(self, network: Network, labelled: bool) -> Reading:
        """How data for the model are read: as those of its training were; `labelled`: with targets to judge by."""
        given = reading_for(network)
        columns = self.features.get(network.inputs[0].name, given.columns)
        alike = {name: getattr(self, name) for name in READ_ALIKE}
        spelled = any(classes.spelled for classes in self.classes.values())
        given = replace(given, target=self.target, spelled=spelled)
        given = replace(given, weight=self.weight, weight_known=self.weight is not None)
        return replace(given, labelled=labelled, columns=columns, **alike)

    # ------------------------------------------------------------------------------------------- what it does

    def inputs(self, network: Network, x: Any) -> Any:
        """The inputs with columns in the order of the fit and offsets subtracted; tables as their columns are declared.

        Raises:
            DataError: a column is missing, or holds something else than numbers or what is declared.
        """
        plain = not self.offsets and not network.tables and text_input(network) is None
        if len(network.inputs) == 1 and type(x) is np.ndarray and self.scale and plain:
            return x
        return _together(network.inputs, [self._input(network, v, a) for v, a in _given_inputs(network, x)])

    def _input(self, network: Network, value: Value, given: Any) -> Any:
        table = network.table(value.name)
        if table is not None:
            return given if isinstance(given, Encoded) else encoding.encode(table, self._encodings(value.name), given)
        if np.ma.is_masked(given):
            return given  # it is refused, with the example
        if text_input(network) is not None:
            if is_text(given):
                return self._numbered(value, given)
            refuse_half_texts(value.name, given)
        array = self._columns(value, given) if is_frame(given) else given
        offset = self.offsets.get(value.name)
        if self.scale and offset is None:
            return array
        array = as_array(array, f"input {value.name}")
        if not self.scale and holds_images(array, value.shape):
            array = np.asarray(array, np.float32)
        if offset is None or not array.ndim or array.size != len(array) * len(offset):
            return array
        return as_numbers(array, f"input {value.name}").astype(np.float64).reshape(len(array), -1) - np.array(offset)

    def _numbered(self, value: Value, given: Any) -> Array:
        """Texts as numbers of the vocabulary."""
        known = self.vocabularies.get(value.name)
        if known is None:
            raise DataError(
                f"the vocabulary of input {value.name} is learned by `fit`: train the model, or load its weights"
            )
        made = known.of_characters(given) if isinstance(given, Characters) else known.rows(given, value.shape[0])
        if (share := known.unknown_share(made)) > MANY_UNKNOWN:
            text = f"input {value.name}: {share:.0%} of the {known.unit} are none of the training set's"
            warnings.warn(text, DataNote, stacklevel=6)
        return made

    def _encodings(self, name: str) -> tuple[Encoding, ...]:
        if name not in self.tables:
            raise DataError(f"the columns of input {name} are learned by `fit`: train the model, or load its weights")
        return self.tables[name]

    def _columns(self, value: Value, frame: Any) -> Array:
        known, found = self.features.get(value.name), columns_of(frame)
        if known is None:
            return frame_array(frame, found)
        extra = tuple(name for name in found if name not in known)
        if extra:
            warnings.warn(f"not looked at: {in_words(extra)}", DataNote, stacklevel=6)
        return frame_array(frame, known)

    def targets(self, network: Network, y: Any) -> Any:
        """The targets with class numbers in the place of labels.

        Raises:
            DataError: a label is none of the model's, or missing.
        """
        if not self.classes and type(y) is np.ndarray and y.dtype.kind in "iuf":
            return y
        given = by_head(network, y)
        return _together(network.heads, [self._target(h, a) for h, a in zip(network.heads, given, strict=True)])

    def _target(self, head: Head, given: Any) -> Any:
        if isinstance(given, Characters) and len(self.vocabularies) == 1:
            return next(iter(self.vocabularies.values())).of_characters(given)
        if not tells_labels(head) or np.ma.is_masked(given):
            return given
        labels = labels_of(given)
        if labels is None or (head.name not in self.classes and labels.dtype.kind in "iu"):
            return given
        return self._known(head).numbers(head.name, labels)

    def require_tables(self, network: Network) -> None:
        """Compares what is known of tables with what the network declares.

        Raises:
            DataError: a column is another one, or has other values or numbers.
        """
        for table in network.tables:
            if table.input in self.tables:
                encoding.require_same(table, self.tables[table.input])

    def check_part(
        self, network: Network, x: Any, y: Any, part: str, anew: bool = False, sample_weight: Any = None
    ) -> Schema:
        """Looks through a part of the data before it is used; with what its targets tell, see `of_targets`.

        Raises:
            DataError: it does not fit the network, or has no labels; the message names the part.
        """
        if y is None:
            raise DataError(f"the {part} has no targets: give x and y")
        try:
            count = self._checked_count(network, x)
            known = self.of_targets(network, y, anew)
            targets = as_targets(network, known.targets(network, y), count, network.dtype)
            if any(head.loss is not None and head.loss.sequences for head in network.heads):
                require_alignments(network, as_inputs(network, known.inputs(network, x), network.dtype), targets)
            weights = None if sample_weight is None else as_weights(sample_weight, count, network.dtype)
            require_labels(network, targets, weights)
        except ExampleError as error:
            raise error.within(part) from None
        except DataError as error:
            raise DataError(f"{part}: {error}") from None
        return known

    def _checked_count(self, network: Network, x: Any) -> int:
        """The number of examples in inputs that fit the network; of what lies on the disk only the first is read."""
        if isinstance(x, np.ndarray | LazyArray) and not isinstance(x, np.ma.MaskedArray) and x.ndim and len(x):
            parts = [x[:1]] if on_disk(x) else portions_of(x)
        else:
            parts = [x]
        first = count = 0
        for part in parts:
            try:
                count = len(as_inputs(network, self.inputs(network, part), network.dtype)[0])
            except ExampleError as error:
                raise ExampleError(error.text, first + error.example) from None
            first += count
        return len(x) if isinstance(x, np.ndarray | LazyArray) else count

    def names(self, head: Head) -> tuple[str, ...] | None:
        """The names of a head's classes, in the order of their numbers; None where it tells none."""
        return self._known(head).names if tells_labels(head) else None

    def predicted_classes(self, network: Network, outputs: Any) -> Any:
        """The likeliest class of each example as its label, for what a network predicts: an array (n,), a dict by head
        if there are several. Raises DataError if a head tells no classes."""
        answers = network.answers
        given = outputs if isinstance(outputs, dict) else {answers[0].name: outputs}
        found = {head.name: self.predicted(head, given[head.name]) for head in answers}
        return found if len(found) > 1 else next(iter(found.values()))

    def predicted(self, head: Head, output: Array) -> Array:
        """The labels (n,) that an output (n, *head's shape) says.

        Raises:
            DataError: the head tells no classes.
        """
        if head.loss is None or not tells_labels(head):
            raise DataError(f"{head.name} tells no classes")
        yes = output.reshape(len(output), -1)[:, 0] >= head.loss.threshold
        return self._known(head).of(output.argmax(axis=1) if head.loss.classes else yes.astype(int))

    def _known(self, head: Head) -> Classes:
        return self.classes.get(head.name) or Classes(tuple(range(class_count(head))))

    # ------------------------------------------------------------------------------------------- how it is learned

    def of_inputs(self, network: Network, x: Any, unfitted: Collection[str], anew: bool) -> Schema:
        """With what training inputs tell: columns where a training begins `anew`, and offsets for the inputs of first
        layers that are not fitted yet.

        Raises:
            DataError: they are not the inputs that the network declares.
        """
        xs = {value.name: given for value, given in _given_inputs(network, x) if network.table(value.name) is None}
        for value in network.inputs if self.scale else ():
            array = xs.get(value.name)
            if isinstance(array, np.ndarray | LazyArray) and holds_images(array, value.shape):
                what = f"images of {8 * array.dtype.itemsize} bits are divided by {LARGEST[array.dtype]}"
                warnings.warn(f"input {value.name}: {what}", DataNote, stacklevel=4)
        features = {name: columns_of(frame) for name, frame in xs.items() if is_frame(frame)} if anew else {}
        features |= {table.input: table.names for table in network.tables}
        offsets = offsets_of(network, xs, unfitted)
        return replace(self, features={**self.features, **features}, offsets={**self.offsets, **offsets})

    def of_tables(self, network: Network, x: Any, sample_weight: Any = None) -> Schema:
        """With how the declared columns of tables, and texts, become numbers, learned from training inputs where it is
        not known.

        Raises:
            DataError: a column is missing, holds something else than is declared, or never varies; or sample weights
                are not what they should be.
        """
        new = [table for table in network.tables if table.input not in self.tables]
        if not new:
            return self._of_texts(network, x)
        given = {value.name: array for value, array in _given_inputs(network, x)}
        found = {table.input: encoding.learned(table, given[table.input], sample_weight) for table in new}
        return replace(self, tables={**self.tables, **found})

    def _of_texts(self, network: Network, x: Any) -> Schema:
        """With the vocabulary of training texts, where it is not known.

        Raises:
            DataError: the network has another number of words.
        """
        wanted = text_input(network)
        if wanted is None or wanted.name in self.vocabularies:
            return self
        given = x.get(wanted.name) if isinstance(x, dict) else x
        if not is_text(given):
            return self
        require_filled_up(network, wanted)
        return replace(self, vocabularies={wanted.name: vocabulary.learned(wanted, given, self.tokens)})

    def of_targets(self, network: Network, y: Any, anew: bool) -> Schema:
        """With what training targets tell: labels, where a training begins `anew` and some are unknown yet.

        Raises:
            DataError: the labels are more than the classes.
        """
        given = dict(zip((head.name for head in network.heads), by_head(network, y), strict=True))
        classes = {head.name: self._classes(head, given[head.name], anew) for head in network.heads}
        return replace(self, classes={name: found for name, found in classes.items() if found is not None})

    def _classes(self, head: Head, given: Any, anew: bool) -> Classes | None:
        known = self.classes.get(head.name)
        if not anew or not tells_labels(head) or np.ma.is_masked(given):
            return known
        labels = labels_of(given)
        if labels is None:
            return known
        if known is not None:
            try:
                known.numbers(head.name, labels)
                return known
            except DataError:
                pass
        return learned(head.name, labels, class_count(head))

    # ------------------------------------------------------------------------------------------- how it is kept

    def to_json(self) -> str:
        """As it lies in the metadata of a weights file."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Schema:
        """Back again.

        Raises:
            DataError: it is no such text.
        """
        try:
            given = parsed(text)
            given["classes"] = {head: Classes(tuple(found["labels"])) for head, found in given["classes"].items()}
            for name in ("features", "offsets"):
                given[name] = {key: tuple(values) for key, values in given[name].items()}
            given["tables"] = {
                name: tuple(map(_encoding, columns)) for name, columns in given.get("tables", {}).items()
            }
            given["vocabularies"] = {
                name: Vocabulary(found["unit"], tuple(found["tokens"]), found["first"])
                for name, found in given.get("vocabularies", {}).items()
            }
            given["resize"] = None if given["resize"] is None else tuple(given["resize"])
            given["background"] = tuple(given["background"])
            return Schema(**given)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"what the weights say of their data is not understood: {error}") from None


def _given_inputs(network: Network, x: Any) -> list[tuple[Value, Any]]:
    """What was given for each input. A dict with the columns of the only input is that input."""
    table = network.table(network.inputs[0].name)
    if len(network.inputs) == 1 and table is not None and isinstance(x, Mapping) and set(x) >= set(table.names):
        return [(network.inputs[0], x)]
    return list(zip(network.inputs, by_name(x, [value.name for value in network.inputs], "input"), strict=True))


def _encoding(given: dict[str, Any]) -> Encoding:
    return Encoding(**{**given, "values": tuple(given["values"])})


def _together(wanted: tuple[Any, ...], arrays: list[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else {one.name: array for one, array in zip(wanted, arrays, strict=True)}
