"""Files of arrays that cannot be what they say are refused before memory is taken."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import Reading


def header(shape: object, dtype: str = "<f8") -> bytes:
    """The beginning of a .npy file that announces this shape, as NEP 1 describes it."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def packed(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return str(path)


def plain(array: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


Y = plain(np.arange(3))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (header((3, 10**12)), "more than the memory there is"),
        (header((3, -1)), "no axis is shorter than 0"),
        (header((3, 4)) + b"\0" * 90, r"announces the shape \[3, 4\], 96 bytes, and holds 90"),
        (header((3, 4)) + b"\0" * 97, "holds 97"),
        (header((3,), "|O") + b"\x80\x04N.", "Python objects"),
        (header("'no'"), "no array of NumPy"),
        (b"text", "no array of NumPy"),
        (plain(np.zeros((2, 1))), "x has 2 examples and y 3"),
        (plain(np.zeros(())), "axis of examples"),
    ],
)
def test_bad_npz(x: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(packed(tmp_path / "d.npz", x=x, y=Y))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (header((3, 10**12)), "and holds 0"),
        (header((3, -1)), "no axis is shorter than 0"),
        (header((3,), "|O") + b"\x80\x04N.", "Python objects"),
    ],
)
def test_bad_npy(x: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(x)
    (tmp_path / "y.npy").write_bytes(Y)
    with pytest.raises(DataError, match=words):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("kept", [10, 200, -30])
def test_npz_cut_short(kept: int, tmp_path: Path) -> None:
    path = packed(tmp_path / "d.npz", x=plain(np.random.default_rng(0).random((40, 9))), y=Y)
    Path(path).write_bytes(Path(path).read_bytes()[:kept])
    with pytest.raises(DataError, match=r"d\.npz is no \.npz, or it is cut short or damaged"):
        load_dataset(path)


def test_names_of_others(tmp_path: Path) -> None:
    """Keras keeps x_train and x_test; to predict, labels are not needed."""
    x = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "k.npz", x_train=x, y_train=[0, 1, 2], x_test=x[:1], y_test=[1], x_val=x[1:], y_val=[0, 1])
    found = load_dataset(str(tmp_path / "k.npz"))
    assert {name: len(part.x) for name, part in found.parts.items()} == {"train": 3, "dev": 2, "test": 1}
    np.savez(tmp_path / "x.npz", x=x)
    assert not load_dataset(str(tmp_path / "x.npz"), how=Reading(labelled=False)).labelled
    with pytest.raises(DataError, match="must hold x and y"):
        load_dataset(str(tmp_path / "x.npz"))
    np.savez(tmp_path / "two.npz", x=x, x_train=x, y=[0, 1, 2])
    with pytest.raises(DataError, match="another array that means the same"):
        load_dataset(str(tmp_path / "two.npz"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (bytes([0, 0, 8, 3]) + b"\x7f\xff\xff\xff" * 3, "more than the memory there is"),
        (bytes([0, 0, 8, 3]) + b"\xff\xff\xff\xff" * 3, "no axis is shorter than 0"),
        (bytes([0, 0, 8, 3, 0, 0]), "no IDX file"),
        (bytes([0, 0, 9, 1, 0, 0, 0, 2, 1, 2, 3]), "holds more"),
        (b"", "no IDX file"),
    ],
)
def test_bad_idx(body: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(body)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 0]))
    with pytest.raises(DataError, match=words):
        load_dataset(str(tmp_path))
