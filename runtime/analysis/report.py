"""The report of a run: a self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from dslc.ir import Network
from dslc.runtime.analysis.diagnosis import Gap, worst
from dslc.runtime.analysis.error_analysis import ErrorAnalysis
from dslc.runtime.analysis.mistakes import Mistake
from dslc.runtime.metrics import class_scores
from dslc.runtime.training.history import History
from dslc.shape import show_shape

Array = np.ndarray[Any, Any]
WIDTH, HEIGHT = 360, 200
COLORS = ("#1f6feb", "#d1242f")
MAX_CLASSES = 30
"""The confusion matrix is shown for up to this many classes."""


@dataclass(frozen=True)
class ClassRow:
    """A class with its number of examples and its scores."""

    label: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Worst:
    """A mistake with the data URL of its picture, empty if it has none."""

    mistake: Mistake
    source: str


@dataclass(frozen=True)
class Curve:
    """A line of a chart: name, color, and points in pixels of the chart."""

    name: str
    color: str
    points: str


@dataclass(frozen=True)
class Chart:
    """Curves over the epochs, with the labels of both axes: the top and bottom values, the first and last epoch."""

    title: str
    curves: tuple[Curve, ...]
    top: str
    bottom: str
    first: str
    last: str


def render_report(
    network: Network,
    history: History,
    results: dict[str, dict[str, float]],
    error_analysis: ErrorAnalysis | None,
    gaps: tuple[Gap, ...] = (),
) -> str:
    """Renders the page. results: the final metrics by data set. error_analysis: the error analysis. gaps: bias and
    variance, if
    known."""
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
        gaps=gaps,
        next_step=worst(gaps) if gaps else None,
        error_analysis=error_analysis,
        matrix=_shaded(error_analysis.matrix) if error_analysis and len(error_analysis.matrix) <= MAX_CLASSES else [],
        classes=_class_rows(error_analysis) if error_analysis else [],
        worst=_worst(error_analysis) if error_analysis else [],
        layers=[(n.name, show_shape(n.output.shape), sum(p.elements for p in n.parameters)) for n in network.nodes],
        spec=network.source.text,
        width=WIDTH,
        height=HEIGHT,
    )


def _class_rows(error_analysis: ErrorAnalysis) -> list[ClassRow]:
    matrix = error_analysis.matrix
    scores = [class_scores(name, matrix).tolist() for name in ("precision", "recall", "f1")]
    rows = zip(error_analysis.names, matrix, *scores, strict=True)
    return [ClassRow(name, int(row.sum()), *each) for name, row, *each in rows]


def _worst(error_analysis: ErrorAnalysis) -> list[Worst]:
    sources = [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png in error_analysis.pictures]
    mistakes = error_analysis.mistakes.worst
    return [Worst(m, source) for m, source in zip(mistakes, sources or [""] * len(mistakes), strict=True)]


def _chart(title: str, columns: dict[str, list[float]], names: tuple[str, ...]) -> Chart | None:
    present = [name for name in names if name in columns]
    values = np.array([columns[name] for name in present], float)
    if not present or values.shape[1] == 0 or not np.isfinite(values).any():
        return None
    epochs = [f"{columns['epoch'][at]:.0f}" for at in (0, -1)]
    values = np.repeat(values, 2, axis=1) if values.shape[1] == 1 else values  # makes a single epoch visible as a line
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    spread = high - low or 1.0
    across = np.linspace(0, WIDTH, values.shape[1])
    curves = tuple(
        Curve(name, color, _points(across, HEIGHT * (high - row) / spread))
        for name, color, row in zip(present, COLORS, values, strict=False)
    )
    return Chart(title, curves, f"{high:.4g}", f"{low:.4g}", *epochs)


def _points(across: Array, down: Array) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=False))


def _shaded(matrix: Array) -> list[list[tuple[int, float]]]:
    """Each count with its share of the row, which sets the shade of the cell."""
    totals = np.maximum(1, matrix.sum(axis=1, keepdims=True))
    return [
        list(zip(map(int, row), map(float, share), strict=True))
        for row, share in zip(matrix, matrix / totals, strict=True)
    ]
