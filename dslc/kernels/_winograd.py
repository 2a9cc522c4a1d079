"""Winograd's convolution F(m x m, r x r): tiles of the image are transformed, multiplied with the transformed filters
in one matrix product for each of the (m + r - 1)^2 elements, and transformed back (Lavin and Gray 2016).

The code calls a tile of the image a square, to tell it from the register tiles of `product.py`. The input gradient is
the same with rotated filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dslc.kernels import Copy, Scratch, Setting, Variant, epilogue
from dslc.kernels.product import Tiles, even_rows, spread
from dslc.kernels.transform import Transform
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.operation import INPUT, Operation, Tensor
from dslc.winograd import suits

OUTPUTS = {3: (2, 4, 5), 5: (2, 4)}
"""The values of m that there are for a filter size r."""
SQUARES = 56
"""About this many squares are in work at a time, so that their transforms stay in cache."""
SQUARES_STREAMED = 112
"""The number for filters that do not stay in cache between two rounds, so that they are read less often."""
STREAMED = 16 << 20
"""Bytes of transformed filters above which that is so."""
MAX_PREFETCHED = 8
"""Up to this many vectors of channels the memory of a square is prefetched; with more, too many lines would be in
flight."""
L2_BYTES = 1 << 20
"""Bytes of the L2 cache: what was written beyond them is read back from the L3 cache or from memory."""
NON_TEMPORAL_BYTES = 16 << 20
"""Bytes of a result that fits in no cache: it is written with non-temporal stores, where its vectors are aligned."""
GROUPED = 64
"""Channels that are summed at a time: a sum of sums has less rounding error."""
NS_PER_VECTOR = 3.3
"""Time to compute a vector of a transformed square and to write and read it."""
BYTES_PER_NS = 22.0
"""How fast transformed filters are read from memory by one of two threads."""
ACCURACY_PENALTY = 1.2
"""F(5, 3) has four times the error of F(4, 3): it is taken only if its squares fit the image clearly better."""
FEW_CHANNELS = 128
"""Over fewer channels a plain sum of products loses so little that F(5, 3) would be ten times worse."""
FAR_LESS_ACCURATE = 2.0
"""The factor there, so that it is taken only on request: no square fits better by more than this."""


def costs(d: ConvDetail, setting: Setting) -> dict[str, float]:
    """The cost in ns of each algorithm that can compute a convolution (square filters, no stride, dilation or groups),
    by name; none if all must be precise."""
    if setting.precise or not suits(d.size, d.stride, d.dilation, d.groups):
        return {}
    names = [name(m, d.size[0]) for m in OUTPUTS[d.size[0]]]
    return {choice: cost(d, choice, setting) for choice in names}


def name(outputs: int, taps: int) -> str:
    """The name of F(outputs, taps): `winograd4x3`."""
    return f"winograd{outputs}x{taps}"


def sizes(choice: str) -> tuple[int, int]:
    """m and r from a name."""
    outputs, taps = choice.removeprefix("winograd").split("x")
    return int(outputs), int(taps)


def squares(d: ConvDetail, outputs: int) -> tuple[int, int]:
    """Squares in a column and in a row of the image; the last ones may cross the edge."""
    return -(-d.output[0] // outputs), -(-d.output[1] // outputs)


def cost(d: ConvDetail, choice: str, setting: Setting) -> float:
    """Nanoseconds for a mini-batch on one thread: the products at 0.75 of peak, the vectors that the transforms move,
    and reading the transformed filters."""
    outputs, taps = sizes(choice)
    elements = (outputs + taps - 1) ** 2
    count = prod(squares(d, outputs)) * elements
    lanes = setting.lanes
    channels, filters = (-(-n // lanes) * lanes for n in (d.input[2], d.output[2]))
    products = setting.vector_cost(count * channels * filters) / 0.75
    moved = count * (channels + filters) // lanes * setting.batch * NS_PER_VECTOR
    cost = products + moved + elements * channels * filters * setting.itemsize / BYTES_PER_NS
    if (outputs, taps) != (5, 3):
        return cost
    return cost * (FAR_LESS_ACCURATE if min(d.input[2], d.output[2]) < FEW_CHANNELS else ACCURACY_PENALTY)


@dataclass(frozen=True)
class FiltersDetail:
    """Which transform. If the filters are rotated first, for the input gradient, `rotated` is the forward
    convolution."""

    choice: str
    rotated: ConvDetail | None = None


def filters_copy(w: Tensor, choice: str, lanes: int, rotated: ConvDetail | None = None) -> Copy:
    """The transformed filters, stored as [filters / lanes][elements][channels][lanes]."""
    outputs, taps = sizes(choice)
    channels, filters = w.shape[2:] if rotated is None else w.shape[:1:-1]
    layout = Layout(((outputs + taps - 1) ** 2, spread(channels * lanes) // lanes, filters), 2, lanes)
    suffix = choice if rotated is None else f"{choice}_rotated"
    return Copy(w, "winograd_filters", layout, FiltersDetail(choice, rotated), suffix)


def streams(d: ConvDetail, choice: str, setting: Setting) -> bool:
    """Whether the transformed filters are so large that they are read from memory every time."""
    return sum(sizes(choice), -1) ** 2 * d.input[2] * d.output[2] * setting.itemsize > STREAMED


def squares_at_once(d: ConvDetail, choice: str, setting: Setting) -> int:
    """How many squares a task takes: every thread gets equally many tasks of one size. If reading the filters takes
    most of the time, there is a single task, and the threads share its filters."""
    count = prod(squares(d, sizes(choice)[0])) * setting.batch
    streamed = streams(d, choice, setting)
    if streamed and count <= SQUARES_STREAMED:
        return count
    share = -(-count // setting.threads)
    return even_rows(share, SQUARES_STREAMED if streamed else SQUARES)


def exceeds_l2(vectors: int, setting: Setting) -> bool:
    """Whether so many vectors exceed the L2 cache."""
    return vectors * setting.lanes * setting.itemsize > L2_BYTES


SIZES = ("tiles_of_image", "in_rows", "in_columns", "in_channels", "out_rows", "out_columns", "units", "margins",
         "across", "at_once", "room", "channel_blocks", "blocks", "panels", "square_step", "result_step", "filter_step",
         "height", "one_vector", "two_vectors")  # fmt: skip
"""What may be parameters: all but the sizes of squares."""


def context(
    d: ConvDetail, choice: str, setting: Setting, whole_vectors: bool, window: int, aligned: bool
) -> dict[str, Any]:
    """Values for the template. `whole_vectors`: memory after the last pixel may be read. `window`: only the maximum of
    each `window` x `window` pixels is stored. `aligned`: the vectors of the result are."""
    outputs, taps = sizes(choice)
    lanes, rows = setting.lanes, setting.tile_rows
    down, across = squares(d, outputs)
    elements, channel_blocks, blocks = (outputs + taps - 1) ** 2, -(-d.input[2] // lanes), -(-d.output[2] // lanes)
    at_once = squares_at_once(d, choice, setting)
    height = even_rows(at_once, rows)
    room = -(-at_once // height) * height
    panels = -(-blocks // 2)
    stored = (d.output[0] // window, d.output[1] // window, d.output[2])
    tiles = Tiles((height,), lanes, blocks, prefetches=room > height and streams(d, choice, setting))
    return {
        "m": outputs, "size": outputs + taps - 1, "elements": elements, "tiles_of_image": down * across,
        "in_rows": d.input[0], "in_columns": d.input[1], "in_channels": d.input[2], "out_rows": d.output[0],
        "out_columns": d.output[1], "units": d.output[2], "margins": d.before, "across": across, "lanes": lanes,
        "at_once": at_once, "room": room, "threads": setting.threads,
        "channel_blocks": channel_blocks, "blocks": blocks, "groups": min(panels, setting.threads),
        "panels": panels, "square_step": spread(channel_blocks * room * lanes),
        "result_step": spread(2 * panels * room * lanes),
        "filter_step": spread(d.input[2] * lanes),
        "tiles": tiles, "height": height, "one_vector": tiles.named(height, 1), "two_vectors": tiles.named(height, 2),
        "summed": max(1, GROUPED // lanes), "near": blocks <= MAX_PREFETCHED,
        "asked": elements if exceeds_l2(elements * (channel_blocks + 2 * panels) * room, setting) else 0,
        "far": aligned and prod(stored) * setting.batch * setting.itemsize > NON_TEMPORAL_BYTES,
        "stored": stored, "stored_m": outputs // window,
        "whole": int(whole_vectors or d.input[2] % lanes == 0),
        "input": Transform(outputs, taps, "input").name, "output": Transform(outputs, taps, "output").name,
    }  # fmt: skip


def scratch(c: Mapping[str, Any], setting: Setting) -> tuple[Scratch, ...]:
    """Workspace for the transformed squares of the input and for the products, for every thread."""
    each = c["elements"] * setting.threads
    return Scratch("squares", c["square_step"] * each), Scratch("products", c["result_step"] * each)


def transforms(choice: str) -> tuple[Transform, ...]:
    """The transforms of input and output; filters have an operation of their own."""
    return tuple(Transform(*sizes(choice), job) for job in ("input", "output"))


def variant(op: Operation, d: ConvDetail, setting: Setting, names: tuple[str, ...], bias: bool) -> Variant:
    """The kernel of `op`, which computes the convolution `d`."""
    window, aligned = 2 if op.pooled else 1, setting.aligned(op.writes[0])
    found = context(d, op.choice, setting, op.reads[0].role != INPUT, window, aligned)
    return Variant(
        op.choice,
        names,
        {**found, "bias": bias, **epilogue(op)},
        cost(d, op.choice, setting),
        found["tiles"].products,
        transforms(op.choice),
        scratch(found, setting),
        ("out",) if found["far"] else (),
        "kernels/_winograd.c.j2",
        SIZES,
    )
