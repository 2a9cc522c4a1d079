"""The gradient of filters from that of transformed filters, G^T u G; the sums of several chunks are added first."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.kernels import Setting, Variant, _direct, detail
from dslc.kernels._winograd import sizes
from dslc.kernels.transform import Transform
from dslc.kernels.winograd_weight_products import SumsDetail
from dslc.layout import Layout
from dslc.operation import GRADIENT, Operation


def variants(op: Operation, setting: Setting) -> list[Variant]:
    """One transform for each channel and vector of filters."""
    made = detail(op, SumsDetail)
    transform = Transform(*sizes(made.choice), "filter_gradient")
    context = {
        "taps": transform.results, "size": transform.elements, "channels": made.conv.input[2], "lanes": setting.lanes,
        "blocks": op.reads[0].shape[1], "chunks": made.chunks, "sum_step": made.step, "transform": transform.name,
    }  # fmt: skip
    cost = setting.memory_cost(*op.reads, factor=2)
    return [
        Variant(
            "plain", ("sums", "dw"), context, cost, transforms=(transform,), sizes=("channels", "sum_step", "blocks")
        )
    ]


def preferred_layouts(op: Operation, lanes: int) -> Mapping[str, Layout]:
    """A temporary gradient is stored like packed filters."""
    dw = op.writes[0]
    return {} if dw.role == GRADIENT else {dw.name: _direct.filters_layout(dw.shape, lanes)}
