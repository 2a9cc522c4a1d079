"""What a search optimizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dslc.ir import Training
from dslc.language.diagnostics import UsageError
from dslc.objective import MEASURED, Objective, higher_is_better
from dslc.runtime.training.history import History


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

    def best_record(self, history: History) -> Mapping[str, float] | None:
        """The record of the best epoch, None if no epoch counts."""
        counted = [record for record in history.records if math.isfinite(self.of(record))]
        return (max if self.maximize else min)(counted, key=self.of, default=None)

    def why_none(self, history: History) -> str:
        """Why there is no best epoch, in words."""
        broken = [bound for record in history.records for bound in self.objective.violated(record)]
        return f"no epoch met {broken[-1]}" if broken else "the loss stopped being finite"


def metric_of(training: Training) -> Metric:
    """The metric that the file optimizes, with its bounds; the loss on the dev set if the file watches the training
    loss."""
    return Metric(Objective("dev_loss") if training.objective.metric == "loss" else training.objective)


def against(name: str, training: Training) -> str:
    """The column of a metric that is weighed against another: one measured on the network, or of the dev set.

    Raises:
        UsageError: the training measures no such thing.
    """
    if name in MEASURED:
        return name
    known = {"loss", *training.metrics}
    if name.removeprefix("dev_") in known:
        return f"dev_{name.removeprefix('dev_')}"
    raise UsageError(f"--pareto {name}: there are {', '.join([*MEASURED, *sorted(known)])}")
