"""The fourth stage: how everything is computed and where it lies. After this only names and numbers are printed.

Memory is one arena. Offsets are counted in elements of the network's precision and known now:

    parameters | workspace (prediction and training share it) | gradients | optimizer state | asked gradients

Most gradients become an update in the kernel that makes them and are never stored in training: those lie at the very
end, where nothing is touched before `gradients()` asks for them.
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
    """A tensor's place in the arena, in elements; `alias` names the tensor whose memory it shares."""

    tensor: Tensor
    layout: Layout
    offset: int
    elements: int
    alias: str | None = None


@dataclass(frozen=True)
class Kernel:
    """An operation with the variant that computes it.

    `parallel`: the threads share its work. `barrier`: they meet after it.
    """

    operation: Operation
    variant: Variant
    parallel: bool = True
    barrier: bool = True

    @property
    def function(self) -> str:
        name = self.operation.name
        return f"{name}_{self.variant.name}" if self.variant.name != "plain" else name


@dataclass(frozen=True)
class PlannedPhase:
    name: str
    kernels: tuple[Kernel, ...]


@dataclass(frozen=True)
class PlannedStep:
    """A step with the places of its activations."""

    name: str
    phases: tuple[PlannedPhase, ...]
    workspace: Mapping[str, Buffer]

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return tuple(kernel for phase in self.phases for kernel in phase.kernels)

    def phase(self, name: str) -> PlannedPhase:
        return next(phase for phase in self.phases if phase.name == name)


@dataclass(frozen=True)
class Region:
    """A part of the arena, in elements."""

    name: str
    offset: int
    elements: int


@dataclass(frozen=True)
class Plan:
    """A network ready to be printed. `batch` is the capacity; the number of examples is known at run time. There are at
    most so many `threads`: each has scratch memory of its own.

    `kept` are the buffers that live as long as the network: parameters, gradients, optimizer state.
    """

    graph: Graph
    target: Target
    itemsize: int
    batch: int
    threads: int
    steps: tuple[PlannedStep, ...]
    kept: Mapping[str, Buffer]
    regions: tuple[Region, ...]

    def region(self, name: str) -> Region:
        return next(region for region in self.regions if region.name == name)

    def step(self, name: str) -> PlannedStep | None:
        return next((step for step in self.steps if step.name == name), None)

    def bytes(self, name: str) -> int:
        return self.region(name).elements * self.itemsize

    def arena_bytes(self, training: bool, gradients: bool = False) -> int:
        """Bytes of the arena: for predictions alone, for `training`, and where `gradients` are asked for as well."""
        last = self.region("asked_gradients" if gradients else "state" if training else "prediction")
        return (last.offset + last.elements) * self.itemsize + ALIGNMENT
