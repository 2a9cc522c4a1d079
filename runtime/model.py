"""A compiled network that trains and predicts."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dslc.build import Library
from dslc.compiler import compile_plan, plan_network
from dslc.diagnostics import DataError
from dslc.inits import start
from dslc.ir import Network, Training
from dslc.lower import identifier, state_name
from dslc.plan import Plan
from dslc.planning import Options
from dslc.runtime import fit as fitting
from dslc.runtime.arguments import Arguments
from dslc.runtime.history import History
from dslc.runtime.memory import Arena
from dslc.runtime.metrics import head_confusion, head_metrics
from dslc.runtime.parameters import Parameters, ParameterView
from dslc.runtime.progress import make_progress
from dslc.runtime.weights import read_weights, save_weights
from dslc.target import Target

Array = np.ndarray[Any, Any]


class Model:
    """What `dslc.load` returns. `network` is the checked spec, `plan` what was compiled, `epoch` and `step` the
    position in training."""

    def __init__(
        self, network: Network, threads: int = 1, options: Options | None = None, target: Target | None = None
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.network, self.threads, self.options, self.target = network, threads, options, target
        self.seed = network.training.seed if network.training else 0
        self.epoch = 0
        self._compile(None)
        self._initialize()

    # ------------------------------------------------------------------------------------------- set-up

    def _compile(self, batch: int | None) -> None:
        self.plan: Plan = plan_network(self.network, self.target, batch, threads=self.threads, options=self.options)
        self.library: Library = compile_plan(self.plan)
        self._arena = Arena(self.plan, self.network.training is not None)
        ffi = self.library.module.ffi
        self._ffi = ffi
        self._net = ffi.new(f"{self.library.prefix}_t *")
        self._memory = ffi.from_buffer(self._arena.numbers)
        self._net.arena = ffi.cast("float *" if self.plan.itemsize == 4 else "double *", self._memory)
        self._arguments = Arguments(self.network, self.library, self.dtype)
        self._loss = ffi.new("double *")
        self._net.threads, self._net.seed = self.threads, self.seed
        self._functions = {name: self.library.function(name) for name in self._names()}
        self.parameters = Parameters({p.name: self._view(p.name, identifier(p.name)) for p in self.network.parameters})

    def _names(self) -> tuple[str, ...]:
        training = ("evaluate", "loss", "gradients", "train_step", "train_batches")
        return ("predict", *(training if self.network.training else ()))

    def _view(self, name: str, buffer_name: str) -> ParameterView:
        buffer = self.plan.kept[buffer_name]
        return ParameterView(name, self._arena.view(buffer), buffer.layout, self._changed)

    def _changed(self) -> None:
        """What was prepared from the parameters for prediction is out of date."""
        flag = self.plan.kept.get("prepared")
        if flag is not None:
            self._arena.numbers[flag.offset] = 0

    def _initialize(self) -> None:
        for p in self.network.parameters:
            self.parameters[p.name][...] = start(p, self.seed)
        self._unfitted = {node.name for node in self.network.nodes if node.layer.first}

    def _fit_first_layers(self, inputs: list[Array]) -> None:
        """Layers such as standardize look at the training set once: not again where training goes on, nor where their
        parameters were loaded."""
        by_name = {value.name: x for value, x in zip(self.network.inputs, inputs, strict=True)}
        for node in self.network.nodes:
            if node.name in self._unfitted and self.step == 0:
                for role, array in node.layer.fitted(by_name[node.inputs[0].name]).items():
                    self.parameters[f"{node.name}.{role}"][...] = array
                self._unfitted.remove(node.name)

    def _make_room(self, count: int) -> None:
        """With `batch all` the capacity follows the data: compiled again when more examples come."""
        if self.training.batch is not None or count <= self.batch:
            return
        weights, states, step = self.copy_weights(), self._states(), self.step
        self._compile(count)
        self.restore_weights(weights)
        for name, array in states.items():
            self._view(name, name)[...] = array
        self._net.step = step

    def _states(self) -> dict[str, Array]:
        names = [
            state_name(p.name, s) for p in self.network.parameters if p.learns for s in self.training.optimizer.states
        ]
        return {name: self._view(name, name).numpy() for name in names}

    # ------------------------------------------------------------------------------------------- facts

    @property
    def training(self) -> Training:
        """What `train` says. Raises DataError where the file has none."""
        if self.network.training is None:
            raise DataError("this network has no `train`: it predicts only")
        return self.network.training

    @property
    def batch(self) -> int:
        """How many examples a mini-batch has at most."""
        return self.plan.batch

    @property
    def dtype(self) -> Any:
        return self._arena.numbers.dtype

    @property
    def step(self) -> int:
        """Updates so far."""
        return int(self._net.step)

    @property
    def memory_bytes(self) -> int:
        """Bytes that the network's memory takes: what `dslc check` announced."""
        return self._arena.bytes

    def learning_rate(self, epoch: int, step: int | None = None) -> float:
        """The learning rate in an epoch at an update, both counted from 0; at the next update unless one is given."""
        lr, schedule = self.training.optimizer.lr, self.training.schedule
        return schedule.learning_rate(lr, epoch, self.step if step is None else step) if schedule else lr

    # ------------------------------------------------------------------------------------------- prediction

    def predict(self, x: Any) -> Any:
        """The outputs for `x` of shape (n, *input): an array (n, *output), a dict by head if there are several."""
        inputs = self._arguments.inputs(x)
        outputs = self._new_outputs(len(inputs[0]))
        self._functions["predict"](
            self._net, *self._arguments.pointers(inputs), len(inputs[0]), *self._arguments.pointers(outputs)
        )
        return self._by_head(outputs)

    def prediction_times(self, x: Any, runs: int) -> list[float]:
        """The seconds that the C takes to predict the first example of `x`, so many times over."""
        inputs = [array[:1] for array in self._arguments.inputs(x)]
        outputs = self._new_outputs(1)
        pointers = (*self._arguments.pointers(inputs), 1, *self._arguments.pointers(outputs))
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            self._functions["predict"](self._net, *pointers)
            times.append(time.perf_counter() - started)
        return times

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Loss (without regularization) and metrics over all examples, in prediction mode."""
        inputs, targets = self._arrays(x, y)
        outputs = self._new_outputs(len(inputs[0]))
        heads = self.network.heads
        sums = self._ffi.new("double[]", 2 * len(heads))
        pointers = (*self._arguments.pointers(inputs), *self._arguments.pointers(targets))
        self._functions["evaluate"](self._net, *pointers, len(inputs[0]), *self._arguments.pointers(outputs), sums)
        losses = [sums[2 * i] / sums[2 * i + 1] for i in range(len(heads))]
        results = {"loss": sum(losses)}
        for head, loss, output, target in zip(heads, losses, outputs, targets, strict=True):
            prefix = f"{head.name}_" if len(heads) > 1 else ""
            if prefix:
                results[f"{prefix}loss"] = loss
            found = head_metrics(head, output, target, self.training.metrics)
            results |= {prefix + key: value for key, value in found.items()}
        return results

    def confusion(self, x: Any, y: Any) -> dict[str, Array]:
        """By head that judges classes, the counts (classes, classes): rows are the true classes, columns the predicted
        ones. Under a sigmoid they are no and yes."""
        _, targets = self._arrays(x, y)
        outputs = self.predict(x)
        heads = self.network.heads
        by_head = outputs if isinstance(outputs, dict) else {heads[0].name: outputs}
        found = {
            head.name: head_confusion(head, by_head[head.name], target)
            for head, target in zip(heads, targets, strict=True)
        }
        return {name: matrix for name, matrix in found.items() if matrix is not None}

    def _new_outputs(self, count: int) -> list[Array]:
        return [np.empty((count, *head.value.shape), self.dtype) for head in self.network.heads]

    def _by_head(self, outputs: list[Array]) -> Any:
        if len(outputs) == 1:
            return outputs[0]
        return {head.name: output for head, output in zip(self.network.heads, outputs, strict=True)}

    def _arrays(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        self.training  # noqa: B018 - raises where the network cannot be judged
        inputs = self._arguments.inputs(x)
        return inputs, self._arguments.targets(y, len(inputs[0]))

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
        """Trains for `epochs` (the file's unless given).

        on_epoch: called with each epoch's record; a word that it returns ends training and says why.

        Ctrl-C ends it cleanly; with a dev set the best weights are kept.
        """
        arrays = self._arrays(x, y)
        if dev is not None:
            self._arrays(*dev)
        self._make_room(len(arrays[0][0]))
        self._fit_first_layers(arrays[0])
        return fitting.Fit(self, arrays, dev, make_progress(progress), on_epoch).run(
            self.training.epochs if epochs is None else epochs
        )

    def train_batches(
        self, inputs: list[Array], targets: list[Array], order: Array, done: int, loss_sum: float, seconds: float
    ) -> tuple[bool, int, float]:
        """Mini-batches from position `done` of `order` on, for about so many seconds: whether the loss stayed finite,
        the new position, and the sum of the losses over the examples."""
        batches = range(-(-(len(order) - done) // self.batch))
        rates = np.array([self.learning_rate(self.epoch, self.step + i) for i in batches])
        position, total = self._ffi.new("int64_t *", done), self._ffi.new("double *", loss_sum)
        pointers = (
            *self._arguments.pointers(inputs),
            *self._arguments.pointers(targets),
            *self._arguments.pointers([order.astype(np.int64)]),
        )
        rates_pointer = self._ffi.from_buffer("double[]", rates)
        failed = self._functions["train_batches"](
            self._net, *pointers, len(order), position, rates_pointer, seconds, total
        )
        return not failed, int(position[0]), float(total[0])

    def train_step(self, x: Any, y: Any) -> float:
        """One update on this mini-batch; the loss before it. A loss that is not finite updates nothing."""
        self._net.lr = self.learning_rate(self.epoch)
        return self._on_batch("train_step", x, y)

    def loss(self, x: Any, y: Any) -> float:
        """The loss of a mini-batch in training mode, regularization included."""
        return self._on_batch("loss", x, y)

    def gradients(self, x: Any, y: Any) -> dict[str, Array]:
        """The gradient of every parameter that learns, regularization included; nothing is updated."""
        self._on_batch("gradients", x, y)
        names = [p.name for p in self.network.parameters if p.learns]
        return {name: self._view(name, f"{identifier(name)}_grad").numpy() for name in names}

    def time_gradients(self, x: Any, y: Any) -> float:
        """Computes the gradients and leaves them where they are: the loss."""
        return self._on_batch("gradients", x, y)

    def _on_batch(self, function: str, x: Any, y: Any) -> float:
        inputs, targets = self._arrays(x, y)
        count = len(inputs[0])
        self._make_room(count)
        if count > self.batch:
            raise DataError(f"this mini-batch has {count} examples; the network was compiled for at most {self.batch}")
        pointers = self._arguments.pointers([*inputs, *targets])
        self._functions[function](self._net, *pointers, count, self._loss)
        return float(self._loss[0])

    # ------------------------------------------------------------------------------------------- weights

    def copy_weights(self) -> dict[str, Array]:
        """All parameters, copied."""
        return {name: view.numpy() for name, view in self.parameters.items()}

    def restore_weights(self, weights: Mapping[str, Array]) -> None:
        for name, array in weights.items():
            self.parameters[name][...] = array

    def first_not_finite(self) -> str | None:
        """The first parameter with a value that is not finite."""
        return next((n for n, view in self.parameters.items() if not np.isfinite(view.numpy()).all()), None)

    def save(self, path: str | Path) -> None:
        """Writes all parameters as safetensors."""
        save_weights(path, self.network, self.copy_weights())

    def load_weights(self, path: str | Path, only: Collection[str] | None = None, strict: bool = True) -> None:
        """Reads parameters from safetensors. `only`: just these layers; strict=False: whatever fits.

        Raises:
            DataError: with the list of what differs.
        """
        shapes = {name: view.shape for name, view in self.parameters.items()}
        found = read_weights(path, shapes, only, strict)
        self.restore_weights(found)
        self._unfitted -= {name.partition(".")[0] for name in found}
