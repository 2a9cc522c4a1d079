"""Self-contained HTML pages with charts, from templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from dslc.html_pieces import data_url
from dslc.runtime.analysis.vega import Chart


@dataclass(frozen=True)
class Figure:
    """A chart under a title. `id` is its element's in the page."""

    id: str
    title: str
    chart: Chart


def figures_of(section: str, charts: Mapping[str, Chart]) -> list[Figure]:
    """The charts of a section by their titles."""
    return [Figure(f"{section}-{number}", title, chart) for number, (title, chart) in enumerate(charts.items())]


def render_page(template: str, script: str, figures: Mapping[str, list[Figure]], **context: Any) -> str:
    """Renders a page. script: the JavaScript of Vega; empty for a page without charts. figures: by section."""
    env = Environment(
        loader=FunctionLoader(_source), undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    env.filters["data_url"] = data_url
    shown = figures if script else {section: [] for section in figures}
    specs = {figure.id: figure.chart for group in shown.values() for figure in group}
    return env.get_template(template).render(script=script, figures=shown, specs=specs, **context)


def _source(name: str) -> str:
    return resources.files("dslc.templates").joinpath(name).read_text("utf-8")
