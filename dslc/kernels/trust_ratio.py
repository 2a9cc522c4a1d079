"""The factor of a parameter's step that an optimizer derives from norms over the parameter."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.lowering.details import CHUNKS, ParameterDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """A few operations; the cost does not matter."""
    rule = detail(op, ParameterDetail).rule
    assert rule is not None and rule.trust is not None
    context = {"norms_of": len(rule.trust.of), "ratio": rule.trust.ratio, "chunks": CHUNKS}
    return [Variant("plain", ("norms", "trust"), context, 0.0)]
