"""Charts of how weights and gradients are spread over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dslc.runtime.analysis.vega import SHADES, Chart, axis, chart, number

MOST_TENSORS, MOST_EPOCHS = 8, 30
"""So many are drawn; of more epochs some, evenly."""


def distributions(records: Sequence[Mapping[str, Any]], kind: str, tensors: Sequence[str]) -> dict[str, Chart]:
    """A map for each tensor by its name: epochs across, values upwards, and the share of the tensor as shade.

    records: as `training.histograms` keeps them; kind: `weights` or `gradients`.
    """
    if not records:
        return {}
    some = np.linspace(0, len(records) - 1, min(MOST_EPOCHS, len(records))).round().astype(int)
    shown = [records[at] for at in some]
    names = [name for name in tensors if all(name in record.get(kind, {}) for record in shown)]
    return {name: _map([(r["epoch"], *r[kind][name]) for r in shown]) for name in names[:MOST_TENSORS]}


def _map(found: Sequence[tuple[int, float, float, list[int]]]) -> Chart:
    values = []
    epochs = [epoch for epoch, *_ in found]
    for place, (epoch, low, high, counts) in enumerate(found):
        end = epochs[place + 1] if place + 1 < len(epochs) else epoch + 1
        edges, total = np.linspace(low, high, len(counts) + 1).tolist(), max(1, sum(counts))
        values += [
            {
                "epoch": epoch - 0.5,
                "end": end - 0.5,
                "low": number(edges[i]),
                "high": number(edges[i + 1]),
                "share": number(count / total),
            }
            for i, count in enumerate(counts)
            if count
        ]
    encoding = {
        "x": axis("epoch", "epoch", scale={"zero": False, "nice": False}, axis={"tickMinStep": 1, "grid": False}),
        "x2": {"field": "end"},
        "y": axis("low", "value", scale={"zero": False}),
        "y2": {"field": "high"},
        "color": {"field": "share", "type": "quantitative", "scale": {"range": list(SHADES)}, "legend": None},
        "tooltip": [axis("low", "from"), axis("high", "to"), axis("share", "share", format=".1%")],
    }
    return chart(values, height=160, mark="rect", encoding=encoding)
