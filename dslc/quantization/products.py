"""Products in C: the struct of each, its constants, and the function that computes it."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.codegen.text import in_comment
from dslc.quantization.constants import Constant, constant
from dslc.quantization.packing import Packed, packed_blocks, packed_depthwise, packed_plain, rounds_up
from dslc.quantization.program import Product, Program, Window
from dslc.quantization.reading import Reading, reading_of
from dslc.quantization.vectors import Vectors
from dslc.shape import Pair


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
class ProductInC:
    """A product: its struct, its constants, the tasks of an example that threads share, rows or pixels, and the bytes
    that it works in. `kind`: the functions that it needs; `width` and `depthwise_width`: the vectors, 0 for none.
    `walks_as`: products with vectors for which this is equal are computed by one function."""

    layer: Layer
    constants: tuple[Constant, ...]
    tasks: int
    room: int
    kind: str
    width: int = 0
    depthwise_width: int = 0
    walks_as: tuple[object, ...] = ()


NOWHERE = Reading((0, 0), 0, (0, 0), (0, 0), (0, 0), 0, 0, 0)
"""Of a product in plain C beside others."""


def product_in_c(program: Program, op: Product, name: str, vectors: Vectors, batch: int) -> ProductInC:
    """A product under a name of C, for up to `batch` examples a call."""
    lanes = _depthwise_lanes(op, vectors)
    if vectors.are_there and (lanes or not op.depthwise):
        return _with_vectors(program, op, name, vectors, batch, lanes)
    how, is_direct = packed_plain(op), op.window.is_pixel and op.groups == 1
    layer, kind = _layer(program, op, name, how, is_direct), "depthwise" if op.depthwise else "product"
    return ProductInC(layer, _constants(name, how), _tasks(op, is_direct), 0 if op.depthwise else op.depth, kind)


def _depthwise_lanes(op: Product, vectors: Vectors) -> int:
    """The vectors of a depthwise convolution, as sums that one holds, which stand for four times as many channels:
    the widest that they fill, best without repeating any. 0 for plain C."""
    channels = len(op.weight)
    fitting = [lanes for lanes in vectors.depthwise if 4 * lanes <= channels] if op.depthwise else []
    return next((lanes for lanes in fitting if channels % (4 * lanes) == 0), fitting[0] if fitting else 0)


def _with_vectors(program: Program, op: Product, name: str, vectors: Vectors, batch: int, lanes: int) -> ProductInC:
    """A product whose function knows how it walks."""
    high, how = program.tensors[0].encoding.high, reading_of(op, vectors, batch)
    constants = packed_depthwise(op, lanes) if lanes else packed_blocks(op, how, vectors, high)
    is_direct = op.window.is_pixel and not lanes
    shape = f"p, &{name}_layer"
    tile = f"depthwise_{lanes}({shape}" if lanes else f"convolve_{how.width}({shape}, {how.windows}, {how.blocks}"
    layer = _layer(program, op, name, constants, is_direct, _walk(how, rounds_up(op, high)),
                   f"{name}_product", f"{tile}, x, from, to, y, room);")  # fmt: skip
    return ProductInC(
        layer, _constants(name, constants), _tasks(op, is_direct), how.copied_bytes * op.window.image[2], "walk",
        0 if lanes else how.width, lanes, (op.window, op.groups, how),
    )  # fmt: skip


def _walk(how: Reading, rounds: bool) -> str:
    """The fields of the struct that only vectors need."""
    pairs = [how.run_step, how.step, how.padded]
    return ", ".join([_pair(how.runs), str(how.run), *map(_pair, pairs), str(int(rounds))])


def _constants(name: str, how: Packed) -> tuple[Constant, ...]:
    arrays = (("weight", how.weight), ("bias", how.bias), ("multiplier", how.multiplier))
    return tuple(constant(f"{name}_{role}", array) for role, array in arrays)


def _layer(
    program: Program, op: Product, name: str, how: Packed, direct: bool, walk: str = "", function: str = "",
    body: str = "",
) -> Layer:  # fmt: skip
    x_zero, y_zero = (program.tensor(tensor).encoding.zero for tensor in (op.reads[0], op.y))
    return Layer(
        name, window_fields(op.window), in_comment(f"{op.name}: {_told(op)}"), op.groups, how.depth, int(direct),
        op.shift, x_zero, y_zero, walk or _walk(NOWHERE, False), function, body,
    )  # fmt: skip


def _tasks(op: Product, is_direct: bool) -> int:
    """What threads share of an example: rows, or where no window overlaps another pixels."""
    return op.window.result[0] * (op.window.result[1] if is_direct else 1)


def window_fields(window: Window) -> str:
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
