"""How outputs are compared with targets. One file per loss: the file's name is its name in the language.

A loss is lowered to operations that write its value for each example, and the gradient of the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from dslc.language.arguments import BALANCED, ClassWeights, Positive
from dslc.numerics import Array, np
from dslc.operation import Operation, Tensor
from dslc.registry import name_of
from dslc.scalar import Scalar
from dslc.shape import Shape, SizeProblem


@dataclass(frozen=True)
class LossSite:
    """One head being lowered. `z` is what the loss is computed from; `dz` is None when only the loss is needed.

    `sample_weights` holds what each example counts; the kernel multiplies by it what it writes. `example_loss` holds
    one number for each example; the head's loss is their sum divided by `count`, what its targets count together.
    `class_weights` are those that `fit` balances; `lengths` the steps of each example, if the loss asks for them.
    """

    head: str
    z: Tensor
    target: Tensor
    sample_weights: Tensor
    example_loss: Tensor
    count: Tensor
    dz: Tensor | None
    emit: Callable[[Operation], None]
    class_weights: Tensor | None = None
    lengths: Tensor | None = None

    def op(self, kind: str, job: str, reads: tuple[Tensor, ...], writes: tuple[Tensor, ...], detail: object) -> None:
        """Emits an operation named `<head>_<job>`."""
        self.emit(Operation(kind, f"{self.head}_{job}", reads, writes, detail, f"loss of {self.head}"))

    @property
    def results(self) -> tuple[Tensor, ...]:
        """What the loss writes: the loss of each example and, if it is needed, dz."""
        return (self.example_loss,) if self.dz is None else (self.example_loss, self.dz)

    def unweighted(self) -> LossSite:
        """The same head with other tensors for the results before class weights are applied."""
        dz = None if self.dz is None else replace(self.dz, name=f"{self.dz.name}_unweighted")
        example_loss = replace(self.example_loss, name=f"{self.example_loss.name}_unweighted")
        return replace(self, example_loss=example_loss, dz=dz)


@dataclass(frozen=True)
class LossDetail:
    """`value` and `slope` are formulas in the output z and the target t, for elementwise losses."""

    weight: float
    value: Scalar | None = None
    slope: Scalar | None = None


@dataclass(frozen=True)
class ClassWeightsDetail:
    """One weight for each class; none if they are a tensor that the operation reads."""

    classes: int
    weights: tuple[float, ...]


class Loss:
    """Base class of all losses; a subclass is a frozen dataclass whose annotated fields are its arguments.

    `through`: the layer whose input the loss is computed from (softmax, sigmoid); it must be the last of the head.
    `classes`: targets are classes, by their numbers where `numbered`, else real numbers of the output's shape.
    `scores`: the loss needs unbounded outputs, not those of a softmax or sigmoid.
    `pixels`: a target is a class number for each pixel, kept as a real number that is NaN where there is none.
    `sequences`: a target is a row of class numbers, as real numbers, with NaN behind its end.
    `lengths`: the input that tells how many steps each example has.
    `binary`: targets are numbers from 0 (no) to 1 (yes), and an output of at least `threshold` means yes.
    """

    through: ClassVar[str | None] = None
    classes: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ()
    scores: ClassVar[bool] = False
    pixels: ClassVar[bool] = False
    sequences: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    threshold: ClassVar[float] = 0.5
    weight: Positive
    lengths: str | None = None

    @property
    def numbered(self) -> bool:
        """Whether a target is a class number; soft labels are not."""
        return self.classes

    @property
    def balanced(self) -> bool:
        """Whether `fit` sets class weights by how often each class occurs."""
        return False

    @property
    def numbers(self) -> bool:
        """Whether targets are numbers in a unit of their own: neither classes nor yes and no."""
        return not self.classes and not self.binary

    @property
    def target_range(self) -> tuple[float, float] | None:
        """The least and the largest number that a target may be, both included; None for any."""
        return (0.0, 1.0) if self.binary else None

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem if the loss cannot be computed for an output of this shape."""

    def at(self, values: Mapping[str, Array]) -> Loss:
        """The loss as its reference needs it, where that depends on other values of the network, by name."""
        return self

    def target_shape(self, shape: Shape) -> Shape:
        """The shape of one target for an output of this shape: () for a class number."""
        return () if self.classes else shape

    def reference(self, z: Array, target: Array, weights: Array | None = None) -> tuple[float, Array]:
        """The loss in NumPy and its gradient with respect to z (n, *output), both times `weight`. weights: what each
        example counts (n,), one where None: means are weighted means."""
        raise NotImplementedError

    def lower(self, site: LossSite) -> None:
        """Emits the operations that write `site.count` and `site.results`."""
        raise NotImplementedError


