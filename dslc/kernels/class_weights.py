"""The loss of each example and its gradient, times the weight of its class."""

from __future__ import annotations

from dslc.kernels import Setting, Variant, detail
from dslc.losses import ClassWeightsDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One pass over the losses and, in training, over dz."""
    gradient = len(op.writes) > 1
    context = {"weights": detail(op, ClassWeightsDetail).weights, "gradient": gradient}
    only_loss = ("unweighted", "target", "example_loss")
    names = ("unweighted", "unweighted_dz", "target", "example_loss", "dz") if gradient else only_loss
    return [Variant("plain", names, context, setting.memory_cost(*op.reads))]
