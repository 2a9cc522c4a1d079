"""dW = dy^T x of `precision mixed`: x and dy rounded to bf16, sums in float32; if the update follows at once, dW is
never stored."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from dslc.kernels import Copy, Setting, Variant
from dslc.kernels.bf16_rows import row_of
from dslc.kernels.dense_forward import BF16_GAIN
from dslc.kernels.dense_weight_gradient import context, in_tiles
from dslc.layout import Layout
from dslc.operation import GRADIENT, Operation

UPDATES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """The register tiles of a dense layer, with pairs of examples in the place of examples."""
    units, inputs = op.writes[0].shape
    steps = prod(op.reads[0].shape[:-1])
    rows = "n" if steps == 1 else f"{steps} * n"
    x, dy = op.reads[:2]
    spread_rows = {"x_row": x.shape[-1], "dy_row": dy.shape[-1]}
    counted = {"counted": f"const int pairs = ({rows} + 1) / 2;", "count": "pairs"}
    found = context(op, setting, inputs, units, -(-setting.batch * steps // 2), bf16=True)
    return [in_tiles(op, setting, {**found, **spread_rows, **counted}, 0.7 * BF16_GAIN)]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A temporary gradient is stored like packed weights; that of a parameter is stored like the parameter."""
    dw = op.writes[0]
    return {} if dw.role == GRADIENT else {dw.name: Layout(dw.shape, 0, lanes)}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """x and dy as pairs of rows. The pairs fill one half of the copy."""
    del lanes
    return tuple(Copy(t, "bf16_row_pairs", Layout((*t.shape[:-1], row_of(t.shape[-1])))) for t in op.reads[:2])