def require_vector(shape: Shape, what: str) -> None:
    """Raises SizeProblem for an output that is not a vector; `what` names the loss."""
    if len(shape) != 1:
        notes = [f"help: end with flatten{', global_avgpool or dense' if len(shape) == 3 else ' or global_avgpool'}"]
        if what == "cross_entropy":
            place = "step" if len(shape) == 2 else "pixel"
            notes.append(f"help: for a class at each {place}: loss {place}_cross_entropy")
        kind = "a sequence" if len(shape) == 2 else "an image"
        raise SizeProblem(f"{what} needs a vector, but this output is {kind}", notes=tuple(notes))


def shares(target: Array, weights: Array | None) -> tuple[Array, Array]:
    """Which targets are present, and the share that each has in a weighted mean of those; both (n, ...)."""
    there = ~np.isnan(target)
    each = np.ones(len(target)) if weights is None else weights
    counts = np.where(there, each.reshape(-1, *[1] * (target.ndim - 1)), 0)
    return there, counts / (counts.sum() or 1)


class ElementLoss(Loss):
    """A loss that is a mean over all elements; a missing target (NaN) adds nothing and is not counted."""

    def value(self) -> Scalar:
        """The loss of one element, as a formula in z and t."""
        raise NotImplementedError

    def slope(self) -> Scalar:
        """Its derivative with respect to z."""
        raise NotImplementedError

    def lower(self, site: LossSite) -> None:
        """Counts the targets that are present, then one `element_loss` for value and gradient."""
        detail = LossDetail(self.weight, self.value(), self.slope())
        site.op("count_present", "count", (site.target, site.sample_weights), (site.count,), detail)
        needed = () if site.dz is None else (site.count,)
        reads = (site.z, site.target, site.sample_weights, *needed)
        site.op("element_loss", "loss", reads, site.results, detail)


class ClassLoss(Loss):
    """A loss of class numbers: the mean over the mini-batch, in which every example counts as much as its class weighs.

    The sum is divided by the number of examples, as in scikit-learn and Keras, and not by the sum of their weights (as
    in PyTorch): the pull of an example does not depend on which others share its mini-batch.
    """

    classes = True
    metrics = ("accuracy",)
    instead: ClassVar[str]
    """What to write for a single output."""
    class_weights: ClassWeights

    def check(self, shape: Shape) -> None:
        """Raises SizeProblem for an image, for fewer than two classes, and for a wrong number of class weights."""
        name = name_of(self)
        require_vector(shape, name)
        if shape[0] < 2:
            raise SizeProblem(
                f"{name} needs at least two classes, but this output has one",
                notes=(f"help: for yes or no: {self.instead}",),
            )
        if isinstance(self.class_weights, tuple) and self.class_weights and len(self.class_weights) != shape[0]:
            raise SizeProblem(f"class_weights has {len(self.class_weights)} numbers, but there are {shape[0]} classes")

    @property
    def balanced(self) -> bool:
        """`class_weights=balanced`."""
        return self.class_weights == BALANCED

    def of_examples(self, target: Array, weights: Array | None) -> Array:
        """The factor of each example's loss (n,), in NumPy: its share of all sample weights times the weight of its
        class."""
        share = shares(target[:, 0] if target.ndim > 1 else target, weights)[1]
        return share * np.asarray(self.class_weights)[target] if self.class_weights else share

    def lower_loss_and_gradient(self, site: LossSite) -> None:
        """Emits the operation that writes `site.results`, without class weights."""
        raise NotImplementedError

    def lower(self, site: LossSite) -> None:
        """Counts the examples, then `lower_loss_and_gradient`; with class weights `class_weights` multiplies its
        results."""
        site.op("count_examples", "count", (), (site.count,), None)
        if not self.class_weights:
            self.lower_loss_and_gradient(site)
            return
        before = site.unweighted()
        self.lower_loss_and_gradient(before)
        detail = ClassWeightsDetail(site.z.shape[0], () if isinstance(self.class_weights, str) else self.class_weights)
        balanced = () if site.class_weights is None else (site.class_weights,)
        site.op("class_weights", "weigh_classes", (*before.results, site.target, *balanced), site.results, detail)
