"""The page of `dslc bench` and of `dslc train --profile`: charts above the tables that the terminal shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslc.runtime.analysis.page import figures_of, render_page
from dslc.runtime.analysis.vega import SERIES, Chart, axis, chart, number
from dslc.runtime.bench.profile import PASSES, Profile
from dslc.runtime.bench.turns import Measured

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table under its title."""

    title: str
    columns: Row
    rows: Sequence[Row]


def render_bench(
    title: str,
    script: str,
    tables: Sequence[Table],
    notes: Sequence[str],
    profiles: Sequence[Profile],
    measured: Sequence[Measured],
) -> str:
    """The page. script: the JavaScript of Vega; without it there are only the tables."""
    charts = {f"{profile.step}: time by layer and pass": _layers(profile) for profile in profiles}
    for job in dict.fromkeys(m.job for m in measured):
        charts[f"{job}: examples a second"] = _speeds([m for m in measured if m.job == job])
    figures = {"bench": figures_of("bench", charts)}
    return render_page("bench.html.j2", script, figures, title=title, tables=tables, notes=notes)


def _layers(profile: Profile) -> Chart:
    values = [{"layer": s.layer, "pass": s.kind, "us": number(1e6 * s.seconds)} for s in profile.spent]
    passes = [kind for kind in PASSES if any(s.kind == kind for s in profile.spent)]
    encoding = {
        "y": axis("layer", "", "nominal", sort=None, axis={"labelLimit": 130, "labelOverlap": False, "title": None}),
        "x": axis("us", "microseconds a call"),
        "color": {"field": "pass", "type": "nominal", "sort": passes, "scale": _colors(passes)},
        "order": {"field": "pass", "sort": "descending"},
        "tooltip": [axis("layer", "layer", "nominal"), axis("pass", "pass", "nominal"), axis("us", "microseconds")],
    }
    return chart(values, height=60 + 18 * len(profile.layers), mark="bar", encoding=encoding)


def _speeds(measured: Sequence[Measured]) -> Chart:
    """Lines over the size of the batch; bars where there is one size."""
    done = [m for m in measured if m.seconds is not None]
    values = [{"of": m.title, "batch": m.examples, "speed": number(m.examples / (m.seconds or 1))} for m in done]
    names = list(dict.fromkeys(m.title for m in done))
    tooltip = [axis("of", "of", "nominal"), axis("batch", "batch"), axis("speed", "examples a second", format=",.0f")]
    color = {"field": "of", "type": "nominal", "sort": names, "scale": _colors(names)}
    if len({m.examples for m in done}) == 1:
        y = axis("of", "", "nominal", sort=names, axis={"title": None, "labelLimit": 130})
        encoding = {"y": y, "x": axis("speed", "examples a second", axis={"format": "~s"}), "tooltip": tooltip}
        return chart(values, height=40 * len(names) + 40, mark={"type": "bar", "color": SERIES[0]}, encoding=encoding)
    logarithmic = {"type": "log"}
    encoding = {
        "x": axis("batch", "examples in a batch", scale=logarithmic),
        "y": axis("speed", "examples a second", scale=logarithmic, axis={"format": "~s"}),
        "color": color,
        "tooltip": tooltip,
    }
    return chart(values, height=280, mark={"type": "line", "point": True}, encoding=encoding)


def _colors(names: Sequence[str]) -> Chart:
    return {"domain": list(names), "range": list(SERIES[: len(names)])}
