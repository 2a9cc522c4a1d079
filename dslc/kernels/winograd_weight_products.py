"""The gradient of transformed filters: transformed squares of x times those of dy, summed over the mini-batch.

With few filters the squares are split into a fixed number of chunks, each with its own sums. With many, the threads
share the filters, and the work of transforming x. Either way the bits do not depend on the threads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dslc.kernels import Scratch, Setting, Variant, _winograd, detail
from dslc.kernels._winograd import sizes, squares
from dslc.kernels.product import even_rows, exact_count, spread
from dslc.kernels.transform import Transform
from dslc.layers.conv import ConvDetail
from dslc.operation import Operation, Tensor

CHUNKS = 4
CHUNKED = 256 << 10
"""Up to this many numbers, sums are kept for every chunk."""
AT_ONCE = 112
"""Up to this many squares are multiplied before the sums, which do not fit in cache, are read and written again."""


@dataclass(frozen=True)
class SumsDetail:
    """The convolution, its algorithm, and how the sums are stored: [chunks][filters / lanes][elements][step]."""

    conv: ConvDetail
    choice: str
    chunks: int
    step: int


def both(op: Operation, setting: Setting) -> tuple[Operation, Operation]:
    """The two operations of the weight gradient: the sums, and the filters' gradient from them."""
    d = detail(op, ConvDetail)
    elements = sum(sizes(op.choice), -1) ** 2
    step = spread(d.input[2] * setting.lanes)
    blocks = -(-d.output[2] // setting.lanes)
    chunks = CHUNKS if elements * blocks * step <= CHUNKED else 1
    made = SumsDetail(d, op.choice, chunks, step)
    sums = Tensor(f"{op.name}_sums", (chunks, blocks, elements, step), batched=False)
    return (
        replace(op, kind="winograd_weight_products", name=f"{op.name}_products", writes=(sums,), detail=made),
        replace(op, kind="winograd_weight_gradient", reads=(sums,), detail=made, multiply_adds=0),
    )


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One matrix product for each element of a square, as in the forward pass; workspace for the transformed squares of
    x and dy."""
    d, made = detail(op, SumsDetail).conv, detail(op, SumsDetail)
    outputs, taps = sizes(op.choice)
    lanes, elements = setting.lanes, (outputs + taps - 1) ** 2
    channel_blocks, filter_blocks = -(-d.input[2] // lanes), -(-d.output[2] // lanes)
    down, across = squares(d, outputs)
    at_once = even_rows(-(-down * across * setting.batch // made.chunks), AT_ONCE)
    tiles = exact_count(setting.tile_rows, d.input[2], 1, filter_blocks)
    used = {job: Transform(outputs, taps, job) for job in ("input", "output_gradient")}
    row = spread(channel_blocks * lanes)
    made_vectors = elements * (channel_blocks + filter_blocks) * at_once
    buffers = 2 if setting.threads > 1 else 1
    context: dict[str, Any] = {
        "d": d, "m": outputs, "elements": elements, "down": down, "across": across, "lanes": lanes, "at_once": at_once,
        "channel_blocks": channel_blocks, "filter_blocks": filter_blocks, "tiles": tiles, "chunks": made.chunks,
        "buffers": buffers, "row": row, "square_step": spread(at_once * row),
        "error_step": spread(2 * tiles.panels * at_once * lanes),
        "asked": elements if _winograd.exceeds_l2(made_vectors, setting) else 0,
        "sums_far": _winograd.exceeds_l2(elements * filter_blocks * made.step // lanes, setting),
        "sum_step": made.step, "input": used["input"].name, "output": used["output_gradient"].name,
    }  # fmt: skip
    own = setting.threads if made.chunks > 1 else 1
    scratch = (
        Scratch("squares", (own if made.chunks > 1 else buffers) * elements * context["square_step"]),
        Scratch("errors", own * elements * context["error_step"]),
    )
    return [
        Variant(
            op.choice,
            ("x", "dy", "sums", "squares", "errors"),
            context,
            _winograd.cost(d, op.choice, setting),
            tiles.products,
            tuple(used.values()),
            scratch,
            shared_template="kernels/winograd_weight_products.c.j2",
        )
    ]
