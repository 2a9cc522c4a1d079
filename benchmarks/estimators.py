"""The estimators of dslc.sklearn beside scikit-learn's own networks, with like settings: scores and training times.

    python benchmarks/estimators.py [--seeds 3]

Both take standardized columns and standardized numbers to predict, one hidden layer of 100 units, relu, adam with lr
0.001, l2 0.0001, mini-batches of 64 and 100 epochs. A row a table: the mean score over the same folds and seeds
(accuracy, or R^2 for numbers), the standard error of the difference, the seconds of one fit. dslc has compiled its
network before the clock starts.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dslc.sklearn import NetClassifier, NetRegressor

Table = tuple[Any, Any]
BATCH, EPOCHS, FOLDS = 64, 100, 5


def mixed() -> Table:
    """Numbers and words as tables of OpenML have them: 1500 flats, dear or not. Size, distance and floor, of which the
    last has a long tail, quarter and heating; what a square metre costs depends on the quarter; one label in twenty is
    wrong."""
    import pandas

    random, count = np.random.default_rng(7), 1500
    quarters, heatings = np.array(["north", "south", "harbour", "hill"]), np.array(["gas", "oil", "wood"])
    quarter, heating = random.integers(0, 4, count), random.integers(0, 3, count)
    size, distance, floor = random.normal(80, 25, count), random.gamma(2, 3, count), random.geometric(0.3, count)
    price = (
        size * np.array([1.0, 1.4, 2.2, 1.8])[quarter] - 6 * distance + 8 * np.minimum(floor, 4) - 10 * (heating == 1)
    )
    dear = (price > np.median(price)) ^ (random.random(count) < 0.05)
    columns = {"size": size, "distance": distance, "floor": floor, "quarter": quarters[quarter]}
    return pandas.DataFrame({**columns, "heating": heatings[heating]}), np.where(dear, "dear", "cheap")


def shipped(name: str) -> Callable[[], Table]:
    """A table of scikit-learn."""
    return lambda: getattr(datasets, f"load_{name}")(return_X_y=True)


TABLES: dict[str, Callable[[], Table]] = {
    **{name: shipped(name) for name in ("iris", "wine", "breast_cancer", "digits", "diabetes")},
    "mixed": mixed,
}


@dataclass(frozen=True)
class Comparison:
    """Scores (seeds * folds,) on the same folds, and the seconds of one fit."""

    ours: np.ndarray
    theirs: np.ndarray
    our_seconds: float
    their_seconds: float

    @property
    def difference(self) -> float:
        """How much better ours is in the mean."""
        return float((self.ours - self.theirs).mean())

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        difference = self.ours - self.theirs
        return float(difference.std(ddof=1) / np.sqrt(len(difference)))


def estimators(numbers: bool, seed: int) -> tuple[Any, Any]:
    """Ours and theirs."""
    net, mlp = (NetRegressor, MLPRegressor) if numbers else (NetClassifier, MLPClassifier)
    ours = net(batch=BATCH, epochs=EPOCHS, random_state=seed)
    theirs = mlp(batch_size=BATCH, max_iter=EPOCHS, random_state=seed)
    return ours, TransformedTargetRegressor(theirs, transformer=StandardScaler()) if numbers else theirs


def pipeline(estimator: Any, x: Any) -> Pipeline:
    """With words as columns of 0 and 1, and all columns standardized."""
    words = [] if isinstance(x, np.ndarray) else list(x.columns[x.dtypes.map(lambda kind: kind.kind == "O")])
    columns = make_column_transformer((OneHotEncoder(sparse_output=False), words), remainder="passthrough")
    return make_pipeline(columns, StandardScaler(), estimator)


def compare(name: str, seeds: int) -> Comparison:
    """Both on one table."""
    x, y = TABLES[name]()
    found: tuple[list[float], list[float]] = ([], [])
    seconds = [0.0, 0.0]
    numbers = y.dtype.kind == "f"
    pipeline(estimators(numbers, 0)[0], x).fit(x, y)  # so that the network is compiled
    for seed in range(seeds):
        for i, estimator in enumerate(estimators(numbers, seed)):
            folds = (StratifiedKFold if is_classifier(estimator) else KFold)(FOLDS, shuffle=True, random_state=seed)
            results = cross_validate(pipeline(estimator, x), x, y, cv=folds)
            found[i].extend(results["test_score"])
            seconds[i] += results["fit_time"].mean() / seeds
    return Comparison(np.array(found[0]), np.array(found[1]), *seconds)


def main() -> None:
    """Prints a row a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=TABLES, nargs="+", default=list(TABLES))
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # both have so many epochs and no more
    print(f"{'table':14}{'dslc':>8}{'MLP':>8}{'difference':>18}{'dslc, s':>10}{'MLP, s':>10}")
    for name in given.only:
        found = compare(name, given.seeds)
        difference = f"{found.difference:+.4f} ± {found.error:.4f}"
        scores = f"{found.ours.mean():8.4f}{found.theirs.mean():8.4f}"
        print(f"{name:14}{scores}{difference:>18}{found.our_seconds:10.3f}{found.their_seconds:10.3f}", flush=True)


if __name__ == "__main__":
    main()
