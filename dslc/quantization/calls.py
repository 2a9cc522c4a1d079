"""The operations of a quantized network as constants and calls of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from dslc.codegen.text import in_comment, wrapped
from dslc.numerics import Array, np
from dslc.operation import identifier
from dslc.quantization.packing import packed
from dslc.quantization.program import (
    AveragePool,
    Concat,
    Lookup,
    MaxPool,
    Operation,
    Product,
    Program,
    Sum,
    Window,
)
from dslc.shape import Shape

TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Constant:
    """An array of C with its numbers in lines."""

    name: str
    type: str
    count: int
    lines: tuple[str, ...]
    comment: str = ""


@dataclass(frozen=True)
class Layer:
    """The struct of a product, `id`_layer, or of a pooling, `id`_window, whose `window` alone is there."""

    id: str
    window: str
    comment: str = ""
    groups: int = 1
    depth: int = 0
    is_direct: int = 0
    shift: int = 0
    x_zero: int = 0
    y_zero: int = 0


@dataclass(frozen=True)
class Body:
    """What `run` does: constants, structs and calls; `kinds` says which functions it needs, `sums` of how many
    values there are sums. `row_bytes`: the longest row that a convolution gathers."""

    constants: tuple[Constant, ...]
    products: tuple[Layer, ...]
    pools: tuple[Layer, ...]
    calls: tuple[str, ...]
    kinds: frozenset[str]
    sums: tuple[int, ...]
    row_bytes: int


def constant(name: str, array: Array, comment: str = "") -> Constant:
    """An array of C."""
    kind = array.dtype.name
    text = ", ".join(_number(value, kind) for value in array.reshape(-1).tolist())
    return Constant(name, TYPES[kind], int(array.size), tuple(line.rstrip(",") for line in wrapped(text, 112)), comment)


def _number(value: float, kind: str) -> str:
    if kind == "float32":
        return f"{float(np.float32(value))!r}f"
    return repr(value)


def body(program: Program, places: Mapping[str, str], lanes: int) -> Body:
    """The operations in their order. places: what C writes for the bytes of each tensor."""
    found = _Body(program, places, lanes)
    for op in program.operations:
        _CALLS[type(op)](found, op)
    return Body(
        tuple(found.constants), tuple(found.products), tuple(found.pools), tuple(found.calls), frozenset(found.kinds),
        tuple(sorted(found.sums)), found.row_bytes,
    )  # fmt: skip


class _Body:
    """The parts so far."""

    def __init__(self, program: Program, places: Mapping[str, str], lanes: int) -> None:
        self.program, self.places, self.lanes = program, places, lanes
        self.constants: list[Constant] = []
        self.products: list[Layer] = []
        self.pools: list[Layer] = []
        self.calls: list[str] = []
        self.kinds: set[str] = set()
        self.sums: set[int] = set()
        self.row_bytes = 0
        self.names: set[str] = set()

    def _name(self, op: Operation) -> str:
        """A name of C that no other operation has. Behind it stands one word that says what a constant is, so that
        no two constants, nor a constant and a function, have one name."""
        name = identifier(op.name)
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def _zero(self, name: str) -> int:
        return self.program.tensor(name).encoding.zero

    def _ends(self, op: Operation) -> tuple[str, str]:
        return self.places[op.reads[0]], self.places[op.y]

    def product(self, op: Product) -> None:
        name, how = self._name(op), packed(op, self.lanes)
        direct = op.window.is_pixel and op.groups == 1 and how.depth == op.depth
        for role, array in (("weight", how.weight), ("bias", how.bias), ("multiplier", how.multiplier)):
            self.constants.append(constant(f"{name}_{role}", array))
        self.products.append(
            Layer(name, _window(op.window), in_comment(f"{op.name}: {_told(op)}"), op.groups, how.depth,
                  int(direct), op.shift, self._zero(op.reads[0]), self._zero(op.y))
        )  # fmt: skip
        x, y = self._ends(op)
        if op.depthwise:
            self.kinds.add("depthwise")
            self.calls.append(f"convolve_depthwise(&{name}_layer, {x}, n, {y});")
            return
        self.kinds.add("product")
        if not direct:
            self.row_bytes = max(self.row_bytes, how.depth)
        self.calls.append(f"convolve(&{name}_layer, {x}, n, {y}, {'NULL' if direct else self.places['']});")

    def max_pool(self, op: MaxPool) -> None:
        name = self._pool(op, op.window, "max_pool")
        x, y = self._ends(op)
        self.calls.append(f"max_pool(&{name}_window, {x}, n, {y});")

    def _pool(self, op: Operation, window: Window, kind: str) -> str:
        name = self._name(op)
        self.kinds.add(kind)
        self.pools.append(Layer(name, _window(window)))
        return name

    def average_pool(self, op: AveragePool) -> None:
        name = self._pool(op, op.window, "average_pool")
        counted = op.counted or op.window.image[:2]
        before = (0, 0) if op.counted is None else op.window.before
        for role, pair in (("before", before), ("counted", counted)):
            self.constants.append(Constant(f"{name}_{role}", "int", 2, (f"{pair[0]}, {pair[1]}",)))
        self.constants.append(constant(f"{name}_multiplier", op.multiplier, "By how many numbers count."))
        x, y = self._ends(op)
        self.calls.append(
            f"average_pool(&{name}_window, {x}, n, {name}_multiplier, {op.shift}, {self._zero(op.reads[0])}, "
            f"{self._zero(op.y)}, {name}_before, {name}_counted, {y});"
        )

    def sum(self, op: Sum) -> None:
        self.kinds.add("sum")
        self.sums.add(len(op.reads))
        xs = ", ".join(f"{self.places[x]}, {m}" for x, m in zip(op.reads, op.multiplier.tolist(), strict=True))
        count = f"n * {self.program.tensor(op.y).elements}"
        end = f"{op.bias}, {op.shift}, {self._zero(op.y)}, {count}, {self.places[op.y]}"
        self.calls.append(f"add_{len(op.reads)}({xs}, {end});")

    def concat(self, op: Concat) -> None:
        self.kinds.add("concat")
        shapes: list[Shape] = [self.program.tensor(name).shape for name in op.reads]
        starts = [0, *accumulate(shape[-1] for shape in shapes)]
        total, y = starts[-1], self.program.tensor(op.y)
        for x, shape, start, m, b in zip(op.reads, shapes, starts, op.multiplier, op.bias, strict=False):
            self.calls.append(
                f"place({self.places[x]}, n * {y.elements // total}, {shape[-1]}, {m}, {b}, {op.shift}, "
                f"{y.encoding.zero}, {total}, {self.places[op.y]}{f' + {start}' if start else ''});"
            )

    def lookup(self, op: Lookup) -> None:
        name = self._name(op)
        self.kinds.add("lookup")
        self.constants.append(constant(f"{name}_table", op.table))
        x, y = self._ends(op)
        self.calls.append(f"look_up({x}, {name}_table, n * {self.program.tensor(op.y).elements}, {y});")


_CALLS: Mapping[type, Callable[[_Body, Any], None]] = {
    Product: _Body.product, MaxPool: _Body.max_pool, AveragePool: _Body.average_pool, Sum: _Body.sum,
    Concat: _Body.concat, Lookup: _Body.lookup,
}  # fmt: skip


def _window(window: Window) -> str:
    """The fields of the struct."""
    sizes = ", ".join(map(str, (*window.image, *window.result)))
    pairs = (window.size, window.stride, window.before, window.dilation)
    return ", ".join([sizes, *(f"{{ {a}, {b} }}" for a, b in pairs)])


def _told(op: Product) -> str:
    """What a product is, in words."""
    window, filters = op.window, len(op.weight)
    if window.image[:2] == (1, 1):
        return f"dense, {window.image[2]} to {filters}"
    return f"convolution {window.size[0]}x{window.size[1]}, {window.image[2]} to {filters} channels"
