"""dx of a batch normalization that is frozen: gamma / sqrt(var + eps) * dy."""

from __future__ import annotations

from dslc.graph import Operation
from dslc.kernels import Setting, Variant
from dslc.kernels.batchnorm_apply import in_one_pass

FUSES = True


def variants(op: Operation, setting: Setting) -> list[Variant]:
    return in_one_pass(op, setting, ("in", "var", "gamma"))
