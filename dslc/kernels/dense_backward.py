"""dx = dy W and the update of W by dW = dy^T x in one pass over weights that are read from memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dslc.kernels import Scratch, Setting, Variant, dense_input_gradient, dense_weight_gradient, detail, epilogue
from dslc.kernels.update import rule_context, rule_cost, rule_names
from dslc.operation import Operation, Tensor


@dataclass(frozen=True)
class FusedBackwardDetail:
    """The two operations that were joined."""

    input_gradient: Operation
    weight_update: Operation


def fuse(input_gradient: Operation, weight_update: Operation) -> Operation:
    """Both operations as one, in the place of the first."""
    dy, _, *known = input_gradient.reads
    return replace(
        weight_update,
        kind="dense_backward",
        name=weight_update.name.replace("_weight", ""),
        reads=tuple(dict.fromkeys((*weight_update.reads[:2], dy, *known, *weight_update.reads[2:]))),
        writes=(*input_gradient.writes, *weight_update.writes),
        detail=FusedBackwardDetail(input_gradient, weight_update),
        multiply_adds=input_gradient.multiply_adds + weight_update.multiply_adds,
    )


def fits(input_gradient: Operation, setting: Setting) -> bool:
    """Whether dx streams through the weights, as the update does."""
    return dense_input_gradient.streams(input_gradient, setting)


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """For each tile of W: its share of dx, then dW and the update while the tile is in cache, so that W is read
    once."""
    both = detail(op, FusedBackwardDetail)
    dx, update = both.input_gradient, both.weight_update
    x, known = update.reads[0], _known(dx)
    name = "" if known is None else "in" if known == x else "known"
    found = dense_weight_gradient.context(update, setting, x.elements, update.reads[1].elements, setting.batch)
    end = {"formula": epilogue(dx)["formula"], "known": name}
    names = ("in", "dy", "dy_in_lanes", *(["known"] if name == "known" else []), *rule_names(update), "din", "sums")
    return [
        Variant(
            "plain",
            names,
            {**found, **rule_context(update), **end, "joined": True},
            setting.compute_cost(op, 0.7) + rule_cost(update, setting),
            found["tiles"].products,
            scratch=(Scratch("sums", x.elements * setting.lanes),),
        )
    ]


def _known(dx: Operation) -> Tensor | None:
    """What the epilogue of dx reads."""
    return dx.reads[-1] if epilogue(dx)["kept"] else None
