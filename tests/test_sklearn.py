"""Networks as estimators of scikit-learn."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import check_estimator

import dslc
import estimators
from dslc.language.diagnostics import SpecError
from dslc.sklearn import NetClassifier, NetRegressor

SPEC = """
param features = 2
param classes  = 2
param width    = 5
param lr       = 0.01 in log(1e-4, 1)
net Small {
  input x: features
  standardize
  dense(width) -> tanh
  dense(classes) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=lr)
  batch     16
  epochs    20
}
"""
LOGISTIC = "param features = 1\nnet L {\n  input x: features\n  dense(1) -> sigmoid\n}\n"
LOGISTIC += "train {\n  loss binary_cross_entropy\n  optimizer sgd(lr=0.1)\n  batch 16\n  epochs 5\n}\n"
X, Y = datasets.load_iris(return_X_y=True)
NAMED = np.array(["setosa", "versicolor", "virginica"])[Y]


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [NetClassifier(), NetRegressor()], ids=["classifier", "regressor"])
def test_all_checks_of_scikit_learn(estimator: NetClassifier | NetRegressor, capsys: pytest.CaptureFixture) -> None:
    """Every check is passed but the one that scikit-learn leaves out by itself, unless SCIPY_ARRAY_API is set. Slow
    because of some forty networks that are compiled, one for each number of columns and classes and for each precision.

    That sample weights are as good as repeated examples is checked in double precision on data of one mini-batch: with
    several ones, others would be together in them. (MLPClassifier is checked with L-BFGS there, for the same reason.)
    """
    started = time.perf_counter()
    results = check_estimator(estimator)
    passed = [result["check_name"] for result in results if result["status"] == "passed"]
    with capsys.disabled():
        seconds = time.perf_counter() - started
        print(f"\n{type(estimator).__name__}: {len(passed)} of {len(results)} checks passed in {seconds:.1f} s")
    assert {r["check_name"] for r in results} - set(passed) <= {"check_array_api_input"}
    assert len(passed) > 50


def test_the_spec_gets_what_the_data_tell() -> None:
    """As with `dslc.loads`: the same bits."""
    found = NetClassifier(SPEC, params={"width": 7}, lr=0.05, random_state=3).fit(X, NAMED)
    seed = found.model_.seed
    model = dslc.loads(f"{SPEC[:-2]}seed {seed}\n}}", features=4, classes=3, width=7, lr=0.05)
    model.fit(X, NAMED)
    assert (found.predict_proba(X) == model.predict(X)).all()
    assert (found.predict(X) == model.predict_classes(X)).all()
    assert found.model_.network.source.text.count("seed") == 1
    assert found.model_.class_names == ("setosa", "versicolor", "virginica")
    assert found.n_iter_ == 20 == len(found.loss_curve_)


def test_the_built_in_network_against_numpy() -> None:
    """Its parameters in NumPy's formulas give its probabilities."""
    found = NetClassifier(hidden=(9, 8), activation="tanh", epochs=5, random_state=0, dtype="float64").fit(X, NAMED)
    p = found.model_.copy_weights()
    h = (X - X.mean(0)) / X.std(0)
    for layer in ("dense1", "dense2"):
        h = np.tanh(h @ p[f"{layer}.weight"].T + p[f"{layer}.bias"])
    z = np.exp(h @ p["dense3.weight"].T + p["dense3.bias"])
    np.testing.assert_allclose(found.predict_proba(X), z / z.sum(axis=1, keepdims=True), rtol=1e-4)
    assert (found.predict(X) == found.classes_[z.argmax(axis=1)]).all()


def test_one_sigmoid_is_two_classes() -> None:
    two = NAMED != "virginica"
    found = NetClassifier(LOGISTIC).fit(X[two], NAMED[two])
    p = found.model_.copy_weights()
    yes = 1 / (1 + np.exp(-(X[two] @ p["dense1.weight"][0] + p["dense1.bias"][0])))
    np.testing.assert_allclose(found.predict_proba(X[two]), np.column_stack([1 - yes, yes]), rtol=1e-4, atol=1e-6)
    assert (found.predict(X[two]) == np.where(yes >= 0.5, "versicolor", "setosa")).all()


def test_several_outputs_without_hidden_layers_are_linear_regression(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 3))
    y = (x @ rng.normal(size=(3, 2)) + [1, -2] + 0.1 * rng.normal(size=(200, 2))) * [1, 1000]
    found = NetRegressor(hidden=(), l2=0, lr=0.05, epochs=500, batch=200, random_state=0).fit(x, y)
    assert found.n_outputs_ == 2
    differences = (found.predict(x) - LinearRegression().fit(x, y).predict(x)) / y.std(axis=0)
    assert np.abs(differences).max() < 2e-3
    twin = pickle.loads(pickle.dumps(found))
    assert (twin.predict(x) == found.predict(x)).all()
    assert (twin.partial_fit(x, y).predict(x) == found.partial_fit(x, y).predict(x)).all()


