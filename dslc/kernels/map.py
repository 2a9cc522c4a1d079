"""One formula for every element."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant, detail
from dslc.layers import MapDetail


def variants(op: Operation, setting: Setting) -> list[Variant]:
    context = {"formula": detail(op, MapDetail).formula, "elements": op.writes[0].elements}
    return [Variant("plain", ("in", "out"), context, setting.moving(op.writes[0], factor=4))]
