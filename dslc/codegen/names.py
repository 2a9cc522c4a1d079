"""Names in the emitted C: no two things have the same, and the offset of every buffer has a constant."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.codegen.c_source import PUBLIC, RUNS, c_prefix
from dslc.operation import CALLERS, INPUT, OUTPUT, Tensor
from dslc.plan import Buffer, Plan, PlannedStep
from dslc.shape import show_shape

PHASES = {
    "predict_prepack": "Prepacking: what depends on the parameters alone, once for many predictions.",
    "predict_forward": "The forward pass in prediction mode.",
    "predict_small_batch": "The forward pass in prediction mode, for small batches.",
    "predict_losses": "The losses of what predict_forward has stored.",
    "gradients_begin": "What all slices of a mini-batch need.",
    "gradients_forward": "The forward pass in training mode, up to the loss.",
    "gradients_backward": "The backward pass: the gradients of all trainable parameters.",
    "gradients_finish": "What is added once to the gradients of all slices.",
    "train_begin": "What all slices of a mini-batch need.",
    "train_forward": "The forward pass in training mode, up to the loss.",
    "train_backward": "The backward pass: the gradients of all trainable parameters, some with their update fused.",
    "train_check": "Whether the step may be taken: the loss becomes NaN where a gradient is not finite, or too large.",
    "train_update": "The running averages and the optimizer.",
}
"""The functions of the phases and what their comments say."""


@dataclass(frozen=True)
class Constant:
    """The offset of a buffer in the arena, in numbers: that of a tensor, and of one step if its name is not empty."""

    name: str
    offset: int
    comment: str
    step: str
    tensor: str


@dataclass(frozen=True)
class Place:
    """A buffer in a memory, `at` or `weights`; `step` is the one whose workspace it lies in, empty if it is kept.
    `batch`: for so many examples."""

    step: str
    buffer: Buffer
    memory: str
    batch: int

    @property
    def name(self) -> str:
        """What its offset is called."""
        name = self.buffer.tensor.name
        return f"{self.step}_{name}" if self.step else name


class Names:
    """The names of one file. `constants` grows with the buffers that are asked for; its keys are step and tensor.
    `apart`: the buffers that are kept lie in a memory of their own, `weights`, which nothing writes."""

    def __init__(self, plan: Plan, apart: bool = False) -> None:
        self.plan, self.apart = plan, apart
        self.prefix = c_prefix(plan.graph.network)
        self.real = "float" if plan.itemsize == 4 else "double"
        calls = ("predict_call", "evaluate_call", "step_call", "train_call", "add_slice", "total_loss_of_slices",
                 "examples_in_order", "gather_slice", "step_on",
                 *(f"{name}_part" for name in RUNS))  # fmt: skip
        self.taken = {*PHASES, *calls, *(f"{self.prefix}_{name}" for name in PUBLIC)}
        self.constants: dict[tuple[str, str], Constant] = {}

    def unique(self, name: str) -> str:
        """The name, with a number behind it if it is taken; it is taken from now on."""
        candidate, number = name, 2
        while candidate in self.taken:
            candidate, number = f"{name}_{number}", number + 1
        self.taken.add(candidate)
        return candidate

    def place(self, step: PlannedStep, tensor: Tensor) -> Place:
        """Where a tensor lies; both training steps agree on it where they can."""
        local = step.workspace.get(tensor.name)
        train = self.plan.step("train")
        if step.name == "gradients" and train is not None and train.workspace.get(tensor.name) == local:
            step = train
        buffer = local or self.plan.kept[tensor.name]
        memory = "weights" if self.apart and tensor.name in self.plan.kept else "at"
        return Place(step.name if local else "", buffer, memory, step.batch)

    def constant(self, step: PlannedStep, tensor: Tensor) -> str:
        """The constant with the offset of a tensor's buffer."""
        return self.offset(self.place(step, tensor))

    def offset(self, place: Place) -> str:
        """The constant with the offset of a place."""
        tensor, buffer, key = place.buffer.tensor, place.buffer, (place.step, place.buffer.tensor.name)
        if key not in self.constants:
            name = self.unique(place.name)
            stored = (place.batch, *buffer.layout.stored)
            each = show_shape(stored) if tensor.batched else buffer.layout.describe()
            shared = f", the memory of {buffer.alias}" if buffer.alias else ""
            self.constants[key] = Constant(name, buffer.offset, f"{each}{shared}", *key)
        return self.constants[key].name

    def staging(self, tensor: Tensor) -> str:
        """The constant of the buffer in which the examples of a mini-batch are gathered."""
        buffer = self.plan.kept[f"{tensor.name}_staging"]
        name = self.unique(f"{tensor.name}_staging")
        sliced = tensor.role == INPUT and self.plan.step_batch > self.plan.batch
        count, what = (self.plan.batch, "slice") if sliced else (self.plan.step_batch, "mini-batch")
        each = show_shape((count, *tensor.shape))
        self.constants["", name] = Constant(name, buffer.offset, f"{each}, one {what}", "", tensor.name)
        return name

    def c_type(self, tensor: Tensor) -> str:
        """The type of an array's numbers."""
        return {"real": self.real, "int": "int32_t", "double": "double"}[tensor.dtype]

    def declare(self, tensor: Tensor) -> str:
        """A parameter that is the caller's array."""
        return f"{'' if tensor.role == OUTPUT else 'const '}{self.c_type(tensor)} *{tensor.name}"


def is_callers(tensor: Tensor) -> bool:
    """Whether the array belongs to the caller: inputs, targets, sample weights and outputs."""
    return tensor.role in CALLERS
