"""A compiled network that trains and predicts: what people call. The work is done in the rooms it names."""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc.codegen.build import Library
from dslc.compiler import plan_network
from dslc.ir import Network, Training
from dslc.language.diagnostics import DataError
from dslc.plan import Plan
from dslc.planning.planner import Options
from dslc.runtime.data.arrays import require_labels
from dslc.runtime.data.schema import Schema
from dslc.runtime.native import inference, initial, steps
from dslc.runtime.native.compiled import Compiled
from dslc.runtime.native.parameters import Parameters
from dslc.runtime.training import checkpoint as checkpoints
from dslc.runtime.training import fit as fitting
from dslc.runtime.training.history import History
from dslc.runtime.training.progress import make_progress
from dslc.runtime.training.weights import read_schema, read_weights, save_weights
from dslc.target import Target

Array = np.ndarray[Any, Any]


class Model:
    """What `dslc.load` returns. `network` is the checked spec, `compiled` its C and memory, `epoch` and `step` the
    position in training, `standing` what the last `fit` has found so far, `schema` what it knows of its data.

    Several Python threads may share a model: one call at a time works in its memory and the others wait, for a `fit`
    no longer than a fraction of a second. Threads that are to work side by side take a `copy()` each.
    """

    def __init__(
        self, network: Network, threads: int = 1, options: Options | None = None, target: Target | None = None
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.network, self.threads, self.options, self.target = network, threads, options, target
        self.schema = Schema()
        self.seed = network.training.seed if network.training else 0
        self.epoch = 0
        self.compiled = Compiled(network, self._plan(None), threads, self.seed)
        self.restore_weights(dict(initial.drawn(network, self.seed)))
        self._unfitted = initial.first_layers(network)
        self.standing: checkpoints.Standing | None = None
        self._resumed: checkpoints.Standing | None = None
        self._fitting = threading.RLock()

    def _plan(self, batch: int | None) -> Plan:
        return plan_network(self.network, self.target, batch, threads=self.threads, options=self.options)

    def _make_room(self, count: int) -> None:
        """With `batch all` the capacity follows the data: compiled again when more examples come."""
        with self.compiled.lock:
            if self.training.batch is None and count > self.batch:
                self.compiled.grow(self._plan(count))

    def _fit_first_layers(self, inputs: list[Array]) -> None:
        """Once: not again where training goes on, nor where their parameters were loaded."""
        if self.step == 0:
            self.restore_weights(dict(initial.fitted(self.network, self._unfitted, inputs)))
            self._unfitted = set()

    def _arrays(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        self.training  # noqa: B018 - raises where the network cannot be judged
        arguments = self.compiled.arguments
        inputs = arguments.inputs(self.schema.inputs(self.network, x))
        targets = arguments.targets(self.schema.targets(self.network, y), len(inputs[0]))
        require_labels(self.network, targets)
        return inputs, targets

    def _training_arrays(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """A training that begins learns the names in its data; one that goes on knows them."""
        self.training  # noqa: B018 - raises where there is nothing to train
        anew, arguments = self.step == 0 and self._resumed is None, self.compiled.arguments
        schema = self.schema.of_inputs(self.network, x, self._unfitted if anew else (), anew)
        inputs = arguments.inputs(schema.inputs(self.network, x))
        schema = schema.of_targets(self.network, y, anew)
        targets = arguments.targets(schema.targets(self.network, y), len(inputs[0]))
        require_labels(self.network, targets)
        self.schema = schema
        return inputs, targets

    def copy(self) -> Model:
        """An independent model that stands where this one does: the same parameters, optimizer state and position, in a
        workspace of its own. The C is shared. With a copy each, several Python threads predict side by side.

        Raises:
            UsageError: the machine has not so much memory.
        """
        with self.compiled.lock:
            twin = copy.copy(self)
            twin.compiled = self.compiled.copy()
            twin._fitting = threading.RLock()
            twin._unfitted = set(self._unfitted)
            twin.standing, twin._resumed = (s and s.copy() for s in (self.standing, self._resumed))
            return twin

    def _check_dev(self, dev: Any) -> None:
        if not isinstance(dev, (tuple, list)) or len(dev) != 2:
            raise DataError("dev is a pair, as in dev=(x_dev, y_dev)")
        x, y = dev
        self.schema.check_part(self.network, x, y, "dev set")

    # ------------------------------------------------------------------------------------------- facts

    @property
    def training(self) -> Training:
        """What `train` says. Raises DataError where the file has none."""
        if self.network.training is None:
            raise DataError("this network has no `train`: it predicts only")
        return self.network.training

    @property
    def class_names(self) -> Any:
        """The names of the classes in the order of their numbers: those that `fit` has found in the targets, else the
        numbers. None where the head tells no classes; a dict by head if there are several."""
        found = {head.name: self.schema.names(head) for head in self.network.heads}
        return found if len(found) > 1 else next(iter(found.values()))

    @property
    def feature_names(self) -> Any:
        """The columns of the table that the network was fitted on, in their order; None where it was none. A dict by
        input if there are several."""
        found = {value.name: self.schema.features.get(value.name) for value in self.network.inputs}
        return found if len(found) > 1 else next(iter(found.values()))

    @property
    def plan(self) -> Plan:
        """What was compiled."""
        return self.compiled.plan

    @property
    def library(self) -> Library:
        """The native module."""
        return self.compiled.library

    @property
    def parameters(self) -> Parameters:
        """Live views of all parameters by name: what is written is what the network computes with."""
        return self.compiled.parameters

    @property
    def lock(self) -> threading.RLock:
        """Held while the network's memory is in use: one call at a time."""
        return self.compiled.lock

    @property
    def batch(self) -> int:
        """How many examples a mini-batch has at most."""
        return self.plan.batch

    @property
    def dtype(self) -> Any:
        return self.compiled.dtype

    @property
    def step(self) -> int:
        """Updates so far."""
        return self.compiled.step

    @property
    def memory_bytes(self) -> int:
        """Bytes that the network's memory takes: what `dslc check` announced, and more once `gradients` was asked."""
        return self.compiled.arena.bytes

    def learning_rate(self, epoch: int, step: int | None = None) -> float:
        """The learning rate in an epoch at an update, both counted from 0; at the next update unless one is given."""
        training = self.training
        lr, schedule = training.optimizer.lr, training.schedule
        return schedule.learning_rate(lr, epoch, self.step if step is None else step) if schedule else lr

    # ------------------------------------------------------------------------------------------- prediction

    def predict(self, x: Any) -> Any:
        """The outputs for `x` of shape (n, *input): an array (n, *output), a dict by head if there are several."""
        compiled = self.compiled
        with compiled.lock:
            return inference.predict(compiled, self.schema.inputs(self.network, x))

    def predict_classes(self, x: Any) -> Any:
        """The likeliest class of each example as its label, in the type that the training targets had: an array (n,),
        a dict by head if there are several.

        Raises:
            DataError: a head tells no classes.
        """
        outputs = self.predict(x)
        given = outputs if isinstance(outputs, dict) else {self.network.heads[0].name: outputs}
        found = {head.name: self.schema.predicted(head, given[head.name]) for head in self.network.heads}
        return found if len(found) > 1 else next(iter(found.values()))

    def prediction_times(self, x: Any, runs: int) -> list[float]:
        """The seconds that the C takes to predict the first example of `x`, so many times over."""
        first = [array[:1] for array in self.compiled.arguments.inputs(self.schema.inputs(self.network, x))]
        with self.compiled.lock:
            return inference.times(self.compiled, first, runs)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Loss (without regularization) and metrics over all examples, in prediction mode.

        Raises:
            DataError: the data do not fit, or a head has no label that is there.
        """
        arrays = self._arrays(x, y)
        with self.compiled.lock:
            return inference.evaluate(self.compiled, *arrays, self.training.metrics)

    def confusion(self, x: Any, y: Any) -> dict[str, Array]:
        """By head that judges classes, the counts (classes, classes): rows are the true classes, columns the predicted
        ones. Under a sigmoid they are no and yes."""
        arrays = self._arrays(x, y)
        with self.compiled.lock:
            return inference.confusion(self.compiled, *arrays)

    # ------------------------------------------------------------------------------------------- training

    def fit(
        self,
        x: Any,
        y: Any,
        dev: tuple[Any, Any] | None = None,
        epochs: int | None = None,
        progress: str = "none",
        on_epoch: fitting.OnEpoch | None = None,
    ) -> History:
        """Trains for `epochs` (the file's unless given). After `resume` it goes on with the training that was stopped,
        for so many more epochs, or those that were still to come; the history has all of its records. With 0 epochs a
        training that was over when it was resumed is brought to its end: the best weights are left, as they were.

        on_epoch: called with each epoch's record; a word that it returns ends training and says why.

        Ctrl-C ends it cleanly; with a dev set the best weights are kept. Calls of other threads come between two
        mini-batches; a second `fit` waits for the end of the first.

        Raises:
            DataError: the data do not fit or have no labels, or nothing is left to be done of a training that was
                resumed.
        """
        arrays = self._training_arrays(x, y)
        if dev is not None:
            self._check_dev(dev)
        with self._fitting:
            self._make_room(len(arrays[0][0]))
            self._fit_first_layers(arrays[0])
            run = fitting.Fit(self, arrays, dev, make_progress(progress), on_epoch)
            if epochs is None:
                epochs = self._resumed.remaining() if self._resumed else self.training.epochs
            if self._resumed is not None:
                run.go_on(self._resumed)
                self.restore_weights(self._resumed.last(self.copy_weights()))
                self._resumed = None
            return run.run(epochs)

    def train_batches(
        self, inputs: list[Array], targets: list[Array], order: Array, done: int, sums: Array, seconds: float
    ) -> tuple[bool, int]:
        """Mini-batches from position `done` of `order` on, for about so many seconds: whether the loss stayed finite,
        and the new position. What the losses consist of is added to `sums`, see `steps.new_sums`."""
        with self.compiled.lock:
            first, count = self.step, -(-(len(order) - done) // self.batch)
            rates = np.array([self.learning_rate(self.epoch, step) for step in range(first, first + count)])
            return steps.train_batches(self.compiled, [*inputs, *targets], order, done, sums, rates, seconds)

    def train_step(self, x: Any, y: Any) -> float:
        """One update on this mini-batch; the loss before it. A loss that is not finite updates nothing."""
        with self.compiled.lock:
            batch = self._batch(x, y)
            self.compiled.net.lr = self.learning_rate(self.epoch)
            return steps.on_batch(self.compiled, "train_step", *batch)

    def loss(self, x: Any, y: Any) -> float:
        """The loss of a mini-batch in training mode, regularization included."""
        with self.compiled.lock:
            return steps.on_batch(self.compiled, "loss", *self._batch(x, y))

    def gradients(self, x: Any, y: Any) -> dict[str, Array]:
        """The gradient of every parameter that learns, regularization included; nothing is updated. The first call
        takes memory for those that training does not store.

        Raises:
            DataError: the loss of this mini-batch is not finite, so that there are none.
            UsageError: the machine has not so much memory.
        """
        with self.compiled.lock:
            loss = self.time_gradients(x, y)
            if not np.isfinite(loss):
                raise DataError(f"the loss of this mini-batch is {loss}: it has no gradients")
            return self.compiled.gradients()

    def time_gradients(self, x: Any, y: Any) -> float:
        """Computes the gradients and leaves them where they are: the loss."""
        with self.compiled.lock:
            batch = self._batch(x, y)
            self.compiled.arena.add_gradients()
            return steps.on_batch(self.compiled, "gradients", *batch)

    def _batch(self, x: Any, y: Any) -> tuple[list[Any], int]:
        """The pointers to a mini-batch and its size, with room for it where the capacity follows the data."""
        x, y = self.schema.inputs(self.network, x), self.schema.targets(self.network, y)
        pointers, count = self.compiled.arguments.batch(x, y)
        if count > self.compiled.plan.batch:
            self._make_room(count)
        return pointers, count

    # ------------------------------------------------------------------------------------------- weights

    def copy_weights(self) -> dict[str, Array]:
        """All parameters, copied."""
        with self.compiled.lock:
            return {name: view.numpy() for name, view in self.parameters.items()}

    def restore_weights(self, weights: Mapping[str, Array]) -> None:
        """Writes these parameters; arrays in the language's shapes by name, as `copy_weights` gives them."""
        with self.compiled.lock:
            for name, array in weights.items():
                self.parameters[name][...] = array

    def first_not_finite(self) -> str | None:
        """The first parameter with a value that is not finite."""
        return next((n for n, view in self.parameters.items() if not np.isfinite(view.numpy()).all()), None)

    def save(self, path: str | Path) -> None:
        """Writes all parameters as safetensors, with what is known of the data."""
        save_weights(path, self.network, self.copy_weights(), self.schema)

    def load_weights(self, path: str | Path, only: Collection[str] | None = None, strict: bool = True) -> list[str]:
        """Reads parameters from safetensors. `only`: just these layers; strict=False: whatever fits.

        Returns a line on each array that was left out because it does not fit: with strict=False there may be some.

        Raises:
            DataError: with the list of what differs.
        """
        shapes = {name: view.shape for name, view in self.parameters.items()}
        found, left_out = read_weights(path, shapes, only, strict)
        layers = {name.partition(".")[0] for name in found}
        schema, whole = read_schema(path), only is None and not left_out
        if whole or layers & initial.first_layers(self.network):
            self.schema = schema if whole else replace(self.schema, offsets=schema.offsets)
        self.restore_weights(found)
        self._unfitted -= layers
        self.standing = self._resumed = None  # another training begins
        return left_out

    # ------------------------------------------------------------------------------------------- checkpoints

    def checkpoint(self, path: str | Path) -> None:
        """Writes all that training needs to go on: parameters, optimizer state, step, epoch, history, the best weights
        so far. Between two epochs (after `fit`, or from its `on_epoch`) it goes on bit for bit as if it had never
        stopped; an epoch that Ctrl-C broke off is begun again.

        Raises:
            DataError: the file cannot be written, or a parameter is not finite.
        """
        with self.compiled.lock:
            states = {name: view.numpy() for name, view in self.compiled.states().items()}
            taken = checkpoints.take(self.copy_weights(), states, self.standing, self.step, self.epoch, self._unfitted)
        taken.write(path, self.network, self.schema)

    def resume(self, path: str | Path) -> None:
        """Stands where the checkpoint was taken: the next `fit` goes on with that training.

        Raises:
            DataError: with what differs, if it is a checkpoint of another network; this one stays as it was.
        """
        shapes = [
            {name: view.shape for name, view in views.items()} for views in (self.parameters, self.compiled.states())
        ]
        found = checkpoints.read(path, self.network, *shapes)
        position, self.schema = found.position, read_schema(path)
        with self.compiled.lock:
            self.restore_weights(found.best if position.holds_best else found.last)
            for name, view in self.compiled.states().items():
                view[...] = found.states[name]
            self.compiled.step, self.epoch, self._unfitted = position.step, position.epoch, set(position.unfitted)
            self.standing = self._resumed = found.standing
