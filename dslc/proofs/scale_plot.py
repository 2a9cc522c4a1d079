"""The plot of `dslc inspect`: activations, gradients and zeros by depth."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dslc.language.diagnostics import UsageError
from dslc.proofs.scales import Limits, Scales

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY = "#1f6feb", "#d1242f", "#8c959f"


def plot_scales(title: str, scales: Scales) -> bytes:
    """Draws three charts over the layers from input to output, as a PNG. Layers whose verdict is not ok are red.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("the plot needs matplotlib: pip install 'dslc[plots]'") from None
    layers = scales.layers
    figure = Figure(figsize=(max(6.0, 1.5 + 0.28 * len(layers)), 7.5), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True)
    above.set_title(title, loc="left")
    _chart(above, "standard deviation\nof the activations", [x.activation for x in layers], scales.activation)
    _chart(middle, "norm\nof the gradient", [math.nan if x.norm is None else x.norm for x in layers], scales.norm)
    below.bar(range(len(layers)), [100 * x.zeros for x in layers], color=BLUE)
    below.set_ylabel("zeros, %")
    below.set_ylim(0, 100)
    below.set_xticks(range(len(layers)), [x.layer for x in layers], rotation=90)
    for label, layer in zip(below.get_xticklabels(), layers, strict=True):
        label.set_color("black" if layer.verdict == "ok" else RED)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _chart(axes: Axes, name: str, values: Sequence[float], limits: Limits) -> None:
    """Points on a log scale, and the limits as dashed lines; values that are 0 or not finite have no point."""
    shown = [value if math.isfinite(value) and value > 0 else math.nan for value in values]
    axes.plot(range(len(shown)), shown, color=GREY, linewidth=1)
    axes.scatter(range(len(shown)), shown, c=[RED if limits.verdict(x) else BLUE for x in values], s=22, zorder=3)
    axes.set_yscale("log")
    axes.set_ylabel(name)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#eaeef2")
    for limit in (limits.low, limits.high):
        if limit > 0:
            axes.axhline(limit, color=RED, linewidth=0.8, linestyle="--")
