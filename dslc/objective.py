"""What makes one epoch, or one trial of a search, better than another (notes: 'Satisficing and Optimizing Metric')."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass

COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
SCORES = ("accuracy", "precision", "recall", "f1", "iou")
"""Metrics of which more is better; all others are errors, costs and sizes."""
MEASURED = ("predict_us", "parameters", "kilobytes")
"""What is measured on the compiled network and not on its predictions: see `runtime/training/measure.py`."""
WORST_RANK = (True, math.inf)
"""The rank of a record that cannot be the best."""


def higher_is_better(name: str) -> bool:
    """Whether a higher value is better: `dev_accuracy` and `top5` rise, `dev_loss` and `predict_us` fall."""
    last = name.rpartition("_")[2]
    return last in SCORES or re.fullmatch(r"top[0-9]+", last) is not None


@dataclass(frozen=True)
class Bound:
    """A satisficing metric: it only has to be good enough."""

    metric: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.limit:g}"

    def holds(self, value: float) -> bool:
        """Whether a value meets the bound; NaN never does."""
        return bool(COMPARISONS[self.comparison](value, self.limit))

    def satisfied(self, record: Mapping[str, float]) -> bool:
        """Whether the record meets the bound; a missing or NaN metric does not."""
        return self.holds(_number(record, self.metric))


@dataclass(frozen=True)
class Objective:
    """Optimize `metric` among the records that meet all `bounds`."""

    metric: str
    bounds: tuple[Bound, ...] = ()

    def value(self, record: Mapping[str, float]) -> float:
        """The optimizing metric with its sign turned so that smaller is better; infinity if it is missing or NaN."""
        number = _number(record, self.metric)
        if math.isnan(number):
            return math.inf
        return -number if higher_is_better(self.metric) else number

    def satisfied(self, record: Mapping[str, float]) -> bool:
        """Whether the record meets all bounds."""
        return not self.violated(record)

    def violated(self, record: Mapping[str, float]) -> tuple[Bound, ...]:
        """The bounds that the record does not meet."""
        return tuple(bound for bound in self.bounds if not bound.satisfied(record))

    def unreachable_bounds(self, record: Mapping[str, float]) -> tuple[Bound, ...]:
        """The violated bounds on properties of the network itself, which no amount of training can fix."""
        return tuple(bound for bound in self.violated(record) if bound.metric in MEASURED)

    def rank(self, record: Mapping[str, float]) -> tuple[bool, float]:
        """A sort key: smaller is better. Records that violate a bound or lack the metric come after all others."""
        value = self.value(record)
        return (not self.satisfied(record) or math.isinf(value), value)

    @property
    def measured(self) -> tuple[str, ...]:
        """Those of its metrics that are measured on the compiled network."""
        return tuple(name for name in MEASURED if name in (self.metric, *(bound.metric for bound in self.bounds)))


def _number(record: Mapping[str, float], metric: str) -> float:
    """The number under the metric's name, else the dev set's. `loss` is what training lowers: with the losses of
    heads that only train, and the penalty."""
    others = record.get("auxiliary", 0.0) + record.get("penalty", 0.0) if metric == "loss" else 0.0
    return record.get(metric, record.get(f"dev_{metric}", math.nan)) + others
