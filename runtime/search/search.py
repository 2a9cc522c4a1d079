"""Hyperparameter search over the `param ... in RANGE` of a spec, with Optuna (notes: 'Tuning process').

What a trial draws depends on the seed, its number and, for TPE, the trials before it. A study that is continued, or
shared by several processes, therefore draws the same random trials as one that ran in one go.
"""

from __future__ import annotations

import csv
import fcntl
import io
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.cache import write_whole
from dslc.checker.overrides import as_params
from dslc.compiler import check_file
from dslc.cores import Threads
from dslc.ir import Network, ParamValue, Training
from dslc.language.arguments import show
from dslc.language.diagnostics import DataError, SpecError, UsageError
from dslc.language.parse import parse, read
from dslc.objective import Objective, higher_is_better
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.model import Model
from dslc.runtime.training.fit import OutOfBounds
from dslc.runtime.training.history import History
from dslc.runtime.training.spec_text import to_source

try:
    import optuna
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler
except ImportError:
    raise UsageError("the search needs Optuna: pip install 'dslc[search]'") from None

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

WARM_UP = 5
"""This many trials run to their end before any is pruned."""
RUN_ATTRIBUTE = "run"
"""A trial's attribute: the folder where its network was saved."""


@dataclass(frozen=True)
class Metric:
    """What a search optimizes: a column of the history, over the epochs that meet the bounds."""

    objective: Objective

    @property
    def name(self) -> str:
        """The name of the column, such as `dev_loss`."""
        return self.objective.metric

    @property
    def maximize(self) -> bool:
        """Whether higher is better."""
        return higher_is_better(self.name)

    def of(self, record: Mapping[str, float]) -> float:
        """The value in an epoch's record; NaN if the epoch violates a bound or the value is not finite."""
        excluded, _ = self.objective.rank(record)
        return math.nan if excluded else record[self.name]

    def best(self, history: History) -> float:
        """The best value over the epochs; NaN if there is none."""
        values = [value for value in map(self.of, history.records) if math.isfinite(value)]
        return (max if self.maximize else min)(values, default=math.nan)

    def why_nan(self, history: History) -> str:
        """Why `best` is NaN, in words."""
        broken = [bound for record in history.records for bound in self.objective.violated(record)]
        return f"no epoch met {broken[-1]}" if broken else "the loss stopped being finite"


def metric_of(training: Training) -> Metric:
    """The metric that the file optimizes, with its bounds; the loss on the dev set if the file watches the training
    loss."""
    return Metric(Objective("dev_loss") if training.objective.metric == "loss" else training.objective)


@dataclass(frozen=True)
class Settings:
    """The settings of a search.

    `spec`: path of the spec. `fixed`: values of settings, and of params that are not searched. `sampler`: `random` or
    `tpe`. `prune`: stop trials that are worse than the median. `epochs`, `seed`: None for the file's.
    """

    spec: str
    fixed: Mapping[str, object]
    sampler: str = "random"
    prune: bool = False
    threads: Threads = "auto"
    epochs: int | None = None
    seed: int | None = None


Finished = Callable[[Model, History, Mapping[str, object], Path], None]
"""Saves the run of a trial that is the best so far in a folder."""