def test_no_penalty_and_a_penalty() -> None:
    """l2 is scikit-learn's alpha: 0 is none at all."""
    none, some = (NetClassifier(hidden=(8,), l2=l2, epochs=1).fit(X, Y).model_.network for l2 in (0, np.float64(0.3)))
    assert not any(p.regularizers for p in none.parameters)
    assert {r.strength for p in some.parameters for r in p.regularizers} == {0.3}


def test_images_come_as_rows_or_as_images() -> None:
    spec = "net Digits {\n  input image: 8x8x1\n  conv(2, 3x3) -> relu -> flatten -> dense(10) -> softmax\n}\n"
    spec += "train {\n  loss cross_entropy\n  optimizer adam(lr=0.01)\n  epochs 2\n}\n"
    digits = datasets.load_digits()
    rows, images = (NetClassifier(spec).fit(x, digits.target) for x in (digits.data, digits.images[..., None]))
    assert (rows.predict_proba(digits.data) == images.predict_proba(digits.images[..., None])).all()
    assert rows.score(digits.data, digits.target) > 0.8


# ------------------------------------------------------------------------------------------------ training


def test_early_stopping_keeps_the_best_weights() -> None:
    found = NetClassifier(SPEC, early_stopping=True, patience=3, lr=0.3, epochs=500, random_state=0).fit(X, NAMED)
    losses = [record["dev_loss"] for record in found.history_.records]
    assert found.history_.stopped == "early" and found.n_iter_ < 500
    assert found.history_.best_epoch == np.argmin(losses) + 1 == found.n_iter_ - 3


def test_early_stopping_judges_by_sample_weights(rng: np.random.Generator) -> None:
    """The least dev_loss is scikit-learn's log_loss of the part that was set aside, drawn again here."""
    weights = rng.uniform(0.1, 3, len(X))
    found = NetClassifier(SPEC, early_stopping=True, validation_fraction=0.4).fit(X, NAMED, weights)
    parts = train_test_split(X, NAMED, weights, test_size=0.4, stratify=NAMED, random_state=found.model_.seed)
    wanted = log_loss(parts[3], found.predict_proba(parts[1]), sample_weight=parts[5])
    assert found.history_.records[found.history_.best_epoch - 1]["dev_loss"] == pytest.approx(wanted, rel=1e-5)
    assert wanted != pytest.approx(log_loss(parts[3], found.predict_proba(parts[1])), rel=1e-3)


def test_class_weights(rng: np.random.Generator) -> None:
    """Balanced: n / (classes * examples of the class), by the sums of the sample weights; a dict: what it says."""
    x, y, weights = X[20:], NAMED[20:], rng.uniform(0.5, 2, len(X) - 20)
    total = {label: weights[label == y].sum() for label in np.unique(y)}
    balanced = np.array([weights.sum() / (3 * total[label]) for label in y])
    given = {"setosa": 0.5, "versicolor": 2.0, "virginica": 1.0}
    for class_weight, by_class in (("balanced", balanced), (given, np.array([given[label] for label in y]))):
        found = NetClassifier(SPEC, class_weight=class_weight).fit(x, y, weights)
        wanted = NetClassifier(SPEC).fit(x, y, by_class * weights)
        np.testing.assert_allclose(found.predict_proba(x), wanted.predict_proba(x), rtol=1e-4, atol=1e-6)
        assert np.abs(found.predict_proba(x) - NetClassifier(SPEC).fit(x, y, weights).predict_proba(x)).max() > 0.01


def test_the_spec_says_whether_to_stop_early() -> None:
    stops = SPEC.replace("epochs    20", "epochs 20\n  stop early(patience=2, metric=accuracy)")
    assert "dev_accuracy" in NetClassifier(stops).fit(X, NAMED).history_.records[0]
    assert "dev_accuracy" not in NetClassifier(stops, early_stopping=False).fit(X, NAMED).history_.records[0]


def test_partial_fit_in_parts_of_one_class() -> None:
    found = NetClassifier(SPEC, lr=0.02, random_state=0)
    order = np.random.default_rng(0).permutation(len(X))
    found.partial_fit(X[order[:50]], NAMED[order[:50]], classes=np.unique(NAMED))
    for _ in range(60):
        for label in found.classes_:
            found.partial_fit(X[label == NAMED], NAMED[label == NAMED])
    assert found.n_iter_ == 181 and found.score(X, NAMED) > 0.9
    with pytest.raises(ValueError, match="'rose', which is not in classes"):
        found.partial_fit(X[:1], ["rose"])


