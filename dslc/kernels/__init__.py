"""How operations run. One file per operation: its variants, what each costs, which layouts suit it.

`variants(op, setting)` lists the ways to compute an operation in the chosen layouts; the plan takes the cheapest. A
file may also have `preferred_layouts(op, lanes)`, the layouts it wants for the tensors that its operation reads or
writes; `copies(op, lanes)`, what it reads in another form; and `algorithms(op, setting)`, the choices for tuning.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

from dslc.kernels.product import Product
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.operation import CALLERS, Operation, Tensor
from dslc.scalar import variable

MULTIPLY_ADDS_PER_NS = 6.0
"""Vector multiply-adds that one core does at best: two units at 3 GHz. This only compares algorithms and decides
whether sharing pays, so a rough figure is enough."""
ELEMENTS_PER_NS = 2.0
"""The same for code that is bound by memory, in elements."""


@dataclass(frozen=True)
class Scratch:
    """Workspace of a kernel; `elements` is the size for all threads together."""

    name: str
    elements: int


@dataclass(frozen=True)
class Variant:
    """One way to compute an operation.

    `arguments` are the C names of the operation's tensors: what it reads, then what it only writes; one without a name
    is not passed. `context` fills the
    template `kernels/<kind>[_<name>].c.j2`. `cost_ns` estimates a whole mini-batch on one thread. `products` are the
    sizes of the micro-kernel that the template calls, `transforms` those of Winograd's algorithm. `scratch` is
    workspace for the time of the call; its names come after those of the tensors in `arguments`. In the arguments that
    are `aligned` the kernel relies on every vector of a pixel beginning at a multiple of its size. `shared_template` is
    for a template that several kinds have in common. `sizes` are the entries of `context` that may as well be
    parameters of the C function, of the same name, at no cost in speed: kernels that differ in nothing else share one
    function. They are numbers, tuples of numbers, or names of micro-kernels. `overwritable` are the arguments whose
    memory the result may take when one thread runs alone: nothing is stored where something is still to be read.
    `overwrites` is the one that it does take; the function has no such parameter then, and the template finds it by its
    name.
    """

    name: str
    arguments: tuple[str, ...]
    context: Mapping[str, object]
    cost_ns: float
    products: tuple[Product, ...] = ()
    transforms: tuple[Transform, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    aligned: tuple[str, ...] = ()
    shared_template: str = ""
    sizes: tuple[str, ...] = ()
    overwritable: tuple[str, ...] = ()
    overwrites: str = ""

    @property
    def is_alias(self) -> bool:
        """Runs nothing: the result is another name for the memory that the operation reads."""
        return self.name == "alias"

    def in_place_of(self, argument: str) -> Variant:
        """The same with the result in the memory of an argument, which a template with `overwrites` is told."""
        told = {"overwrites": argument} if "overwrites" in self.context else {}
        return replace(self, overwrites=argument, context={**self.context, **told})

    def template(self, kind: str) -> str:
        """The template's path for an operation of this kind."""
        if self.shared_template:
            return self.shared_template
        return f"kernels/{kind}.c.j2" if self.name == "plain" else f"kernels/{kind}_{self.name}.c.j2"


@dataclass(frozen=True)
class Setting:
    """What a kernel may depend on besides its operation: layouts by tensor name, the largest mini-batch, bytes of a
    number, numbers in a vector, rows of a register tile, threads, whether algorithms that lose accuracy are left out
    (`precise`), and whether training has but a part of a mini-batch at a time, a slice or a rank's (`sliced`)."""

    layouts: Mapping[str, Layout]
    batch: int
    itemsize: int
    lanes: int
    tile_rows: int

    threads: int
    precise: bool = False
    sliced: bool = False

    def layout(self, tensor: Tensor) -> Layout:
        """How the tensor is stored."""
        return self.layouts[tensor.name]

    def images(self, tensor: Tensor) -> str:
        """How many images are stored one after the other, as a C expression: examples, or vectors of examples if
        interleaved."""
        lanes = self.layout(tensor).examples
        return "n" if lanes == 1 else f"((n + {lanes - 1}) / {lanes})"

    def depth(self, tensor: Tensor) -> int:
        """Contiguous numbers in a pixel: its channels, times the examples if they are interleaved."""
        return tensor.shape[-1] * self.layout(tensor).examples

    def elements(self, tensor: Tensor) -> int:
        """Numbers in one such image."""
        return tensor.elements * self.layout(tensor).examples

    def stored(self, tensor: Tensor) -> int:
        """Numbers that a parameter takes in memory, padding included."""
        return self.layout(tensor).elements

    def aligned(self, tensor: Tensor) -> bool:
        """Whether every vector of a pixel begins at a multiple of its bytes: in the arena, where tensors do, and the
        pixels are whole vectors. The caller's arrays begin anywhere."""
        return tensor.role not in CALLERS and self.depth(tensor) % self.lanes == 0

    def total(self, tensor: Tensor) -> int:
        """Elements of a tensor over a whole mini-batch."""
        return tensor.elements * (self.batch if tensor.batched else 1)

    def memory_cost(self, *tensors: Tensor, factor: float = 1.0) -> float:
        """Cost in ns of passing once over the tensors; `factor` weighs what is done to each element."""
        return sum(self.total(t) for t in tensors) * factor / ELEMENTS_PER_NS

    def compute_cost(self, op: Operation, efficiency: float = 1.0) -> float:
        """Cost in ns of the operation's multiply-adds at a share of the vector units' peak."""
        return self.vector_cost(op.multiply_adds) / efficiency

    def vector_cost(self, products: float) -> float:
        """Cost in ns of that many multiply-adds per example at peak speed."""
        return products * self.batch / (MULTIPLY_ADDS_PER_NS * self.lanes)


