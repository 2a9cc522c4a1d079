"""Every form of DATA, and data that are broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.named import NAMES
from helpers import Arrays


def idx(array: np.ndarray) -> bytes:
    """The format as the MNIST page describes it."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    return {"x": rng.integers(0, 256, (5, 4, 3), np.uint8), "y": np.arange(5, dtype=np.uint8)}


@pytest.mark.parametrize(
    ("name", "shape", "test"),
    [("digits", (1438, 8, 8, 1), 359), ("breast_cancer", (456, 30), 113), ("iris", (120, 4), 30),
     ("wine", (143, 13), 35), ("diabetes", (354, 10), 88)],
)  # fmt: skip
def test_named(name: str, shape: tuple[int, ...], test: int) -> None:
    """Nothing is lost and nothing is twice: training and test set together are scikit-learn's."""
    sklearn = pytest.importorskip("sklearn.datasets")
    found = load_dataset(name)
    assert found.train.x.shape == shape and found.test is not None and len(found.test.x) == test
    both = np.sort(np.concatenate([found.train.x, found.test.x]).reshape(shape[0] + test, -1).sum(axis=1))
    whole = getattr(sklearn, f"load_{name}")().data / (16 if name == "digits" else 1)
    np.testing.assert_allclose(both, np.sort(whole.sum(axis=1)), rtol=1e-5, atol=1e-5)
    assert name in NAMES


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
