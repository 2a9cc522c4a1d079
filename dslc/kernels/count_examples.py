"""What a loss is divided by: the number of examples."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant


def variants(op: Operation, setting: Setting) -> list[Variant]:
    return [Variant("plain", ("count",), {}, 0.0)]
