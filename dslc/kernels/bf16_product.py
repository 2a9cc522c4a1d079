"""y = x W^T + b, or dx = dy W, of `precision mixed`: x and W rounded to bf16, sums in float32, with an optional
epilogue."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Setting, Variant, detail
from dslc.kernels.bf16_rows import row_of
from dslc.kernels.dense_forward import in_tiles
from dslc.layout import Layout
from dslc.lowering.details import Bf16Detail
from dslc.operation import Operation

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """The register tiles of a dense layer, with pairs of bf16 numbers in the place of numbers."""
    d = detail(op, Bf16Detail)
    return [in_tiles(op, setting, -(-d.summed // 2), d.columns, op.reads[0].shape[-1], d.steps, bf16=True)]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Weights packed in panels of one vector of units, however few there are."""
    w = op.reads[1]
    return {w.name: Layout(w.shape, 0, lanes)}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """Both operands as pairs along what is summed: x in spread rows, the weights in panels of what is computed."""
    (x, w), d = op.reads[:2], detail(op, Bf16Detail)
    pairs = -(-d.summed // 2)
    return (
        Copy(x, "bf16_rows", Layout((*x.shape[:-1], row_of(pairs)))),
        Copy(w, "bf16_turned_panels" if d.backward else "bf16_panels", Layout((d.columns, pairs), 0, lanes)),
    )
