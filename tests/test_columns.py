"""Declared columns: what becomes of them is what scikit-learn makes of the same, learned from the training set alone,
from whatever holds the table; what does not fit is told with file, line and column."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dslc
import dslc.cli.main
from dslc.compiler import check_text
from dslc.language.diagnostics import DataError, ExampleError, SpecError
from dslc.runtime.data.cells import numbers
from dslc.runtime.data.encoding import Encoding
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.schema import Schema
from dslc.runtime.model import Model
from dslc.runtime.training.spec_text import completed

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
SPEC = """net Titanic {
  input passenger: table {
    age: number missing=median indicator=on
    "fare paid": number missing=0, siblings: number standardize=off
    class: category(1, 2, 3), sex: category
    cabin: category missing=own
    port: category
  }
  dense(6) -> relu -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.02)
  batch 16
  epochs 3
}
"""
COLUMNS = ("age", "fare paid", "siblings", "class", "sex", "cabin", "port")


def passengers(count: int, seed: int, ports: tuple[str, ...] = ("C", "Q", "S")) -> Any:
    """A table like that of the Titanic's passengers."""
    random = np.random.default_rng(seed)
    age = np.where(random.random(count) < 0.2, np.nan, random.uniform(1, 70, count).round(1))
    fare = np.where(random.random(count) < 0.1, np.nan, random.lognormal(3, 1, count).round(4))
    cabin = random.choice(np.array(["A", "B", "C", None], object), count)
    sex = random.choice(np.array(["male", "female"], object), count)
    return pandas.DataFrame(
        {
            "id": np.arange(count),
            "survived": random.integers(0, 3, count),
            "sex": sex,
            "age": age,
            "fare paid": fare,
            "siblings": random.integers(0, 4, count),
            "class": random.integers(1, 4, count),
            "cabin": cabin,
            "port": random.choice(np.array(ports, object), count),
        }
    )


TRAIN, NEW = passengers(90, 1), passengers(40, 2, ("C", "Q", "S", "Hull"))


