"""Hyperparameter search over the `param ... in RANGE` of a spec, with Optuna (notes: 'Tuning process').

What a trial draws depends on the seed, its number and, for TPE, the trials before it. A study that is continued, or
shared by several processes, therefore draws the same random trials as one that ran in one go.
"""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dslc.checker.overrides import as_params
from dslc.compiler import check_file
from dslc.cores import Threads, available_cores
from dslc.ir import Network, Training
from dslc.language.diagnostics import DataError, SpecError, UsageError
from dslc.language.parse import parse, read
from dslc.objective import MEASURED, higher_is_better
from dslc.runtime.data.datasets import Dataset
from dslc.runtime.model import Model
from dslc.runtime.training.fit import OutOfBounds
from dslc.runtime.training.history import History
from dslc.runtime.training.measure import measure

try:
    import optuna
except ImportError:
    raise UsageError("the search needs Optuna: pip install 'dslc[search]'") from None

from dslc.runtime.search.identity import identity, require_same_search
from dslc.runtime.search.metric import against, metric_of
from dslc.runtime.search.ranges import as_taken, searched, suggest
from dslc.runtime.search.sampling import PRUNERS, PerTrialSampler
from dslc.runtime.search.storage import open_storage
from dslc.runtime.search.workers import retry_trials_of_dead_workers, sign

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

RUN_ATTRIBUTE = "run"
"""A trial's attribute: the folder where its network was saved."""


@dataclass(frozen=True)
class Settings:
    """The settings of a search.

    `spec`: path of the spec. `fixed`: values of settings, and of params that are not searched. `sampler`: `random` or
    `tpe`. `pruner`: a name in `PRUNERS`. `pareto`: metrics that are weighed against the one that the file optimizes.
    `jobs`: how many trials run at the same time; `threads` is for all of them. `epochs`, `seed`: None for the file's.
    """

    spec: str
    fixed: Mapping[str, object]
    sampler: str = "random"
    pruner: str = "none"
    pareto: tuple[str, ...] = ()
    jobs: int = 1
    threads: Threads = "auto"
    epochs: int | None = None
    seed: int | None = None


Finished = Callable[[Model, History, Mapping[str, object], Path], None]
"""Saves the run of a trial that is one of the best so far in a folder."""


