"""The CTC loss of each example and the gradient of the logits: forward-backward in logarithms."""

from __future__ import annotations

from dslc.kernels import Scratch, Setting, Variant, detail
from dslc.losses.ctc import CtcDetail
from dslc.operation import Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """Threads share the examples. The logarithms of a step are taken relative to their sum, so that those of long
    sequences are as exact as of short ones; for the gradient those of all steps are kept."""
    d, gradient = detail(op, CtcDetail), len(op.writes) > 1
    states = 2 * d.labels + 1
    kept = d.steps if gradient else 2
    each = kept * states + (2 * states if gradient else 0) + d.steps
    given = ("z", "target", "sample_weights", *(("lengths",) if d.timed else ()))
    names = (*given, "count", "example_loss", "dz", "room") if gradient else (*given, "example_loss", "room")
    context = {"d": d, "gradient": gradient, "states": states, "each": each, "kept": kept}
    cost = setting.memory_cost(op.reads[0], factor=4) + setting.batch * d.steps * states * 20.0
    return [Variant("plain", names, context, cost, scratch=(Scratch("room", setting.threads * each),))]
