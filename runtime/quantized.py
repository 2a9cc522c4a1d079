"""A quantized network that predicts in compiled C, and is judged: what `dslc.quantize` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.cores import Threads
from dslc.export.network import Trained
from dslc.ir import Head, Network, Training
from dslc.language.diagnostics import DataError
from dslc.quantization.analysis import LayerLoss, layer_losses, signal_to_noise
from dslc.quantization.calibration import float_values
from dslc.quantization.endings import finish
from dslc.quantization.program import Ending, Program
from dslc.quantization.reference import encode, run
from dslc.runtime.data.arrays import as_inputs, as_targets, by_name, require_labels
from dslc.runtime.data.lazy import LazyArray, on_disk, rows_of
from dslc.runtime.data.sample_weights import as_weights
from dslc.runtime.data.schema import Schema
from dslc.runtime.data.vocabulary import text_input
from dslc.runtime.metrics import head_confusion, head_metrics
from dslc.runtime.native.integers import CompiledIntegers
from dslc.runtime.training.quantized_folder import write_folder
from dslc.target import Target, native

Array = np.ndarray[Any, Any]
PORTION = 1024
"""Examples of a file that are read at a time."""
LOOKED_AT = 32
"""Examples by which the integers are compared with the network in float."""


def signals_of(trained: Trained, program: Program, inputs: Mapping[str, Array]) -> tuple[float, ...]:
    """The signal-to-noise ratio in decibels of the integers of each head against the network in float, on the first of
    some inputs in float32 by name."""
    some = {name: x[:LOOKED_AT] for name, x in inputs.items()}
    real = float_values(trained.network, trained.parameters, some)
    found = run(program, {port.tensor: encode(program, port, some[port.name]) for port in program.ports})
    ends = [(real[e.tensor], program.tensor(e.tensor).encoding.decode(found[e.tensor])) for e in program.endings]
    return tuple(signal_to_noise(*pair) for pair in ends)


class QuantizedModel:
    """A network in 8-bit integers. `trained` has its spec and what is known of its data, `program` its integers, and
    `signals` how far these were from the network in float, in decibels by head, None where that is not known.

    Predictions, metrics and classes are as those of `Model`. Several Python threads may share it: each call has memory
    of its own.

    Raises:
        UsageError: there is no C compiler.
    """

    def __init__(
        self,
        trained: Trained,
        program: Program,
        schema: Schema,
        target: Target | None = None,
        signals: tuple[float, ...] | None = None,
        threads: Threads = "auto",
    ) -> None:
        self.trained, self.program, self.schema, self.signals = trained, program, schema, signals
        self.compiled = CompiledIntegers(program, trained, target or native(), threads)
        takes_arrays = not (schema.offsets or trained.network.tables or text_input(trained.network)) and schema.scale
        self._shape = (-1, *trained.network.answers[0].value.shape)
        self._is_plain = takes_arrays and len(trained.network.answers) == 1

    @property
    def network(self) -> Network:
        """The checked spec."""
        return self.trained.network

    @property
    def training(self) -> Training:
        """The settings of `train`. Raises DataError if the file has none."""
        if self.network.training is None:
            raise DataError("this network has no `train`: it predicts only")
        return self.network.training

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `dslc.load` and the command line read: the spec, and a file with the integers. A
        quantized network that is there is replaced.

        Raises:
            DataError: the folder holds something else, or cannot be written.
        """
        write_folder(Path(folder), self.trained, self.program, self.schema, self.signals)

    # ------------------------------------------------------------------------------------------- prediction

    def predict(self, x: Any) -> Any:
        """The outputs for x of shape (n, *input): an array (n, *output), or a dict of arrays by head if there are
        several. A network with several inputs takes a dict by input or a tuple.

        Raises:
            DataError: x does not fit the network or is not finite.
        """
        if self._is_plain and (numbers := self.compiled.predict_array(x)) is not None:
            # The general path below would take longer in Python than a small network in C.
            return numbers.reshape(self._shape)
        parts = [self.compiled.predict(inputs)[1] for inputs in self._portions(x)]
        heads = self.network.answers
        found = {
            head.name: np.concatenate(arrays).reshape(-1, *head.value.shape)
            for head, arrays in zip(heads, zip(*parts, strict=True), strict=True)
        }
        return found if len(found) > 1 else found[heads[0].name]

    def predict_classes(self, x: Any) -> Any:
        """The likeliest class of each example as its label: an array (n,), a dict by head if there are several.

        Raises:
            DataError: a head tells no classes.
        """
        return self.schema.predicted_classes(self.network, self.predict(x))

    def reference(self, inputs: Sequence[Array]) -> list[Array]:
        """What the integers of each head are by NumPy, for inputs in float32 in the order of the network."""
        by_port = dict(zip((value.name for value in self.network.inputs), inputs, strict=True))
        program = self.program
        values = run(program, {port.tensor: encode(program, port, by_port[port.name]) for port in program.ports})
        return [values[ending.tensor] for ending in program.endings]

    def integers(self, inputs: Sequence[Array]) -> list[Array]:
        """The same by the compiled C: uint8 (n, *shape) for each head."""
        return self.compiled.predict(inputs)[0]

    def _integers(self, x: Any) -> list[Array]:
        parts = [self.integers(inputs) for inputs in self._portions(x)]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def inputs(self, x: Any) -> list[Array]:
        """Inputs as numbers in float32, in the order of the network. Raises DataError if they do not fit."""
        return as_inputs(self.network, self.schema.inputs(self.network, x), np.float32)

    def _portions(self, x: Any) -> Iterator[list[Array]]:
        """The same so many examples at a time, where they lie in files."""
        if isinstance(x, LazyArray) or (isinstance(x, np.ndarray) and on_disk(x)):
            for start in range(0, len(x), PORTION):
                yield self.inputs(rows_of(x, np.arange(start, min(start + PORTION, len(x)))))
        else:
            yield self.inputs(x)

    def _numbers(self, ending: Ending, q: Array) -> Array:
        head = next(head for head in self.network.answers if head.name == ending.head)
        return finish(self.program, self.trained, ending, q).reshape(len(q), *head.value.shape)

    # ------------------------------------------------------------------------------------------- judging

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Loss (without regularization) and metrics by name, as those of `Model.evaluate`.

        Raises:
            DataError: the data do not fit, or all labels of a head are missing.
        """
        metrics = self.training.metrics
        integers, targets, weights = self._judged(x, y, sample_weight)
        several, found, total = len(integers) > 1, dict[str, float](), 0.0
        for head, ending, q, target in zip(self.network.answers, self.program.endings, integers, targets, strict=False):
            prefix = f"{head.name}_" if several else ""
            loss = self._loss(head, ending, q, target, weights)
            total += loss
            if several:
                found[f"{prefix}loss"] = loss
            scores = head_metrics(head, self._numbers(ending, q), target, metrics, weights)
            found |= {prefix + name: value for name, value in scores.items()}
        return {"loss": total, **found}

    def confusion(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, Array]:
        """The confusion matrix (classes, classes) of every head that predicts classes, by head. Raises DataError as
        `evaluate` does."""
        integers, targets, weights = self._judged(x, y, sample_weight)
        found = {}
        for head, ending, q, target in zip(self.network.answers, self.program.endings, integers, targets, strict=False):
            matrix = head_confusion(head, self._numbers(ending, q), target, weights)
            if matrix is not None:
                found[head.name] = matrix
        return found

    def layer_losses(self, inputs: Mapping[str, Array]) -> list[LayerLoss]:
        """What each operation loses, for inputs in float32 by name. Needs the parameters in float, which a model read
        from its folder does not have.

        Raises:
            DataError: there are no such parameters.
        """
        if len(self.trained.parameters) < len(self.network.parameters):
            raise DataError("a quantized network has no weights in float to compare with: see its quantization.txt")
        return layer_losses(self.program, self.trained, inputs)

    def _judged(self, x: Any, y: Any, sample_weight: Any) -> tuple[list[Array], list[Array], Array | None]:
        """The integers of the heads, the targets and the sample weights."""
        integers = self._integers(x)
        count = len(integers[0])
        targets = as_targets(self.network, self.schema.targets(self.network, y), count, np.float32)
        weights = None if sample_weight is None else as_weights(sample_weight, count, np.float32)
        require_labels(self.network, targets, weights)
        return integers, targets, weights

    def _loss(self, head: Head, ending: Ending, q: Array, target: Array, weights: Array | None) -> float:
        """The loss of a head, from the input of its softmax or sigmoid where it takes that."""
        assert head.loss is not None
        loss, own = head.loss, self.network.class_weights(head)
        if own is not None:
            loss = replace(loss, class_weights=tuple(self.trained.parameters[own.name]))  # type: ignore[type-var]
        producer = self.network.producer(head.value)
        if producer is not None and producer.layer.of_target:
            mean, std = (self.trained.parameters[f"{producer.name}.{role}"] for role in ("mean", "std"))
            target = (target - mean) / std
        if producer is not None and (loss.through or producer.layer.of_target):
            ending = replace(ending, layers=ending.layers[:-1])
            head = replace(head, value=producer.inputs[0])
        value = finish(self.program, self.trained, ending, q).reshape(len(q), *head.value.shape)
        return float(loss.reference(value.astype(np.float64), target, weights)[0])


def calibration_inputs(network: Network, schema: Schema, x: Any, count: int, seed: int = 0) -> dict[str, Array]:
    """Up to `count` examples by input in float32, drawn by the seed. Raises DataError if they do not fit."""
    given = by_name(x, [value.name for value in network.inputs], "input") if not network.tables else [x]
    examples = len(given[0])
    if examples > count:
        at = np.sort(np.random.default_rng(seed).choice(examples, count, replace=False))
        some = [rows_of(a, at) if isinstance(a, (np.ndarray, LazyArray)) else a for a in given]
        x = some[0] if len(some) == 1 else dict(zip((v.name for v in network.inputs), some, strict=True))
    arrays = as_inputs(network, schema.inputs(network, x), np.float32)
    if not len(arrays[0]):
        raise DataError("there is no example to calibrate with")
    return dict(zip((v.name for v in network.inputs), (a[:count] for a in arrays), strict=True))
