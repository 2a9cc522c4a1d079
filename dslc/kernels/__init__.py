"""How operations run. One file an operation: its variants, what each costs, which layouts suit it.

`variants(op, setting)` lists the ways to compute an operation under the chosen layouts; the plan takes the cheapest.
A file may also have `wishes(op, lanes)`: layouts for the tensors that its operation reads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dslc.graph import Operation, Tensor
from dslc.kernels.product import Product
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.scalar import variable

MULTIPLY_ADDS_PER_NS = 6.0
"""How many vectors of multiply-adds one core does at best: two units at 3 GHz. To compare algorithms and to judge
whether sharing pays, a rough figure is enough."""
ELEMENTS_PER_NS = 2.0
"""The same for code that mostly moves memory."""


@dataclass(frozen=True)
class Scratch:
    """Memory that a kernel works in: numbers in all."""

    name: str
    elements: int


@dataclass(frozen=True)
class Variant:
    """One way to compute an operation.

    `arguments` name in C the operation's tensors: reads, then what is only written. `context` fills the template
    `kernels/<kind>[_<name>].c.j2`. `cost_ns` estimates a whole mini-batch on one thread. `products` are the sizes of
    the micro-kernel that the template calls, `transforms` those of Winograd's algorithm, and `scratch` is memory for
    the time of the call, whose names follow those of the tensors in `arguments`. `shared_template` is for a template
    that several kinds have in common.
    """

    name: str
    arguments: tuple[str, ...]
    context: Mapping[str, object]
    cost_ns: float
    products: tuple[Product, ...] = ()
    transforms: tuple[Transform, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    shared_template: str = ""

    @property
    def is_alias(self) -> bool:
        """Runs nothing: the result is another name for what the operation reads."""
        return self.name == "alias"

    def template(self, kind: str) -> str:
        if self.shared_template:
            return self.shared_template
        return f"kernels/{kind}.c.j2" if self.name == "plain" else f"kernels/{kind}_{self.name}.c.j2"


@dataclass(frozen=True)
class Setting:
    """What a kernel may look at besides its operation. `precise`: algorithms that lose accuracy are no choice."""

    layouts: Mapping[str, Layout]
    batch: int
    itemsize: int
    lanes: int
    tile_rows: int

    threads: int
    precise: bool = False

    def layout(self, tensor: Tensor) -> Layout:
        return self.layouts[tensor.name]

    def images(self, tensor: Tensor) -> str:
        """How many images lie one after the other, in C: examples, or vectors of them where they lie in lanes."""
        lanes = self.layout(tensor).examples
        return "n" if lanes == 1 else f"((n + {lanes - 1}) / {lanes})"

    def depth(self, tensor: Tensor) -> int:
        """Numbers of a pixel that lie side by side: its channels, times the examples where they lie in lanes."""
        return tensor.shape[-1] * self.layout(tensor).examples

    def elements(self, tensor: Tensor) -> int:
        """Numbers of one such image."""
        return tensor.elements * self.layout(tensor).examples

    def stored(self, tensor: Tensor) -> int:
        """Numbers that a parameter takes."""
        return self.layout(tensor).elements

    def total(self, tensor: Tensor) -> int:
        """Elements of a tensor over a whole mini-batch."""
        return tensor.elements * (self.batch if tensor.batched else 1)

    def moving(self, *tensors: Tensor, factor: float = 1.0) -> float:
        """Cost of passing once over tensors."""
        return sum(self.total(t) for t in tensors) * factor / ELEMENTS_PER_NS

    def multiplying(self, op: Operation, efficiency: float = 1.0) -> float:
        """Cost of the operation's multiply-adds at a share of the vector units' speed."""
        return self.vector_products(op.multiply_adds) / efficiency

    def vector_products(self, products: float) -> float:
        """Cost of so many multiply-adds an example at full speed."""
        return products * self.batch / (MULTIPLY_ADDS_PER_NS * self.lanes)


def finish(op: Operation) -> dict[str, object]:
    """What a kernel does to each element x before it stores it; with `kept`, y is the element of the last read."""
    if op.fused is None:
        return {"formula": variable("x"), "kept": False}
    return {"formula": op.fused.formula, "kept": op.fused.needs_y}


D = TypeVar("D")


def detail(op: Operation, kind: type[D]) -> D:
    """The operation's detail, of the kind that this kernel knows."""
    assert isinstance(op.detail, kind), op.name
    return op.detail


def wishes(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Layouts that suit the operation, by tensor."""
    found: Callable[[Operation, int], Mapping[str, Layout]] | None = getattr(_module(op), "wishes", None)
    return found(op, lanes) if found else {}


def choose(op: Operation, setting: Setting) -> Variant:
    """The cheapest variant that fits the layouts."""
    found: list[Variant] = _module(op).variants(op, setting)
    return min(found, key=lambda v: v.cost_ns)


@dataclass(frozen=True)
class Copy:
    """How an operation would like to read one of its tensors: as the operation `kind` copies it, in a layout; the
    copy is named after the tensor and `suffix`."""

    tensor: Tensor
    kind: str
    layout: Layout
    detail: object = None
    suffix: str = ""


def steps(op: Operation, setting: Setting) -> tuple[Operation, ...]:
    """The operations that the chosen algorithm does one after the other; mostly the operation itself."""
    found: Callable[[Operation, Setting], tuple[Operation, ...]] | None = getattr(_module(op), "steps", None)
    return found(op, setting) if found else (op,)


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """What the operation reads in another form than it was made."""
    found: Callable[[Operation, int], tuple[Copy, ...]] | None = getattr(_module(op), "copies", None)
    return found(op, lanes) if found else ()


def alike(op: Operation) -> tuple[Tensor, ...]:
    """Tensors that must lie in the same way."""
    found: Callable[[Operation], tuple[Tensor, ...]] | None = getattr(_module(op), "alike", None)
    return found(op) if found else ()


def algorithms(op: Operation, setting: Setting) -> Mapping[str, float]:
    """The algorithms that the operation may be computed by, with their costs in ns; empty where there is but one."""
    found: Callable[[Operation, Setting], Mapping[str, float]] | None = getattr(_module(op), "algorithms", None)
    return found(op, setting) if found else {}


def updates(op: Operation) -> bool:
    """The kernel can update a parameter instead of storing its gradient."""
    return bool(getattr(_module(op), "UPDATES", False))


def follows(op: Operation) -> bool:
    """The kernel works as well with one example a lane, if all that it reads and writes lies so."""
    return bool(getattr(_module(op), "FOLLOWS", False))


def fuses(op: Operation) -> bool:
    """The kernel can apply a formula to what it stores."""
    return bool(getattr(_module(op), "FUSES", False))


def pools(op: Operation) -> bool:
    """The kernel can store the largest of each 2x2 pixels instead of all."""
    found: Callable[[Operation], bool] | None = getattr(_module(op), "pools", None)
    return found(op) if found else False


def _module(op: Operation):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"dslc.kernels.{op.kind}")
