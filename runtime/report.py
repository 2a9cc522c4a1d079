"""The report of a run: one HTML page that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from dslc.ir import Network, show_shape
from dslc.runtime.history import History

Array = np.ndarray[Any, Any]
WIDTH, HEIGHT = 560, 220
COLORS = ("#1f6feb", "#d1242f")


@dataclass(frozen=True)
class Curve:
    """A line of a chart: its name, its color and its points in the chart's pixels."""

    name: str
    color: str
    points: str


@dataclass(frozen=True)
class Chart:
    """Curves over the epochs, with the values at the top and at the bottom."""

    title: str
    curves: tuple[Curve, ...]
    top: str
    bottom: str


def render_report(
    network: Network, history: History, results: dict[str, dict[str, float]], matrix: Array | None
) -> str:
    """The page. `results` hold the final numbers by data set, `matrix` the confusion (rows: true classes)."""
    source = resources.files("dslc.templates").joinpath("report.html.j2").read_text("utf-8")
    env = Environment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    columns = history.to_dict()
    charts = [_chart("loss", columns, ("loss", "dev_loss")), _chart("accuracy", columns, ("dev_accuracy",))]
    return env.from_string(source).render(
        net=network.name,
        charts=[chart for chart in charts if chart is not None],
        columns=list(columns),
        records=[[f"{value:.5g}" for value in row] for row in zip(*columns.values(), strict=True)],
        best_epoch=history.best_epoch,
        stopped=history.stopped,
        results=results,
        matrix=[] if matrix is None else _shaded(matrix),
        layers=[(n.name, show_shape(n.output.shape), sum(p.elements for p in n.parameters)) for n in network.nodes],
        spec=network.source.text,
        width=WIDTH,
        height=HEIGHT,
    )


def _chart(title: str, columns: dict[str, list[float]], names: tuple[str, ...]) -> Chart | None:
    present = [name for name in names if name in columns]
    values = np.array([columns[name] for name in present], float)
    if not present or values.shape[1] == 0 or not np.isfinite(values).any():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    spread = high - low or 1.0
    across = np.linspace(0, WIDTH, max(2, values.shape[1]))
    curves = tuple(
        Curve(name, color, _points(across, HEIGHT * (high - row) / spread))
        for name, color, row in zip(present, COLORS, values, strict=False)
    )
    return Chart(title, curves, f"{high:.4g}", f"{low:.4g}")


def _points(across: Array, down: Array) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=False))


def _shaded(matrix: Array) -> list[list[tuple[int, float]]]:
    """Counts with the share of their row, for the cells' shades."""
    totals = np.maximum(1, matrix.sum(axis=1, keepdims=True))
    return [
        list(zip(map(int, row), map(float, share), strict=True))
        for row, share in zip(matrix, matrix / totals, strict=True)
    ]
