"""gamma * (x - mean) / sqrt(var + eps) + beta."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.kernels._ending import ending
from dslc.kernels._rows import rows_of
from dslc.layers.batchnorm import BatchNormDetail
from dslc.site import MOST_CHANNELS

FUSES = True
TEMPLATE = "kernels/batchnorm_apply{}.c.j2"


def variants(op: Operation, setting: Setting) -> list[Variant]:
    return in_one_pass(op, setting, ("in", "mean", "var", "gamma", "beta"))


def in_one_pass(op: Operation, setting: Setting, names: tuple[str, ...]) -> list[Variant]:
    """A factor for every channel, and where a mean and a beta are read a term."""
    d = detail(op, BatchNormDetail)
    reads, end = ending(op, *names)
    names = (*reads, "out")
    context: dict[str, object] = {"pixels": d.pixels, "eps": d.eps, "shifts": "beta" in names, **end}
    if d.channels > MOST_CHANNELS:
        context["channels"] = d.channels
        return [
            Variant("plain", names, context, setting.moving(op.reads[0], factor=2), shared_template=TEMPLATE.format(""))
        ]
    context["rows"] = rows_of(d.channels, setting.lanes, 512)
    return [Variant("rows", names, context, setting.moving(op.reads[0]), shared_template=TEMPLATE.format("_rows"))]
