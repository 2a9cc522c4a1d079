"""Filters transformed for Winograd's algorithm, G g G^T, as its kernels read them."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Copy, Setting, Variant, _direct, detail
from dslc.kernels._winograd import FiltersDetail, sizes
from dslc.kernels.transform import Transform
from dslc.layout import Layout
from dslc.operation import PARAMETER, Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One transform for each channel and vector of filters."""
    transform = Transform(*sizes(detail(op, FiltersDetail).choice), "filter")
    layout, channels = setting.layout(op.writes[0]), op.reads[0].shape[2]
    context = {
        "taps": transform.elements, "channels": channels, "filter_step": layout.shape[1] * setting.lanes,
        "blocks": layout.blocks, "lanes": setting.lanes, "elements": layout.shape[0], "transform": transform.name,
    }  # fmt: skip
    cost = setting.memory_cost(op.writes[0], factor=2)
    return [
        Variant(
            "plain",
            ("w", "transformed"),
            context,
            cost,
            transforms=(transform,),
            sizes=("channels", "filter_step", "blocks"),
        )
    ]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """Parameters in blocks of one vector of filters, over which the transform runs."""
    w = op.reads[0]
    return {w.name: _direct.filters_layout(w.shape, lanes)} if w.role == PARAMETER else {}


def copies(op: Operation, lanes: int) -> tuple[Copy, ...]:
    """Rotated filters first, for the input gradient."""
    d = detail(op, FiltersDetail).rotated
    return () if d is None else (_direct.rotated_filters(op.reads[0], d, lanes),)
