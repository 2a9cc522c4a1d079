"""A compiled network that trains and predicts: the public interface. The work is done in `native/` and `training/`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dslc import derived
from dslc.checker.columns import require_values
from dslc.codegen.build import Library
from dslc.compiler import check_text
from dslc.cores import Threads, threads_to_use
from dslc.ir import ON_NAN, Network, Training
from dslc.language.diagnostics import DataError
from dslc.plan import Plan
from dslc.plan_cache import Compilation, Request
from dslc.planning.planner import Options
from dslc.runtime import overview
from dslc.runtime.data.arrays import NO_LOSS, as_inputs, as_targets, by_head
from dslc.runtime.data.parts import WHOLE, Part, Share
from dslc.runtime.data.schema import Schema
from dslc.runtime.data.stream import as_stream, is_stream
from dslc.runtime.data.stream_schema import schema_of
from dslc.runtime.native import inference, initial, probing, steps
from dslc.runtime.native.compiled import Compiled, compilation
from dslc.runtime.native.conversion import Conversion
from dslc.runtime.native.family import Family
from dslc.runtime.native.locks import Lock
from dslc.runtime.native.memory import require_room_to_fit
from dslc.runtime.native.mpi import joined
from dslc.runtime.native.parameters import Parameters, ParameterView, Stored
from dslc.runtime.native.portions import first_inputs, input_portions, is_small, labelled_portions, wants_portions
from dslc.runtime.native.ranks import ALONE, Ranks
from dslc.runtime.native.same_data import ROWS, checksum
from dslc.runtime.training import checkpoint as checkpoints
from dslc.runtime.training import fit as fitting
from dslc.runtime.training.asked import require_arguments, require_count
from dslc.runtime.training.batches import Batches, Order, batches_of
from dslc.runtime.training.callbacks import Callback, several
from dslc.runtime.training.history import History
from dslc.runtime.training.pieces import Piece
from dslc.runtime.training.progress import UntilItFails
from dslc.runtime.training.progress_kinds import make_progress
from dslc.runtime.training.spec_text import as_trained, completed
from dslc.runtime.training.weights import read_schema, read_weights, require_weights, save_weights
from dslc.target import Target

Array = np.ndarray[Any, Any]


class Model:
    """A compiled network, as `dslc.load` returns it. `network` is the checked spec, `compiled` its C and memory,
    `epoch` and `step` the position in training, `fit_state` the state of the last `fit`, `schema` what is known
    of the data, `watched` the metric that the schedule goes by, of every epoch (smaller is better), `lr_factor` what
    `on_nan halve_lr` has left of the learning rate.
    `threads` is as in `dslc.load`.

    Several Python threads may share a model: one call at a time works in its memory and the others wait, for a running
    `fit` at most a fraction of a second. Threads that are to work in parallel take a `copy()` each.

    Raises:
        PlanError: the plan is wrong, which is a bug in the planner.
        UsageError: there is no C compiler, or the machine has too little memory.
        ValueError: `threads` is less than 1.
    """

    def __init__(
        self,
        network: Network,
        threads: Threads = "auto",
        options: Options | None = None,
        target: Target | None = None,
        ranks: Ranks = ALONE,
        capacity: int | None = None,
    ) -> None:
        self.network, self.options, self.target = network, options, target
        self._capacity = capacity
        self._wanted_threads = threads_to_use(threads)
        self._ranks = self._own_ranks = ranks
        self.schema = Schema()
        self.seed = network.training.seed if network.training else 0
        self.epoch = 0
        self.watched: list[float] = []
        self.lr_factor = 1.0
        self._schedule = network.training.schedule if network.training else None
        self._compiled: Compiled | None = None
        self._family: Family | None = None
        self._insides: dict[tuple[str, ...], Model] = {}
        self.fit_state: checkpoints.FitState | None = None
        self._resumed: checkpoints.FitState | None = None
        if not network.open:
            self._compile(network)
        self._fitting, self._in_fit = Lock(), False

    def _compile(self, network: Network) -> None:
        """Compiles the network, with fresh parameters."""
        self.network, self._insides = network, {}
        with self._ranks.one_before_the_others():
            self._compiled = Compiled(network, self._made(self._capacity), self.seed)
        self.fit_state, self._resumed = None, None
        self._compiled.on_write = self._keep_best
        for name, array in initial.initial_parameters(network, self.seed):
            self.parameters[name][...] = array
        self._unfitted = initial.fitted_layers(network)

    def _made(self, batch: int | None) -> Compilation:
        return compilation(self._request(batch))

    def _request(self, batch: int | None) -> Request:
        ranks, training = self._ranks, self.network.training
        asked = Request(self.network, self.target, batch, self._wanted_threads, self.options)
        if ranks is ALONE or training is None:
            return asked
        capacity = ranks.capacity(batch or training.batch or ranks.size, training.slices or 1)
        return replace(asked, batch=capacity, over_ranks=True, cores=ranks.cores())

    def _join(self, ranks: Ranks, examples: int) -> None:
        """From now on these ranks share the training: the network is compiled for this one's part of a mini-batch."""
        with self.compiled.lock:
            self._ranks, before = ranks, self._ranks
            self._mini_batch = self.training.batch or examples
            if ranks is not before or (ranks is not ALONE and self.batch < ranks.capacity(self._mini_batch)):
                with ranks.one_before_the_others():
                    self.compiled.grow(self._made(self._mini_batch if self.training.batch is None else None))

    def _make_room(self, count: int) -> None:
        """With `batch all` the capacity follows the data: the network is compiled again for more examples."""
        with self.compiled.lock:
            if self._ranks is ALONE and self.training.batch is None and count > self.batch:
                self.compiled.grow(self._made(count))

    def _fit_layers(self, batches: Batches, y: Any) -> None:
        """Fits layers such as standardize, and the unit of targets, once: not when training continues, nor if their
        parameters were loaded."""
        if self.step == 0:
            targets, weights = batches.labels() if initial.wants_targets(self.network, self._unfitted) else ([], None)
            if targets and y is not None:  # in double precision: their unit is found before they are rounded
                targets = as_targets(self.network, self.schema.targets(self.network, y), len(targets[0]), np.float64)
            found = initial.fitted(self.network, self._unfitted, batches.portions, targets, weights)
            self.restore_weights(dict(found))
            self._unfitted = set()

    def _conversion(self) -> Conversion:
        return Conversion(self.network, self.schema, self.compiled.arguments)

    def _labelled(
        self, x: Any, y: Any, sample_weight: Any, ranks: Ranks = ALONE
    ) -> AbstractContextManager[inference.Portions]:
        self.training  # noqa: B018 - raises where the network cannot be judged
        return labelled_portions(self._conversion(), x, y, sample_weight, self.batch, ranks.part)

    def _training_batches(self, x: Any, y: Any, sample_weight: Any = None, part: Part = WHOLE) -> Batches:
        """A training that begins learns the names in its data; one that goes on knows them. part: which of several
        ranks looks through which examples."""
        training, anew = self.training, self.step == 0 and self._resumed is None
        unfitted = self._unfitted if anew else ()
        if y is None:
            x = as_stream(x)
            schema = schema_of(self.schema, self.network, x, unfitted, anew)
        else:
            schema = self.schema.of_inputs(self.network, x, unfitted, anew).of_targets(self.network, y, anew)
        order, convert = Order(self.seed, training.shuffle), replace(self._conversion(), schema=schema)
        found = batches_of(convert, x, y, sample_weight, order, training.batch, part)
        self.schema = schema
        return found

    def copy(self) -> Model:
        """An independent model with the same parameters, optimizer state and position in training, and memory of its
        own. The C code is shared. With a copy each, several Python threads can predict in parallel.

        Raises:
            UsageError: the machine has too little memory.
        """
        with self.compiled.lock:
            twin = object.__new__(type(self))
            twin.__dict__.update(self.__dict__)
            twin._compiled, twin._family, twin._insides = self.compiled.copy(), None, {}
            twin.compiled.on_write = twin._keep_best
            twin._fitting, twin._in_fit = Lock(), False
            twin._unfitted, twin.watched = set(self._unfitted), list(self.watched)
            twin.fit_state = self.fit_state and self.fit_state.copy()
            twin._resumed = self._resumed and twin.fit_state
            return twin

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: the spec's text, and what predictions and further training depend on. A training that was stopped
        is not continued from it as from a checkpoint: it has no history."""
        state = {
            "spec": as_trained(self.network),
            "precision": self.network.precision,
            "patience": self.network.training and self.network.training.patience,
            "setting": (self._wanted_threads, self.options, self.target),
        }
        if self._compiled is None:
            return state
        with self.compiled.lock:
            return state | {
                "weights": self.copy_weights(),
                "states": {name: view.numpy() for name, view in self.compiled.states().items()},
                "position": (self.step, self.epoch),
                "lr_factor": self.lr_factor,
                "unfitted": self._unfitted,
                "schema": self.schema.to_json(),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The C comes from the cache, or it is compiled for the machine that reads the pickle."""
        network = check_text(state["spec"], dtype=state["precision"])
        if network.training is not None:
            network = replace(network, training=replace(network.training, patience=state["patience"]))
        Model.__init__(self, network, *state["setting"])
        if "weights" not in state:
            return
        self.restore_weights(state["weights"])
        for name, view in self.compiled.states().items():
            view[...] = state["states"][name]
        self.compiled.step, self.epoch = state["position"]
        self.lr_factor = state["lr_factor"]
        self._unfitted, self.schema = set(state["unfitted"]), Schema.from_json(state["schema"])

    def learn_columns(self, x: Any, sample_weight: Any = None) -> None:
        """Learns from training inputs how the columns that the spec declares, and texts, become numbers: once, and not
        if weights were loaded. The values of categories are filled into the spec, and the network is compiled. `fit`
        does it.

        Raises:
            DataError: a column is missing, holds something else than is declared, or never varies; or sample weights
                are not what they should be.
        """
        with self._fitting:
            schema = self.schema.of_tables(self.network, x, sample_weight)
            if self.network.open:
                self._compile(completed(self.network, schema))
            self.schema = schema

    @contextmanager
    def _unchanged_by_errors(self) -> Iterator[None]:
        """Data that are refused leave no trace of what was learned from them."""
        before = self.network, self._compiled, self.schema
        try:
            yield
        except DataError:
            self.network, self._compiled, self.schema = before
            raise

    def _checked_dev(self, dev: Any) -> tuple[Any, Any, Any]:
        """x, y and sample weights or None of a dev set that was looked through; a stream and twice None."""
        if is_stream(dev):
            return as_stream(dev), None, None
        if not isinstance(dev, (tuple, list)) or len(dev) not in (2, 3):
            raise DataError("dev is a pair, as in dev=(x_dev, y_dev), or has sample weights behind it, or is a stream")
        x, y, weights = (*dev, None)[:3]
        self.schema.check_part(self.network, x, y, "dev set", sample_weight=weights)
        if self.network.tables:
            x = self.schema.inputs(self.network, x)  # once, not in each epoch
        return x, y, weights

    # ------------------------------------------------------------------------------------------- properties

    @property
    def training(self) -> Training:
        """The settings of `train`. Raises DataError if the file has none."""
        if self.network.training is None:
            raise DataError(NO_LOSS)
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
    def compiled(self) -> Compiled:
        """The network's C and memory.

        Raises:
            SpecError: the values of a column come from the training set, and there was none yet.
        """
        if self._compiled is None:
            require_values(self.network)
        assert self._compiled is not None
        if self._family is not None:
            self._family.enter(self._compiled)
        return self._compiled

    @property
    def plan(self) -> Plan:
        """The plan that was compiled; made once more if the module came from the cache."""
        return self.compiled.plan

    @property
    def library(self) -> Library:
        """The native module."""
        return self.compiled.library

    @property
    def threads(self) -> int:
        """How many threads share the work at most."""
        return self.compiled.memory.threads

    @property
    def parameters(self) -> Parameters:
        """Live views of all parameters by name, in the language's shapes. Writing, `parameters[name][...] = array`,
        changes the network; what reading gives, `parameters[name][...]`, is a copy that cannot be written."""
        return self.compiled.parameters

    @property
    def lock(self) -> Lock:
        """Held while the network's memory is in use: one call at a time."""
        return self.compiled.lock

    @property
    def batch(self) -> int:
        """The largest number of examples in a mini-batch."""
        return self.compiled.memory.step_batch

    @property
    def mini_batch(self) -> int:
        """The number of examples in a mini-batch, on all ranks together."""
        return (self.training.batch or self.batch) if self._ranks is ALONE else self._mini_batch

    @property
    def share(self) -> Share:
        """What this rank works through of each mini-batch."""
        whole, memory = self.mini_batch, self.compiled.memory
        if self._ranks is ALONE or memory.step_batch == memory.batch:
            return Share(whole, whole, self._ranks.part)
        slices = self.training.slices
        return Share(whole, whole // slices if slices else memory.batch * self._ranks.size, self._ranks.part)

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of the network's precision, float32 or float64."""
        return self.compiled.dtype

    @property
    def step(self) -> int:
        """The number of updates so far."""
        return self.compiled.step

    @property
    def memory_bytes(self) -> int:
        """The size of the network's memory in bytes: as `dslc check` prints it, more after a call of `gradients`."""
        return self.compiled.arena.bytes

    def summary(self) -> str:
        """A table of the layers with sizes, parameters and multiply-adds, and the bytes of memory, as text to print."""
        return overview.as_text(self.network, None if self._compiled is None else self.compiled.memory)

    def _repr_html_(self) -> str:
        """The diagram and the same table, for notebooks."""
        return overview.as_html(self.network, None if self._compiled is None else self.compiled.memory)

    def learning_rate(self, epoch: int, step: int | None = None) -> float:
        """The learning rate in an epoch at an update, both counted from 0. step: by default the next update. Raises
        DataError if one is no whole number from 0 on."""
        require_count("epoch", epoch)
        require_count("step", 0 if step is None else step)
        return self._rate(epoch, step)

    def _rate(self, epoch: int, step: int | None = None) -> float:
        lr, schedule = self.training.optimizer.lr, self._schedule
        if schedule:
            lr = schedule.learning_rate(lr, epoch, self.step if step is None else step)
        return lr * self.lr_factor

    def begin_epoch(self, epoch_steps: int | None) -> None:
        """Tells the schedule how many updates the next epoch has, and the metric that it goes by."""
        schedule = self.training.schedule
        self._schedule = schedule and schedule.during(epoch_steps, self.watched)

    # ------------------------------------------------------------------------------------------- prediction

    def predict(self, x: Any, layers: str | Collection[str] | None = None) -> Any:
        """The outputs for x of shape (n, *input): an array (n, *output), or a dict of arrays by head if there are
        several. A network with several inputs takes a dict by input or a tuple. x may be a stream of batches, as
        `dslc.Stream` describes it. layers: names of layers, whose results come instead, as a dict.

        Raises:
            DataError: x does not fit the network or is not finite, or there is no such layer.
        """
        if layers is not None:
            return self._inside(_names(layers), x)
        compiled = self.compiled
        with compiled.lock:
            if is_small(x) or not wants_portions(self._conversion(), x):
                return inference.predict(compiled, self.schema.inputs(self.network, x))
            with input_portions(self._conversion(), x, self.batch) as portions:
                return inference.predict_portions(compiled, portions)

    def _inside(self, layers: tuple[str, ...], x: Any) -> dict[str, Array]:
        """The results of layers, by name, from a network that ends there."""
        if not layers:
            return {}
        if layers not in self._insides:
            self._insides[layers] = self._related(derived.showing(self.network, layers))
        inside = self._insides[layers]
        with self.compiled.lock:
            inside.restore_weights({name: self.parameters[name].numpy() for name in inside.parameters})
            inside.schema = self.schema
            found = inside.predict(x)
        return found if isinstance(found, dict) else {layers[0]: found}

    def _related(self, network: Network) -> Model:
        return Model(network, self._wanted_threads, self.options, self.target)

    def part(self, output: str, start: str | None = None, freeze: str | Collection[str] = ()) -> Model:
        """A model of a part of the network that shares its parameters: up to an output or a layer, and with `start`
        only what comes behind that layer, whose result is the input then. Whichever of the models is used has what the
        others have learned; each has an optimizer of its own. A part that ends in an output trains with its loss.
        `freeze`: layers that the part does not train, nor others that share their parameters. Views of `parameters` are
        up to date when they are asked for.

        Raises:
            DataError: there is no such layer, or nothing between the two; the network keeps averages, whose training
                cannot be shared, or columns that are not known yet.
        """
        if self.network.training is not None and self.network.training.average is not None:
            raise DataError("a network with `average` has no parts: what predicts is not what is trained")
        part = self._related(derived.part_of(self.network, output, start, _names(freeze)))
        self._family = self._family or Family(self.compiled)
        self._family.join(part.compiled)
        part._family = self._family
        part._unfitted = set()
        return part

    def input_gradients(self, x: Any, y: Any) -> Any:
        """The gradient of each example's loss with respect to its input, in the shape of x: a dict by input if there
        are several, zeros for words and lengths. All is as at prediction: dropout and augmentation are off, batch norm
        takes its running averages, and the loss has no penalties. One example at a time is worked through.

        Raises:
            DataError: the data do not fit, or the network has no loss, no input of numbers, declares columns, or cuts
                its images.
        """
        key = ("", "input gradients")
        if key not in self._insides:
            self._insides[key] = self._related(derived.with_inputs_as_parameters(self.network))
        probe = self._insides[key]
        with self.compiled.lock:
            probe.restore_weights(self.copy_weights())
            xs = as_inputs(self.network, self.schema.inputs(self.network, x), self.dtype)
            ys = as_targets(self.network, self.schema.targets(self.network, y), len(xs[0]), self.dtype)
            found = probing.input_gradients(self.network, probe.parameters, probe.gradients, xs, ys)
        names = [value.name for value in self.network.inputs]
        return found[0] if len(found) == 1 else dict(zip(names, found, strict=True))

    def predict_classes(self, x: Any) -> Any:
        """The likeliest class of each example as its label, in the type that the training targets had: an array (n,),
        a dict by head if there are several.

        Raises:
            DataError: a head tells no classes.
        """
        return self.schema.predicted_classes(self.network, self.predict(x))

    def prediction_times(self, x: Any, runs: int) -> list[float]:
        """The seconds that the C takes to predict the first example of x, measured `runs` times."""
        first = first_inputs(self._conversion(), x)
        with self.compiled.lock:
            return inference.times(self.compiled, first, runs)

    def evaluate(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, float]:
        """Loss (without regularization) and metrics by name over all examples, in prediction mode.

        x: (n, *input). y: class numbers (n,) or (n, *output); with several heads a dict by head. Or a stream of
        batches (x, y) alone, as `dslc.Stream` describes it. sample_weight: what each example counts (n,), in the loss
        and in the metrics, as if it were there so many times.

        Raises:
            DataError: the data do not fit, or all labels of a head are missing.
        """
        with self.compiled.lock, self._labelled(x, y, sample_weight) as portions:
            return inference.evaluate(self.compiled, portions, self.training.metrics, ALONE)

    def evaluate_together(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """The same by all ranks of the training that is running: each works through its part of the examples. All of
        them make this call."""
        with self.compiled.lock, self._labelled(x, y, sample_weight, self._ranks) as portions:
            return inference.evaluate(self.compiled, portions, self.training.metrics, self._ranks)

    def confusion(self, x: Any, y: Any = None, sample_weight: Any = None) -> dict[str, Array]:
        """The confusion matrix (classes, classes) of every head that predicts classes: rows are the true classes,
        columns the predicted ones. For a sigmoid the classes are no and yes. With sample weights it holds their sums.
        Raises DataError as `evaluate` does."""
        with self.compiled.lock, self._labelled(x, y, sample_weight) as portions:
            return inference.confusion(self.compiled, portions)

    # ------------------------------------------------------------------------------------------- training

    def fit(
        self,
        x: Any,
        y: Any = None,
        dev: Any = None,
        epochs: int | None = None,
        progress: str | bool = "none",
        on_epoch: fitting.OnEpoch | None = None,
        sample_weight: Any = None,
        callbacks: Callback | Iterable[Callback] = (),
        on_nan: str | None = None,
        comm: Any = None,
        reduce: str = "fast",
    ) -> History:
        """Trains for a number of epochs, by default the file's.

        x, y: the training set, shapes as for `evaluate`; or a stream of batches (x, y) alone: `dslc.Stream`, a
        DataLoader, a data set of Hugging Face, anything that yields batches each time it is iterated over. dev: a pair
        (x_dev, y_dev), perhaps with sample weights behind it, or a stream; with one, the best weights are kept.
        progress: `none` or False, `bar`, `plain`, `json`, `auto` or True. on_epoch: called with each epoch's record; if
        it returns a word, training ends and the word becomes `History.stopped`. sample_weight: what each example counts
        (n,), as if it were there so many times; one that weighs 0 is left out. callbacks: see `dslc.callbacks`.
        on_nan: `stop`, `skip` or `halve_lr`, by default as the file says, from now on.

        comm: a communicator of mpi4py, whose ranks all make this call with the same data and train together: each works
        on its part of every mini-batch, and the result is that of one rank but for the order of sums. progress,
        on_epoch and callbacks are those of rank 0, but for callbacks with `every_rank`. reduce: `fast`, or `ordered`:
        sums in the order of the ranks, the same bits in every run of so many. An error in one rank ends all.

        After `resume` it continues the training that was interrupted, for `epochs` more or for those that were left;
        the history then has all records. With 0 epochs a resumed training that had ended just gets its best weights
        back.

        Ctrl-C ends training cleanly. Calls from other threads run between mini-batches; a second `fit` waits until the
        first has ended.

        Raises:
            DataError: the data do not fit or have no labels, a resumed training has no epochs left, a callback is
                none or calls `fit` itself, `epochs` is no whole number from 0 on, or `on_nan` is another word.
            UsageError: the machine has too little memory.
        """
        with nullcontext(self._own_ranks) if comm is None else joined(comm, reduce) as ranks:
            with ranks.setting_up(), self._unchanged_by_errors():
                self._require_no_training("fit")
                callbacks = several(callbacks)
                require_arguments(epochs, on_epoch)
                if y is not None:
                    self.learn_columns(x, sample_weight)
                elif any(table.input not in self.schema.tables for table in self.network.tables):
                    raise DataError(
                        "declared columns are learned from a whole table: first call model.learn_columns(table)"
                    )
                batches = self._training_batches(x, y, sample_weight, ranks.part)
                dev = None if dev is None else self._checked_dev(dev)
            with self._fitting:
                self._compare(ranks, on_nan or self.training.on_nan, batches.examples, dev)
                self._decide(on_nan or self.training.on_nan)
                with ranks.setting_up():
                    self._join(ranks, batches.examples or 0)
                    self._make_room(batches.examples or 0)
                    self._fit_layers(batches, y)
                    self._require_room(dev)
                    shown = batches.looked_at(ROWS) if ranks.size > 1 else {}
                    sums = {what: checksum(arrays) for what, arrays in shown.items()}
                for what, found in sums.items():
                    ranks.alike("the data", f"{what} with the checksum {found:08x}")
                shared = tuple(c for c in callbacks if getattr(c, "every_rank", False))
                ranks.alike("the number of callbacks that are called on every rank", len(shared))
                if not ranks.first:
                    progress, on_epoch, callbacks = "none", None, shared
                with ranks.setting_up():
                    display = UntilItFails(make_progress(progress))
                    run = fitting.Fit(self, batches, dev, display, on_epoch, callbacks, ranks)
                    if epochs is None:
                        epochs = self._resumed.remaining() if self._resumed else self.training.epochs
                    if self._resumed is not None:
                        run.resume_from(self._resumed)
                        self._resumed = None
                ranks.alike("the number of epochs", epochs)
                with ranks.training(), self._trains():
                    ranks.same_start(self.compiled)
                    return run.run(epochs)

    @contextmanager
    def _trains(self) -> Iterator[None]:
        """While `fit` trains, in the thread that holds `_fitting`."""
        self._in_fit = True
        try:
            yield
        finally:
            self._in_fit = False

    def _require_no_training(self, call: str) -> None:
        """Waits for a `fit` of another thread to end. Raises DataError if it is this thread's: a callback calls."""
        with self._fitting:
            if self._in_fit:
                raise DataError(f"a callback calls {call} of the model that is being trained: take model.copy() for it")

    def _compare(self, ranks: Ranks, on_nan: str, examples: int | None, dev: Any) -> None:
        """Raises DataError where ranks would take different steps: one would wait for ever for another."""
        if ranks is ALONE:
            return
        ranks.alike("the network", as_trained(self.network))
        ranks.alike("the precision", self.network.precision)
        ranks.alike("the patience of early stopping", self.training.patience)
        ranks.alike("on_nan", on_nan)
        ranks.alike("the number of examples", examples)
        ranks.alike("the dev set", self._size_of(dev))
        ranks.alike("the position in training", (self.epoch, self.step))

    def _size_of(self, dev: Any) -> str:
        """What ranks tell each other of a dev set that was looked through."""
        if dev is None:
            return "none"
        return "a stream" if dev[1] is None else f"{len(by_head(self.network, dev[1])[0])} examples"

    def _require_room(self, dev: Any) -> None:
        """Refuses a training that cannot fit before its first step."""
        keeps_best = dev is not None or self.training.patience is not None
        best = self.network.weights_bytes(self.compiled.memory.itemsize) if keeps_best else 0
        require_room_to_fit(self.compiled.memory, self.network, self.step > 0, best)

    def _decide(self, on_nan: str) -> None:
        """Sets what becomes of training at a step that is not finite; another network is compiled where that decides
        what a step looks at."""
        if on_nan not in ON_NAN:
            raise DataError(f"on_nan is {', '.join(ON_NAN[:-1])} or {ON_NAN[-1]}, not {on_nan!r}")
        before, training = self.training, replace(self.training, on_nan=on_nan)
        self.network = replace(self.network, training=training)
        if training.checks_gradients != before.checks_gradients:
            with self.compiled.lock:
                self.compiled.network = self.network
                self.compiled.grow(self._made(self.mini_batch if training.batch is None else self._capacity))

    def train_batches(self, piece: Piece, done: int, sums: Array, seconds: float) -> tuple[bool, int]:
        """Trains on the mini-batches of a piece from position `done` of its order on, for about `seconds`. Returns
        whether the loss stayed finite, and the new position. The parts of the losses are added to `sums`, see
        `steps.new_sums`."""
        with self.compiled.lock:
            first, count = self.step, -(-(len(piece.order) - done) // self.mini_batch)
            rates = np.array([self._rate(self.epoch, step) for step in range(first, first + count)])
            return self._ranks.train_batches(self.compiled, *piece[:4], done, sums, rates, seconds, self.share)

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """One update on a mini-batch; returns the loss before it. If the loss is not finite, nothing is updated.
        sample_weight: what each example counts (n,). Raises DataError if the mini-batch does not fit or is too
        large."""
        with self.compiled.lock:
            self._join(ALONE, 0)
            batch = self._batch(x, y, sample_weight)
            self.compiled.net.lr = self._rate(self.epoch)
            return steps.on_batch(self.compiled, "train_step", *batch)

    def loss(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """The loss of a mini-batch in training mode, regularization included. Raises DataError as `train_step` does."""
        with self.compiled.lock:
            return steps.on_batch(self.compiled, "loss", *self._batch(x, y, sample_weight))

    def gradients(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, Array]:
        """The gradient of every parameter that learns, by name and in the language's shapes, regularization included;
        nothing is updated. sample_weight: what each example counts (n,). The first call takes memory for the gradients
        that training does not store.

        Raises:
            DataError: the mini-batch does not fit or is too large, or its loss is not finite.
            UsageError: the machine has too little memory.
        """
        with self.compiled.lock:
            loss = self.time_gradients(x, y, sample_weight)
            if not np.isfinite(loss):
                raise DataError(f"the loss of this mini-batch is {loss}: it has no gradients")
            return self.compiled.gradients()

    def time_gradients(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Computes the gradients without copying them, for timing; returns the loss."""
        with self.compiled.lock:
            batch = self._batch(x, y, sample_weight)
            self.compiled.arena.add_gradients()
            return steps.on_batch(self.compiled, "gradients", *batch)

    def _batch(self, x: Any, y: Any, sample_weight: Any) -> tuple[list[Any], int]:
        """The pointers to a mini-batch and its size; with `batch all` the memory grows if needed."""
        x, y = self.schema.inputs(self.network, x), self.schema.targets(self.network, y)
        pointers, count = self.compiled.arguments.batch(x, y, sample_weight)
        if count > self.batch:
            self._make_room(count)
        return pointers, count

    # ------------------------------------------------------------------------------------------- weights

    def copy_weights(self) -> dict[str, Array]:
        """Copies of all parameters by name, in the language's shapes."""
        with self.compiled.lock:
            return {name: view.numpy() for name, view in self.parameters.items()}

    def trained_weights(self) -> dict[str, Array]:
        """Copies of all parameters by name as the next step of training uses them: without averages."""
        with self.compiled.lock:
            return {name: view.numpy() for name, view in self.compiled.trained().items()}

    def restore_weights(self, weights: Mapping[str, Stored]) -> None:
        """Sets these parameters: arrays by name in the language's shapes, as `copy_weights` returns them."""
        given = {name: np.asarray(array) for name, array in weights.items()}  # views have locks of their own
        with self.compiled.lock:
            for name, array in given.items():
                self.parameters[name][...] = array

    def take_weights(self, weights: Mapping[str, Stored]) -> None:
        """Sets these parameters as `load_weights` does: a new training begins from them."""
        self.fit_state, self._resumed, self.lr_factor = None, None, 1.0
        self.restore_weights(weights)
        self._unfitted -= {name.partition(".")[0] for name in weights}

    def keep_weights(self, before: Mapping[str, Stored] | None = None) -> Mapping[str, Stored]:
        """A copy of the weights that predictions use, stored as they are here. before: an earlier copy, which is
        overwritten, so that there are never two."""
        with self.compiled.lock:
            if before is None:
                return {name: view.kept() for name, view in self.compiled.shown().items()}
            for name, view in self.compiled.shown().items():
                kept = before[name]
                if isinstance(kept, ParameterView):
                    kept.take(view)
                else:
                    kept[...] = view.numpy()
            return before

    def swap_weights(self, weights: Mapping[str, Stored]) -> None:
        """Exchanges the weights that predictions use with a copy, a part at a time. Where these are averages, training
        goes on from what it had."""
        with self.compiled.lock:
            for name, view in self.compiled.shown().items():
                view.swap(weights[name])

    def _keep_best(self) -> None:
        """Before the best weights that `fit` has left are changed: they are kept, and training goes on from the new
        ones, so that the last ones are not wanted any more."""
        state = self.fit_state
        if state is not None and state.last_weights is not None:
            self.fit_state = replace(state, best_weights=self.keep_weights(), last_weights=None)
            self._resumed = self._resumed and self.fit_state

    def first_not_finite(self) -> str | None:
        """The name of the first parameter or array of optimizer state with a value that is not finite; None if all are
        finite."""
        kept = (*self.parameters.items(), *self.compiled.states().items())
        return next((name for name, view in kept if not view.is_finite()), None)

    def save(self, path: str | Path) -> None:
        """Writes all parameters and the schema of the data to a safetensors file. Raises DataError if it cannot be
        written."""
        with self.compiled.lock:
            save_weights(path, self.network, self.parameters, self.schema)

    def load_weights(
        self, path: str | Path, only: str | Collection[str] | None = None, strict: bool = True
    ) -> list[str]:
        """Reads parameters from a safetensors file. The ranges of `quantize int8` may be missing: a network that was
        trained in float goes on with rounding.

        only: the names of the layers to read; by default all. strict: every array must fit; otherwise those that do not
        fit are skipped. Returns a line about each array that was skipped.

        Raises:
            DataError: the file cannot be read or does not fit, when the message lists the differences; or numbers in it
                are not finite, too large for the precision, or whole.
        """
        schema = read_schema(path)
        if self.network.open:
            self._compile(completed(self.network, schema))
        shapes = {name: view.shape for name, view in self.parameters.items()}
        only = None if only is None else _names(only)
        found, left_out = read_weights(path, shapes, only, strict, derived.rounded_values(self.network))
        require_weights(path, found, self.dtype)
        layers = {name.partition(".")[0] for name in found}
        whole = only is None and not left_out
        if whole:
            schema.require_tables(self.network)
        if whole or layers & initial.fitted_layers(self.network):
            self.schema = schema if whole else replace(self.schema, offsets=schema.offsets)
        self.take_weights(found)
        return left_out

    # ------------------------------------------------------------------------------------------- checkpoints

    def checkpoint(self, path: str | Path) -> None:
        """Writes a file with all that training needs to continue: parameters, optimizer state, step, epoch, history,
        and the best weights so far. Training continues from it bit for bit as if it had never stopped, also if it is
        taken in the middle of an epoch, by a callback or after Ctrl-C.

        Raises:
            DataError: the file cannot be written, or a parameter is not finite.
        """
        with self.compiled.lock:
            position = (self.step, self.epoch, self._unfitted, self.watched, self.lr_factor)
            taken = checkpoints.take(self.parameters, self.compiled.states(), self.fit_state, *position)
            taken.write(path, self.network, self.schema)

    def resume(self, path: str | Path) -> None:
        """Restores the state in a checkpoint: the next `fit` continues that training.

        Raises:
            DataError: the file is not a checkpoint of this network, when the message lists the differences, or a
                callback of `fit` calls; the model is unchanged.
        """
        self._require_no_training("resume")
        schema = read_schema(path)
        with self._unchanged_by_errors():
            if self.network.open:
                self._compile(completed(self.network, schema))
            held = self.parameters, self.compiled.states()
            shapes = [{name: view.shape for name, view in views.items()} for views in held]
            found = checkpoints.read(path, self.network, *shapes)
        position, self.schema = found.position, schema
        self.fit_state, self._resumed = None, None
        with self.compiled.lock:
            self.restore_weights(found.best if position.holds_best else found.last)
            for name, view in self.compiled.states().items():
                view[...] = found.states[name]
            self.compiled.step, self.epoch, self._unfitted = position.step, position.epoch, set(position.unfitted)
            self.watched, self.lr_factor = list(position.watched), position.lr_factor
            self.fit_state = self._resumed = found.fit_state


def _names(given: str | Collection[str]) -> tuple[str, ...]:
    """The names of layers that a caller gives, of which one may stand alone."""
    return (given,) if isinstance(given, str) else tuple(given)
