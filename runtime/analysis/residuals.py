"""How far predicted numbers are from the true ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.runtime.data.examples import Split

Array = np.ndarray[Any, Any]
MOST = 1500
"""So many pairs are kept for a page."""
BINS = 30
EXTREMES = 12
"""So many of the best and of the worst predictions are shown."""


@dataclass(frozen=True)
class Prediction:
    """A predicted number and the true one. `index`: the example's position in the data. `file`: where it comes from;
    empty if unknown."""

    index: int
    true: float
    predicted: float
    file: str = ""

    @property
    def residual(self) -> float:
        """Predicted - true."""
        return self.predicted - self.true


@dataclass(frozen=True)
class Residuals:
    """The predictions of an output that is a number. `pairs`: some, evenly from all; `edges` (bins + 1,) and `counts`
    (bins,): a histogram of all residuals; `worst` and `best`: the largest residual first, and the smallest. `r2`: the
    share of the variance that is explained, NaN where the targets do not vary."""

    pairs: tuple[Prediction, ...]
    edges: Array
    counts: Array
    worst: tuple[Prediction, ...]
    best: tuple[Prediction, ...]
    r2: float


def residuals_of(output: Array, target: Array, part: Split) -> Residuals | None:
    """Of outputs and targets of the same shape (n, ...), of which all numbers are looked at together; None where no
    target is there."""
    said, true = (array.reshape(len(array), -1).astype(np.float64) for array in (output, target))
    rows, columns = np.nonzero(np.isfinite(true) & np.isfinite(said))
    if not len(rows):
        return None
    p, t = said[rows, columns], true[rows, columns]
    order = np.argsort(np.abs(p - t), kind="stable")
    counts, edges = np.histogram(p - t, bins=BINS)

    def shown(at: Array) -> tuple[Prediction, ...]:
        return tuple(
            Prediction(int(part.places[rows[i]]), float(t[i]), float(p[i]), part.origin(int(rows[i])) or "") for i in at
        )

    spread = float(((t - t.mean()) ** 2).sum())
    r2 = 1 - float(((p - t) ** 2).sum()) / spread if spread else float("nan")
    some = np.linspace(0, len(t) - 1, min(MOST, len(t))).round().astype(int)
    return Residuals(shown(some), edges, counts, shown(order[::-1][:EXTREMES]), shown(order[:EXTREMES]), r2)
