"""Vega, which draws the charts of a page: its JavaScript, and the settings that all charts share."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from dslc.cache import cache_folder, write_whole
from dslc.language.diagnostics import UsageError

Chart = dict[str, Any]
"""A specification in Vega-Lite."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
SERIES = ("#3b82f6", "#f08c2e", "#2ca06c", "#9b6ddb", "#d9498b")
"""Colors of lines: told apart by people who see red and green alike, and on white and on black."""
SHADES = ("#dbe7fb", "#1d4ed8")
"""From few to many."""
CONFIG: Chart = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "range": {"category": list(SERIES)},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "domain": False,
        "gridOpacity": 0.5,
    },
    "legend": {"orient": "top", "title": None, "labelFontSize": 12},
}


def vega_script() -> str:
    """The JavaScript that makes `vegaEmbed` known, about 900 KB. It is put together once and kept in the cache.

    Raises:
        UsageError: vl-convert is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise UsageError("charts need Vega: pip install 'dslc[report]'") from None
    kept = cache_folder() / f"vega-{version('vl-convert-python')}.js"
    if kept.exists():
        return kept.read_text("utf-8")
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    write_whole(kept, script.encode())
    return script


def chart(values: list[Chart], **parts: Any) -> Chart:
    """A chart as wide as the page lets it be. values: the rows of its table. parts: whatever Vega-Lite knows."""
    common = {"width": "container", "height": 220, "autosize": {"type": "fit", "contains": "padding"}}
    return {"$schema": SCHEMA, "config": CONFIG, "data": {"values": values}, **common, **parts}


def axis(field: str, title: str, kind: str = "quantitative", **more: Any) -> Chart:
    """A channel that shows a column under a title."""
    return {"field": field, "type": kind, "title": title, **more}


def number(value: float, digits: int = 5) -> float | None:
    """A number for a chart, with as many digits as can be seen; None, a gap, where it is not finite."""
    rounded = float(f"{value:.{digits}g}")
    return rounded if abs(rounded) < float("inf") else None
