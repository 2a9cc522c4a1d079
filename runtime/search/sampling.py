"""Which values the next trial has, and which trials end early."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

WARM_UP = 5
"""This many trials run to their end before the median prunes any."""
PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "median": lambda epochs: MedianPruner(WARM_UP),
    "asha": lambda epochs: SuccessiveHalvingPruner(),
    "hyperband": lambda epochs: HyperbandPruner(max_resource=epochs),
}
"""Pruners by name, made for the epochs of a trial: the median of the trials before at the same epoch; asynchronous
successive halving (Li et al. 2020); Hyperband (Li et al. 2018)."""


class PerTrialSampler(BaseSampler):
    """Samples each trial with its own generator, seeded by the study's seed and the trial's number."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed
        self._running = threading.local()
        """The trial that a thread runs, and its sampler."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """No params are sampled together."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """No params are sampled together."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of a param in a trial."""
        if getattr(self._running, "number", None) != trial.number:
            seed = int(np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0])
            self._running.sampler = TPESampler(seed=seed) if self.kind == "tpe" else RandomSampler(seed)
            self._running.number = trial.number
        return self._running.sampler.sample_independent(study, trial, param_name, param_distribution)
