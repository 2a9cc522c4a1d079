"""A network's C in the memory it works in: the one place that hands pointers to cffi."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from dslc.codegen.build import Library
from dslc.compiler import compile_plan
from dslc.ir import Network
from dslc.layout import Layout
from dslc.operation import identifier, state_name
from dslc.plan import Plan
from dslc.runtime.native.arguments import Arguments
from dslc.runtime.native.memory import Arena
from dslc.runtime.native.parameters import Parameters, ParameterView

Array = np.ndarray[Any, Any]
TRAINING = ("evaluate", "loss", "gradients", "train_step", "train_batches")


class Compiled:
    """A plan, compiled and with zeros for memory. `net` is the struct that all of its functions take.

    Whoever calls one of the functions, or looks into the memory, holds `lock`: all of them work in the one arena, and
    cffi lets other Python threads run meanwhile.
    """

    def __init__(self, network: Network, plan: Plan, threads: int, seed: int, library: Library | None = None) -> None:
        self.network, self.threads, self.seed = network, threads, seed
        self.lock = threading.RLock()
        self._set_up(plan, library or compile_plan(plan))
        self.parameters = Parameters({p.name: self.view(p.name, identifier(p.name)) for p in network.parameters})

    def _set_up(self, plan: Plan, library: Library) -> None:
        """Fresh memory for a plan, and the functions that work in it. Raises UsageError and leaves all as it was where
        the machine has not so much."""
        arena = Arena(plan, self.network.training is not None)
        self.plan, self.library, self.arena = plan, library, arena
        self.ffi = ffi = library.module.ffi
        self.net = ffi.new(f"{library.prefix}_network *")
        self._memory = ffi.from_buffer(arena.numbers)
        self.net.arena = ffi.cast("float *" if plan.itemsize == 4 else "double *", self._memory)
        self.net.threads, self.net.seed = self.threads, self.seed
        # Where a call leaves the loss and its parts: made once, because steps are short.
        self.loss = ffi.new("double[]", 2 * len(self.network.heads) + 2)
        self.arguments = Arguments(self.network, library, self.dtype)
        names = ("predict", *(TRAINING if self.network.training else ()))
        self.functions = {name: library.function(name) for name in names}

    @property
    def dtype(self) -> Any:
        return self.arena.numbers.dtype

    @property
    def step(self) -> int:
        """Updates so far: the optimizer's formulas, dropout and augmentation draw on it."""
        return int(self.net.step)

    @step.setter
    def step(self, step: int) -> None:
        self.net.step = step

    def view(self, name: str, buffer_name: str) -> ParameterView:
        """A buffer in the language's shape; it stays live when the network grows."""
        return ParameterView(name, self.lock, partial(self._stored, buffer_name), self.changed)

    def _stored(self, buffer_name: str) -> tuple[Array, Layout]:
        """A buffer's numbers where they are now, and how they are laid out."""
        buffer = self.plan.kept[buffer_name]
        return self.arena.view(buffer), buffer.layout

    def changed(self) -> None:
        """What was prepared from the parameters for prediction is out of date."""
        flag = self.plan.kept.get("prepared")
        if flag is not None:
            self.arena.numbers[flag.offset] = 0

    def gradients(self) -> dict[str, Array]:
        """What the last call of `gradients` left, copied."""
        names = [p.name for p in self.network.parameters if p.learns]
        return {name: self.view(name, f"{identifier(name)}_grad").numpy() for name in names}

    def states(self) -> dict[str, ParameterView]:
        """What the optimizer keeps, as `<layer>.<parameter>.<state>`."""
        training = self.network.training
        return {
            f"{p.name}.{state}": self.view(p.name, state_name(p.name, state))
            for p in self.network.parameters
            if p.learns and training is not None
            for state in training.optimizer.states
        }

    def _kept(self) -> Iterator[ParameterView]:
        """All that training goes on from, but for the step."""
        yield from self.parameters.values()
        yield from self.states().values()

    def grow(self, plan: Plan) -> None:
        """Goes on with another plan of the same network, one for larger mini-batches."""
        with self.lock:
            step, arrays = self.step, [view.numpy() for view in self._kept()]
            self._set_up(plan, compile_plan(plan))
            self.step = step
            for view, array in zip(self._kept(), arrays, strict=True):
                view[...] = array

    def copy(self) -> Compiled:
        """The same C with the same values, in memory of its own."""
        with self.lock:
            twin = Compiled(self.network, self.plan, self.threads, self.seed, self.library)
            twin.step = self.step
            for mine, its in zip(twin._kept(), self._kept(), strict=True):
                mine[...] = its.numpy()
            return twin
