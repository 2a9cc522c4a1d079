"""y = x W^T + b, with an optional epilogue."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant, epilogue
from dslc.kernels.product import Product, any_count
from dslc.layout import Layout
from dslc.operation import Operation
from dslc.shape import Shape

FUSES = True
SUMMED = 512
"""Products that are summed at a time: a sum of sums has less rounding error."""

GROUP = 8
"""Up to this many tiles are summed side by side."""

NARROW_SUMS = 8
"""Up to this many vectors of inputs are summed side by side, because a sum waits four cycles for its last product."""


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Register tiles of examples x vectors of units, with weights packed in panels. For fewer units than half a vector:
    `narrow`, whose vectors go along the inputs, at half the speed."""
    x, w, y = op.reads[0], op.reads[1], op.writes[0]
    end = epilogue(op)
    bias = len(op.reads) > 2 + bool(end["kept"])
    names = ("in", "w", *(("b",) if bias else ()), *(("known",) if end["kept"] else ()), "out")
    if narrow(y.elements, setting.lanes):
        sums = side_by_side(x.elements // setting.lanes, NARROW_SUMS)
        few = {"inputs": x.elements, "units": y.elements, "lanes": setting.lanes, "bias": bias, "sums": sums}
        return [Variant("narrow", names, {**few, **end}, setting.compute_cost(op, 0.5))]
    tiles = any_count(setting.tile_rows, setting.batch, x.elements, setting.layout(w).blocks)
    band = band_of(tiles.blocks, setting.threads)
    one = Product(1, band)
    context = {
        "inputs": x.elements, "units": y.elements, "lanes": setting.lanes, "tiles": tiles, "bias": bias, "band": band,
        "one": one, "most_sums": max(2 * tiles.heights[0], band),
        "summed": min(SUMMED, x.elements), "group": min(GROUP, -(-setting.batch // tiles.heights[0])),
        **end,
    }  # fmt: skip
    products = (*tiles.products, *((one,) if band else ()))
    return [Variant("plain", names, context, setting.compute_cost(op), products)]


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


def weights_layout(shape: Shape, lanes: int) -> Layout:
    """How weights (units, inputs) are stored."""
    return Layout(shape) if narrow(shape[0], lanes) else Layout(shape, 0, lanes)


def narrow(units: int, lanes: int) -> bool:
    """Whether a vector of units would be at most half full, so that vectors go along the inputs."""
    return 2 * units <= lanes
