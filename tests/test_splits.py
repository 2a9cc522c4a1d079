"""Splits: class by class, the same for the same seed, nothing lost; and what is said of those that are not balanced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dslc.language.diagnostics import CallError, DataError
from dslc.runtime.data.datasets import Dataset, Split, load_dataset
from dslc.runtime.data.examples import Files
from dslc.runtime.data.fingerprints import fingerprint
from dslc.runtime.data.lazy import Rows
from dslc.runtime.data.splits import Partition, Shares, classes_of, imbalances, parse_shares


def numbered(y: np.ndarray, **parts: Split) -> Dataset:
    """Data whose x is the number of the example."""
    return Dataset("numbers", Split(np.arange(len(y)), y), **parts)


def test_every_part_has_the_balance_of_the_whole(rng: np.random.Generator) -> None:
    """As many of each class as scikit-learn's stratified split gives, to one."""
    selection = pytest.importorskip("sklearn.model_selection")
    y = rng.choice(5, 997, p=[0.5, 0.3, 0.15, 0.04, 0.01])
    found = numbered(y).split(parse_shares("60/20/20", 0.1), seed=3)
    assert [len(part.x) for part in found.parts.values()] == [540, 59, 199, 199]
    assert sorted(np.concatenate([part.x for part in found.parts.values()])) == list(range(997))
    for part in found.parts.values():
        assert (y[part.x] == part.y).all()
        theirs, _ = selection.train_test_split(y, train_size=len(part.y), stratify=y, random_state=0)
        assert abs(np.bincount(part.y, minlength=5) - np.bincount(theirs, minlength=5)).max() <= 1
    assert imbalances({name: part.y for name, part in found.parts.items()}) == []


def test_seeded(rng: np.random.Generator) -> None:
    data = numbered(rng.integers(0, 3, 300))
    first, again, other = (data.with_dev(seed).dev for seed in (1, 1, 2))
    assert first is not None and again is not None and other is not None
    assert (first.x == again.x).all() and (first.x != other.x).any() and len(first.x) == 30
    assert abs(np.diff(first.x)).max() > 1, "drawn, not cut off"
    fewest, fewer = (numbered(np.zeros(count, int)).with_dev(0).dev for count in (20, 19))
    assert fewest is not None and len(fewest.x) == 2 and fewer is None
    exact = numbered(np.zeros(100, int)).split(Shares(dev=0.29), 0).dev
    assert exact is not None and len(exact.x) == 29, "0.29 * 100 is a little less in double precision"


def test_targets_that_are_no_classes(rng: np.random.Generator) -> None:
    prices = rng.random(100)
    assert classes_of(prices) is None and classes_of(np.arange(100)) is None
    assert classes_of(np.where(prices > 0.5, 1.0, np.nan)) is None
    assert classes_of(rng.integers(0, 2, (100, 3))) is None, "several labels an example"
    labels = rng.integers(0, 3, 100)
    for y in (labels, labels[:, None].astype(float), np.eye(3)[labels]):
        assert (classes_of(y) == labels).all()
    found = numbered(prices).with_dev(0)
    assert found.dev is not None and len(found.dev.x) == 10 and imbalances({"train": prices, "dev": prices[:9]}) == []


def test_parts_that_the_data_bring() -> None:
    part = Split(np.arange(5), np.zeros(5, int))
    tested, complete = numbered(np.zeros(50, int), test=part), numbered(np.zeros(50, int), test=part, dev=part)
    found = tested.split(parse_shares("80/20", 0.0), 0)
    assert found.test is part and found.dev is not None and len(found.dev.x) == 10
    assert complete.with_dev(0).train is complete.train and complete.with_dev(0).dev is part
    with pytest.raises(DataError, match="brings a test set"):
        tested.split(parse_shares("60/20/20", 0.0), 0)
    with pytest.raises(DataError, match="brings a dev set"):
        complete.split(parse_shares("80/20", 0.0), 0)
    with pytest.raises(DataError, match="too few"):
        numbered(np.zeros(2, int)).split(parse_shares("1/50/49", 0.0), 0)


@pytest.mark.parametrize("split", ["60/20/30", "60", "60/40/0", "120/-20", "a/b", "25/25/25/25", "60-20-20", "nan/50"])
def test_no_shares(split: str) -> None:
    with pytest.raises(CallError, match="percentages"):
        parse_shares(split, 0.0)


