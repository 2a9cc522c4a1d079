"""Operations on tensors: what layers are lowered to, and what kernels compute."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.scalar import Scalar
from dslc.shape import Shape

INPUT, TARGET, WEIGHTS, OUTPUT = "input", "target", "sample weights", "output"
ACTIVATION, PARAMETER, GRADIENT, STATE = "activation", "parameter", "gradient", "state"
CALLERS = (INPUT, TARGET, WEIGHTS, OUTPUT)
"""What belongs to the caller; all but the output is only read."""
ROLES = (*CALLERS, ACTIVATION, PARAMETER, GRADIENT, STATE)


@dataclass(frozen=True)
class Tensor:
    """An array of one step. `shape` is that of one example if `batched`, else of the whole.

    `role`: input, target, sample weights (NULL where all examples count alike) and output belong to the caller;
    parameter, gradient (of a parameter) and state (of the optimizer) live as long as the network; activation is
    everything in between.
    """

    name: str
    shape: Shape
    role: str = ACTIVATION
    batched: bool = True
    dtype: str = "real"

    def __hash__(self) -> int:
        """That of the name, which text keeps: planning looks up tensors all the time."""
        return hash(self.name)

    @property
    def elements(self) -> int:
        """Numbers in one example if `batched`, else in the whole tensor."""
        return prod(self.shape)


@dataclass(frozen=True)
class Fused:
    """An epilogue: the formula applied to every element of an operation's result before it is stored. `x` is the
    element; with `needs_y`, `y` is the element at the same place of the operation's last read."""

    formula: Scalar
    needs_y: bool = False


@dataclass(frozen=True)
class Operation:
    """One computation. `kind` is the file in `kernels/` that implements it, and `detail` is what that file needs to
    know.

    `choice` names one of several algorithms, once it is chosen. If the result is `pooled`, only the maximum of each 2x2
    pixels is stored. `multiply_adds` counts one example; `line` and `comment` tell where the spec asks for the
    operation. `again`: how many times the backward pass has computed this before, counted from 1; 0 for all that is
    computed where it belongs. `numbers`: hyperparameters that are known at run time, as the kernel calls them, and the
    fields of the network's struct.
    """

    kind: str
    name: str
    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    detail: object = None
    comment: str = ""
    line: int = 0
    multiply_adds: int = 0
    fused: Fused | None = None
    choice: str = ""
    pooled: bool = False
    again: int = 0
    numbers: tuple[tuple[str, str], ...] = ()


def identifier(parameter: str) -> str:
    """`conv1.weight` as a C identifier, `conv1_weight`."""
    return parameter.replace(".", "_")


def slice_gradient_name(parameter: str) -> str:
    """The C identifier of a parameter's gradient for one slice of a mini-batch: `conv1_weight_slice_grad`."""
    return f"{identifier(parameter)}_slice_grad"


def shared_gradient_name(parameter: str, node: str) -> str:
    """The C identifier of a node's part of the gradient of a parameter that several share: `..._grad_at_conv2`."""
    return f"{identifier(parameter)}_grad_at_{node}"


def average_name(parameter: str) -> str:
    """The C identifier of the average of a parameter over the updates: `conv1_weight_average`."""
    return f"{identifier(parameter)}_average"


def state_name(parameter: str, state: str) -> str:
    """The C identifier of an optimizer state of a parameter: `conv1_weight_v_state`."""
    return f"{identifier(parameter)}_{state}_state"