def test_a_copy_by_pickle_goes_on_alike() -> None:
    """Optimizer state, step and names are in it; the same bits after more training."""
    found = NetClassifier(SPEC, random_state=1).partial_fit(X, NAMED, classes=np.unique(NAMED))
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        again = copy.deepcopy(found)
        assert (twin.predict_proba(X) == found.predict_proba(X)).all()
        assert twin.model_.class_names == found.model_.class_names
        assert (twin.partial_fit(X, NAMED).predict_proba(X) == again.partial_fit(X, NAMED).predict_proba(X)).all()
    assert not hasattr(clone(found), "model_")


def test_models_are_pickled(tmp_path: Path) -> None:
    model = dslc.loads(SPEC, dtype="float64", features=4, classes=3, threads=2)
    model.fit(X, NAMED, epochs=1)
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.threads, twin.step, twin.epoch, twin.dtype) == (model.threads, model.step, 1, np.float64)
    model.fit(X, NAMED, epochs=1)
    twin.fit(X, NAMED, epochs=1)
    assert (twin.predict(X) == model.predict(X)).all() and twin.schema == model.schema
    twin.save(tmp_path / "m.safetensors")
    model.load_weights(tmp_path / "m.safetensors")


def test_what_changes_no_c() -> None:
    """Cross-validation and most searches compile one network."""
    first = NetClassifier(hidden=(8,), epochs=1).fit(X, Y).model_.library.path
    others = [NetClassifier(hidden=(8,), epochs=2, lr=0.1, random_state=5, early_stopping=True).fit(X, NAMED)]
    others.append(NetClassifier(hidden=(8,), epochs=1).fit(X[::7], Y[::7]))
    assert [other.model_.library.path for other in others] == [first, first]


# ------------------------------------------------------------------------------------------------ in company


def test_grid_search_over_arguments_and_params() -> None:
    grid = {"lr": [1e-4, 0.05], "params__width": [1, 6]}
    search = GridSearchCV(NetClassifier(SPEC, random_state=0), grid, cv=3).fit(X, NAMED)
    assert search.best_params_ == {"lr": 0.05, "params__width": 6} and search.best_score_ > 0.9
    assert search.best_estimator_.model_.parameters["dense1.weight"].shape == (6, 4)
    assert search.best_estimator_.get_params()["params__width"] == 6


def test_optuna() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def score(trial: optuna.Trial) -> float:
        given = {
            "lr": trial.suggest_float("lr", 1e-4, 0.1, log=True),
            "params__width": trial.suggest_int("width", 2, 4),
        }
        return cross_val_score(NetClassifier(SPEC, random_state=0).set_params(**given), X, NAMED, cv=3).mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(score, n_trials=3)
    assert study.best_value > 0.8 and len({trial.value for trial in study.trials}) > 1


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "multiprocessing", "threading"])
def test_cross_validation_in_parallel_with_threads_on(backend: str) -> None:
    """By processes that are new or forked, and by Python threads: it does not hang, and the scores are those of one."""
    joblib = pytest.importorskip("joblib")
    estimator = NetClassifier(hidden=(300,), batch=120, epochs=10, n_jobs=2, random_state=0)
    alone = cross_val_score(estimator, X, NAMED, cv=3)
    assert estimator.fit(X, NAMED).model_.threads == 2
    with joblib.parallel_backend(backend):
        assert (cross_val_score(estimator, X, NAMED, cv=3, n_jobs=2) == alone).all()


def test_mixed_columns_in_a_pipeline() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": X[:, 2], "color": np.where(X[:, 3] > 1, "blue", "red")})
    columns = make_column_transformer((OneHotEncoder(), ["color"]), remainder="passthrough")
    pipeline = make_pipeline(columns.set_output(transform="pandas"), NetClassifier(random_state=0))
    columns.set_params(onehotencoder__sparse_output=False)
    found = pipeline.fit(frame, pandas.Series(NAMED))[-1]
    assert pipeline.score(frame[["color", "size"]], NAMED) > 0.9
    wanted = ["onehotencoder__color_blue", "onehotencoder__color_red", "remainder__size"]
    assert found.feature_names_in_.tolist() == wanted == list(found.model_.feature_names)


