"""The loss of each example and its gradient, times the weight of its class."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses import ClassWeightsDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the losses and, in training, over dz."""
    gradient = len(op.writes) > 1
    d = detail(op, ClassWeightsDetail)
    context = {"weights": d.weights, "classes": d.classes, "gradient": gradient}
    given = ("unweighted", "unweighted_dz", "target") if gradient else ("unweighted", "target")
    balanced = () if d.weights else ("weights",)
    names = (*given, *balanced, *(("example_loss", "dz") if gradient else ("example_loss",)))
    return [Variant("plain", names, context, setting.memory_cost(*op.reads))]
