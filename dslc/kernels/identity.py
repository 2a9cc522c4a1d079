"""The same numbers under another name, or a copy if one of the arrays is the caller's."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import INPUT, OUTPUT, Operation

KEEPS_LAYOUT = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """An alias, which costs nothing, or a copy."""
    x, y = op.reads[0], op.writes[0]
    if y.role == OUTPUT or x.role in (INPUT, OUTPUT):
        return [Variant("plain", ("x", "y"), {"elements": x.elements}, setting.memory_cost(y))]
    return [Variant("alias", ("x", "y"), {}, 0.0)]
