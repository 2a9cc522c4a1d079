"""y = x W^T + b, with an optional epilogue."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Setting, Variant, epilogue
from dslc.kernels.product import Product, any_count, spread
from dslc.layout import Layout
from dslc.operation import Operation
from dslc.shape import Shape

FUSES = True
BF16_GAIN = 2.0
"""How many products in bf16 take the time of one, where the machine has an instruction for them."""
SUMMED = 512
"""Products that are summed at a time: a sum of sums has less rounding error."""

STREAM = 0.1
"""What reading a weight costs at least, as a share of an element of other passes: few examples wait for the weights."""
GROUP = 8
"""Up to this many tiles are summed side by side."""

CROWDED = 1024
"""Rows of so many numbers, or a multiple, lie a multiple of 4 KB apart: the same place of all of them is in one set of
the L1 cache."""
WIDE = 16
"""From so many numbers in a vector on a tile has more rows than a set has lines: with AVX-512 there are registers for
them."""

NARROW_SUMS = 8
"""Up to this many vectors of inputs are summed side by side, because a sum waits four cycles for its last product."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Register tiles of examples x vectors of units, with weights packed in panels. For fewer units than half a vector:
    `narrow`, whose vectors go along the inputs, at half the speed."""
    x, y = op.reads[0], op.writes[0]
    if narrow(y.elements, setting.lanes):
        names, end = names_and_epilogue(op)
        sums = side_by_side(x.elements // setting.lanes, NARROW_SUMS)
        few = {"inputs": x.elements, "units": y.elements, "lanes": setting.lanes, "sums": sums}
        return [Variant("narrow", names, {**few, **end}, setting.compute_cost(op, 0.5))]
    return [in_tiles(op, setting, op.reads[1].shape[1], y.elements, x.elements)]


def names_and_epilogue(op: Operation) -> tuple[tuple[str, ...], dict[str, object]]:
    """The C names of x, W, the bias and what the epilogue reads, if there are any, and y; for the template the
    epilogue, and whether there is a bias."""
    end = epilogue(op)
    bias = len(op.reads) > 2 + bool(end["kept"])
    names = ("in", "w", *(("b",) if bias else ()), *(("known",) if end["kept"] else ()), "out")
    return names, {"bias": bias, **end}


def in_tiles(
    op: Operation, setting: Setting, inputs: int, units: int, x_row: int, steps: int = 1, bf16: bool = False
) -> Variant:
    """Register tiles. `inputs`: what is summed of a row of x, numbers or, with `bf16`, pairs; `x_row`: from one row to
    the next. `steps`: rows an example."""
    names, end = names_and_epilogue(op)
    rows = setting.batch * steps
    tiles = any_count(setting.tile_rows, rows, x_row, -(-units // setting.lanes), bf16)
    band = band_of(tiles.blocks, setting.threads) if steps == 1 else 0
    one = Product(1, band, bf16=bf16)
    context = {
        "inputs": inputs, "x_row": x_row, "units": units, "lanes": setting.lanes, "tiles": tiles, "band": band,
        "one": one, "most_sums": max(2 * tiles.heights[0], band),
        "summed": min(SUMMED, inputs), "group": min(GROUP, -(-rows // tiles.heights[0])),
        "counted": f"const int count = {steps} * n;" if steps > 1 else "", "count": "count" if steps > 1 else "n",
        **end,
    }  # fmt: skip
    products = (*tiles.products, *((one,) if band else ()))
    cost = max(setting.compute_cost(op, BF16_GAIN if bf16 else 1.0), setting.memory_cost(op.reads[1], factor=STREAM))
    return Variant("plain", names, context, cost, products, shared_template="kernels/dense_forward.c.j2")


def band_of(blocks: int, threads: int) -> int:
    """How many vectors of units are computed at a time for a single example: from 3 to 8, as many as can be shared
    equally; 0 if no number can."""
    dividing = [k for k in range(8, 2, -1) if blocks % k == 0]
    even = [k for k in dividing if blocks // k % threads == 0]
    return next(iter((*even, *dividing)), 0)


def side_by_side(vectors: int, most: int) -> int:
    """How many vectors to take at a time: the largest number from `most` down to half of it that leaves none over."""
    dividing = [k for k in range(most, most // 2, -1) if vectors % k == 0]
    return dividing[0] if dividing else most


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights packed in panels of one vector of units, [units / lanes][inputs][lanes]; unpacked for `narrow`."""
    w = op.reads[1]
    return {w.name: weights_layout(w.shape, lanes)}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """Rows of x further apart, where those of a tile would crowd each other out of the cache."""
    x, y = op.reads[0], op.writes[0]
    if lanes < WIDE or x.elements % CROWDED or narrow(y.elements, lanes):
        return ()
    return (Copy(x, "spread_rows", Layout((spread(x.elements),))),)


def weights_layout(shape: Shape, lanes: int) -> Layout:
    """How weights (units, inputs) are stored."""
    return Layout(shape) if narrow(shape[0], lanes) else Layout(shape, 0, lanes)


def narrow(units: int, lanes: int) -> bool:
    """Whether a vector of units would be at most half full, so that vectors go along the inputs."""
    return 2 * units <= lanes
