"""Products of matrices: dense layers, in bf16 too, and `matmul`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dslc.operation import INPUT, Tensor
from dslc.planning.plan_error import require
from dslc.planning.seen_kernel import SeenKernel, layout_in, whole_blocks


def _weights(seen: SeenKernel, w: Tensor, units: int, inputs: int) -> None:
    """A dense layer's weights: plain for few units, else blocked along the units."""
    seen.shape(w, (units, inputs))
    seen.plain(w) if 2 * units <= seen.lanes else seen.blocked(w, 0)


def _dense_forward(seen: SeenKernel) -> None:
    x, w, y = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, w, y.elements, w.shape[1])
    seen.at_least("numbers in a row", x.elements, w.shape[1])


def _dense_input_gradient(seen: SeenKernel) -> None:
    dy, w, dx = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, w, dy.elements, dx.elements)
    if seen.variant.name == "few":
        require(dx.elements >= seen.lanes, f"{seen.op.name} has fewer inputs than a task")
    wanted = 1 if 2 * dy.elements <= seen.lanes or seen.variant.name == "few" else seen.lanes
    found = layout_in(dy, seen.buffers).examples
    require(found == wanted, f"{seen.op.name} wants {wanted} examples of {dy.name} interleaved, but there are {found}")
    if seen.variant.name == "streamed":
        seen.at_least("sums", seen.scratch("sums"), dx.elements * seen.lanes)


def _dense_weight_gradient(seen: SeenKernel) -> None:
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    _weights(seen, dw, dy.elements, x.elements)


def _dense_backward(seen: SeenKernel) -> None:
    x, dy, in_lanes, dw = *seen.op.reads[:3], seen.op.writes[1]
    _weights(seen, dw, dy.elements, x.elements)
    sides = tuple(layout_in(t, seen.buffers).examples for t in (x, dy, in_lanes))
    require(sides == (1, 1, seen.lanes), f"{seen.op.name} wants interleaved examples in {in_lanes.name} only")
    seen.at_least("sums", seen.scratch("sums"), x.elements * seen.lanes)


def _bf16_product(seen: SeenKernel) -> None:
    """Rows of pairs times panels of pairs, with room for the last one."""
    d: Any = seen.op.detail
    x, panels, y = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    summed, columns = (d.units, d.inputs) if d.backward else (d.inputs, d.units)
    pairs = (summed + 1) // 2
    seen.at_least("pairs of an example", x.elements, d.steps * pairs)
    require(x.shape[-1] >= pairs, f"{seen.op.name} reads {pairs} pairs in a row of {x.name}, not {x.shape[-1]}")
    seen.shape(panels, (columns, pairs))
    seen.blocked(panels, 0)
    require(y.elements == d.steps * columns, f"{seen.op.name} writes {y.name} with other sizes than it has")


def _bf16_weight_gradient(seen: SeenKernel) -> None:
    """Pairs of rows take half of the room of rows."""
    x, dy, dw = seen.op.reads[0], seen.op.reads[1], seen.op.writes[0]
    seen.blocked(dw, 0)
    for tensor, numbers in zip((dy, x), dw.shape, strict=True):
        seen.at_least(f"pairs in a row of {tensor.name}", tensor.shape[-1], numbers)
    require(x.shape[:-1] == dy.shape[:-1], f"{seen.op.name} reads as many rows of {x.name} as of {dy.name}")
    for tensor in (x, dy):
        seen.plain(tensor)


def _bf16_panels(seen: SeenKernel) -> None:
    """Panels of weights become panels of pairs of inputs, or turned ones of pairs of units."""
    w, panels = seen.op.reads[0], seen.op.writes[0]
    turned = seen.op.kind == "bf16_turned_panels"
    columns, summed = w.shape[::-1] if turned else w.shape
    seen.blocked(w, 0)
    seen.shape(panels, (columns, (summed + 1) // 2))
    seen.blocked(panels, 0)


def _bf16_rows(seen: SeenKernel) -> None:
    x, rounded = seen.op.reads[0], seen.op.writes[0]
    numbers = (x.shape[-1] + 1) // 2 if seen.op.kind == "bf16_rows" else x.shape[-1]
    require(rounded.shape[:-1] == x.shape[:-1], f"{seen.op.name} writes as many rows as it reads")
    seen.at_least("pairs in a row", rounded.shape[-1], numbers)
    seen.plain(x)
    seen.plain(rounded)


def _matmul(seen: SeenKernel) -> None:
    """Whole matrices on all sides, and room for what each thread packs; else nothing is read behind the caller's
    array."""
    d: Any = seen.op.detail
    first, second = seen.op.reads[0], seen.op.reads[-1]
    for tensor, each in (
        (first, d.rows * d.summed),
        (second, d.summed * d.columns),
        (seen.op.writes[0], d.rows * d.columns),
    ):
        found = tensor.elements == d.matrices * each
        require(found, f"{seen.op.name} takes {tensor.name} for {d.matrices} matrices of {each} numbers")
    packed = d.summed * whole_blocks(d.columns, seen.lanes)
    if not seen.scratch("packed"):
        fits = not d.turned[1] and (second.role != INPUT or d.columns % seen.lanes == 0)
        require(fits, f"{seen.op.name} reads past the end of {second.name}, the caller's array")
    else:
        seen.at_least("a thread's columns", seen.context["each"], packed)
        seen.at_least("packed", seen.scratch("packed"), seen.threads * seen.context["each"])


def _spread_rows(seen: SeenKernel) -> None:
    x, spread = seen.op.reads[0], seen.op.writes[0]
    seen.at_least("numbers in a row", spread.elements, x.elements)
    seen.plain(x)
    seen.plain(spread)


CHECKS: Mapping[str, Callable[[SeenKernel], None]] = {
    "bf16_panels": _bf16_panels,
    "bf16_product": _bf16_product,
    "bf16_row_pairs": _bf16_rows,
    "bf16_rows": _bf16_rows,
    "bf16_turned_panels": _bf16_panels,
    "bf16_weight_gradient": _bf16_weight_gradient,
    "dense_backward": _dense_backward,
    "dense_forward": _dense_forward,
    "dense_input_gradient": _dense_input_gradient,
    "dense_weight_gradient": _dense_weight_gradient,
    "matmul": _matmul,
    "spread_rows": _spread_rows,
}
"""By kind of operation."""