class Search:
    """A study over the params of a spec.

    dataset: must have a dev set. storage: where trials are shared, as for `open_storage`. study: its name, by default
    the network's.

    Raises:
        DataError: the spec has nothing to search, or the study belongs to another search.
        SpecError: the spec has errors.
        UsageError: the storage cannot be opened.
    """

    def __init__(self, settings: Settings, dataset: Dataset, storage: str | None, study: str | None) -> None:
        self.settings, self.dataset = settings, dataset
        self.fixed = as_params(parse(read(settings.spec)), settings.fixed)
        self.network = check_file(settings.spec, self.fixed)
        if self.network.training is None:
            raise DataError("this network has no `train`: there is nothing to search for")
        self.ranges = _searched(self.network, self.fixed)
        self.metric = metric_of(self.network.training)
        self.seed = self.network.training.seed if settings.seed is None else settings.seed
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            storage=open_storage(storage),
            study_name=study or self.network.name.lower(),
            load_if_exists=True,
            direction="maximize" if self.metric.maximize else "minimize",
            sampler=_PerTrialSampler(settings.sampler, self.seed),
            pruner=optuna.pruners.MedianPruner(WARM_UP) if settings.prune else optuna.pruners.NopPruner(),
        )
        _require_same_ranges(self.study, self.ranges)

    def run(self, trials: int, folder: Path, keep: Finished, tell: Callable[[FrozenTrial], None]) -> None:
        """Runs `trials` more trials. Each that is the best so far is saved below `folder` by `keep`; `tell` is called
        after every trial."""

        def objective(trial: Trial) -> float:
            return self._try(trial, folder, keep)

        self.study.optimize(objective, n_trials=trials, callbacks=[lambda _, done: tell(done)])

    def _try(self, trial: Trial, folder: Path, keep: Finished) -> float:
        """Trains with one choice of values. Returns the best value of the metric, NaN if there is none."""
        started = time.perf_counter()
        values = {p.name: _suggest(trial, p) for p in self.ranges}
        try:
            network = check_file(self.settings.spec, {**self.fixed, **values})
        except SpecError as error:
            trial.set_user_attr("why", next(iter(error.diagnostics)).title)
            return math.nan
        model = Model(network, self.settings.threads)
        model.schema = model.schema.describing(network, self.dataset)
        history = self._fit(model, trial)
        trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        if history.stopped == "pruned":
            raise optuna.TrialPruned
        value = self.metric.best(history)
        if math.isnan(value):
            trial.set_user_attr("why", self.metric.why_nan(history))
        elif self._leads(value):
            home = folder / f"trial-{trial.number}"
            home.mkdir(parents=True, exist_ok=True)
            keep(model, history, values, home)
            trial.set_user_attr(RUN_ATTRIBUTE, str(home.resolve()))
        return value

    def _fit(self, model: Model, trial: Trial) -> History:
        """Trains until the end, until the network turns out too slow or too large for a bound, or with pruning until
        the median of the earlier trials was better at the same epoch."""
        data, epochs = self.dataset, self.settings.epochs
        assert data.dev is not None

        def report(record: dict[str, float]) -> str | None:
            if self.metric.objective.unreachable_bounds(record):
                return "bounds"
            value = self.metric.of(record)
            if not math.isfinite(value):
                return None
            trial.report(value, int(record["epoch"]))
            return "pruned" if trial.should_prune() else None

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutOfBounds)  # the table shows it
            x, y, weights = data.train.x, data.train.y, data.train.weights
            return model.fit(x, y, data.dev.given, epochs, on_epoch=report, sample_weight=weights)

    def _leads(self, value: float) -> bool:
        best = best_trial(self.study)
        if best is None or best.value is None:
            return True
        return value > best.value if self.metric.maximize else value < best.value


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The best trial that ran to its end; None if there is none."""
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return study.best_trial if done else None


class _PerTrialSampler(BaseSampler):
    """Samples each trial with its own generator, seeded by the study's seed and the trial's number."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed
        self._at: tuple[int, BaseSampler] | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._at is None or self._at[0] != trial.number:
            seed = int(np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0])
            made: BaseSampler = TPESampler(seed=seed) if self.kind == "tpe" else RandomSampler(seed)
            self._at = (trial.number, made)
        return self._at[1].sample_independent(study, trial, param_name, param_distribution)


def open_storage(where: str | None) -> Any:
    """Opens the storage of trials: a journal file, SQLite (.db, .sqlite, .sqlite3), a URL for Optuna, or memory (None).

    Raises:
        UsageError: the file cannot be opened.
    """
    if where is None or "://" in where:
        return where
    try:
        return _database(where) if where.endswith((".db", ".sqlite", ".sqlite3")) else _journal(Path(where).absolute())
    except OSError as error:
        raise UsageError(f"cannot open the storage {where}: {error.strerror}") from None


