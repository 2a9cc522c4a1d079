"""The operations of a quantized network as constants and calls of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from dslc.codegen.text import in_comment, wrapped
from dslc.numerics import Array, np
from dslc.operation import identifier
from dslc.quantization.packing import Packed, packed_blocks, packed_depthwise, packed_plain, rounds_up
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
from dslc.quantization.reading import reading_of
from dslc.quantization.vectors import Vectors
from dslc.shape import Pair, Shape

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
    """The struct of a product, `id`_layer, or of a pooling, `id`_window, whose `window` alone is there. `walk`: the
    fields that only vectors need. `function`, with its `body`: what computes all products that walk alike."""

    id: str
    window: str
    comment: str = ""
    groups: int = 1
    depth: int = 0
    is_direct: int = 0
    shift: int = 0
    x_zero: int = 0
    y_zero: int = 0
    walk: str = ""
    function: str = ""
    body: str = ""


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


def constant(name: str, array: Array, comment: str = "") -> Constant:
    """An array of C."""
    kind = array.dtype.name
    text = ", ".join(_number(value, kind) for value in array.reshape(-1).tolist())
    return Constant(name, TYPES[kind], int(array.size), tuple(line.rstrip(",") for line in wrapped(text, 112)), comment)


def _number(value: float, kind: str) -> str:
    if kind == "float32":
        return f"{float(np.float32(value))!r}f"
    return repr(value)


def body(program: Program, places: Mapping[str, str], vectors: Vectors, batch: int, shares: bool) -> Body:
    """The operations in their order, for up to `batch` examples. places: what C writes for the bytes of each tensor,
    and for those that an operation works in, "". shares: each thread does a part of every operation."""
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
        self.high = program.tensors[0].encoding.high
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
        return f"{tasks} * part / parts, {tasks} * (part + 1) / parts" if self.shares else f"0, {tasks}"

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
        name, lanes = self._name(op), self._depthwise_lanes(op)
        if self.vectors.are_there and (lanes or not op.depthwise):
            self._with_vectors(op, name, lanes)
            return
        is_direct = op.window.is_pixel and op.groups == 1
        self._layer(op, name, packed_plain(op), is_direct)
        x, y = self._ends(op)
        self.kinds.add("depthwise" if op.depthwise else "product")
        function, room = ("convolve_depthwise", "") if op.depthwise else ("convolve", f", {self.places['']}")
        self.room = max(self.room, 0 if op.depthwise else op.depth)
        self._call(f"{function}(&{name}_layer, {x}, {self._share(_tasks(op, is_direct))}, {y}{room});")

    def _depthwise_lanes(self, op: Product) -> int:
        """The vectors of a depthwise convolution, as sums that one holds, which stand for four times as many channels:
        the widest that they fill, best without repeating any. 0 for plain C."""
        channels = len(op.weight)
        fitting = [lanes for lanes in self.vectors.depthwise if 4 * lanes <= channels] if op.depthwise else []
        return next((lanes for lanes in fitting if channels % (4 * lanes) == 0), fitting[0] if fitting else 0)

    def _with_vectors(self, op: Product, name: str, lanes: int) -> None:
        """A product whose function knows how it walks; those that walk alike share one."""
        how = reading_of(op, self.vectors, self.batch)
        constants = packed_depthwise(op, lanes) if lanes else packed_blocks(op, how, self.vectors, self.high)
        is_direct = op.window.is_pixel and not lanes
        kind = (op.window, op.groups, how)
        shared, function = self.functions.get(kind), self.functions.setdefault(kind, f"{name}_product")
        begin = f"depthwise_{lanes}(p, &{name}_layer, " if lanes else (
            f"convolve_{how.width}(p, &{name}_layer, {how.windows}, {how.blocks}, ")  # fmt: skip
        fields = [*map(_pair, (how.runs,)), str(how.run), *map(_pair, (how.run_step, how.step, how.padded))]
        walk = ", ".join([*fields, str(int(rounds_up(op, self.high)))])
        self._layer(op, name, constants, is_direct, walk, "" if shared else function, f"{begin}x, from, to, y, room);")
        (self.depthwise_widths if lanes else self.widths).add(lanes or how.width)
        self.kinds.add("walk")
        self.room = max(self.room, how.copied_bytes * op.window.image[2])
        x, y = self._ends(op)
        self._call(f"{function}(&{name}_layer, {x}, {self._share(_tasks(op, is_direct))}, {y}, {self.places['']});")

    def _layer(
        self, op: Product, name: str, how: Packed, direct: bool, walk: str = "", function: str = "", body_: str = ""
    ) -> None:
        """The constants of a product and its struct."""
        for role, array in (("weight", how.weight), ("bias", how.bias), ("multiplier", how.multiplier)):
            self.constants.append(constant(f"{name}_{role}", array))
        walk = walk or ", ".join(["{ 0, 0 }", "0", *["{ 0, 0 }"] * 3, "0"])
        self.products.append(
            Layer(name, _window(op.window), in_comment(f"{op.name}: {_told(op)}"), op.groups, how.depth,
                  int(direct), op.shift, self._zero(op.reads[0]), self._zero(op.y), walk, function, body_)
        )  # fmt: skip

    def max_pool(self, op: MaxPool) -> None:
        kind = "row_max_pool" if self.vectors.are_there else "max_pool"
        name = self._pool(op, op.window, kind)
        x, y = self._ends(op)
        room = ""
        if self.vectors.are_there:
            row = ((op.window.result[1] - 1) * op.window.stride[1] + op.window.size[1]) * op.window.image[2]
            self.room, room = max(self.room, 2 * row), f", {self.places['']}"
        self._call(f"{kind}(&{name}_window, {x}, {self._share(op.window.result[0])}, {y}{room});")

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


def _tasks(op: Product, is_direct: bool) -> int:
    """What threads share of an example: rows, or where no window overlaps another pixels."""
    return op.window.result[0] * (op.window.result[1] if is_direct else 1)


def _window(window: Window) -> str:
    """The fields of the struct."""
    sizes = ", ".join(map(str, (*window.image, *window.result)))
    pairs = (window.size, window.stride, window.before, window.dilation)
    return ", ".join([sizes, *map(_pair, pairs)])


def _pair(pair: Pair) -> str:
    return f"{{ {pair[0]}, {pair[1]} }}"


def _told(op: Product) -> str:
    """What a product is, in words."""
    window, filters = op.window, len(op.weight)
    if window.image[:2] == (1, 1):
        return f"dense, {window.image[2]} to {filters}"
    return f"convolution {window.size[0]}x{window.size[1]}, {window.image[2]} to {filters} channels"
