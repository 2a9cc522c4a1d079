"""The operations of a quantized network as constants and calls of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from dslc.operation import identifier
from dslc.quantization.constants import Constant, constant
from dslc.quantization.products import Layer, product_in_c, window_fields
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
from dslc.quantization.vectors import Vectors
from dslc.shape import Shape


@dataclass(frozen=True)
class Body:
    """What `run` does: constants, structs and calls; `kinds` says which functions it needs, `sums` of how many
    values there are sums, `widths` and `depthwise_widths` which vectors. `room`: bytes that an operation works in."""

    constants: tuple[Constant, ...]
    products: tuple[Layer, ...]
    pools: tuple[Layer, ...]
    calls: tuple[str, ...]
    kinds: frozenset[str]
    sums: tuple[int, ...]
    widths: tuple[int, ...]
    depthwise_widths: tuple[int, ...]
    room: int


def body(program: Program, places: Mapping[str, str], vectors: Vectors, batch: int, shares: bool) -> Body:
    """The operations in their order, for up to `batch` examples. places: what C writes for the bytes of each tensor.
    shares: each thread does a part of every operation."""
    found = _Body(program, places, vectors, batch, shares)
    for op in program.operations:
        _CALLS[type(op)](found, op)
    return Body(
        tuple(found.constants), tuple(found.products), tuple(found.pools), tuple(found.calls), frozenset(found.kinds),
        tuple(sorted(found.sums)), tuple(sorted(found.widths)), tuple(sorted(found.depthwise_widths)), found.room,
    )  # fmt: skip


class _Body:
    """The parts so far."""

    def __init__(self, program: Program, places: Mapping[str, str], vectors: Vectors, batch: int, shares: bool) -> None:
        self.program, self.places, self.vectors, self.batch, self.shares = program, places, vectors, batch, shares
        self.constants: list[Constant] = []
        self.products: list[Layer] = []
        self.pools: list[Layer] = []
        self.calls: list[str] = []
        self.kinds: set[str] = set()
        self.sums: set[int] = set()
        self.widths: set[int] = set()
        self.depthwise_widths: set[int] = set()
        self.functions: dict[tuple[object, ...], str] = {}
        self.room = 0
        self.names: set[str] = set()

    def _call(self, text: str) -> None:
        """Adds a call, behind which all threads wait for each other."""
        self.calls.append(text)
        if self.shares:
            self.calls.append("wait_at_barrier(barrier, parts);")

    def _share(self, each: int) -> str:
        """From where to where a call goes, of so many rows or numbers of each example."""
        tasks = f"n * {each}" if each > 1 else "n"
        return f"share_of({tasks}, part, parts), share_of({tasks}, part + 1, parts)" if self.shares else f"0, {tasks}"

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
        found = product_in_c(self.program, op, self._name(op), self.vectors, self.batch)
        layer, x, y = found.layer, *self._ends(op)
        function = {"depthwise": "convolve_depthwise", "product": "convolve"}.get(found.kind, "")
        if not function:
            function = self.functions.setdefault(found.walks_as, layer.function)
            layer = layer if function == layer.function else replace(layer, function="")
        self.constants += found.constants
        self.products.append(layer)
        self.kinds.add(found.kind)
        self.widths |= {found.width} - {0}
        self.depthwise_widths |= {found.depthwise_width} - {0}
        self.room = max(self.room, found.room)
        room = "" if found.kind == "depthwise" else ", room"
        self._call(f"{function}(&{layer.id}_layer, {x}, {self._share(found.tasks)}, {y}{room});")

    def max_pool(self, op: MaxPool) -> None:
        kind = "row_max_pool" if self.vectors.are_there else "max_pool"
        name = self._pool(op, op.window, kind)
        x, y = self._ends(op)
        room = ""
        if self.vectors.are_there:
            row = ((op.window.result[1] - 1) * op.window.stride[1] + op.window.size[1]) * op.window.image[2]
            self.room, room = max(self.room, 2 * row), ", room"
        self._call(f"{kind}(&{name}_window, {x}, {self._share(op.window.result[0])}, {y}{room});")

    def _pool(self, op: Operation, window: Window, kind: str) -> str:
        name = self._name(op)
        self.kinds.add(kind)
        self.pools.append(Layer(name, window_fields(window)))
        return name

    def average_pool(self, op: AveragePool) -> None:
        name = self._pool(op, op.window, "average_pool")
        counted = op.counted or op.window.image[:2]
        before = (0, 0) if op.counted is None else op.window.before
        for role, pair in (("before", before), ("counted", counted)):
            self.constants.append(Constant(f"{name}_{role}", "int", 2, (f"{pair[0]}, {pair[1]}",)))
        self.constants.append(constant(f"{name}_multiplier", op.multiplier, "By how many numbers count."))
        x, y = self._ends(op)
        self._call(
            f"average_pool(&{name}_window, {x}, {self._share(op.window.result[0])}, {name}_multiplier, {op.shift}, "
            f"{self._zero(op.reads[0])}, {self._zero(op.y)}, {name}_before, {name}_counted, {y});"
        )

    def sum(self, op: Sum) -> None:
        self.kinds.add("sum")
        self.sums.add(len(op.reads))
        xs = ", ".join(f"{self.places[x]}, {m}" for x, m in zip(op.reads, op.multiplier.tolist(), strict=True))
        share = self._share(self.program.tensor(op.y).elements)
        end = f"{op.bias}, {op.shift}, {self._zero(op.y)}, {share}, {self.places[op.y]}"
        self._call(f"add_{len(op.reads)}({xs}, {end});")

    def concat(self, op: Concat) -> None:
        self.kinds.add("concat")
        shapes: list[Shape] = [self.program.tensor(name).shape for name in op.reads]
        starts = [0, *accumulate(shape[-1] for shape in shapes)]
        total, y = starts[-1], self.program.tensor(op.y)
        for x, shape, start, m, b in zip(op.reads, shapes, starts, op.multiplier, op.bias, strict=False):
            self._call(
                f"place({self.places[x]}, {self._share(y.elements // total)}, {shape[-1]}, {m}, {b}, {op.shift}, "
                f"{y.encoding.zero}, {total}, {self.places[op.y]}{f' + {start}' if start else ''});"
            )

    def lookup(self, op: Lookup) -> None:
        name = self._name(op)
        self.kinds.add("lookup")
        self.constants.append(constant(f"{name}_table", op.table))
        x, y = self._ends(op)
        self._call(f"look_up({x}, {name}_table, {self._share(self.program.tensor(op.y).elements)}, {y});")


_CALLS: Mapping[type, Callable[[_Body, Any], None]] = {
    Product: _Body.product, MaxPool: _Body.max_pool, AveragePool: _Body.average_pool, Sum: _Body.sum,
    Concat: _Body.concat, Lookup: _Body.lookup,
}  # fmt: skip
