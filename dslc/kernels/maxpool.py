"""The largest pixel of each window."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers._pooling import PoolDetail

FOLLOWS = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    d = detail(op, PoolDetail).deepened(setting.depth(op.reads[0]))
    area = d.size[0] * d.size[1]
    cost = setting.moving(op.writes[0], factor=area)
    return [Variant("plain", ("x", "y"), {"d": d, "images": setting.images(op.reads[0])}, cost)]
