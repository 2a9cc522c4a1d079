"""A formula of several tensors at every place, broadcast against one another; summed where the result is smaller."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant, detail
from dslc.kernels._broadcast import BLOCK, COLUMNS, Places, merged_axes
from dslc.layers._arithmetic import CombineDetail
from dslc.operation import Operation, Tensor
from dslc.scalar import Scalar, variable

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """`plain`, one pass over tensors of the same size; `rows` of the last axis where some are smaller; `sums` where the
    result is. A tensor that is read twice is one argument."""
    y, axes = op.writes[0], merged_axes(op, setting)
    arrays = {t: f"x{i}" for i, t in enumerate(dict.fromkeys(op.reads), 1)}
    names = (*arrays.values(), "y")
    images, cost = setting.images(y), setting.memory_cost(*op.reads, y)
    if len(axes) == 1:
        formula = _formula(op, {t: f"{name}[i]" for t, name in arrays.items()})
        context = {"formula": formula, "images": images, "elements": axes[0].size}
        return [Variant("plain", names, context, cost, sizes=("elements",))]
    places = Places(axes, y)
    along = {t: name for t, name in arrays.items() if t in places.inner.tensors}
    context = {
        "images": images, "rows": places.rows, "inner": places.inner.size,
        "formula": _formula(op, {t: f"{n}_row[k]" if t in along else f"{n}_value" for t, n in arrays.items()}),
        "along": [(name, places.offset(t)) for t, name in along.items()],
        "alike": [(name, places.offset(t)) for t, name in arrays.items() if t not in along],
    }  # fmt: skip
    if not places.sums_rows and not places.summed:
        return [Variant("rows", names, context, cost)]
    context["summed"] = places.summed
    if places.sums_rows:
        context["columns"] = min(COLUMNS, 1 << places.inner.size.bit_length() - 1)
        return [Variant("row_sums", names, context, cost)]
    context["block"] = min(BLOCK, places.inner.size)
    return [Variant("sums", names, context, cost)]


def _formula(op: Operation, texts: Mapping[Tensor, str]) -> Scalar:
    """The formula with what stands for each tensor in C."""
    d = detail(op, CombineDetail)
    return d.formula.of_all({name: variable(texts[t]) for name, t in zip(d.names, op.reads, strict=True)})
