"""Every form of DATA, and data that are broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.language.diagnostics import DataError
from dslc.runtime.data import sklearn_sets
from dslc.runtime.data.arrays_on_disk import from_arrays
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.named import data_names
from dslc.runtime.data.schema import Schema
from dslc.runtime.runs.metadata import RunMetadata
from dslc.runtime.training.history import History
from helpers import REPO, Arrays


def idx(array: np.ndarray) -> bytes:
    """The format as the MNIST page describes it."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    return {"x": rng.integers(0, 256, (5, 4, 3), np.uint8), "y": np.arange(5, dtype=np.uint8)}


@pytest.mark.parametrize(
    ("name", "shape", "test"),
    [("digits", (1438, 8, 8, 1), 359), ("breast_cancer", (456, 30), 113), ("iris", (120, 4), 30),
     ("wine", (143, 13), 35), ("diabetes", (354, 10), 88), ("linnerud", (16, 3), 4)],
)  # fmt: skip
def test_named(name: str, shape: tuple[int, ...], test: int) -> None:
    """Nothing is lost and nothing is twice: training and test set together are scikit-learn's, always in one order; of
    the digits in the order of their writers."""
    sklearn = pytest.importorskip("sklearn.datasets")
    found = load_dataset(name)
    assert found.train.x.shape == shape and found.test is not None and len(found.test.x) == test
    both = np.concatenate([found.train.x, found.test.x]).reshape(shape[0] + test, -1)
    whole = getattr(sklearn, f"load_{name}")().data / (16 if name == "digits" else 1)
    order = np.arange(len(whole)) if name == "digits" else np.random.default_rng(0).permutation(len(whole))
    np.testing.assert_allclose(both, whole[order], rtol=1e-5, atol=1e-5)
    assert name in data_names()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_folder(packed: bool, arrays: Arrays, tmp_path: Path) -> None:
    for prefix in ("train", "t10k"):
        for kind, array in (("images-idx3", arrays["x"]), ("labels-idx1", arrays["y"])):
            content = idx(array)
            file = tmp_path / f"{prefix}-{kind}-ubyte{'.gz' if packed else ''}"
            file.write_bytes(gzip.compress(content) if packed else content)
    found = load_dataset(str(tmp_path))
    assert (found.train.x == arrays["x"]).all() and found.train.x.dtype == np.uint8
    assert found.test is not None and (found.test.y == arrays["y"]).all()


def test_idx_cut_short(arrays: Arrays, tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(arrays["x"])[:-7])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(arrays["y"]))
    with pytest.raises(DataError, match=r"announces \[5, 4, 3\] and holds 53 bytes"):
        load_dataset(str(tmp_path))


def test_npy_folder_stays_on_the_disk(arrays: Arrays, tmp_path: Path) -> None:
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    found = load_dataset(str(tmp_path))
    assert isinstance(found.train.x, np.memmap) and (found.train.x == arrays["x"]).all()


