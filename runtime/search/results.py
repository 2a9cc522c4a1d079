"""What a search leaves behind: the table of its trials and its pictures."""

from __future__ import annotations

import csv
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from dslc.cache import write_whole
from dslc.ir import ParamValue
from dslc.language.diagnostics import UsageError
from dslc.runtime.search.ranges import value_of
from dslc.runtime.search.search import best_trials, completed_trials
from dslc.runtime.training.spec_text import to_source

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Row:
    """A trial in the table. `values`: of the metrics, NaN where it has none. `params`: values of the language, None if
    none was drawn. `why`: why it has no value. `best`: whether no other trial beats it in all metrics."""

    number: int
    state: str
    values: tuple[float, ...]
    params: tuple[object, ...]
    seconds: float
    why: str
    best: bool = False


def table(study: optuna.Study, ranges: tuple[ParamValue, ...]) -> list[Row]:
    """All trials of a study, the best first and those without a value last."""
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    best = {trial.number for trial in best_trials(study)}
    rows = [_row(trial, ranges, len(study.directions), best) for trial in study.get_trials(deepcopy=False)]
    return sorted(rows, key=lambda r: (r.state != "complete", not r.best, _order(sign * r.values[0]), r.number))


def _order(value: float) -> tuple[bool, float]:
    """A sort key with NaN last."""
    return (math.isnan(value), value)


def _row(trial: FrozenTrial, ranges: tuple[ParamValue, ...], metrics: int, best: set[int]) -> Row:
    params = tuple(value_of(p, trial.params[p.name]) if p.name in trial.params else None for p in ranges)
    values = tuple(trial.values or [math.nan] * metrics)
    why, seconds = str(trial.user_attrs.get("why", "")), trial.user_attrs.get("seconds", math.nan)
    return Row(trial.number, trial.state.name.lower(), values, params, seconds, why, trial.number in best)


def shown(value: object) -> str:
    """A value of a row for display: real numbers with five digits."""
    return f"{value:.5g}" if isinstance(value, float) else _cell(value)


def _cell(value: object) -> str:
    return "" if value is None else to_source(value)


def write_csv(path: Path, rows: list[Row], names: tuple[str, ...], metrics: tuple[str, ...]) -> None:
    """Writes one row per trial, numbers with all digits. Raises OSError if that fails."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["trial", "state", *metrics, *names, "seconds", "why"])
    writer.writerows([r.number, r.state, *r.values, *map(_cell, r.params), r.seconds, r.why] for r in rows)
    write_whole(path, text.getvalue().encode())


def write_plots(folder: Path, study: optuna.Study, metrics: tuple[str, ...]) -> list[Path]:
    """Plots parallel coordinates and, if there are at least two different values, the importance of each param, both
    for the first metric, and of two metrics the Pareto front. Returns the paths of the PNG files.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UsageError("the plots need matplotlib: pip install 'dslc[search]'") from None
    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as plots

    def first(trial: FrozenTrial) -> float:
        return float(trial.values[0])

    different = len({first(trial) for trial in completed_trials(study)})
    files = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # plots that are experimental in Optuna, and axes with a single value
        if different:
            axes = plots.plot_parallel_coordinate(study, target=first, target_name=metrics[0])
            files.append(_saved(axes, folder / "parallel_coordinates.png"))
        if different > 1:
            axes = plots.plot_param_importances(study, target=first, target_name=metrics[0])
            files.append(_saved(axes, folder / "importance.png"))
        if different and len(metrics) == 2:
            axes = plots.plot_pareto_front(study, target_names=list(metrics))
            files.append(_saved(axes, folder / "pareto_front.png"))
    return files


def _saved(axes: Any, path: Path) -> Path:
    data = io.BytesIO()
    axes.figure.savefig(data, format="png", dpi=120, bbox_inches="tight")
    write_whole(path, data.getvalue())
    return path