def epilogue(op: Operation) -> dict[str, object]:
    """The epilogue for the template: the formula for each element x before it is stored; with `kept`, y is the element
    of the last read."""
    if op.fused is None:
        return {"formula": variable("x"), "kept": False}
    return {"formula": op.fused.formula, "kept": op.fused.needs_y}


D = TypeVar("D")


def detail(op: Operation, kind: type[D]) -> D:
    """The operation's detail, asserted to be of the kind that this kernel knows."""
    assert isinstance(op.detail, kind), op.name
    return op.detail


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """The layouts that suit the operation, by tensor name."""
    found: Callable[[Operation, int], Mapping[str, Layout]] | None = _offered(op.kind, "preferred_layouts")
    return found(op, lanes) if found else {}


def choose(op: Operation, setting: Setting) -> Variant:
    """The cheapest variant in these layouts."""
    found: list[Variant] = _module(op.kind).variants(op, setting)
    return min(found, key=lambda v: v.cost_ns)


@dataclass(frozen=True)
class Copy:
    """A tensor in the form in which an operation wants to read it: copied by an operation `kind`, in `layout`. The copy
    is named after the tensor and `suffix`."""

    tensor: Tensor
    kind: str
    layout: Layout
    detail: object = None
    suffix: str = ""


def steps(op: Operation, setting: Setting) -> tuple[Operation, ...]:
    """The operations that the chosen algorithm consists of; mostly the operation itself."""
    found: Callable[[Operation, Setting], tuple[Operation, ...]] | None = _offered(op.kind, "steps")
    return found(op, setting) if found else (op,)


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """What the operation reads in a form other than the one it was made in."""
    found: Callable[[Operation, int], tuple[Copy, ...]] | None = _offered(op.kind, "copies")
    return found(op, lanes) if found else ()


def same_layout(op: Operation) -> tuple[Tensor, ...]:
    """Tensors that must have the same layout."""
    found: Callable[[Operation], tuple[Tensor, ...]] | None = _offered(op.kind, "same_layout")
    return found(op) if found else ()


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """The algorithms that can compute the operation, with their costs in ns; empty if there is only one."""
    found: Callable[[Operation, Setting], Mapping[str, float]] | None = _offered(op.kind, "algorithms")
    return found(op, setting) if found else {}


def updates(op: Operation) -> bool:
    """Whether the kernel can update a parameter instead of storing its gradient."""
    return bool(_offered(op.kind, "UPDATES"))


def keeps_layout(op: Operation) -> bool:
    """Whether the kernel also works on interleaved examples, if all that it reads and writes is interleaved."""
    return bool(_offered(op.kind, "KEEPS_LAYOUT"))


def fuses(op: Operation) -> bool:
    """Whether the kernel can apply a formula to what it stores (an epilogue)."""
    return bool(_offered(op.kind, "FUSES"))


def pools(op: Operation) -> bool:
    """Whether the kernel can store the maximum of each 2x2 pixels instead of all four."""
    found: Callable[[Operation], bool] | None = _offered(op.kind, "pools")
    return found(op) if found else False


@cache
def _offered(kind: str, name: str) -> Any:
    """What the file of a kind has of this name; None if it has none."""
    return getattr(_module(kind), name, None)


@cache
def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"dslc.kernels.{kind}")
