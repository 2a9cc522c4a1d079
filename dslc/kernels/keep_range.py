"""Makes the range of a step that was accepted the one that is known."""

from __future__ import annotations

from dslc.kernels import Setting, Variant
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Two numbers."""
    return [Variant("plain", ("ends", "known"), {}, 0.0)]