class Search:
    """A study over the params of a spec.

    dataset: a dev set is split off where it brings none. storage: where trials are shared, as for `open_storage`.
    study: its name, by default the network's.

    Raises:
        DataError: the spec has nothing to search, the data are too few for a dev set, or the study belongs to another
            search.
        SpecError: the spec has errors.
        UsageError: the storage cannot be opened, or trials cannot be pruned by several metrics.
    """

    def __init__(self, settings: Settings, dataset: Dataset, storage: str | None, study: str | None) -> None:
        self.settings = settings
        self.fixed = as_params(parse(read(settings.spec)), settings.fixed)
        self.network = check_file(settings.spec, self.fixed)
        training = self.network.training
        if training is None:
            raise DataError("this network has no `train`: there is nothing to search for")
        if settings.pareto and settings.pruner != "none":
            raise UsageError("trials are pruned by one metric: leave --prune or --pareto out")
        ranges = searched(self.network, self.fixed)
        self.ranges = tuple(as_taken(param, partial(self._with, param.name)) for param in ranges)
        self.largest_batch = self._largest_batch()
        self.metric = metric_of(training)
        self.metrics = (self.metric.name, *(against(name, training) for name in settings.pareto))
        self.epochs = settings.epochs or training.epochs
        self.seed = training.seed if settings.seed is None else settings.seed
        self.dataset = dataset.with_dev(self.seed)
        if self.dataset.dev is None:
            raise DataError("a search judges by a dev set, and the data are too few to split one off")
        self._stopping, self._keeping = threading.Event(), threading.Lock()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            storage=open_storage(storage),
            study_name=study or self.network.name.lower(),
            load_if_exists=True,
            directions=["maximize" if higher_is_better(name) else "minimize" for name in self.metrics],
            sampler=PerTrialSampler(settings.sampler, self.seed),
            pruner=PRUNERS[settings.pruner](self.epochs),
        )
        require_same_search(self.study, self.ranges, identity(self.network, self.epochs, self.dataset))

    def _with(self, name: str, value: object) -> Network | None:
        """The network with this value of a param; None where the file does not check with it."""
        with suppress(SpecError):
            return check_file(self.settings.spec, {**self.fixed, name: value})
        return None

    def _largest_batch(self) -> int:
        """The largest mini-batch where one param is at an end of its range, which trials are compiled for: for others
        nothing has to be compiled then."""
        found = [self.network]
        for param in self.ranges:
            assert param.range is not None
            found += filter(None, (self._with(param.name, value) for value in param.range.bounds))
        return max((network.training.batch or 0 for network in found if network.training is not None), default=0)

    def _capacity(self, training: Training | None) -> int | None:
        """How many examples a trial is compiled for; None for as many as its mini-batch has, where that decides on
        slices or on what memory is enough."""
        if training is None or training.batch is None or training.divided or training.memory is not None:
            return None
        return max(training.batch, self.largest_batch)

    def run(self, trials: int, folder: Path, keep: Finished, tell: Callable[[FrozenTrial], None]) -> None:
        """Runs `trials` more trials, `settings.jobs` at a time. Each that is one of the best so far is saved below
        `folder` by `keep`; `tell` is called after every trial."""

        def run_one() -> None:
            retry_trials_of_dead_workers(self.study)
            self.study.optimize(lambda trial: self._try(trial, folder, keep), 1, callbacks=[lambda _, t: tell(t)])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutOfBounds)  # the table shows it
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self.settings.jobs == 1:
                for _ in range(trials):
                    run_one()
            else:
                self._run_together(run_one, trials)

    def _run_together(self, run_one: Callable[[], None], trials: int) -> None:
        """Threads suffice, since C runs without the interpreter's lock. What interrupts this one, stops them at the end
        of their epochs."""
        with ThreadPoolExecutor(self.settings.jobs) as pool:
            running = [pool.submit(run_one) for _ in range(trials)]
            try:
                for trial in running:
                    trial.result()
            except BaseException:
                self._stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _try(self, trial: Trial, folder: Path, keep: Finished) -> list[float]:
        """Trains with one choice of values. Returns the metrics, NaN if there are none."""
        sign(trial)
        started = time.perf_counter()
        values = {p.name: suggest(trial, p) for p in self.ranges}
        nothing = [math.nan] * len(self.metrics)
        try:
            network = check_file(self.settings.spec, {**self.fixed, **values})
        except SpecError as error:
            trial.set_user_attr("why", next(iter(error.diagnostics)).title)
            return nothing
        model = Model(network, self._threads(), capacity=self._capacity(network.training))
        model.schema = model.schema.describing(network, self.dataset)
        history = self._fit(model, trial)
        trial.set_user_attr("seconds", round(time.perf_counter() - started, 3))
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        if history.stopped == "pruned":
            raise optuna.TrialPruned
        record = self.metric.best_record(history)
        if record is None:
            trial.set_user_attr("why", self.metric.why_none(history))
            return nothing
        found = self._values(model, record)
        with self._keeping:
            if self._leads(found):
                home = folder / f"trial-{trial.number}"
                home.mkdir(parents=True, exist_ok=True)
                keep(model, history, values, home)
                trial.set_user_attr(RUN_ATTRIBUTE, str(home.resolve()))
        return found

    def _threads(self) -> Threads:
        """The share of a trial in the cores, or in the threads that were asked for."""
        jobs, threads = self.settings.jobs, self.settings.threads
        if jobs == 1:
            return threads
        return max(1, (available_cores() if threads == "auto" else threads) // jobs)

    def _fit(self, model: Model, trial: Trial) -> History:
        """Trains until the end, until the network turns out too slow or too large for a bound, or until the pruner has
        seen enough."""
        data = self.dataset
        assert data.dev is not None

        def report(record: dict[str, float]) -> str | None:
            if self._stopping.is_set():
                return "interrupted"
            if self.metric.objective.unreachable_bounds(record):
                return "bounds"
            value = self.metric.of(record)
            if self.settings.pruner == "none" or not math.isfinite(value):
                return None
            trial.report(value, int(record["epoch"]))
            return "pruned" if trial.should_prune() else None

        x, y, weights = data.train.x, data.train.y, data.train.weights
        return model.fit(x, y, data.dev.given, self.epochs, on_epoch=report, sample_weight=weights)

    def _values(self, model: Model, record: Mapping[str, float]) -> list[float]:
        """The metrics of the search in this epoch; what is measured on the compiled network is measured now."""
        assert self.dataset.dev is not None
        left = [name for name in self.metrics if name in MEASURED and name not in record]
        known = {**record, **measure(model, left, self.dataset.dev.x)}
        return [known[name] for name in self.metrics]

    def _leads(self, values: list[float]) -> bool:
        """Whether no trial is at least as good in every metric."""
        signs = [-1 if higher_is_better(name) else 1 for name in self.metrics]
        return not any(
            all(sign * theirs <= sign * ours for sign, theirs, ours in zip(signs, trial.values, values, strict=True))
            for trial in completed_trials(self.study)
        )


def completed_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Those that ran to their end and have values."""
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trial that is best; of several metrics all that no other one beats in all of them, the best in the first
    metric first."""
    if not completed_trials(study):
        return []
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    best = sorted(study.best_trials, key=lambda trial: (sign * trial.values[0], trial.number))
    return best[:1] if len(study.directions) == 1 else best
