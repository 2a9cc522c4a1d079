"""The epilogue of kernels that make one pass over their result."""

from __future__ import annotations

from dslc.kernels import epilogue
from dslc.operation import Operation


def fused_epilogue(op: Operation, *names: str) -> tuple[tuple[str, ...], dict[str, object]]:
    """The C names of what the operation reads, and for the template the `formula` in x and in `known` the array that
    holds y: one of those names, if the operation reads that array anyway."""
    formula = epilogue(op)["formula"]
    if op.fused is None or not op.fused.needs_y:
        return names, {"formula": formula, "known": ""}
    y, others = op.reads[-1], op.reads[:-1]
    if y in others:
        return names, {"formula": formula, "known": names[others.index(y)]}
    return (*names, "known"), {"formula": formula, "known": "known"}