TABLE = """net Mixed {
  input row: table { size: number missing=median, color: category, note: category missing=own }
  dense(4) -> tanh -> dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.05)
  batch 16
  epochs 3
  stop early(1, metric=accuracy)
}
"""


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_that_the_spec_declares(library: str, rng: np.random.Generator) -> None:
    """A frame as it is, with words and gaps: as the model alone, by the names of columns."""
    frames = pytest.importorskip(library)
    size, color = rng.standard_normal(60), np.where(rng.random(60) < 0.5, "blue", "red")
    size[3], note = np.nan, [None if i % 3 else "x" for i in range(60)]
    frame = frames.DataFrame({"note": note, "size": size, "id": np.arange(60), "color": color.tolist()})
    kinds, weights = np.where((color == "blue") ^ (rng.random(60) < 0.2), "yes", "no"), rng.integers(0, 3, 60)
    found = NetClassifier(TABLE, early_stopping=False).fit(frame, kinds, sample_weight=weights)
    alone = dslc.loads(TABLE.replace("  stop early(1, metric=accuracy)\n", ""))
    alone.fit(frame, kinds, sample_weight=weights)
    assert found.n_iter_ == 3 and found.feature_names_in_.tolist() == list(frame.columns)
    assert np.array_equal(found.predict_proba(frame), alone.predict(frame))
    assert np.array_equal(found.predict(frame[["color", "size", "note"]]), alone.predict_classes(frame))
    NetClassifier(TABLE, early_stopping=True).fit(frame, kinds)
    again = pickle.loads(pickle.dumps(found))
    for estimator in (found, again):
        estimator.partial_fit(frame, kinds)
    assert np.array_equal(found.predict_proba(frame), again.predict_proba(frame))
    with pytest.raises(ValueError, match="X must be a frame of pandas or polars, not ndarray"):
        found.predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        found.fit(frame, kinds[1:])


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("name", estimators.TABLES)
def test_as_good_as_scikit_learn(name: str, capsys: pytest.CaptureFixture) -> None:
    """Not worse than MLPClassifier or MLPRegressor with like settings by more than two standard errors of the
    difference, over the same five folds with each of three seeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = estimators.compare(name, seeds=3)
    with capsys.disabled():
        print(f"\n{name}: {found.ours.mean():.4f}, scikit-learn's {found.theirs.mean():.4f} ± {found.error:.4f}")
    assert found.difference > -2 * found.error


# ------------------------------------------------------------------------------------------------ what is refused


TWO = SPEC.replace("input x: features", "input x: features\n  input more: 2").replace("standardize", "concat(x, more)")
UNTRAINED = "net Small {\n  input x: 4\n  dense(3) -> softmax\n}"


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (NetClassifier(SPEC, hidden=(3,)), "hidden describes the network that is built without a spec"),
        (NetClassifier(SPEC, activation="relu"), "activation describes the network"),
        (NetClassifier(SPEC, patience=3), "patience belongs to early_stopping=True"),
        (NetClassifier(SPEC.replace("dense(classes)", "dense(classes - classes + 5)")), "tells 5 classes, and y has 3"),
        (NetClassifier(TWO.replace("concat(x, more)", "concat(x, more)")), "one input and one output"),
        (NetClassifier(UNTRAINED), "no `train`"),
        (NetClassifier(SPEC.replace("cross_entropy", "mse")), "take NetRegressor"),
        (NetRegressor(SPEC), "take NetClassifier"),
        (NetRegressor(SPEC.replace("softmax", "linear").replace("cross_entropy", "mse")), "2 numbers, and y has 1"),
        (NetClassifier(SPEC.replace("input x: features", "input x: 3 * features")), r"\(n, 12\), found \(150, 4\)"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(estimator: NetClassifier | NetRegressor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "model_")


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (NetClassifier(SPEC, l2=0.1), "no param 'l2' to override"),
        (NetClassifier(SPEC, params={"widthe": 3}), "did you mean 'width'"),
        (NetClassifier("nowhere.net"), "nowhere.net"),
        (NetClassifier(activation="rellu"), "did you mean 'relu'"),
    ],
)
def test_errors_of_the_spec(estimator: NetClassifier, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        estimator.fit(X, Y)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"early_stopping": True}, "early_stopping must be False"),
        ({"class_weight": "balanced"}, "class_weight as a dict"),
    ],
)
def test_what_partial_fit_cannot(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NetClassifier(**given).partial_fit(X, Y, classes=[0, 1, 2])


def test_labels_that_are_one() -> None:
    with pytest.raises(ValueError, match="'True' and 'true' cannot be told apart"):
        NetClassifier().fit(X, np.where(Y > 0, "true", "True"))


def test_probabilities_only_of_what_has_some() -> None:
    hinge = SPEC.replace("-> softmax", "").replace("cross_entropy", "hinge")
    found = NetClassifier(hinge).fit(X, NAMED)
    assert not hasattr(found, "predict_proba") and found.score(X, NAMED) > 0.8


def test_without_scikit_learn() -> None:
    """One clear line."""
    code = "import sys; sys.modules['sklearn'] = None; import dslc.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert run.stderr.splitlines()[-1].endswith("needs scikit-learn 1.6 or later: pip install 'dslc[sklearn]'")
