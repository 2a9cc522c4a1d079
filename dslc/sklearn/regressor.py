"""NetRegressor: a network that predicts numbers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import column_or_1d

from dslc.ir import Head
from dslc.runtime.data.asked import tells_labels
from dslc.sklearn.estimator import Array, NetEstimator
from dslc.sklearn.spec import Kind


class NetRegressor(RegressorMixin, MultiOutputMixin, NetEstimator):  # type: ignore[misc]
    """A network that predicts one number or several, as a regressor of scikit-learn.

    The parameters are those of `NetClassifier`. Of a spec's params, `features` and `outputs` get the numbers of columns
    of X and y. The network without a spec ends in a dense layer and learns standardized targets by `mse`: its losses
    are theirs, its predictions are in the unit of y.

    Attributes:
        n_outputs_: how many numbers it predicts.
        model_, history_, loss_curve_, n_iter_, n_features_in_, feature_names_in_: as of `NetClassifier`.
    """

    _kind = Kind("Regressor", "mse", "outputs", "linear", "  standardize_target on\n")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Trains from the start. X: (n, features), or (n, H, W, C) for a spec that takes images; y: (n,) or
        (n, outputs); sample_weight: what each example counts (n,), as if it were there so many times.

        Raises:
            ValueError: the data do not fit, or the parameters do not go together.
            SpecError: the spec has errors, or does not declare a param that was given.
        """
        X, y = self._numbers(X, y, reset=True)  # noqa: N806
        return self._fit(X, y, self._weights(sample_weight, X), None)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains for one more epoch, on these examples. `standardize` and `standardize_target` go by
        those of the first call.

        Raises:
            ValueError: as `fit`.
        """
        X, y = self._numbers(X, y, reset=not hasattr(self, "model_"))  # noqa: N806
        return self._partial_fit(X, y, self._weights(sample_weight, X), None)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The numbers of each example: (n,), or (n, outputs) if there are several."""
        outputs = self._outputs(X).astype(np.float64)  # scikit-learn wants them so
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def _numbers(self, x: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        x, y = self._checked(x, y, reset=reset, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if reset:
            self.n_outputs_ = outputs
        if outputs != self.n_outputs_:
            raise ValueError(f"y has {outputs} columns; the first part had {self.n_outputs_}")
        return x, y

    def _told(self) -> dict[str, object]:
        return {"outputs": self.n_outputs_}

    def _check_head(self, head: Head) -> None:
        if tells_labels(head):
            raise ValueError(f"{head.name} tells classes and predicts no numbers: take NetClassifier")
        if head.value.elements != self.n_outputs_:
            raise ValueError(
                f"{head.name} predicts {head.value.elements} numbers, and y has {self.n_outputs_}: "
                "a spec with `param outputs` takes any number"
            )
