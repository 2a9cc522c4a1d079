"""Several runs beside one another: the settings in which they differ, their numbers, and their curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dslc.derived import unrounded
from dslc.ir import Network
from dslc.objective import higher_is_better
from dslc.runtime.analysis.page import figures_of, render_page
from dslc.runtime.analysis.vega import Chart, axis, chart, number
from dslc.runtime.training.history import History
from dslc.runtime.training.settings import settings_of

NO_GOALS = ("epoch", "auxiliary", "penalty", "left_out")
"""Numbers of an epoch of which none is the best."""


@dataclass(frozen=True)
class RunToCompare:
    """A run under the name that it has here. `facts`: words by name that are no settings of the spec, as its data."""

    name: str
    network: Network
    history: History
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """A name and a cell for each run; `best` is the place of the best cell, if one is better than all others."""

    name: str
    cells: tuple[str, ...]
    best: int | None = None


def differences(runs: Sequence[RunToCompare]) -> list[Row]:
    """The settings that are not the same in all runs, and the layers and parameters where these differ."""
    layers = [_calls(run.network) for run in runs]
    common = set.intersection(*map(set, layers))
    own = [", ".join(call for call in calls if call not in common) or "no others" for calls in layers]
    each = [
        dict(
            [
                *run.facts,
                ("layers of its own", mine),
                ("parameters", _parameters(run.network)),
                *settings_of(run.network),
            ]
        )
        for run, mine in zip(runs, own, strict=True)
    ]
    names = dict.fromkeys(name for settings in each for name in settings)
    rows = [Row(name, tuple(settings.get(name, "no") for settings in each)) for name in names]
    return [row for row in rows if len(set(row.cells)) > 1]


def _calls(network: Network) -> list[str]:
    """The layers by name, each with its call."""
    return [f"{node.name}: {' '.join(node.call.text.split())}" for node in unrounded(network).nodes]


def _parameters(network: Network) -> str:
    return f"{sum(p.elements for p in network.parameters if p.trained):,}"


def numbers(runs: Sequence[RunToCompare]) -> list[Row]:
    """The numbers of the epoch whose weights each run kept, else of its last; a row for each that a run has."""
    kept = [_kept(run.history) for run in runs]
    rows = []
    for name in dict.fromkeys(key for record in kept for key in record if key not in ("lr", "seconds")):
        values = [record.get(name, math.nan) for record in kept]
        shown = tuple("" if math.isnan(value) else f"{value:.5g}" for value in values)
        rows.append(Row(name, shown, None if name in NO_GOALS else _best(name, values)))
    seconds = [sum(record.get("seconds", 0.0) for record in run.history.records) for run in runs]
    epochs = tuple(str(len(run.history.records)) for run in runs)
    return [*rows, Row("epochs", epochs), Row("seconds", tuple(f"{s:.1f}" for s in seconds), _best("seconds", seconds))]


def _kept(history: History) -> dict[str, float]:
    found = [record for record in history.records if record["epoch"] == history.best_epoch]
    return found[0] if found else history.records[-1] if history.records else {}


def _best(name: str, values: Sequence[float]) -> int | None:
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2 or min(finite) == max(finite):
        return None
    best = max(finite) if higher_is_better(name) else min(finite)
    return values.index(best) if values.count(best) == 1 else None


def curves(runs: Sequence[RunToCompare]) -> dict[str, Chart]:
    """A chart for each number of an epoch, with a line a run."""
    found: dict[str, Chart] = {}
    columns = [run.history.to_dict() for run in runs]
    for name in dict.fromkeys(key for each in columns for key in each if key not in ("epoch", "seconds")):
        values = [
            {"epoch": int(epoch), "run": run.name, "value": number(value)}
            for run, each in zip(runs, columns, strict=True)
            for epoch, value in zip(each["epoch"], each.get(name, []), strict=False)
        ]
        encoding = {
            "x": axis("epoch", "epoch", scale={"zero": False}, axis={"tickMinStep": 1, "format": "d", "grid": False}),
            "y": axis("value", name, scale={"zero": False}),
            "color": {"field": "run", "type": "nominal", "sort": None},
            "tooltip": [axis("run", "run", "nominal"), axis("epoch", "epoch"), axis("value", name)],
        }
        found[name] = chart(values, mark={"type": "line", "point": len(values) < 200}, encoding=encoding)
    return found


def render_comparison(runs: Sequence[RunToCompare], script: str) -> str:
    """The page. script: the JavaScript of Vega; without it there are no curves."""
    return render_page(
        "compare.html.j2",
        script,
        {"curves": figures_of("curves", curves(runs))},
        runs=[run.name for run in runs],
        differences=differences(runs),
        numbers=numbers(runs),
    )
