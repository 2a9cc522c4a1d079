"""A compiled network with its memory: the one place that passes pointers to cffi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dslc import hyperparameters, plan_cache
from dslc.codegen.build import Library
from dslc.compiler import compile_plan
from dslc.ir import Network, Parameter
from dslc.layout import Layout
from dslc.operation import average_name, identifier, state_name
from dslc.plan import Kept, MemoryMap, Plan
from dslc.plan_cache import Compilation, Request
from dslc.runtime.native.arguments import Arguments
from dslc.runtime.native.locks import Lock
from dslc.runtime.native.memory import Arena, require_room
from dslc.runtime.native.parameters import Parameters, ParameterView

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


def process_pool(library: Library) -> int:
    """The address of the threads that all networks of this process share, those of quantized ones too."""
    return _process_pool(library)


def compilation(request: Request) -> Compilation:
    """What a network becomes, from the cache if it was compiled before.

    Raises:
        PlanError: the plan is wrong, which is a bug in the planner.
        UsageError: the machine has too little memory, there is no C compiler, or it fails.
    """
    found = plan_cache.find(request)
    if found is None:
        found = compiled_plan(request.plan())
        plan_cache.keep(request, found.library, found.memory)
    else:
        require_room(found.memory, request.network)
    return found


def compiled_plan(plan: Plan) -> Compilation:
    """What a plan becomes; raises as `compilation` does."""
    require_room(plan.memory_map, plan.graph.network)
    return Compilation(compile_plan(plan), plan.memory_map, plan)


class Compiled:
    """A compiled network and its memory, initially zero. `net` is the struct that all of its C functions take.

    Hold `lock` while you call one of `functions` or access the memory: they all use one arena, and cffi lets other
    Python threads run meanwhile.

    Raises:
        UsageError: the machine has too little memory.
    """

    def __init__(self, network: Network, made: Compilation, seed: int) -> None:
        self.network, self.seed = network, seed
        self.lock = Lock()
        self.on_write: Callable[[], None] | None = None
        self._set_up(made)
        self.parameters = Parameters({p.name: self._parameter_view(p) for p in network.parameters})

    def share_lock(self, lock: Lock) -> None:
        """From now on whoever holds this lock works in the memory: that of a network with the same parameters. Views
        that were handed out before are of no use any more."""
        self.lock = lock
        self.parameters = Parameters({p.name: self._parameter_view(p) for p in self.network.parameters})

    def _set_up(self, made: Compilation) -> None:
        """Allocates memory and looks up functions. Raises UsageError if the machine has too little memory; nothing is
        changed then."""
        memory, library = made.memory, made.library
        arena = Arena(memory, self.network.training is not None)
        self.made, self.arena = made, arena
        self.ffi = ffi = library.module.ffi
        self.net = ffi.new(f"{library.prefix}_network *")
        self._memory = ffi.from_buffer(arena.numbers)
        self.net.arena = ffi.cast("float *" if memory.itemsize == 4 else "double *", self._memory)
        self.net.threads, self.net.seed, self.net.batch = memory.threads, self.seed, memory.step_batch
        self.net.pool = ffi.cast("void *", _process_pool(library))
        for field, value in hyperparameters.values(self.network).items():
            setattr(self.net, field, value)
        # Where a call leaves the loss and its parts: made once, because steps are short.
        self.loss = ffi.new("double[]", 2 * len(self.network.heads) + 2)
        self.arguments = Arguments(self.network, library, self.dtype)
        names = ("predict", *(TRAINING if self.network.training else ()))
        self.functions = {name: library.function(name) for name in names}

    @property
    def library(self) -> Library:
        """The native module."""
        return self.made.library

    @property
    def plan(self) -> Plan:
        """The plan, made once more if the module came from the cache."""
        made = self.made
        if made.plan is None:
            assert made.request is not None
            self.made = made = replace(made, plan=made.request.plan(made.memory.threads))
        assert made.plan is not None
        return made.plan

    @property
    def memory(self) -> MemoryMap:
        """Where the memory holds what."""
        return self.made.memory

    @property
    def dtype(self) -> Any:
        """The NumPy dtype of the network's precision, float32 or float64."""
        return self.arena.numbers.dtype

    @property
    def step(self) -> int:
        """The number of updates so far. The optimizer's formulas, dropout and augmentation depend on it."""
        return int(self.net.step)

    @step.setter
    def step(self, step: int) -> None:
        self.net.step = step

    def view(self, name: str, buffer_name: str) -> ParameterView:
        """A view of a buffer in the language's shape, under the name `name`; it stays valid when the network grows."""
        return ParameterView(name, self.lock, partial(self._stored, buffer_name), self.writing, self.changed)

    def _parameter_view(self, p: Parameter) -> ParameterView:
        """A view of what predictions use. Where that is an average, writing to it changes what is trained too."""
        if not self.network.averages(p):
            return self.view(p.name, identifier(p.name))
        average = average_name(p.name)
        stored, changed = partial(self._stored, average), partial(self._train_from, p.name)
        return ParameterView(p.name, self.lock, stored, self.writing, changed)

    def _train_from(self, name: str) -> None:
        """Training goes on from the average of a parameter."""
        average, _ = self._stored(average_name(name))
        trained, _ = self._stored(identifier(name))
        trained[:] = average
        self.changed()

    def shown(self) -> dict[str, ParameterView]:
        """Views of what predictions use, by parameter; where these are averages, writing to one leaves what is trained
        as it is."""
        kept = self.memory.kept
        buffers = {p.name: (average_name(p.name), identifier(p.name)) for p in self.network.parameters}
        return {name: self.view(name, average if average in kept else own) for name, (average, own) in buffers.items()}

    def _stored(self, buffer_name: str) -> tuple[Array, Layout]:
        """The numbers of a buffer at their present place, and their layout."""
        place: Kept = self.memory.kept[buffer_name]
        return self.arena.view(place), place.layout

    def writing(self) -> None:
        """Called before parameters are written to, from Python or by a step of training."""
        if self.on_write is not None:
            self.on_write()

    def changed(self) -> None:
        """Marks what was prepacked from the parameters for prediction as out of date. Called after every write."""
        flag = self.memory.kept.get("prepared")
        if flag is not None:
            self.arena.numbers[flag.offset] = 0

    def gradients(self) -> dict[str, Array]:
        """Copies of the gradients from the last call of the C function `gradients`, by parameter that learns."""
        names = [p.name for p in self.network.parameters if p.learns]
        return {name: self.view(name, f"{identifier(name)}_grad").numpy() for name in names}

    def states(self) -> dict[str, ParameterView]:
        """Views of the optimizer state, named `<layer>.<parameter>.<state>`; where predictions use averages, with the
        parameters that are trained, as the state `trained`."""
        training = self.network.training
        averaged = [p.name for p in self.network.parameters if self.network.averages(p)]
        trained = {f"{name}.trained": self.view(name, identifier(name)) for name in averaged}
        return trained | {
            f"{p.name}.{state}": self.view(p.name, state_name(p.name, state))
            for p in self.network.parameters
            if p.learns and training is not None
            for state in training.optimizer.states
        }

    def trained(self) -> dict[str, ParameterView]:
        """Views of all parameters as training uses them: without averages."""
        return {p.name: self.view(p.name, identifier(p.name)) for p in self.network.parameters}

    def _kept(self) -> Iterator[ParameterView]:
        """All state that training continues from, except for the step."""
        yield from self.parameters.values()
        yield from self.states().values()

    def grow(self, made: Compilation) -> None:
        """Switches to the same network compiled for larger mini-batches; parameters and state are kept."""
        with self.lock:
            step, arrays = self.step, [view.numpy() for view in self._kept()]
            self._set_up(made)
            on_write, self.on_write = self.on_write, None  # the values stay
            self.step = step
            for view, array in zip(self._kept(), arrays, strict=True):
                view[...] = array
            self.on_write = on_write

    def copy(self) -> Compiled:
        """A copy with the same values in memory of its own; the C code is shared."""
        with self.lock:
            twin = Compiled(self.network, self.made, self.seed)
            twin.step = self.step
            for mine, its in zip(twin._kept(), self._kept(), strict=True):
                mine[...] = its.numpy()
            return twin
