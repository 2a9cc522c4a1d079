"""The fourth stage: how everything is computed and where it is stored. Code generation only prints it.

All memory is one arena. Offsets are in elements of the network's precision and are fixed at compile time:

    parameters | workspace (shared by prediction and training) | gradients | optimizer state | gradients on request

Most gradients are consumed by an update fused into the kernel that computes them, so training never stores them. They
are at the very end, in memory that is not touched before the first call of `gradients()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.graph import Graph
from dslc.kernels import Variant
from dslc.layout import Layout
from dslc.operation import Operation, Tensor
from dslc.target import Target

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


@dataclass(frozen=True)
class Buffer:
    """A tensor's place in the arena: offset and size in elements. `alias` names the tensor whose memory it shares."""

    tensor: Tensor
    layout: Layout
    offset: int
    elements: int
    alias: str | None = None


@dataclass(frozen=True)
class Kernel:
    """An operation with the variant that computes it.

    `parallel`: the threads share its work. `barrier`: a barrier follows it.
    """

    operation: Operation
    variant: Variant
    parallel: bool = True
    barrier: bool = True

    @property
    def function(self) -> str:
        """Its C function, without the network's prefix."""
        name = self.operation.name
        return f"{name}_{self.variant.name}" if self.variant.name != "plain" else name

    @property
    def overwritten(self) -> Tensor | None:
        """The tensor whose memory the first result takes; None if it has its own."""
        variant, op = self.variant, self.operation
        if not variant.overwrites:
            return None
        tensors = dict.fromkeys((*op.reads, *op.writes))
        return dict(zip(variant.arguments, tensors, strict=False)).get(variant.overwrites)


@dataclass(frozen=True)
class PlannedPhase:
    """The kernels of a phase in the order in which they run; each phase becomes one C function."""

    name: str
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True)
class PlannedStep:
    """A step with the buffers of its activations, by tensor name, which have room for `batch` examples at a time."""

    name: str
    phases: tuple[PlannedPhase, ...]
    workspace: Mapping[str, Buffer]
    batch: int

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels of all phases in order."""
        return tuple(kernel for phase in self.phases for kernel in phase.kernels)

    def phase(self, name: str) -> PlannedPhase:
        """The phase of this name. Raises StopIteration if there is none."""
        return next(phase for phase in self.phases if phase.name == name)


@dataclass(frozen=True)
class Region:
    """A part of the arena: offset and size in elements."""

    name: str
    offset: int
    elements: int


@dataclass(frozen=True)
class Kept:
    """Where something lies that lives as long as the network: its layout, and its offset in elements."""

    layout: Layout
    offset: int


@dataclass(frozen=True)
class MemoryMap:
    """All that is needed of a plan to run what was compiled: where `kept` things lie by name, and the numbers and
    regions that `Plan` explains."""

    itemsize: int
    batch: int
    step_batch: int
    threads: int
    kept: Mapping[str, Kept]
    regions: tuple[Region, ...]

    def bytes(self, name: str) -> int:
        """The size of a region in bytes. Raises StopIteration if there is none."""
        return _region(self.regions, name).elements * self.itemsize

    def arena_bytes(self, training: bool, gradients: bool = False) -> int:
        """The size of the arena in bytes: for prediction only, for `training`, or with all `gradients` stored."""
        return _arena_bytes(self.regions, self.itemsize, training, gradients)


def _region(regions: tuple[Region, ...], name: str) -> Region:
    return next(region for region in regions if region.name == name)


def _arena_bytes(regions: tuple[Region, ...], itemsize: int, training: bool, gradients: bool) -> int:
    last = _region(regions, "requested_gradients" if gradients else "state" if training else "prediction")
    return (last.offset + last.elements) * itemsize + ALIGNMENT


@dataclass(frozen=True)
class Recomputation:
    """What the backward pass computes again, as the first and the last layer of each segment, and the bytes of
    activations and of all training if everything were kept."""

    segments: tuple[tuple[str, str], ...]
    activations: int
    training: int


@dataclass(frozen=True)
class Work:
    """Multiply-adds of one example in a training step, of all operations together: frozen layers have none backward
    where nothing before them learns, and only those of their input where something does."""

    forward: int
    backward: int


@dataclass(frozen=True)
class Plan:
    """A network ready for code generation.

    `itemsize`: bytes of an element. `batch`: the most examples that training works on at a time; their number is an
    argument at run time.
    `step_batch`: the largest mini-batch of a training step; more where it is worked through in slices.
    `threads`: at most this many; each has its own part of the kernels' workspace. `kept`: the buffers that live as long
    as the network, by name: parameters, gradients, optimizer state. `recomputation`: None where all is kept. `timed`:
    the C measures how long each kernel takes. `work`: what a training step computes before any operation is computed
    in another way; None for a network that only predicts.
    """

    graph: Graph
    target: Target
    itemsize: int
    batch: int
    step_batch: int
    threads: int
    steps: tuple[PlannedStep, ...]
    kept: Mapping[str, Buffer]
    regions: tuple[Region, ...]
    recomputation: Recomputation | None = None
    timed: bool = False
    work: Work | None = None

    def region(self, name: str) -> Region:
        """The region of this name. Raises StopIteration if there is none."""
        return _region(self.regions, name)

    def step(self, name: str) -> PlannedStep | None:
        """The step of this name; None if the network has none, as without `train`."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def weights_bytes(self) -> int:
        """The bytes of a copy of all parameters, as `fit` keeps those of the best epoch."""
        return self.graph.network.weights_bytes(self.itemsize)

    def bytes(self, name: str) -> int:
        """The size of a region in bytes."""
        return self.region(name).elements * self.itemsize

    def arena_bytes(self, training: bool, gradients: bool = False) -> int:
        """The size of the arena in bytes: for prediction only, for `training`, or with all `gradients` stored."""
        return _arena_bytes(self.regions, self.itemsize, training, gradients)

    @property
    def memory_map(self) -> MemoryMap:
        """What is needed of it to run what was compiled."""
        kept = {name: Kept(buffer.layout, buffer.offset) for name, buffer in self.kept.items()}
        return MemoryMap(self.itemsize, self.batch, self.step_batch, self.threads, kept, self.regions)
