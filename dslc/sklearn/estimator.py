"""What classifier and regressor share: parameters, the compiled network, training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from dslc.ir import Head, Network, Training
from dslc.language.source import Source
from dslc.runtime.data.frames import columns_of, is_frame
from dslc.runtime.data.labels import Classes
from dslc.runtime.model import Model
from dslc.runtime.training.history import History
from dslc.sklearn.spec import Kind, built_in, check_spec, declares_columns, spec_source

Array = np.ndarray[Any, Any]
ARGUMENTS = ("lr", "l2", "batch")
"""Arguments of the constructor that the spec must declare as params."""
PATIENCE = 10
"""Epochs without a better one before training ends, where neither the estimator nor the spec says so."""
NESTED = "params__"


class NetEstimator(BaseEstimator):  # type: ignore[misc]
    """A network as an estimator. `NetClassifier` and `NetRegressor` describe the parameters."""

    _kind: ClassVar[Kind]

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
        early_stopping: bool | None = None,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        dtype: str | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.spec = spec
        self.params = params
        self.hidden = hidden
        self.activation = activation
        self.lr = lr
        self.l2 = l2
        self.batch = batch
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------------------------------- parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name; `deep`: with a `params__NAME` for each value in `params`."""
        found: dict[str, Any] = super().get_params(deep)
        if deep and isinstance(self.params, Mapping):
            found |= {f"{NESTED}{name}": value for name, value in self.params.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Sets arguments of the constructor by name, and values for the spec's params as `params__NAME`.

        Raises:
            ValueError: there is no such argument.
        """
        nested = {name.removeprefix(NESTED): params.pop(name) for name in [*params] if name.startswith(NESTED)}
        super().set_params(**params)
        if nested:
            self.params = {**(self.params or {}), **nested}
        return self

    # ------------------------------------------------------------------------------------------- the network

    @abstractmethod
    def _told(self) -> dict[str, object]:
        """Values for the spec's params that the targets tell."""

    @abstractmethod
    def _check_head(self, head: Head) -> None:
        """Raises ValueError if the head does not predict what the estimator does."""

    def _built_in(self) -> Source:
        """The network without a spec."""
        hidden = (100,) if self.hidden is None else self.hidden
        layers = (hidden,) if isinstance(hidden, int) else tuple(hidden)
        text = built_in(self._kind, layers, self.activation or "relu", 0.0001 if self.l2 is None else self.l2)
        return Source("<built-in network>", text)

    def _given(self) -> tuple[Source, dict[str, object]]:
        """The spec, and the values that were given for its params."""
        arguments = {name: getattr(self, name) for name in ARGUMENTS if getattr(self, name) is not None}
        if self.spec is None:
            arguments.pop("l2", None)
            return self._built_in(), {**arguments, **(self.params or {})}
        for name in ("hidden", "activation"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} describes the network that is built without a spec; this one has a spec")
        return spec_source(self.spec), {**arguments, **(self.params or {})}

    def _network(self, x: Array) -> Network:
        """The checked network, made for the data that were seen."""
        source, params = self._given()
        seed, dtype = None, self.dtype
        if self.spec is None and dtype is None:
            dtype = "float32" if x.dtype == np.float32 else "float64"
        if self.spec is None or self.random_state is not None:
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        told = {"features": self.n_features_in_, **self._told()}
        if self.epochs is not None:
            told["epochs"] = self.epochs
        network = check_spec(source, told, params, dtype, seed)
        if len(network.inputs) != 1 or len(network.heads) != 1:
            raise ValueError(f"an estimator has one input and one output; {network.name} has more")
        if network.training is None:
            raise ValueError(f"{network.name} has no `train`: it cannot be fitted")
        self._check_head(network.heads[0])
        return network

    def _compile(self, network: Network, classes: Classes | None) -> Model:
        """The network compiled, with the names of its columns and classes."""
        model = Model(network, "auto" if self.n_jobs in (None, -1) else self.n_jobs)
        names = getattr(self, "feature_names_in_", None)
        features = {} if names is None else {network.inputs[0].name: tuple(map(str, names))}
        named = {} if classes is None else {network.heads[0].name: classes}
        model.schema = replace(model.schema, features=features, classes=named)
        return model

    # ------------------------------------------------------------------------------------------- training

    def _fit(self, x: Array, y: Array, weights: Array | None, classes: Classes | None) -> Self:
        """A training from the start; where it is to stop early, on a part of the data set aside for that."""
        network = self._network(x)
        training = network.training
        assert training is not None
        patience = self._patience(training)
        model = self._compile(replace(network, training=replace(training, patience=patience)), classes)
        x, dev = self._shaped(model, x), None
        if patience is not None or training.objective.bounds:
            x, y, weights, dev = self._set_aside(model.seed, x, y, weights, classes is not None)
        history = model.fit(x, y, dev, self.epochs, "auto" if self.verbose else "none", sample_weight=weights)
        self.model_ = model
        return self._remember(history)

    def _set_aside(self, seed: int, x: Array, y: Array, weights: Array | None, by_class: bool) -> tuple[Any, ...]:
        """What is left to train on, and the part to judge by: x, y and perhaps weights."""
        arrays = (x, y) if weights is None else (x, y, weights)
        share, strata = self.validation_fraction, y if by_class else None
        parts = train_test_split(*arrays, test_size=share, stratify=strata, random_state=seed)
        kept, aside = parts[::2], parts[1::2]
        return kept[0], kept[1], None if weights is None else kept[2], tuple(aside)

    def _patience(self, training: Training) -> int | None:
        """For how many epochs training waits for a better one; None: it has all epochs."""
        if self.patience is not None and not self.early_stopping:
            raise ValueError("patience belongs to early_stopping=True")
        if self.early_stopping is None:
            return training.patience
        return (self.patience or training.patience or PATIENCE) if self.early_stopping else None

    def _partial_fit(self, x: Array, y: Array, weights: Array | None, classes: Classes | None) -> Self:
        """One epoch more."""
        if self.early_stopping:
            raise ValueError("partial_fit does not stop early: early_stopping must be False")
        goes_on = hasattr(self, "model_")
        if not goes_on:
            network = self._network(x)
            assert network.training is not None
            network = replace(network, training=replace(network.training, patience=None))
            self.model_ = self._compile(network, classes)
        history = self.model_.fit(self._shaped(self.model_, x), y, epochs=1, sample_weight=weights)
        return self._remember(history, self.history_.records if goes_on else [])

    def _remember(self, history: History, earlier: Sequence[dict[str, float]] = ()) -> Self:
        self.history_ = replace(history, records=[*earlier, *history.records])
        self.loss_curve_ = [record["loss"] for record in self.history_.records]
        self.n_iter_ = len(self.loss_curve_)
        return self

    # ------------------------------------------------------------------------------------------- data

    def _checked(self, x: Any, y: Any = "no_validation", reset: bool = False, **how: Any) -> Any:
        """X, or X and y, as scikit-learn wants them checked; images have more than two axes. A frame of which the spec
        declares columns stays as it is: the model finds them by name and checks their cells."""
        if self.spec is None or not declares_columns(spec_source(self.spec)):
            return validate_data(self, x, y, reset=reset, allow_nd=self.spec is not None, **how)
        if not is_frame(x):
            raise ValueError(
                f"the spec declares columns: X must be a frame of pandas or polars, not {type(x).__name__}"
            )
        if reset:
            self.feature_names_in_ = np.array(columns_of(x), object)
            self.n_features_in_ = len(self.feature_names_in_)
        if isinstance(y, str) and y == "no_validation":
            return x
        check_consistent_length(x, y)
        return x, _check_y(y, estimator=self, **how)

    @staticmethod
    def _weights(sample_weight: Any, x: Array) -> Array | None:
        """What each example counts, (n,); None where all count the same."""
        if sample_weight is None:
            return None
        found: Array = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        return found

    @staticmethod
    def _shaped(model: Model, x: Any) -> Any:
        """Rows of a table as the images that the network takes, where it takes some."""
        if model.network.tables:
            return x
        (value,) = model.network.inputs
        return x.reshape(len(x), *value.shape) if x.ndim == 2 and x.shape[1] == value.elements else x

    def _outputs(self, x: Any) -> Array:
        """What the network predicts, (n, outputs)."""
        check_is_fitted(self)
        outputs: Array = self.model_.predict(self._shaped(self.model_, self._checked(x)))
        return outputs.reshape(len(outputs), -1)