@pytest.mark.parametrize("train_dev", [-0.1, 1, 10, float("nan")])
def test_no_share_of_train_dev(train_dev: float) -> None:
    with pytest.raises(CallError, match="--train-dev"):
        parse_shares(None, train_dev)
    assert parse_shares("99/0.5/0.5", 0.5) == Shares(0.005, 0.005, 0.5)


def test_what_is_said_of_another_balance() -> None:
    """Half of a dev set of 100 against a tenth of all; a class that is missing; and differences that chance makes."""
    assert imbalances({"train": np.repeat([0, 1], [900, 50]), "dev": np.repeat([0, 1], [50, 50])}) == [
        "the train set has another balance of classes: 5.3% of it are of class 1, of all data 9.5%",
        "the dev set has another balance of classes: 50.0% of it are of class 1, of all data 9.5%",
    ]
    missing = imbalances({"train": np.repeat([0, 1], [900, 20]), "dev": np.zeros(100, int)})
    assert missing == ["the dev set has another balance of classes: 0.0% of it are of class 1, of all data 2.0%"]
    assert imbalances({"train": np.repeat([0, 1], [800, 200]), "dev": np.repeat([0, 1], [78, 22])}) == []
    assert imbalances({"train": np.zeros(900, int), "dev": np.zeros((100, 1), int)}) == []


def test_the_data_that_come_along_are_balanced() -> None:
    found = load_dataset("mnist").with_dev(0)
    assert imbalances({name: part.y for name, part in found.parts.items()}) == []


def test_train_dev_comes_from_the_rest(tmp_path: Path) -> None:
    found = numbered(np.zeros(100, int)).split(parse_shares("60/40", 0.25), 0)
    assert {name: len(part.x) for name, part in found.parts.items()} == {"train": 45, "train-dev": 15, "dev": 40}


def known_again(before: Dataset, now: Dataset) -> bool:
    partition = before.with_dev(0).partition
    assert partition is not None
    return now.is_of(partition)


def test_data_are_known_again_by_targets_and_inputs(rng: np.random.Generator) -> None:
    y, x = np.repeat([0, 1, 2], 20), rng.random((60, 3))
    columns = ("a", "b", "c")
    table = Dataset("table", Split(x, y), features=columns)
    assert known_again(table, replace(table, train=Split(x[:, [2, 0, 1]], y), features=("c", "a", "b")))
    assert not known_again(table, replace(table, train=Split(x[::-1], y)))
    assert not known_again(table, replace(table, train=Split(x, y[::-1])))
    assert known_again(table, replace(table, train=Split(x.astype(np.float32), y)))
    lazy = Rows(x, np.arange(60))
    assert known_again(replace(table, train=Split(lazy, y)), replace(table, train=Split(lazy, y)))
    assert not known_again(replace(table, train=Split(lazy, y)), replace(table, train=Split(Rows(x + 1, lazy.at), y)))
    texts = np.array([f"text {i}" for i in range(60)], object)
    assert known_again(Dataset("texts", Split(texts, y)), Dataset("texts", Split(texts.copy(), y)))
    assert not known_again(Dataset("texts", Split(texts, y)), Dataset("texts", Split(texts + ".", y)))
    encoded = replace(table, as_read=table.inputs, train=Split(2 * x, y))
    assert known_again(table, encoded), "as they were read"
    old = Partition(Shares(), 0, fingerprint(y))
    assert replace(table, train=Split(x[::-1], y)).is_of(old), "a run of an earlier version says nothing of inputs"


def test_frames_and_files_are_known_again(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    y = np.repeat([0, 1], 20)
    frame = polars.DataFrame({"size": range(40), "kind": ["ash", "elm"] * 20})
    same, other = frame.select("kind", "size"), frame.with_columns(size=polars.col("size") + 1)
    assert known_again(Dataset("frame", Split(frame, y)), Dataset("frame", Split(same, y)))
    assert not known_again(Dataset("frame", Split(frame, y)), Dataset("frame", Split(other, y)))
    found = []
    for folder, content in (("a", "x"), ("b", "x"), ("c", "y")):
        paths = [tmp_path / folder / str(i) for i in range(40)]
        paths[0].parent.mkdir()
        for path in paths:
            path.write_text(content)
        found.append(Dataset(folder, Split(np.zeros((40, 2)), y, origins=Files([str(path) for path in paths]))))
    first, moved, different = found
    assert known_again(first, moved) and not known_again(first, different)
