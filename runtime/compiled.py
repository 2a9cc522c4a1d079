"""A network's C in the memory it works in: the one place that hands pointers to cffi."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.build import Library
from dslc.compiler import compile_plan
from dslc.ir import Network
from dslc.lower import identifier, state_name
from dslc.plan import Plan
from dslc.runtime.arguments import Arguments
from dslc.runtime.memory import Arena
from dslc.runtime.parameters import Parameters, ParameterView

Array = np.ndarray[Any, Any]
TRAINING = ("evaluate", "loss", "gradients", "train_step", "train_batches")


_pool = 0
"""Where the threads of this process are; 0 before a network that shares its work has been loaded."""


def _process_pool(library: Library) -> int:
    """The address of the first network's threads, which all networks of the process share: so there are never more of
    them than cores were asked for, however many models there are. Modules are never unloaded."""
    global _pool
    if not _pool:
        _pool = int(library.module.ffi.cast("uintptr_t", library.function("pool")()))
    return _pool


class Compiled:
    """A plan, compiled and with zeros for memory. `net` is the struct that all of its functions take."""

    def __init__(self, network: Network, plan: Plan, seed: int) -> None:
        self.network, self.plan = network, plan
        self.library: Library = compile_plan(plan)
        self.arena = Arena(plan, network.training is not None)
        self.ffi = ffi = self.library.module.ffi
        self.net = ffi.new(f"{self.library.prefix}_t *")
        self._memory = ffi.from_buffer(self.arena.numbers)
        self.net.arena = ffi.cast("float *" if plan.itemsize == 4 else "double *", self._memory)
        self.net.threads, self.net.seed = plan.threads, seed
        self.net.pool = ffi.cast("void *", _process_pool(self.library))
        self.loss = ffi.new("double *")  # where a call leaves it: made once, for steps are short
        self.arguments = Arguments(network, self.library, self.dtype)
        names = ("predict", *(TRAINING if network.training else ()))
        self.functions = {name: self.library.function(name) for name in names}
        self.parameters = Parameters({p.name: self.view(p.name, identifier(p.name)) for p in network.parameters})

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
        """A buffer in the language's shape."""
        buffer = self.plan.kept[buffer_name]
        return ParameterView(name, self.arena.view(buffer), buffer.layout, self.changed)

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

    def take_over(self, other: Compiled) -> None:
        """Goes on where another compilation of the same network stands."""
        for mine, its in ((self.parameters, other.parameters), (self.states(), other.states())):
            for name, view in its.items():
                mine[name][...] = view.numpy()
        self.step = other.step
