"""How outputs are judged. One file a loss: the file's name is its name in the language.

A loss is lowered to operations that write, for each example, its part of the loss, and the gradient of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from dslc.arguments import Positive
from dslc.geometry import SizeProblem
from dslc.graph import Operation, Tensor
from dslc.ir import Shape
from dslc.numerics import Array
from dslc.scalar import Scalar


@dataclass(frozen=True)
class LossSite:
    """One head being lowered. `z` is what the loss is computed from; `dz` is None when only the loss is wanted.

    `example_loss` takes one number an example; the head's loss is their sum divided by `count`.
    """

    head: str
    z: Tensor
    target: Tensor
    example_loss: Tensor
    count: Tensor
    dz: Tensor | None
    emit: Callable[[Operation], None]

    def op(self, kind: str, job: str, reads: tuple[Tensor, ...], writes: tuple[Tensor, ...], detail: object) -> None:
        self.emit(Operation(kind, f"{self.head}_{job}", reads, writes, detail, f"loss of {self.head}"))

    @property
    def results(self) -> tuple[Tensor, ...]:
        return (self.example_loss,) if self.dz is None else (self.example_loss, self.dz)


@dataclass(frozen=True)
class LossDetail:
    """`value` and `slope` are formulas of output z and target t, for losses of one element."""

    weight: float
    value: Scalar | None = None
    slope: Scalar | None = None


class Loss:
    """Base of all losses; a subclass is a frozen dataclass whose annotated fields are its arguments.

    `through`: the layer whose input the loss is computed from (softmax, sigmoid); it must stand last in the head.
    `classes`: targets are class numbers, else real numbers of the output's shape.
    """

    through: ClassVar[str | None] = None
    classes: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ()
    weight: Positive

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem where an output of this shape cannot be judged."""

    def target_shape(self, shape: Shape) -> Shape:
        return () if self.classes else shape

    def reference(self, z: Array, target: Array) -> tuple[float, Array]:
        """The loss in NumPy and its gradient with respect to z, both with the weight."""
        raise NotImplementedError

    def lower(self, site: LossSite) -> None:
        raise NotImplementedError


def require_vector(shape: Shape, what: str) -> None:
    if len(shape) != 1:
        raise SizeProblem(f"{what} judges a vector, and this output is an image",
                          notes=("help: end with flatten, global_avgpool or dense",))  # fmt: skip


class ElementLoss(Loss):
    """A loss that is a mean over all elements; a missing target (NaN) adds nothing and is not counted."""

    def value(self) -> Scalar:
        raise NotImplementedError

    def slope(self) -> Scalar:
        raise NotImplementedError

    def lower(self, site: LossSite) -> None:
        detail = LossDetail(self.weight, self.value(), self.slope())
        site.op("count_present", "count", (site.target,), (site.count,), detail)
        reads = (site.z, site.target) if site.dz is None else (site.z, site.target, site.count)
        site.op("element_loss", "loss", reads, site.results, detail)
