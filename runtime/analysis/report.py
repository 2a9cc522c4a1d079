"""The report of a run: a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dslc.html_pieces import data_url
from dslc.ir import Network
from dslc.runtime.analysis import charts
from dslc.runtime.analysis.diagnosis import Gap, worst
from dslc.runtime.analysis.distributions import distributions
from dslc.runtime.analysis.error_analysis import ErrorAnalysis
from dslc.runtime.analysis.findings import Findings
from dslc.runtime.analysis.mistakes import Mistake
from dslc.runtime.analysis.page import Figure, figures_of, render_page
from dslc.runtime.analysis.vega import Chart
from dslc.runtime.metrics import class_scores
from dslc.runtime.training.history import History
from dslc.runtime.training.settings import settings_of
from dslc.shape import show_shape

Array = np.ndarray[Any, Any]
MAX_CLASSES = 30
"""The confusion matrix is a table of numbers for up to this many classes, and a picture for more."""
SECTIONS = ("curves", "confusion", "calibration", "residuals", "layers", "weights", "gradients")
"""Sections of the page that have charts."""


@dataclass(frozen=True)
class Run:
    """What a page is about. `results`: the final metrics by part of the data. `gaps`: bias and variance, if known.
    `facts`: words by name on data, machine and call. `diagram`: the network as SVG. `histograms`: as
    `training.histograms` keeps them."""

    network: Network
    history: History
    results: Mapping[str, dict[str, float]]
    findings: Findings
    gaps: tuple[Gap, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    diagram: str = ""
    histograms: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class ClassRow:
    """A class with its number of examples and its scores."""

    label: str
    examples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Shown:
    """An example with the data URL of its picture, empty if it has none."""

    mistake: Mistake
    source: str


@dataclass(frozen=True)
class LayerRow:
    """A layer: its output, and the parameters, bytes of one example's output and multiply-adds that it takes."""

    name: str
    output: str
    parameters: int
    bytes: int
    multiply_adds: int


def render_report(run: Run, script: str) -> str:
    """Renders the page. script: the JavaScript of Vega; without it the page has tables and pictures, and no charts."""
    network, columns, errors = run.network, run.history.to_dict(), run.findings.errors
    small = errors is not None and len(errors.matrix) <= MAX_CLASSES
    return render_page(
        "report.html.j2",
        script,
        _figures(run),
        run=run,
        net=network.name,
        findings=run.findings,
        errors=errors,
        columns=list(columns),
        records=[[f"{value:.5g}" for value in row] for row in zip(*columns.values(), strict=True)],
        seconds=sum(columns.get("seconds", [])),
        next_step=worst(run.gaps) if run.gaps else None,
        matrix=_shaded(errors.matrix) if errors is not None and small else [],
        classes=_class_rows(errors) if errors is not None else [],
        worst=_shown(errors.mistakes.worst, errors.pictures) if errors is not None else [],
        best=_shown(errors.best, errors.best_pictures) if errors is not None else [],
        layers=_layer_rows(network),
        settings=settings_of(network),
    )


def _figures(run: Run) -> dict[str, list[Figure]]:
    """The charts of each section of the page."""
    errors, residuals, network = run.findings.errors, run.findings.residuals, run.network
    found: dict[str, dict[str, Chart]] = {section: {} for section in SECTIONS}
    found["curves"] = charts.curves(run.history)
    if errors is not None and len(errors.matrix) > MAX_CLASSES:
        found["confusion"] = {"share of each true class": charts.confusion(errors.matrix, errors.names)}
    if errors is not None and errors.calibration is not None:
        calibration = errors.calibration
        found["calibration"] = {"reliability": charts.reliability(calibration), "answers": charts.sureness(calibration)}
    if residuals is not None:
        found["residuals"] = {
            "predicted against true": charts.predicted_against_true(residuals),
            "residuals": charts.residuals_over_predicted(residuals),
            "histogram of the residuals": charts.residual_counts(residuals),
        }
    found["layers"] = charts.layer_bars(network, 8 if network.dtype == "float64" else 4)
    weights = [p.name for p in network.parameters if p.decays]
    for kind in ("weights", "gradients"):
        found[kind] = distributions(run.histograms, kind, weights)
    return {section: figures_of(section, group) for section, group in found.items()}


def _class_rows(errors: ErrorAnalysis) -> list[ClassRow]:
    scores = [class_scores(name, errors.matrix).tolist() for name in ("precision", "recall", "f1")]
    rows = zip(errors.names, errors.matrix, *scores, strict=True)
    return [ClassRow(name, int(row.sum()), *each) for name, row, *each in rows]


def _layer_rows(network: Network) -> list[LayerRow]:
    itemsize = 8 if network.dtype == "float64" else 4
    return [
        LayerRow(
            node.name,
            show_shape(node.output.shape),
            sum(p.elements for p in node.parameters),
            node.output.elements * itemsize,
            node.layer.multiply_adds(node.input_shapes),
        )
        for node in network.nodes
    ]


def _shown(mistakes: Sequence[Mistake], pictures: Sequence[bytes]) -> list[Shown]:
    sources = [data_url(png) for png in pictures] or [""] * len(mistakes)
    return [Shown(mistake, source) for mistake, source in zip(mistakes, sources, strict=True)]


def _shaded(matrix: Array) -> list[list[tuple[int, float]]]:
    """Each count with its share of the row, which sets the shade of the cell."""
    totals = np.maximum(1, matrix.sum(axis=1, keepdims=True))
    return [
        list(zip(map(int, row), map(float, share), strict=True))
        for row, share in zip(matrix, matrix / totals, strict=True)
    ]
