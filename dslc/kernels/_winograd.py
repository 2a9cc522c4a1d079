"""Winograd's convolution F(m x m, r x r): squares of the image are transformed, meet the transformed filters in one
matrix product for each of the (m + r - 1)^2 elements, and are transformed back (Lavin and Gray 2016).

Forward, and with filters turned round the gradient of the input, are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from dslc.graph import INPUT, Operation, Tensor
from dslc.kernels import Copy, Scratch, Setting, Variant, finish
from dslc.kernels.product import Tiles, even_rows
from dslc.kernels.transform import Transform
from dslc.layers.conv import ConvDetail
from dslc.layout import Layout
from dslc.winograd import suits

OUTPUTS = {3: (2, 4, 5), 5: (2, 4)}
"""Which squares of outputs there are for a size of filters."""
SQUARES = 56
"""About so many squares are worked on at a time: what they become should stay in cache."""
MANY_SQUARES = 112
"""So many where the filters do not stay in cache from one time to the next, so that they are read less often."""
STREAMED = 16 << 20
"""Bytes of transformed filters that do not."""
LINE = 16
"""Numbers of a line of the cache, in float32."""
ASKED = 8
"""Vectors of channels up to which the memory of a square is asked for in time; of more it would be too much at once."""
SECOND_CACHE = 1 << 20
"""Bytes beyond which what was written comes from the third cache when it is read, or from memory."""
FAR = 16 << 20
"""Bytes of a result that no cache holds: it is written past them."""
GROUPED = 64
"""Channels that are summed in one go: sums of sums lose less."""
NS_A_VECTOR = 3.3
"""What it takes to compute a vector of a transformed square and to write and read it."""
BYTES_PER_NS = 22.0
"""How fast transformed filters come from memory, for one of two threads."""
LESS_ACCURATE = 1.2
"""F(5, 3) has four times the error of F(4, 3): it is taken only where its squares fit the image clearly better."""
FEW_CHANNELS = 128
"""Over fewer channels a plain sum of products loses so little that F(5, 3) would be ten times worse."""
FAR_LESS_ACCURATE = 2.0
"""So it is not taken there, unless it is asked for: more than this no square fits better."""


def costs(d: ConvDetail, setting: Setting) -> dict[str, float]:
    """What the algorithms cost that fit a convolution, by name; none where all must be precise."""
    if setting.precise or not suits(d.size, d.stride, d.dilation, d.groups):
        return {}
    names = [name(m, d.size[0]) for m in OUTPUTS[d.size[0]]]
    return {choice: cost(d, choice, setting) for choice in names}


def name(outputs: int, taps: int) -> str:
    return f"winograd{outputs}x{taps}"


def sizes(choice: str) -> tuple[int, int]:
    """m and r of a name."""
    outputs, taps = choice.removeprefix("winograd").split("x")
    return int(outputs), int(taps)


def squares(d: ConvDetail, outputs: int) -> tuple[int, int]:
    """Squares down and across."""
    return -(-d.output[0] // outputs), -(-d.output[1] // outputs)


def cost(d: ConvDetail, choice: str, setting: Setting) -> float:
    """Nanoseconds of a mini-batch on one thread: products, the vectors that the transforms move, and the filters."""
    outputs, taps = sizes(choice)
    elements = (outputs + taps - 1) ** 2
    count = prod(squares(d, outputs)) * elements
    lanes = setting.lanes
    channels, filters = (-(-n // lanes) * lanes for n in (d.input[2], d.output[2]))
    products = setting.vector_products(count * channels * filters) / 0.75
    moved = count * (channels + filters) // lanes * setting.batch * NS_A_VECTOR
    cost = products + moved + elements * channels * filters * setting.itemsize / BYTES_PER_NS
    if (outputs, taps) != (5, 3):
        return cost
    return cost * (FAR_LESS_ACCURATE if min(d.input[2], d.output[2]) < FEW_CHANNELS else LESS_ACCURATE)


@dataclass(frozen=True)
class FiltersDetail:
    """Which transform, and whether the filters are turned round first: then the convolution whose they are."""

    choice: str
    turned: ConvDetail | None = None


def spread(numbers: int) -> int:
    """So many numbers or a few more, so that arrays of this length one after the other do not all fall on the same
    lines of a cache: an odd number of lines."""
    lines = -(-numbers // LINE)
    return (lines + 1 - lines % 2) * LINE


def filters_copy(w: Tensor, choice: str, lanes: int, turned: ConvDetail | None = None) -> Copy:
    """The transformed filters, [filters / lanes][elements][channels][lanes]."""
    outputs, taps = sizes(choice)
    channels, filters = w.shape[2:] if turned is None else w.shape[:1:-1]
    layout = Layout(((outputs + taps - 1) ** 2, spread(channels * lanes) // lanes, filters), 2, lanes)
    suffix = choice if turned is None else f"{choice}_turned"
    return Copy(w, "winograd_filters", layout, FiltersDetail(choice, turned), suffix)


def streams(d: ConvDetail, choice: str, setting: Setting) -> bool:
    """Whether the transformed filters are so large that they come from memory each time."""
    return sum(sizes(choice), -1) ** 2 * d.input[2] * d.output[2] * setting.itemsize > STREAMED


def squares_at_once(d: ConvDetail, choice: str, setting: Setting) -> int:
    """How many squares a task takes: a mini-batch makes equally many tasks of one size for every thread, or a single
    one, of which the threads share the filters where those are what takes time to read."""
    count = prod(squares(d, sizes(choice)[0])) * setting.batch
    streamed = streams(d, choice, setting)
    if streamed and count <= MANY_SQUARES:
        return count
    share = -(-count // setting.threads)
    return even_rows(share, MANY_SQUARES if streamed else SQUARES)


def is_far(vectors: int, setting: Setting) -> bool:
    """Whether so many vectors are more than the second cache holds."""
    return vectors * setting.lanes * setting.itemsize > SECOND_CACHE


def context(d: ConvDetail, choice: str, setting: Setting, whole_vectors: bool, window: int) -> dict[str, Any]:
    """What the template prints. `whole_vectors`: memory behind the last pixel may be read; `window`: of so many by so
    many pixels only the largest is stored."""
    outputs, taps = sizes(choice)
    lanes, rows = setting.lanes, setting.tile_rows
    down, across = squares(d, outputs)
    elements, channel_blocks, blocks = (outputs + taps - 1) ** 2, -(-d.input[2] // lanes), -(-d.output[2] // lanes)
    at_once = squares_at_once(d, choice, setting)
    height = even_rows(at_once, rows)
    room = -(-at_once // height) * height
    panels = -(-blocks // 2)
    stored = (d.output[0] // window, d.output[1] // window, d.output[2])
    return {
        "d": d, "m": outputs, "size": outputs + taps - 1, "elements": elements, "down": down,
        "across": across, "lanes": lanes, "at_once": at_once, "room": room, "threads": setting.threads,
        "channel_blocks": channel_blocks, "blocks": blocks, "groups": min(panels, setting.threads),
        "panels": panels, "square_step": spread(channel_blocks * room * lanes),
        "result_step": spread(2 * panels * room * lanes),
        "filter_step": spread(d.input[2] * lanes),
        "tiles": Tiles((height,), lanes, blocks, asks=room > height and streams(d, choice, setting)),
        "summed": max(1, GROUPED // lanes), "near": blocks <= ASKED,
        "asked": elements if is_far(elements * (channel_blocks + 2 * panels) * room, setting) else 0,
        "far": prod(stored) * setting.batch * setting.itemsize > FAR, "stored": stored, "stored_m": outputs // window,
        "whole": int(whole_vectors or d.input[2] % lanes == 0),
        "input": Transform(outputs, taps, "input").name, "output": Transform(outputs, taps, "output").name,
    }  # fmt: skip


def scratch(c: Mapping[str, Any], setting: Setting) -> tuple[Scratch, ...]:
    """Transformed squares of the input and products, for every thread."""
    each = c["elements"] * setting.threads
    return Scratch("squares", c["square_step"] * each), Scratch("products", c["result_step"] * each)


def transforms(choice: str) -> tuple[Transform, ...]:
    return tuple(Transform(*sizes(choice), job) for job in ("input", "output"))


def variant(op: Operation, d: ConvDetail, setting: Setting, names: tuple[str, ...], bias: bool) -> Variant:
    """The kernel of `op`, which computes the convolution `d`."""
    found = context(d, op.choice, setting, op.reads[0].role != INPUT, 2 if op.pooled else 1)
    return Variant(
        op.choice,
        names,
        {**found, "bias": bias, **finish(op)},
        cost(d, op.choice, setting),
        found["tiles"].products,
        transforms(op.choice),
        scratch(found, setting),
        "kernels/_winograd.c.j2",
    )