def test_npz_with_all_parts(arrays: Arrays, tmp_path: Path) -> None:
    parts = {f"{name}{part}": array for part in ("", "_dev", "_test") for name, array in arrays.items()}
    np.savez(tmp_path / "d.npz", **parts)
    found = load_dataset(str(tmp_path / "d.npz"))
    assert found.dev is not None and found.test is not None and (found.dev.y == arrays["y"]).all()


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,kind,b\n1,cat,2\n3,ant,4\n")
    found = load_dataset(str(tmp_path / "d.csv"), "kind")
    assert found.train.x.tolist() == [[1, 2], [3, 4]] and found.train.y.tolist() == ["cat", "ant"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no rows"), ("a,b\n", "no rows"), ("a,b\n1\n", "d.csv:2"), ("a,b\nx,1\n", "d.csv:2, column 'a': 'x' is no")],
)
def test_broken_csv(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        load_dataset(str(tmp_path / "d.csv"), "b")


def test_image_folders(arrays: Arrays, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for label, pixels in zip(("dog", "cat"), arrays["x"], strict=False):
        (tmp_path / label).mkdir()
        image.fromarray(pixels).save(tmp_path / label / "1.png")
    found = load_dataset(str(tmp_path))
    assert (found.train.x[:, :, :, 0] == arrays["x"][[1, 0]]).all()
    assert found.train.y.tolist() == ["cat", "dog"]
    image.fromarray(arrays["x"][0][:2]).save(tmp_path / "dog" / "2.png")
    with pytest.raises(DataError, match="give them one size"):
        load_dataset(str(tmp_path))
    (tmp_path / "dog" / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read the image .*2\.png"):
        load_dataset(str(tmp_path))


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds neither"):
        load_dataset(str(tmp_path))


# ------------------------------------------------------------------------------------------------ by name


def test_all_of_scikit_learn_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    own = {"mnist", *sklearn_sets.SHIPPED, *sklearn_sets.MADE, *sklearn_sets.FETCHED}
    assert own <= set(data_names())
    shipped = {name.removeprefix("load_") for name in dir(pytest.importorskip("sklearn.datasets")) if "load_" in name}
    files = {"files", "sample_image", "sample_images", "svmlight_file", "svmlight_files"}
    assert shipped - files == set(sklearn_sets.SHIPPED)

    def fetch(download_if_missing: bool) -> None:
        raise AssertionError("nothing is fetched") if download_if_missing else OSError

    monkeypatch.setattr("sklearn.datasets.fetch_covtype", fetch)
    with pytest.raises(DataError, match="covtype is not on this machine; this fetches it once"):
        load_dataset("covtype")


@pytest.mark.parametrize("name", sorted(sklearn_sets.MADE))
def test_made(name: str) -> None:
    """A thousand examples, always the same, in a mixed order."""
    pytest.importorskip("sklearn")
    found, again = load_dataset(name), load_dataset(name)
    assert found.test is not None and (len(found.train.x), len(found.test.x)) == (800, 200)
    assert (found.train.x == again.train.x).all() and np.isfinite(found.train.x).all()
    assert found.train.y[:400].mean() == pytest.approx(found.train.y[400:].mean(), abs=0.5 * found.train.y.std())


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_classes_and_columns_keep_their_names(name: str) -> None:
    """Each row of scikit-learn's is there with the name of its class."""
    bunch = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")()
    found = load_dataset(name)
    assert found.features == tuple(bunch.feature_names) and found.classes == tuple(bunch.target_names)
    class_of = {tuple(row): bunch.target_names[number] for row, number in zip(bunch.data, bunch.target, strict=True)}
    assert [class_of[tuple(row)] for row in found.train.x] == found.train.y.tolist()


def test_class_names_keep_their_numbers() -> None:
    """breast_cancer's class 1 is benign, although the alphabet has it first; a network of other classes learns anew."""
    pytest.importorskip("sklearn")
    dataset = load_dataset("breast_cancer")
    network = dslc.check(REPO / "specs" / "breast_cancer.net")
    schema = Schema().describing(network, dataset)
    assert schema.names(network.heads[0]) == ("malignant", "benign")
    known = schema.of_targets(network, dataset.train.y, anew=True)
    assert known.targets(network, np.array(["benign", "malignant"])).tolist() == [1, 0]


def test_fetched_are_read_where_scikit_learn_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded: an error says how to."""
    joblib = pytest.importorskip("joblib")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"california_housing is not on this machine.*fetch_california_housing\(\)"):
        load_dataset("california_housing")
    joblib.dump(np.arange(90.0).reshape(10, 9) + 1, tmp_path / "cal_housing_py3.pkz")
    found = load_dataset("california_housing")
    assert found.features is not None and found.features[0] == "MedInc" and found.train.x.shape == (8, 8)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that adds data sets."""
    about = tmp_path / "shapes-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes\nVersion: 1.0\n")
    names = ("triangles", "broken", "numbers", "unlike", "columns", "moons")
    (about / "entry_points.txt").write_text("[dslc.datasets]\n" + "".join(f"{n} = shapes_data:{n}\n" for n in names))
    (tmp_path / "shapes_data.py").write_text(
        "def triangles():\n"
        "    return {'x': [[1, 2], [3, 4], [5, 6]], 'y': [1, 0, 1], 'x_test': [[7, 8]], 'y_test': [0],\n"
        "            'class_names': ['flat', 'acute'], 'feature_names': ['a', 'b']}\n"
        "def broken():\n    raise OSError('no such shelf')\n"
        "def numbers():\n    return 7\n"
        "def unlike():\n    return {'x': [[1], [2]], 'y': [0, 2], 'class_names': ['flat', 'acute']}\n"
        "def columns():\n    return {'x': [[1], [2]], 'y': [0, 1], 'feature_names': ['a', 'b']}\n"
        "moons = triangles\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_package_adds_a_name(package: Path) -> None:
    assert "triangles" in data_names()
    found = load_dataset("triangles")
    assert found.train.x.tolist() == [[1, 2], [3, 4], [5, 6]] and found.train.y.tolist() == ["acute", "flat", "acute"]
    assert found.test is not None and found.test.y.tolist() == ["flat"]
    assert found.features == ("a", "b") and found.classes == ("flat", "acute")
    assert RunMetadata.of(found, History(), Schema()).data == "triangles"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "broken fails, shapes_data:broken: OSError: no such shelf"),
        ("numbers", "must return a mapping with x and y, not 7"),
        ("unlike", "its y must be class numbers .* from 0 to 1"),
        ("columns", r"2 feature_names, and x the shape \(2, 1\)"),
        ("moons", "several packages have a data set moons: dslc, shapes"),
        ("triangless", "did you mean 'triangles'"),
    ],
)
def test_what_a_package_does_wrong(name: str, words: str, package: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(name)


def test_targets_of_the_only_head_that_needs_some_are_plain_ones() -> None:
    """By the head's name or as y: the same dev set is drawn, class by class."""
    x, y = np.arange(60.0).reshape(60, 1), np.arange(60) % 3
    heads = {"kind": True, "aux": False}
    joined = from_arrays("d", {"x": x, "y": y, "b": y}, heads={"y": True, "b": True}).train.y
    assert joined.dtype.names == ("y", "b"), "an output may be called y"
    with pytest.raises(DataError, match="must hold x and targets called a, b"):
        from_arrays("d", {"x_train": x, "y_train": y}, heads={"a": True, "b": True})
    parts = [from_arrays("d", {"x": x, name: y}, heads=heads).with_dev(5) for name in ("y", "kind")]
    assert parts[0].dev is not None and parts[1].dev is not None
    np.testing.assert_array_equal(parts[0].dev.x, parts[1].dev.x)
    assert parts[0].partition == parts[1].partition and sorted(parts[1].dev.y) == [0, 0, 1, 1, 2, 2]