def _database(where: str) -> Any:
    """Locks the file while its tables are made: if two workers start together, the second finds them complete."""
    from optuna.storages import RDBStorage

    with open(where, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return RDBStorage(f"sqlite:///{where}")


def _journal(path: Path) -> Any:
    """Optuna's lock is a symbolic link to the journal, and it follows the link to find the age of a killed worker's
    lock. So the path must be absolute, and a dangling link, which Optuna would wait for forever, is removed."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lock = path.with_name(f"{path.name}.lock")
    if lock.is_symlink() and not lock.exists():
        lock.unlink(missing_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _searched(network: Network, fixed: Mapping[str, object]) -> tuple[ParamValue, ...]:
    ranged = [p for p in network.params if p.range is not None]
    if not ranged:
        raise DataError(
            "this spec has nothing to search: give a param a range, as in `param lr = 1e-3 in log(1e-4, 1e-1)`"
        )
    left = tuple(p for p in ranged if p.name not in fixed)
    if not left:
        raise DataError(f"nothing is left to search: -D fixes {', '.join(p.name for p in ranged)}")
    return left


def _require_same_ranges(study: optuna.Study, ranges: tuple[ParamValue, ...]) -> None:
    """Raises DataError if the study has trials over other params or ranges."""
    wanted = {p.name: _distribution(p) for p in ranges}
    for trial in study.get_trials(deepcopy=False):
        if trial.distributions and trial.distributions != wanted:
            raise DataError(
                f"the study {study.study_name!r} searched other params or ranges; choose another name with --study"
            )


def _distribution(param: ParamValue) -> BaseDistribution:
    """The range as an Optuna distribution. `one_minus_log` samples 1 - value on a log scale (notes: 'Using an
    appropriate scale': beta between 0.9 and 0.999)."""
    assert param.range is not None
    kind, bounds = param.range.kind, param.range.bounds
    if kind == "choice":
        return optuna.distributions.CategoricalDistribution([_word(b) for b in bounds])
    low, high = (float(b) for b in bounds)  # type: ignore[arg-type]
    if kind == "int":
        return optuna.distributions.IntDistribution(int(low), int(high))
    if kind == "one_minus_log":
        return optuna.distributions.FloatDistribution(1 - high, 1 - low, log=True)
    return optuna.distributions.FloatDistribution(low, high, log=kind == "log")


def _suggest(trial: Trial, param: ParamValue) -> object:
    """The value of a param in a trial, as a value of the language."""
    asked = _distribution(param)
    if isinstance(asked, optuna.distributions.CategoricalDistribution):
        return value_of(param, trial.suggest_categorical(param.name, asked.choices))
    if isinstance(asked, optuna.distributions.IntDistribution):
        return trial.suggest_int(param.name, asked.low, asked.high)
    assert isinstance(asked, optuna.distributions.FloatDistribution)
    return value_of(param, trial.suggest_float(param.name, asked.low, asked.high, log=asked.log))


def value_of(param: ParamValue, drawn: Any) -> object:
    """A sample from Optuna as a value of the language, kept inside its range in spite of rounding."""
    assert param.range is not None
    kind, bounds = param.range.kind, param.range.bounds
    if kind == "choice":
        return next(b for b in bounds if _word(b) == drawn)
    if kind == "one_minus_log":
        return min(max(1 - drawn, bounds[0]), bounds[1])
    return drawn


def _word(value: object) -> int | float | str:
    """A choice as Optuna stores it: numbers as they are, everything else as a spec spells it."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else show(value)


@dataclass(frozen=True)
class Row:
    """A trial in the table. `params`: values of the language, None if none was drawn. `why`: why it has no value."""

    number: int
    state: str
    value: float
    params: tuple[object, ...]
    seconds: float
    why: str


def table(study: optuna.Study, ranges: tuple[ParamValue, ...]) -> list[Row]:
    """All trials of a study, the best first and those without a value last."""
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    rows = [_row(trial, ranges) for trial in study.get_trials(deepcopy=False)]
    return sorted(rows, key=lambda r: (r.state != "complete", math.isnan(r.value), sign * r.value, r.number))


def _row(trial: FrozenTrial, ranges: tuple[ParamValue, ...]) -> Row:
    params = tuple(value_of(p, trial.params[p.name]) if p.name in trial.params else None for p in ranges)
    value = math.nan if trial.value is None else trial.value
    why = str(trial.user_attrs.get("why", ""))
    return Row(trial.number, trial.state.name.lower(), value, params, trial.user_attrs.get("seconds", math.nan), why)


def shown(value: object) -> str:
    """A value of a row for display: real numbers with five digits."""
    return f"{value:.5g}" if isinstance(value, float) else _cell(value)


def _cell(value: object) -> str:
    return "" if value is None else to_source(value)


def write_csv(path: Path, rows: list[Row], names: tuple[str, ...], metric: str) -> None:
    """Writes one row per trial, numbers with all digits. Raises OSError if that fails."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["trial", "state", metric, *names, "seconds", "why"])
    writer.writerows([r.number, r.state, r.value, *map(_cell, r.params), r.seconds, r.why] for r in rows)
    write_whole(path, text.getvalue().encode())


def write_plots(folder: Path, study: optuna.Study, metric: str) -> list[Path]:
    """Plots parallel coordinates and, if there are at least two different values, the importance of each param. Returns
    the paths of the PNG files.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UsageError("the plots need matplotlib: pip install 'dslc[search]'") from None
    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as plots

    values = {t.value for t in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))}
    drawn: list[tuple[str, Callable[..., Any]]] = (
        [("parallel_coordinates", plots.plot_parallel_coordinate)] if values else []
    )
    if len(values) > 1:
        drawn.append(("importance", plots.plot_param_importances))
    files = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # plots that are experimental in Optuna, and axes with a single value
        for name, draw in drawn:
            figure = draw(study, target_name=metric).figure
            data = io.BytesIO()
            figure.savefig(data, format="png", dpi=120, bbox_inches="tight")
            write_whole(folder / f"{name}.png", data.getvalue())
            files.append(folder / f"{name}.png")
    return files
