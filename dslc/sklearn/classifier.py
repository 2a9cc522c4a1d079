"""NetClassifier: a network that tells classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import column_or_1d

from dslc.ir import Head
from dslc.runtime.data.asked import class_count, tells_labels
from dslc.runtime.data.labels import Classes, labels_of
from dslc.sklearn.estimator import Array, NetEstimator
from dslc.sklearn.spec import Kind


def _gives_probabilities(estimator: NetClassifier) -> bool:
    """Not those that learn by scores, such as hinge; what is not fitted yet might."""
    if not hasattr(estimator, "model_"):
        return True
    loss = estimator.model_.network.heads[0].loss
    return loss is not None and loss.through is not None


class NetClassifier(ClassifierMixin, NetEstimator):  # type: ignore[misc]
    """A network that tells classes, as a classifier of scikit-learn.

    Args:
        spec: the text of a spec or the path of its file. Of its params, `features` and `classes` get the numbers of
            columns and classes. None: `standardize`, dense layers, softmax, trained by adam.
        params: values for the spec's params. Each is a parameter of the estimator too, `params__NAME`.
        hidden: units of the hidden layers of the network without a spec; None is (100,).
        activation: what follows each of them, in words of the language; None is relu.
        lr, l2, batch: the learning rate, the factor of the l2 penalty and the size of a mini-batch: the params of this
            name, which a spec must declare. None is the spec's value; without a spec 0.001, 0.0001 and 64.
        class_weight: what the examples of each class count, a dict by label, or balanced: all classes count alike.
            With class weights of the spec they are multiplied.
        epochs: None is the spec's number; without a spec 200.
        early_stopping: True sets aside a part of the data, keeps the epoch with the best weights on it, and ends
            training when none has been better for some time. None: if the spec says `stop early`.
        validation_fraction: how large this part is; it has all classes in their shares.
        patience: how many epochs early stopping waits; None is the spec's number, or 10.
        dtype: float32, float64 or mixed; None is the spec's precision; without a spec float32 if X is, else float64.
        n_jobs: how many threads share the work at most. None and -1: as many as pay off on the cores that there are.
            The results do not depend on it.
        random_state: the seed of initial weights, dropout and the order of examples. None: the spec's; without a spec
            another one in each fit.
        verbose: shows the progress of training.

    Attributes:
        classes_: the labels (classes,), sorted.
        model_: the compiled network, a `dslc.runtime.model.Model`.
        history_: what each epoch measured, a `History`.
        loss_curve_: the training loss of each epoch.
        n_iter_: how many epochs there were.
        n_features_in_, feature_names_in_: columns of X; their names if X was a data frame.
    """

    _kind = Kind("Classifier", "cross_entropy", "classes", "softmax")

    def __init__(
        self,
        spec: str | PathLike[str] | None = None,
        *,
        params: Mapping[str, object] | None = None,
        hidden: Iterable[int] | None = None,
        activation: str | None = None,
        lr: float | None = None,
        l2: float | None = None,
        batch: int | None = None,
        epochs: int | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        early_stopping: bool | None = None,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        dtype: str | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            spec,
            params=params,
            hidden=hidden,
            activation=activation,
            lr=lr,
            l2=l2,
            batch=batch,
            epochs=epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            dtype=dtype,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Trains from the start. X: (n, features), or (n, H, W, C) for a spec that takes images; y: labels (n,).
        sample_weight: what each example counts (n,), as if it were there so many times.

        Raises:
            ValueError: the data do not fit, or the parameters do not go together.
            SpecError: the spec has errors, or does not declare a param that was given.
        """
        X, y = self._checked(X, y, reset=True)  # noqa: N806
        y = self._labels(y)
        self.classes_ = np.unique(y)
        weights = self._all_weights(sample_weight, X, y)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds 1 class, {self.classes_.tolist()[0]!r}: there is nothing to tell apart")
        return self._fit(X, y, weights, self._classes())

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains for one more epoch, on these examples. classes: all labels that will come, needed in the first call.
        `standardize` goes by the examples of the first call.

        Raises:
            ValueError: as `fit`, or a label is not in classes.
        """
        if self.class_weight == "balanced":
            raise ValueError("a part of the data does not tell what balances all of them: give class_weight as a dict")
        first = _check_partial_fit_first_call(self, classes)
        X, y = self._checked(X, y, reset=first)  # noqa: N806
        y = self._labels(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds {unknown.tolist()[0]!r}, which is not in classes: {self.classes_.tolist()}")
        return self._partial_fit(X, y, self._all_weights(sample_weight, X, y), self._classes())

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The label of each example, (n,)."""
        outputs = self._outputs(X)
        loss = self.model_.network.heads[0].loss
        assert loss is not None
        numbers = outputs.argmax(axis=1) if loss.classes else (outputs[:, 0] >= loss.threshold).astype(int)
        found: Array = self.classes_[numbers]
        return found

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """The probability of each class, (n, classes), in the order of `classes_`."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def _all_weights(self, sample_weight: Any, x: Array, y: Array) -> Array | None:
        """Sample weights times class weights, (n,)."""
        weights = self._weights(sample_weight, x)
        if self.class_weight is None:
            return weights
        weights = np.ones(len(y)) if weights is None else weights
        of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weights)
        found: Array = of_classes[np.searchsorted(self.classes_, y)] * weights
        return found

    def _labels(self, y: Any) -> Array:
        labels: Array = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        return labels

    def _classes(self) -> Classes:
        labels = labels_of(self.classes_)
        assert labels is not None
        return Classes(tuple(labels.tolist()))

    def _told(self) -> dict[str, object]:
        return {"classes": len(self.classes_)}

    def _check_head(self, head: Head) -> None:
        if not tells_labels(head):
            raise ValueError(f"{head.name} predicts numbers and not classes: take NetRegressor")
        if class_count(head) != len(self.classes_):
            raise ValueError(
                f"{head.name} tells {class_count(head)} classes, and y has {len(self.classes_)}: "
                "a spec with `param classes` takes any number"
            )
