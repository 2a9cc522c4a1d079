"""The charts of a report, in Vega-Lite. What comes from a user, as names of classes, is only ever in their data."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.runtime.analysis.calibration import Calibration
from dslc.runtime.analysis.residuals import Residuals
from dslc.runtime.analysis.vega import SERIES, SHADES, Chart, axis, chart, number
from dslc.runtime.training.history import History

Array = np.ndarray[Any, Any]
WIDE = 100.0
"""A learning rate that changes by more than this factor is shown on a logarithmic axis."""
LINES = ("train", "dev", "train with penalty", "train, measured as dev")
"""What a curve is of; each has its color in all charts."""
MOST_TICKS = 12
"""So many epochs are named along an axis."""
MOST_LAYERS = 60
"""So many layers fit into a chart of bars."""


def curves(history: History) -> dict[str, Chart]:
    """A chart for each number that an epoch has, by its name: the dev set's beside that of training. Epochs without a
    number leave a gap."""
    columns = history.to_dict()
    epochs = columns.get("epoch", [])
    found: dict[str, Chart] = {}
    for name in dict.fromkeys(re.sub("^(dev|train)_", "", key) for key in columns if key not in ("epoch", "seconds")):
        of = {"train": name, "dev": f"dev_{name}", "train, measured as dev": f"train_{name}"}
        lines = [(label, columns[key]) for label, key in of.items() if key in columns]
        if name == "loss" and "penalty" in columns:
            both = [a + b for a, b in zip(columns["loss"], columns["penalty"], strict=True)]
            lines.append(("train with penalty", both))
        shown: list[Chart] = [
            {"epoch": int(epoch), "of": label, "value": number(value)}
            for label, values in lines
            for epoch, value in zip(epochs, values, strict=True)
        ]
        if any(row["value"] is not None for row in shown):
            title = {"lr": "learning rate", "auxiliary": "loss of heads that only train"}.get(
                name, f"dev {name}" if [of for of, _ in lines] == ["dev"] else name
            )
            scale = _scale([row["value"] for row in shown if row["value"] is not None], name == "lr")
            found[title] = _lines(shown, title, scale, history.best_epoch, legend=len(lines) > 1)
    return found


def _scale(values: list[float], rates: bool) -> Chart:
    """Where the axis begins: at 0 if all values are the same."""
    if rates and min(values) > 0 and max(values) / min(values) > WIDE:
        return {"type": "log"}
    return {"zero": max(values) == min(values)}


def _lines(values: list[Chart], title: str, scale: Chart, best: int | None, legend: bool) -> Chart:
    """Lines over the epochs, with the numbers under the pointer and the best epoch marked."""
    epochs = sorted({row["epoch"] for row in values})
    ticks = epochs[:: -(-len(epochs) // MOST_TICKS)]
    x = axis("epoch", "epoch", scale={"zero": False}, axis={"values": ticks, "format": "d", "grid": False})
    y = axis("value", title, scale=scale)
    domain = list(dict.fromkeys(row["of"] for row in values))
    colors = {"domain": domain, "range": [SERIES[LINES.index(label)] for label in domain]}
    color = {"field": "of", "type": "nominal", "scale": colors, **({} if legend else {"legend": None})}
    tooltip = [axis("epoch", "epoch"), axis("of", "of", "nominal"), axis("value", title)]
    near = {"name": "near", "select": {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}}
    size = {"condition": {"param": "near", "empty": False, "value": 70}, "value": 12 if len(values) < 200 else 0}
    layers: list[Chart] = [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"x": x, "y": y, "color": color}},
        {
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "params": [near],
            "encoding": {"x": x, "y": y, "color": color, "size": size, "tooltip": tooltip},
        },
    ]
    if best is not None:
        mark = {"type": "rule", "strokeDash": [4, 4], "color": "#8b949e"}
        layers.insert(0, {"data": {"values": [{"epoch": best}]}, "mark": mark, "encoding": {"x": x}})
        text = {"type": "text", "align": "right", "dx": -4, "y": 8, "color": "#8b949e", "text": f"best: {best}"}
        layers.append({"data": {"values": [{"epoch": best}]}, "mark": text, "encoding": {"x": x}})
    return chart(values, layer=layers)


def confusion(matrix: Array, names: tuple[str, ...]) -> Chart:
    """A matrix of many classes as a map of shares: rows are the true classes. Cells of nobody are left out."""
    totals = np.maximum(1, matrix.sum(axis=1))
    values = [
        {"true": names[i], "predicted": names[j], "count": int(matrix[i, j]), "share": number(matrix[i, j] / totals[i])}
        for i, j in zip(*np.nonzero(matrix), strict=True)
    ]
    labels = {"labelOverlap": True}
    encoding = {
        "x": axis("predicted", "predicted", "nominal", scale={"domain": list(names)}, axis=labels),
        "y": axis("true", "true", "nominal", scale={"domain": list(names)}, axis=labels),
        "color": axis("share", "share", scale={"range": list(SHADES)}),
        "tooltip": [axis(name, name, "nominal") for name in ("true", "predicted", "count", "share")],
    }
    return chart(values, height=480, mark="rect", encoding=encoding)


def reliability(found: Calibration) -> Chart:
    """Share of right answers over the probability that the network gives them; the diagonal is what should be."""
    values = [{"probability": number(b.probability), "right": number(b.right), "count": b.count} for b in found.bins]
    x = axis("probability", "probability", scale={"domain": [0, 1]})
    y = axis("right", "share that is right", scale={"domain": [0, 1]})
    diagonal = {"values": [{"probability": 0, "right": 0}, {"probability": 1, "right": 1}]}
    tooltip = [axis("probability", "mean probability"), axis("right", "right"), axis("count", "examples")]
    layers: list[Chart] = [
        {
            "data": diagonal,
            "mark": {"type": "line", "strokeDash": [4, 4], "color": "#8b949e"},
            "encoding": {"x": x, "y": y},
        },
        {
            "mark": {"type": "line", "point": {"size": 60}, "color": SERIES[0]},
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
    ]
    return chart(values, layer=layers)


def sureness(found: Calibration) -> Chart:
    """How many answers have which probability."""
    values = [{"probability": f"{b.probability:.2f}", "count": b.count} for b in found.bins]
    x = axis("probability", "mean probability", "ordinal", axis={"labelAngle": 0})
    encoding = {"x": x, "y": axis("count", "answers"), "tooltip": [x, axis("count", "answers")]}
    return chart(values, mark={"type": "bar", "color": SERIES[0]}, encoding=encoding)


def predicted_against_true(found: Residuals) -> Chart:
    """A point an example; those on the line are right."""
    values = [{"index": p.index, "true": number(p.true), "predicted": number(p.predicted)} for p in found.pairs]
    low, high = (number(f(f(p.true, p.predicted) for p in found.pairs)) for f in (min, max))
    x = axis("true", "true", scale={"zero": False})
    y = axis("predicted", "predicted", scale={"zero": False})
    line = {"values": [{"true": end, "predicted": end} for end in (low, high)]}
    tooltip = [axis(name, name) for name in ("index", "true", "predicted")]
    layers: list[Chart] = [
        {
            "data": line,
            "mark": {"type": "line", "strokeDash": [4, 4], "color": "#8b949e"},
            "encoding": {"x": x, "y": y},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 30, "opacity": 0.6, "color": SERIES[0]},
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
    ]
    return chart(values, height=300, layer=layers)


def residuals_over_predicted(found: Residuals) -> Chart:
    """What is left: without a pattern if the network has learned what there is to learn."""
    values = [{"index": p.index, "predicted": number(p.predicted), "residual": number(p.residual)} for p in found.pairs]
    x, y = axis("predicted", "predicted", scale={"zero": False}), axis("residual", "predicted - true")
    tooltip = [axis(name, name) for name in ("index", "predicted", "residual")]
    mark = {"type": "point", "filled": True, "size": 30, "opacity": 0.6, "color": SERIES[1]}
    return chart(values, height=300, mark=mark, encoding={"x": x, "y": y, "tooltip": tooltip})


def residual_counts(found: Residuals) -> Chart:
    """A histogram of all residuals."""
    edges = found.edges.tolist()
    values = [
        {"from": number(a), "to": number(b), "count": int(count)}
        for a, b, count in zip(edges[:-1], edges[1:], found.counts, strict=True)
    ]
    return chart(values, mark={"type": "bar", "color": SERIES[1]}, encoding=_bars("predicted - true"))


def _bars(title: str) -> Chart:
    return {
        "x": axis("from", title, bin={"binned": True}),
        "x2": {"field": "to"},
        "y": axis("count", "examples"),
        "tooltip": [axis("from", "from"), axis("to", "to"), axis("count", "examples")],
    }


def layer_bars(network: Network, itemsize: int) -> dict[str, Chart]:
    """Parameters, memory and work of each layer, a chart each; none where there are too many layers to read."""
    if len(network.nodes) > MOST_LAYERS:
        return {}
    amounts = {
        "bytes of parameters": [sum(p.elements for p in node.parameters) * itemsize for node in network.nodes],
        "bytes of output, an example": [node.output.elements * itemsize for node in network.nodes],
        "multiply-adds, an example": [node.layer.multiply_adds(node.input_shapes) for node in network.nodes],
    }
    return {
        title: _layer_bars(title, network, found, color)
        for (title, found), color in zip(amounts.items(), SERIES, strict=False)
    }


def _layer_bars(title: str, network: Network, amounts: list[int], color: str) -> Chart:
    values = [{"layer": node.name, "amount": amount} for node, amount in zip(network.nodes, amounts, strict=True)]
    encoding = {
        "y": axis("layer", "", "nominal", sort=None, axis={"labelLimit": 130, "labelOverlap": False, "title": None}),
        "x": axis("amount", title, axis={"tickCount": 4, "format": "~s"}),
        "tooltip": [axis("layer", "layer", "nominal"), axis("amount", title, format=",")],
    }
    height = max(100, 17 * len(network.nodes))
    return chart(values, height=height, mark={"type": "bar", "color": color}, encoding=encoding)