def quiet(call: Any, *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return call(*arguments)


@pytest.fixture(scope="module")
def model() -> Model:
    made = dslc.loads(SPEC)
    quiet(made.fit, TRAIN, TRAIN["survived"])
    return made


def encoded(model: Model, frame: Any) -> Any:
    return np.asarray(quiet(model.schema.inputs, model.network, frame))


def column_transformer() -> Any:
    """The same encoding in scikit-learn's words."""
    pytest.importorskip("sklearn")
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    one_hot = {"handle_unknown": "ignore", "sparse_output": False}
    return ColumnTransformer(
        [
            ("age", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["age"]),
            ("no age", _Missing(), ["age"]),
            (
                "fare",
                make_pipeline(SimpleImputer(strategy="constant", fill_value=0.0), StandardScaler()),
                ["fare paid"],
            ),
            ("siblings", "passthrough", ["siblings"]),
            ("words", OneHotEncoder(**one_hot), ["class", "sex", "cabin", "port"]),
        ]
    )


def _Missing() -> Any:  # noqa: N802 - stands for a class
    from sklearn.impute import MissingIndicator

    return MissingIndicator(features="all")


# ------------------------------------------------------------------------------------------- as scikit-learn has it


def test_columns_are_those_of_scikit_learn(model: Model) -> None:
    theirs = column_transformer().fit(TRAIN)
    assert "Hull" in set(NEW["port"]) and NEW["cabin"].isna().any()
    for frame in (TRAIN, NEW):
        np.testing.assert_allclose(encoded(model, frame), theirs.transform(frame), rtol=1e-12, atol=1e-12)


def test_outputs_are_those_of_scikit_learn() -> None:
    """Weights copied into its network, behind its encoding of the same table, in double precision."""
    pipeline = column_transformer().fit(TRAIN)
    from sklearn.neural_network import MLPClassifier

    ours = dslc.loads(SPEC, dtype="float64")
    quiet(ours.fit, TRAIN, TRAIN["survived"])
    theirs = MLPClassifier((6,), max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(pipeline.transform(TRAIN), TRAIN["survived"])
    theirs.coefs_ = [ours.parameters[f"dense{i}.weight"].numpy().T for i in (1, 2)]
    theirs.intercepts_ = [ours.parameters[f"dense{i}.bias"].numpy() for i in (1, 2)]
    wanted = theirs.predict_proba(pipeline.transform(NEW))
    np.testing.assert_allclose(quiet(ours.predict, NEW), wanted, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------------------------ sizes and specs


def test_values_are_filled_into_the_spec(model: Model) -> None:
    text = model.network.source.text
    assert "sex: category(female, male)\n" in text and "cabin: category(A, B, C) missing=own\n" in text
    assert model.network.inputs[0].shape == (2 + 1 + 1 + 3 + 2 + 4 + 3,) and not model.network.open
    assert model.feature_names == COLUMNS
    assert check_text(text).inputs == model.network.inputs


def test_sample_weights_are_as_repeating_rows() -> None:
    """Fills, means, deviations and values of categories; one that only rows of weight 0 have is none."""
    counts = np.random.default_rng(4).integers(0, 4, 90)
    odd = TRAIN.assign(port=np.where(counts == 0, "Hull", TRAIN["port"]))
    network = check_text(SPEC)
    weighed = quiet(Schema().of_tables, network, odd, counts).tables["passenger"]
    again = quiet(Schema().of_tables, network, odd.iloc[np.repeat(np.arange(90), counts)]).tables["passenger"]
    for mine, its in zip(weighed, again, strict=True):
        assert (mine.mean, mine.std) == pytest.approx((its.mean, its.std), rel=1e-12), mine.column
        assert mine.fill == (its.fill if its.fill is None else pytest.approx(its.fill, rel=1e-12)), mine.column
        assert replace(mine, mean=0, std=1, fill=None) == replace(its, mean=0, std=1, fill=None)
    assert quiet(Schema().of_tables, network, TRAIN, np.ones(90)) == quiet(Schema().of_tables, network, TRAIN)
    with pytest.raises(ExampleError, match="sample_weight is negative"):
        Schema().of_tables(network, TRAIN, -counts)


def test_nothing_is_computed_before_the_values_are_known() -> None:
    unseen = dslc.loads(SPEC)
    assert unseen.network.open
    with pytest.raises(SpecError, match="the values of 'sex' are not known yet"):
        unseen.predict(NEW)
    with pytest.raises(SpecError, match="the values of 'port' are not known yet"):
        dslc.compiler.emit_network(unseen.network)
    listed = dslc.loads("net A {\n  input row: table { a: category(x, y) }\n  dense(2) -> softmax\n}\n")
    with pytest.raises(DataError, match="learned by `fit`"):
        listed.predict({"a": ["x", "y"]})
    listed.learn_columns({"a": ["x", "y", "x"]})
    assert listed.predict({"a": ["x", "y"]}).shape == (2, 2)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=6))
def test_any_word_can_be_a_value(words: list[str]) -> None:
    """Also with quotes, backslashes, line ends, brackets, and what looks like the language."""
    network = check_text("net A {\n  input row: table { a: category, b: category missing=own }\n  dense(2)\n}\n")
    a = [*words, 'a "b" \\ {', "on", "-> }", "# no"]
    schema = quiet(
        Schema().of_tables, network, {"a": ["x" if w.strip() == "" or w in MISSING else w for w in a], "b": a}
    )
    table = completed(network, schema).tables[0]
    assert [c.kind.values for c in table.columns] == [e.values for e in schema.tables["row"]]  # type: ignore[attr-defined]
    schema.require_tables(completed(network, schema))
    assert Schema.from_json(schema.to_json()) == schema


MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"}


def test_params_and_precision_stay() -> None:
    spec = SPEC.replace("dense(6)", "dense(width)").replace("net Titanic", "param width = 6\nnet Titanic")
    made = dslc.loads(spec.replace("missing=0", "missing=width"), width=9, dtype="float64")
    quiet(made.fit, TRAIN, TRAIN["survived"])
    assert made.parameters["dense1.weight"].shape == (9, 16) and made.dtype == np.float64
    assert made.schema.tables["passenger"][1].fill == 9


# ------------------------------------------------------------------------------------------------ where they come from


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name, frame in (("train", TRAIN), ("new", NEW)):
        frame.to_csv(folder / f"{name}.csv", index=False)
        as_polars(frame).write_parquet(folder / f"{name}.parquet")
    (folder / "titanic.net").write_text(SPEC)
    return folder


def as_polars(frame: Any) -> polars.DataFrame:
    """The same cells; what is missing is null."""
    return polars.DataFrame(
        {name: [None if pandas.isna(cell) else cell for cell in frame[name]] for name in frame.columns}
    )


def forms(frame: Any) -> Iterator[Any]:
    yield frame[list(reversed(frame.columns))]
    yield frame.convert_dtypes()
    yield frame.astype({"cabin": "category", "sex": "category"})
    yield as_polars(frame)
    yield as_polars(frame).with_columns(polars.col("cabin").cast(polars.Categorical))
    yield {name: frame[name].to_numpy() for name in frame.columns}
    yield {name: frame[name].tolist() for name in COLUMNS}
    yield {"passenger": frame}
    yield frame.astype({"class": float, "siblings": float})
    gone = frame["age"].isna().to_numpy()
    masked = np.ma.array(frame["age"].fillna(-1).to_numpy(), mask=gone)
    yield {**{name: frame[name] for name in COLUMNS}, "age": masked}


def test_every_form_of_table_gives_the_same(model: Model) -> None:
    wanted = encoded(model, NEW)
    for form in forms(NEW):
        np.testing.assert_array_equal(encoded(model, form), wanted)
    for form in forms(TRAIN):
        assert quiet(Schema().of_tables, check_text(SPEC), form).tables == model.schema.tables


def run(*arguments: object) -> int:
    return quiet(dslc.cli.main.run, [str(a) for a in arguments])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained(files: Path) -> Path:
    spec, data = files / "titanic.net", files / "train.csv"
    assert run("train", spec, "--data", data, "--target", "survived", "--run", files / "run", "--progress", "none") == 0
    return files / "run"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_line(ending: str, files: Path, trained: Path, tmp_path: Path) -> None:
    """From a file the same numbers as from a frame, and the dev set has no part in what is learned."""
    parts = json.loads((trained / "split.json").read_text())
    assert parts["shares"]["dev"] is None
    loaded = dslc.loads(SPEC)
    loaded.load_weights(trained / "weights.safetensors")
    whole = quiet(Schema().of_tables, loaded.network, TRAIN).tables["passenger"]
    assert loaded.schema.tables["passenger"][1].mean != whole[1].mean
    assert run("predict", trained, "--data", files / f"new.{ending}", "-o", tmp_path / "p.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), quiet(loaded.predict, NEW))
    assert run("evaluate", trained / "weights.safetensors", "--data", files / f"new.{ending}") == 0
    assert run("errors", trained, "--data", files / f"train.{ending}", "-o", tmp_path / "errors") == 0
    assert run("report", trained, "-o", tmp_path / "page.html") == 0


def test_what_was_learned_is_that_of_the_training_part(files: Path, trained: Path) -> None:
    from dslc.runtime.data.datasets import load_dataset
    from dslc.runtime.data.examples import Reading
    from dslc.runtime.runs.folder import split_as_trained

    how = Reading(target="survived", columns=COLUMNS, declared=True)
    dataset = split_as_trained(quiet(load_dataset, str(files / "train.csv"), None, how), str(trained), 0)
    assert dataset.dev is not None
    fares = TRAIN["fare paid"].fillna(0).to_numpy()[dataset.train.places]
    learned = json.loads((trained / "run.json").read_text())["schema"]["tables"]["passenger"][1]
    assert learned["mean"] == pytest.approx(fares.mean()) and learned["std"] == pytest.approx(fares.std())


def test_check_and_data_show_the_columns(files: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", files / "titanic.net") == 0
    said = capsys.readouterr()
    assert "cabin      category missing=own" in said.out and "from the training set" in said.out
    assert "]: the values of 'cabin' come from the training set" in said.err
    assert run("check", trained / "spec.net") == 0
    said = capsys.readouterr()
    assert "cabin      category(A, B, C) missing=own" in said.out and not said.err and "input passenger 16" in said.out
    assert run("data", files / "train.csv", "--target", "survived", "--spec", files / "titanic.net") == 0
    assert "sex        category" in (said := capsys.readouterr()).out and "female, male" in said.out
    assert run("compile", files / "titanic.net") == 1
    assert "the values of 'cabin' are not known yet" in capsys.readouterr().err


def test_a_training_goes_on(files: Path, tmp_path: Path) -> None:
    spec, data = files / "titanic.net", files / "train.csv"
    common = ("--data", data, "--target", "survived", "--progress", "none")
    assert run("train", spec, *common, "--run", tmp_path / "whole", "--epochs", 4) == 0
    assert run("train", spec, *common, "--run", tmp_path / "parts", "--epochs", 2) == 0
    assert run("train", spec, *common, "--resume", tmp_path / "parts", "--epochs", 2) == 0
    whole, parts = (dslc.load(tmp_path / name / "spec.net") for name in ("whole", "parts"))
    for loaded, name in ((whole, "whole"), (parts, "parts")):
        loaded.resume(tmp_path / name / "checkpoint")
    for name, array in whole.copy_weights().items():
        np.testing.assert_array_equal(array, parts.copy_weights()[name])


def test_inspect_and_search(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", files / "train.csv", "--target", "survived")
    assert run("inspect", files / "titanic.net", *data) == 0
    assert "dense1" in capsys.readouterr().out
    spec = tmp_path / "s.net"
    spec.write_text(SPEC.replace("lr=0.02", "lr=lr").replace("net Titanic", "param lr = 0.02 in log(1e-3, 1)\nnet T"))
    assert run("search", spec, *data, "--trials", 2, "--epochs", 1, "--run", tmp_path / "found") == 0
    assert "category(female, male)" in (tmp_path / "found" / "best" / "spec.net").read_text()


@pytest.mark.parametrize("gone", [None, "", "NA"])
def test_numbers_in_words(gone: str | None) -> None:
    """Read at once or one by one, they are the same."""
    texts = ["1.5", " -2e3 ", gone, "+.25", "7."]
    found = numbers(np.array(texts, object), "a")
    np.testing.assert_array_equal(found, [1.5, -2000, np.nan, 0.25, 7])
    for wrong in ("1 2", "-", "e", "1_0", "0x1", "infinity"):
        with pytest.raises(ExampleError, match=f"example 5, column 'a': '{wrong}' is no number"):
            numbers(np.array([*texts, wrong], object), "a")


# ------------------------------------------------------------------------------------------------ what is odd


def test_unknown_values_are_noted(model: Model) -> None:
    odd = NEW.head(4).assign(port=["Hull", "C", "Hull", "York"], sex="male", cabin="A", age=3.0)
    with pytest.warns(DataNote, match=r"column 'port': .* 0 in all of them: 'Hull' \(2 rows\), 'York' \(1 row\)"):
        found = model.schema.inputs(model.network, odd)
    assert found[:, -3:].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_values_that_nothing_is_learned_of_are_noted() -> None:
    network = check_text("net A {\n  input row: table { a: category(x, y, z) missing=own }\n  dense(2)\n}\n")
    with pytest.warns(DataNote) as told:
        Schema().of_tables(network, {"a": ["x", "z", "x"]})
    assert [str(one.message) for one in told] == [
        "column 'a': the training set has no y: nothing is learned of it",
        "column 'a': no cell of the training set is missing: nothing is learned of missing=own",
    ]


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("age", "old", "'old' is no number; a column of words is a category"),
        ("age", "1,015.5", "'1,015.5' has a separator of thousands: write 1015.5"),
        ("age", "inf", "'inf' is no number"),
        ("age", "1_000", "'1_000' is no number"),
        ("age", "NAN", "'NAN' is no number"),
        ("siblings", "", "is missing: fill it, leave the row out, or declare missing=median"),
        ("sex", "?", "is missing: fill it, leave the row out, or declare missing=own"),
    ],
)
def test_an_odd_cell_is_told_with_its_line(
    column: str, cell: str, said: str, files: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list(csv.reader((files / "new.csv").open()))
    rows[7][rows[0].index(column)] = cell
    with (tmp_path / "odd.csv").open("w") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    data = ("--data", tmp_path / "odd.csv", "--target", "survived")
    for call in (
        ("train", files / "titanic.net", *data, "--run", tmp_path / "run", "--progress", "none"),
        ("evaluate", trained, *data),
        ("predict", trained, *data, "-o", tmp_path / "p.csv"),
    ):
        assert run(*call) == 1
        error = capsys.readouterr().err
        assert f"odd.csv:8, column '{column}': {said}" in error and "Traceback" not in error


def test_a_column_that_the_table_lacks(files: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NEW.drop(columns=["sex", "cabin"]).to_csv(files / "fewer.csv", index=False)
    data = ("--data", files / "fewer.csv", "--target", "survived")
    for call in (("train", files / "titanic.net", *data), ("predict", trained, *data), ("evaluate", trained, *data)):
        assert run(*call) == 1
        assert (
            "fewer.csv lacks the columns 'sex', 'cabin', which the spec declares; it has id" in capsys.readouterr().err
        )


def test_the_target_is_no_input(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", files / "titanic.net", "--data", files / "train.csv", "--target", "sex") == 1
    assert "train.csv: the spec declares the column 'sex', which is the target, as an input" in capsys.readouterr().err


def test_evaluation_learns_nothing(
    model: Model, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights that were saved before any training do not take what they need from the data that they are judged on."""
    unfitted = dslc.loads(model.network.source.text)
    unfitted.save(tmp_path / "w.safetensors")
    data = ("--data", files / "new.csv", "--target", "survived")
    assert run("evaluate", tmp_path / "w.safetensors", *data) == 1
    assert "the columns of input passenger are learned by `fit`" in capsys.readouterr().err


def test_what_is_no_table_is_refused(model: Model) -> None:
    lacking = {name: NEW[name] for name in COLUMNS if name != "sex"}
    with pytest.raises(DataError, match="input passenger: the data lack the column 'sex'; they have age"):
        model.predict(lacking)
    with pytest.raises(DataError, match="input passenger is a table: give a frame or a dict of columns"):
        model.predict(np.zeros((3, 16), np.float32))
    with pytest.raises(DataError, match=r"different numbers of rows: .*'sex' 3"):
        model.predict({**{name: NEW[name] for name in COLUMNS}, "sex": ["male"] * 3})
    with pytest.raises(DataError, match="column 'age' holds datetime64"):
        model.predict(NEW.assign(age=np.datetime64("2020-01-01")))
    with pytest.raises(ExampleError, match=r"example 2, column 'sex': \(1, 2\) is no word"):
        model.predict(NEW.assign(sex=["male", "male", (1, 2)] + ["male"] * (len(NEW) - 3)))


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("age: number", [3, 3, 3], r"<text>:2:23: the column 'age' is 3 in all of the training set"),
        ("age: number missing=3", [3, None, 3], r"<text>:2:23: the column 'age' is 3 in all of the training set"),
        ("age: number missing=mean", [None, None, None], r"<text>:2:23: no cell of the column 'age' holds a number"),
        ("age: category", [None, "?", ""], r"<text>:2:23: all cells of the column 'age' are missing"),
        ("age: category", [f"n{i}" for i in range(10_001)], r"<text>:2:23: the column 'age' has 10,001 values"),
    ],
)
def test_columns_that_tell_nothing(column: str, cells: list[Any], said: str) -> None:
    network = check_text(f"net A {{\n  input row: table {{  {column} }}\n  dense(2)\n}}\n")
    with pytest.raises(DataError, match=said):
        Schema().of_tables(network, {"age": cells})


def test_weights_of_other_columns_are_refused(model: Model, tmp_path: Path) -> None:
    """Also where all sizes are the same, so that words would change their meaning."""
    model.save(tmp_path / "w.safetensors")
    for before, after, said in (
        ("category(female, male)", "category(male, female)", r"trained with sex: category\(female, male\) where"),
        ("port: category(C, Q, S)", "harbor: category(C, Q, S)", r"trained with port: .* where the spec has harbor"),
    ):
        other = dslc.loads(model.network.source.text.replace(before, after))
        with pytest.raises(DataError, match=said):
            other.load_weights(tmp_path / "w.safetensors")
        model.checkpoint(tmp_path / "c")
        with pytest.raises(DataError, match="the table passenger is"):
            other.resume(tmp_path / "c")


def test_weights_bring_what_was_learned(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "w.safetensors")
    again = dslc.loads(SPEC)
    again.load_weights(tmp_path / "w.safetensors")
    assert again.schema.tables == model.schema.tables
    np.testing.assert_array_equal(quiet(again.predict, NEW), quiet(model.predict, NEW))
    np.testing.assert_array_equal(quiet(model.copy().predict, NEW), quiet(model.predict, NEW))
    quiet(again.fit, NEW, NEW["survived"], None, 1)
    assert again.schema.tables == model.schema.tables


def test_the_dev_set_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from dslc.runtime.data import encoding

    rows: list[int] = []
    encode = encoding.encode
    monkeypatch.setattr(encoding, "encode", lambda t, e, g: rows.append(len(g)) or encode(t, e, g))
    quiet(dslc.loads(SPEC).fit, TRAIN, TRAIN["survived"], (NEW, NEW["survived"]), 5)
    assert rows.count(len(TRAIN)) == 1 and rows.count(len(NEW)) == 2  # looked through, then taken


def test_data_that_are_refused_leave_no_trace() -> None:
    """The second call learns everything from its own data."""
    model = dslc.loads(SPEC)
    odd = NEW.assign(cabin="Z", survived=9)
    with pytest.raises(DataError, match="has the class 9"):
        quiet(model.fit, odd, odd["survived"])
    dev = {name: [*TRAIN[name][:40]] for name in COLUMNS} | {"age": ["old"] * 40}
    with pytest.raises(DataError, match="dev set: example 0, column 'age': 'old' is no number"):
        quiet(model.fit, odd, TRAIN["survived"][:40], (dev, TRAIN["survived"][:40]))
    assert model.network.open and not model.schema.tables
    quiet(model.fit, TRAIN, TRAIN["survived"])
    assert "cabin: category(A, B, C) missing=own" in model.network.source.text


def test_a_table_beside_another_input() -> None:
    spec = (
        "net A {\n  input row: table { a: category(x, y) }\n  input v: 2\n  concat(row, v) -> dense(2) -> softmax\n}\n"
    )
    both = dslc.loads(spec + "train {\n  loss cross_entropy\n  optimizer sgd(lr=0.1)\n  epochs 1\n}\n")
    x = {"row": {"a": ["x", "y", "x"]}, "v": np.ones((3, 2))}
    both.fit(x, [0, 1, 0])
    assert both.predict(x).shape == (3, 2)
    assert both.schema.tables["row"] == (Encoding("a", "category", values=("x", "y")),)


def test_the_example_of_the_data_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "data.md").read_text()
    table, spec, shown, note, _ = re.findall(r"```[a-z]*\n(.*?)```", page.split("## Declared columns")[1], re.DOTALL)[
        :5
    ]
    (tmp_path / "trees.csv").write_text(table)
    (tmp_path / "trees.net").write_text(spec)
    (tmp_path / "new.csv").write_text("county,soil,girth,height\nKent,chalk,130,17\nSurrey,loam,255,25\n")
    data = ("--data", tmp_path / "trees.csv", "--target", "kind")
    assert run("data", tmp_path / "trees.csv", "--target", "kind", "--spec", tmp_path / "trees.net") == 0
    assert shown in capsys.readouterr().out
    assert run("train", tmp_path / "trees.net", *data, "--run", tmp_path / "run", "--progress", "none") == 0
    assert "county: category(Devon, Essex, Kent)" in (tmp_path / "run" / "spec.net").read_text()
    asked = ("predict", tmp_path / "run", "--data", tmp_path / "new.csv", "-o", tmp_path / "p.csv")
    with pytest.warns(DataNote) as told:
        dslc.cli.main.run([str(a) for a in asked])
    assert note.strip() in [f"note: {one.message}" for one in told]
    assert [row["class"] for row in csv.DictReader((tmp_path / "p.csv").open())] == ["ash", "elm"]
